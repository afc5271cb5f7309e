//! An access list: which line, if any, is about a client, a HELO name, a sender or a recipient.
//!
//! Of several lines that match, the first in the list counts. A lookup costs the same in a list of
//! ten lines and of a million: names and networks are found by hash, never by walking the list.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use posthouse_hook::{Domain, Mailbox, Refusal, ReversePath};

/// One line that matches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// What it is about, as it was written.
    pub(crate) entry: Box<str>,
    /// Its own reply.
    pub(crate) reply: Option<Box<Refusal>>,
}

/// Where in the list a line stands.
type Place = u32;

/// Lines about clients, HELO names, senders and recipients.
#[derive(Debug, Clone, Default)]
pub(super) struct AccessList {
    lines: Vec<Line>,
    networks: Networks,
    hosts: Names,
    helos: Names,
    senders: Paths,
    recipients: Paths,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Client,
    Helo,
    Sender,
    Recipient,
}

/// The words before the colon.
const PREFIXES: [(&str, About); 4] = [
    ("client:", About::Client),
    ("helo:", About::Helo),
    ("from:", About::Sender),
    ("to:", About::Recipient),
];

impl AccessList {
    /// Adds `WHAT` or `WHAT CODE X.Y.Z TEXT`; the error is for the operator.
    pub(super) fn add(&mut self, entry: &str) -> Result<(), String> {
        let (what, reply) = match entry.split_once(char::is_whitespace) {
            Some((what, reply)) => (what, Some(parse_reply(reply)?)),
            None => (entry, None),
        };
        let place = Place::try_from(self.lines.len()).map_err(|_| "too many lines".to_owned())?;
        self.file(what, place)?;
        self.lines.push(Line {
            entry: what.into(),
            reply: reply.map(Box::new),
        });
        Ok(())
    }

    fn file(&mut self, what: &str, place: Place) -> Result<(), String> {
        let (about, value) = about(what)?;
        let lower = value.to_ascii_lowercase();
        let fits = match about {
            About::Client => match network(value) {
                Some(net) => self.networks.add(net, place),
                None if is_numeric(value) => None,
                None => self.hosts.add(&lower, place),
            },
            About::Helo if is_literal(&lower) => self.helos.add_as_is(&lower, place),
            About::Helo => self.helos.add(&lower, place),
            About::Sender => self.senders.add(value, place),
            About::Recipient => self.recipients.add(value, place),
        };
        fits.ok_or_else(|| bad(about, what))
    }

    /// Whether any line names a host, so that the client's confirmed name is worth a look.
    pub(super) fn has_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// The line about a client, by its address or its confirmed name.
    pub(super) fn client(&self, ip: IpAddr, host: Option<&Domain>) -> Option<&Line> {
        let by_name = host.and_then(|host| self.hosts.find(host.as_str()));
        self.first([self.networks.find(ip), by_name])
    }

    /// The line about a HELO name or literal.
    pub(super) fn helo(&self, name: &str) -> Option<&Line> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        self.first([self.helos.find(name), None])
    }

    /// The line about a sender.
    pub(super) fn sender(&self, path: &ReversePath) -> Option<&Line> {
        self.first([self.senders.find(path.mailbox()), None])
    }

    /// The line about a recipient.
    pub(super) fn recipient(&self, mailbox: Option<&Mailbox>) -> Option<&Line> {
        let place = mailbox.and_then(|mailbox| self.recipients.find(Some(mailbox)));
        self.first([place, None])
    }

    fn first(&self, places: [Option<Place>; 2]) -> Option<&Line> {
        let place = places.into_iter().flatten().min()?;
        self.lines.get(usize::try_from(place).ok()?)
    }
}

/// What a line is about: by its prefix, or by its form where no other reading is possible.
fn about(what: &str) -> Result<(About, &str), String> {
    let prefixed = PREFIXES
        .iter()
        .find_map(|(prefix, about)| Some((*about, what.strip_prefix(prefix)?)));
    if let Some(found) = prefixed {
        return Ok(found);
    }
    if network(what).is_some() {
        return Ok((About::Client, what));
    }
    if what.contains('@') || what == "<>" {
        return Ok((About::Sender, what));
    }
    Err(format!(
        "`{what}` could be a client, a HELO name or a sender's domain; write client:{what}, helo:{what}, from:{what} or to:{what}"
    ))
}

fn bad(about: About, what: &str) -> String {
    let form = match about {
        About::Client => "192.0.2.1, 192.0.2.0/24, 192.0.2., host.example or .host.example",
        About::Helo => "host.example, .host.example or [192.0.2.1]",
        About::Sender => "user@example.com, example.com, .example.com or <>",
        About::Recipient => "user@example.com, example.com or .example.com",
    };
    format!("`{what}` is not understood; behind the colon stands {form}")
}

fn parse_reply(text: &str) -> Result<Refusal, String> {
    let text = text.trim();
    refusal(text).map_err(|error| format!("`{text}`: {error}"))
}

