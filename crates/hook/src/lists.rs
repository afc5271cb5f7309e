//! Lists of domains, networks and addresses, and the handle through which a reloaded list is swapped whole.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use serde::Deserialize;

use crate::address::{Domain, Mailbox, ReversePath};

/// A value that can be replaced whole while others read it.
#[derive(Debug)]
pub struct Live<T>(Arc<ArcSwap<T>>);

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Live<T> {
    /// A handle to a first value.
    pub fn new(value: impl Into<Arc<T>>) -> Self {
        Self(Arc::new(ArcSwap::new(value.into())))
    }

    /// The value as it is now; stays the same for whoever holds it.
    pub fn load(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Replaces the value for all who ask from now on.
    pub fn swap(&self, value: impl Into<Arc<T>>) {
        self.0.store(value.into());
    }
}

impl<T: Default> Default for Live<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// Domains: `example.com` is that domain, `.example.com` its subdomains, `mx:example.net` every
/// domain whose mail host is `example.net` or below it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DomainList {
    exact: HashSet<Domain>,
    below: HashSet<Domain>,
    providers: HashSet<Domain>,
}

impl DomainList {
    /// Adds one entry; the error is for the operator.
    pub fn add(&mut self, entry: &str) -> Result<(), String> {
        let (set, name) = if let Some(name) = entry.strip_prefix("mx:") {
            (&mut self.providers, name)
        } else if let Some(name) = entry.strip_prefix('.') {
            (&mut self.below, name)
        } else {
            (&mut self.exact, entry)
        };
        let domain = Domain::parse(name).map_err(|_| {
            format!("`{entry}` is no domain; write example.com, .example.com or mx:example.net")
        })?;
        set.insert(domain);
        Ok(())
    }

    /// Whether the domain itself is listed.
    pub fn contains(&self, domain: &Domain) -> bool {
        self.exact.contains(domain) || parents(domain).any(|p| self.below.contains(&p))
    }

    /// Whether there are `mx:` entries, so that MX records are worth a look.
    pub fn has_providers(&self) -> bool {
        !self.providers.is_empty()
    }

    /// Whether a mail host belongs to a listed provider.
    pub fn is_provider(&self, host: &Domain) -> bool {
        self.providers.contains(host) || parents(host).any(|p| self.providers.contains(&p))
    }
}

/// The domains above this one, nearest first.
fn parents(domain: &Domain) -> impl Iterator<Item = Domain> + '_ {
    domain
        .as_str()
        .match_indices('.')
        .filter_map(|(dot, _)| Domain::parse(&domain.as_str()[dot + 1..]).ok())
}

/// Networks and single addresses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NetworkList(Vec<IpNet>);

impl NetworkList {
    /// Adds `192.0.2.0/24`, `2001:db8::/32` or a single address; the error is for the operator.
    pub fn add(&mut self, entry: &str) -> Result<(), String> {
        let net = entry
            .parse::<IpNet>()
            .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| {
                format!("`{entry}` is neither an address nor a network such as 192.0.2.0/24")
            })?;
        self.0.push(net);
        Ok(())
    }

    /// Whether the address lies in one of the networks. `::ffff:192.0.2.1` is `192.0.2.1`.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|net| net.contains(&ip))
    }

    /// Whether a network covers a whole address family: everybody.
    pub fn covers_everybody(&self) -> bool {
        self.0.iter().any(|net| net.prefix_len() == 0)
    }
}

/// Addresses, and domains as in a [`DomainList`]: whoever has an address there is listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AddressList {
    addresses: HashSet<String>,
    domains: DomainList,
}

impl AddressList {
    /// Adds `ann@example.com`, `example.com`, which may be written `@example.com`, or `.example.com`;
    /// the error is for the operator.
    pub fn add(&mut self, entry: &str) -> Result<(), String> {
        let entry = entry.strip_prefix('@').unwrap_or(entry);
        if !entry.contains('@') && !entry.starts_with("mx:") {
            return self.domains.add(entry);
        }
        let mailbox = Mailbox::parse(entry).map_err(|_| {
            format!("`{entry}` is no address; write ann@example.com, example.com or .example.com")
        })?;
        self.addresses.insert(mailbox.key());
        Ok(())
    }

    /// Whether the address, in any case, or its domain is listed. The null reverse-path never is.
    pub fn contains(&self, sender: &ReversePath) -> bool {
        sender.mailbox().is_some_and(|m| self.contains_mailbox(m))
    }

    /// Whether the mailbox, in any case, or its domain is listed.
    pub fn contains_mailbox(&self, mailbox: &Mailbox) -> bool {
        self.addresses.contains(&mailbox.key())
            || mailbox.domain().is_some_and(|d| self.domains.contains(d))
    }
}

/// A list as the configuration writes it: one entry, `file:PATH`, or an array of either.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ListSpec {
    /// One entry, or a file with one entry a line.
    One(String),
    /// Any number of them.
    Many(Vec<String>),
}

impl ListSpec {
    /// The entries as written; those that start with `file:` name a file.
    pub fn entries(&self) -> &[String] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Many(entries) => entries,
        }
    }
}

impl Default for ListSpec {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl fmt::Display for ListSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entries().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("valid")
    }

    #[test]
    fn a_leading_dot_means_subdomains_only() {
        let mut list = DomainList::default();
        for entry in ["example.com", ".example.net", "mx:mail.example"] {
            list.add(entry).expect("valid");
        }
        assert!(list.contains(&domain("example.com")));
        assert!(!list.contains(&domain("a.example.com")));
        assert!(list.contains(&domain("a.b.example.net")));
        assert!(!list.contains(&domain("example.net")));
        assert!(list.is_provider(&domain("mx1.mail.example")));
        assert!(!list.is_provider(&domain("notmail.example")));
        assert!(list.add("exa mple").is_err());
    }

    #[test]
    fn mapped_addresses_are_the_addresses_they_map() {
        let mut list = NetworkList::default();
        list.add("192.0.2.0/24").expect("valid");
        assert!(list.contains("::ffff:192.0.2.7".parse().expect("valid")));
        assert!(!list.contains("198.51.100.1".parse().expect("valid")));
        assert!(list.add("192.0.2.0/33").is_err());
    }

    #[test]
    fn addresses_and_whole_domains_are_listed() {
        let mut list = AddressList::default();
        for entry in ["Ann@example.com", "example.net", "@example.org"] {
            list.add(entry).expect("valid");
        }
        let listed = |text| list.contains(&ReversePath::parse(text).expect("valid"));
        assert!(listed("<ann@EXAMPLE.com>"));
        assert!(listed("<anybody@example.net>"));
        assert!(listed("<anybody@example.org>"));
        assert!(!listed("<bob@example.com>"));
        assert!(!listed("<>"));
        assert!(list.add("mx:example.net").is_err());
        assert!(list.add("a@b@c").is_err());
    }
}