/// A refusal from `550 5.7.1 text`.
pub(super) fn refusal(text: &str) -> Result<Refusal, posthouse_hook::ReplyError> {
    let mut words = text.splitn(3, char::is_whitespace);
    let codes = [words.next(), words.next()].map(Option::unwrap_or_default);
    Refusal::from_config(&codes.join(" "), words.next().unwrap_or_default(), 0)
}

/// An address, a network, or a prefix that ends where a group of it ends: `192.0.2.`, `2001:db8:`.
fn network(text: &str) -> Option<IpNet> {
    let whole = text.parse::<IpNet>().ok().map(|net| net.trunc());
    let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
    whole.or_else(single).or_else(|| prefix(text))
}

fn prefix(text: &str) -> Option<IpNet> {
    if let Some(octets) = text.strip_suffix('.') {
        let octets: Vec<u8> = numbers(octets, '.', |octet| octet.parse().ok())?;
        let mut all = [0; 4];
        all.get_mut(..octets.len())?.copy_from_slice(&octets);
        let len = u8::try_from(octets.len() * 8).ok()?;
        return IpNet::new(Ipv4Addr::from(all).into(), len).ok();
    }
    let groups = text.strip_suffix(':')?;
    let group = |group: &str| u16::from_str_radix(group, 16).ok();
    let groups: Vec<u16> = numbers(groups, ':', group)?;
    let mut all = [0; 8];
    all.get_mut(..groups.len())?.copy_from_slice(&groups);
    let len = u8::try_from(groups.len() * 16).ok()?;
    IpNet::new(Ipv6Addr::from(all).into(), len).ok()
}

fn numbers<T>(text: &str, between: char, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(between).map(parse).collect()
}

/// Whether it ends as no host does (RFC 3696 §2), so that it was meant as an address.
fn is_numeric(name: &str) -> bool {
    let last = name.trim_end_matches('.').rsplit('.').next();
    last.is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()))
}

fn is_literal(name: &str) -> bool {
    let inside = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    inside.is_some_and(|ip| {
        let ip = ip.strip_prefix("ipv6:").unwrap_or(ip);
        ip.parse::<IpAddr>().is_ok()
    })
}

/// Networks, found by hash: one lookup for each prefix length that occurs.
#[derive(Debug, Clone, Default)]
struct Networks {
    places: HashMap<IpNet, Place>,
    lengths: Vec<u8>,
}

impl Networks {
    fn add(&mut self, net: IpNet, place: Place) -> Option<()> {
        self.places.entry(net).or_insert(place);
        if let Err(at) = self.lengths.binary_search(&net.prefix_len()) {
            self.lengths.insert(at, net.prefix_len());
        }
        Some(())
    }

    fn find(&self, ip: IpAddr) -> Option<Place> {
        let ip = ip.to_canonical();
        let nets = self.lengths.iter();
        let nets = nets.filter_map(|len| Some(IpNet::new(ip, *len).ok()?.trunc()));
        nets.filter_map(|net| self.places.get(&net).copied()).min()
    }
}

/// Names in lower case: `example.com` is that name, `.example.com` what is below it.
#[derive(Debug, Clone, Default)]
struct Names {
    exact: HashMap<Box<str>, Place>,
    below: HashMap<Box<str>, Place>,
}

impl Names {
    fn add(&mut self, name: &str, place: Place) -> Option<()> {
        let (map, name) = match name.strip_prefix('.') {
            Some(name) => (&mut self.below, name),
            None => (&mut self.exact, name),
        };
        let domain = Domain::parse(name).ok()?;
        map.entry(domain.as_str().into()).or_insert(place);
        Some(())
    }

    fn add_as_is(&mut self, name: &str, place: Place) -> Option<()> {
        self.exact.entry(name.into()).or_insert(place);
        Some(())
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.below.is_empty()
    }

    fn find(&self, name: &str) -> Option<Place> {
        let above = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        let below = above.filter_map(|parent| self.below.get(parent));
        below.chain(self.exact.get(name)).copied().min()
    }
}

/// Addresses and their domains.
#[derive(Debug, Clone, Default)]
struct Paths {
    addresses: HashMap<Box<str>, Place>,
    domains: Names,
    null: Option<Place>,
}

impl Paths {
    fn add(&mut self, value: &str, place: Place) -> Option<()> {
        if value == "<>" {
            self.null.get_or_insert(place);
            return Some(());
        }
        let domain = value.strip_prefix('@').unwrap_or(value);
        if !domain.contains('@') {
            return self.domains.add(&domain.to_ascii_lowercase(), place);
        }
        let key = Mailbox::parse(value).ok()?.key();
        self.addresses.entry(key.into()).or_insert(place);
        Some(())
    }

    /// The line about an address; none stands for the null reverse-path.
    fn find(&self, mailbox: Option<&Mailbox>) -> Option<Place> {
        let Some(mailbox) = mailbox else {
            return self.null;
        };
        let whole = self.addresses.get(mailbox.key().as_str()).copied();
        let domain = mailbox.domain().and_then(|d| self.domains.find(d.as_str()));
        whole.into_iter().chain(domain).min()
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
