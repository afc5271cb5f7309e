//! Rules about clients, matched as tcprules matches: the address, the host, networks from the longest
//! prefix on, the host's domains from the longest on, any host, and what is left.
//!
//! A host is what reverse DNS says and forward DNS confirms; without that a client has none.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};
use posthouse_hook::proofs::{ForgedAction, ReverseName};
use posthouse_hook::{Domain, Live};

use super::lines;
use crate::sources::{Renew, Sources};

const FILE: &str = "file:";

/// Whether a client's senders are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// They are not: it may use the listed addresses.
    Allow,
    /// They are.
    Deny,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) scope: Scope,
    /// In place of the list's own.
    pub(super) action: Option<ForgedAction>,
    /// In place of the list's own.
    pub(super) text: Option<String>,
    /// File and line, for trails.
    pub(super) place: String,
}

/// All rules.
#[derive(Debug, Default)]
pub(super) struct Rules {
    addresses: HashMap<IpAddr, Rule>,
    hosts: HashMap<String, Rule>,
    /// The longest prefix first.
    networks: Vec<(IpNet, Rule)>,
    /// Behind the first dot.
    domains: HashMap<String, Rule>,
    any_host: Option<Rule>,
    default: Option<Rule>,
}

/// DNS did not say who the client is, and a rule about hosts might be its own.
#[derive(Debug, PartialEq)]
pub(super) struct Undecided;

impl Rules {
    /// Whether a rule asks for the client's host.
    pub(super) fn ask_for_host(&self) -> bool {
        !self.hosts.is_empty() || !self.domains.is_empty() || self.any_host.is_some()
    }

    /// The rule for a client.
    pub(super) fn find(&self, ip: IpAddr, host: &ReverseName) -> Result<Option<&Rule>, Undecided> {
        if let Some(rule) = self.addresses.get(&ip) {
            return Ok(Some(rule));
        }
        let unknown = *host == ReverseName::Unknown;
        if unknown && !self.hosts.is_empty() {
            return Err(Undecided);
        }
        let host = host.confirmed().map(Domain::as_str);
        let network = || {
            self.networks
                .iter()
                .find(|(net, _)| net.contains(&ip))
                .map(|(_, rule)| rule)
        };
        if let Some(rule) = host.and_then(|h| self.hosts.get(h)).or_else(network) {
            return Ok(Some(rule));
        }
        if unknown && self.ask_for_host() {
            return Err(Undecided);
        }
        let rule = host.and_then(|host| self.above(host).or(self.any_host.as_ref()));
        Ok(rule.or(self.default.as_ref()))
    }

    fn above(&self, host: &str) -> Option<&Rule> {
        let mut dots = host.match_indices('.');
        dots.find_map(|(dot, _)| self.domains.get(&host[dot + 1..]))
    }

    /// Adds a line; of two rules for the same clients the first stays.
    fn add(&mut self, line: &str, place: String) -> Result<(), String> {
        let (key, rule) = parse(line, place)?;
        match key {
            Key::Address(ip) => drop(self.addresses.entry(ip).or_insert(rule)),
            Key::Range(ips) => ips
                .into_iter()
                .for_each(|net| self.networks.push((net, rule.clone()))),
            Key::Host(host) => drop(self.hosts.entry(host).or_insert(rule)),
            Key::Below(domain) => drop(self.domains.entry(domain).or_insert(rule)),
            Key::AnyHost => drop(self.any_host.get_or_insert(rule)),
            Key::Default => drop(self.default.get_or_insert(rule)),
        }
        Ok(())
    }

    fn sorted(mut self) -> Self {
        self.networks
            .sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        self
    }
}

/// Whom a rule is about.
enum Key {
    Address(IpAddr),
    Range(Vec<IpNet>),
    Host(String),
    Below(String),
    AnyHost,
    Default,
}

/// `CLIENTS:allow` or `CLIENTS:deny`, with options behind commas.
fn parse(line: &str, place: String) -> Result<(Key, Rule), String> {
    let starts = [(":allow", Scope::Allow), (":deny", Scope::Deny)];
    let mut found = starts
        .iter()
        .filter_map(|(word, scope)| Some((line.find(word)?, *word, *scope)));
    let Some((at, word, scope)) = found.next() else {
        return Err(format!(
            "`{line}` is no rule; write CLIENTS:allow or CLIENTS:deny"
        ));
    };
    let mut rule = Rule {
        scope,
        action: None,
        text: None,
        place,
    };
    options(&mut rule, &line[at + word.len()..])?;
    Ok((key(line[..at].trim())?, rule))
}

fn options(rule: &mut Rule, text: &str) -> Result<(), String> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let option = rest
            .strip_prefix(',')
            .ok_or_else(|| format!("`{rest}`: an option stands behind a comma"))?;
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted
                .split_once('"')
                .ok_or_else(|| format!("`{option}`: the quote does not end"))?,
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        match name.trim() {
            "action" => rule.action = Some(lines::action(value)?),
            "text" => rule.text = Some(value.to_owned()),
            name => {
                return Err(format!(
                    "`{name}` is no option; there are action=ACTION and text=\"TEXT\""
                ));
            }
        }
        rest = behind.trim();
    }
    Ok(())
}

fn key(text: &str) -> Result<Key, String> {
    let wrong = || {
        format!(
            "`{text}` is no client; write 192.0.2.1, 192.0.2., 192.0.2.0/24, =host.example, =.example, = or nothing"
        )
    };
    let domain = |name: &str| Domain::parse(name).map(String::from).map_err(|_| wrong());
    match text.strip_prefix('=') {
        Some("") => return Ok(Key::AnyHost),
        Some(name) => {
            return match name.strip_prefix('.') {
                Some(above) => Ok(Key::Below(domain(above)?)),
                None => Ok(Key::Host(domain(name)?)),
            };
        }
        None if text.is_empty() => return Ok(Key::Default),
        None => {}
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Key::Address(ip.to_canonical()));
    }
    let networks = text.parse().map(|net: IpNet| vec![net.trunc()]).ok();
    networks
        .or_else(|| prefixes(text))
        .map(Key::Range)
        .ok_or_else(wrong)
}

/// `192.0.2.` is its 256 addresses; the last number may be a range, `192.0.2.10-20` or `192.0.2-3.`.
fn prefixes(text: &str) -> Option<Vec<IpNet>> {
    let whole = text.strip_suffix('.');
    let parts: Vec<_> = whole.unwrap_or(text).split('.').collect();
    let (last, before) = parts.split_last()?;
    let (from, to) = last.split_once('-').unwrap_or((last, last));
    let (from, to): (u8, u8) = (from.parse().ok()?, to.parse().ok()?);
    if whole.is_some() != (parts.len() < 4) || from > to {
        return None;
    }
    let mut octets = [0; 4];
    for (octet, part) in octets.iter_mut().zip(before) {
        *octet = part.parse().ok()?;
    }
    let network = |last| {
        octets[before.len()] = last;
        Ipv4Net::new(Ipv4Addr::from(octets), 8 * parts.len() as u8).ok()
    };
    let networks = (from..=to).map(network).map(|net| net.map(IpNet::V4));
    networks.collect()
}

/// The rules of these lines and files, made again when a file changes.
pub(super) struct RuleList {
    entries: Vec<String>,
    live: Live<Rules>,
}

impl RuleList {
    /// The rules of these entries, each a line or `file:PATH`, and where they will be.
    pub(super) fn new(entries: Vec<String>) -> (Self, Live<Rules>) {
        let live = Live::default();
        let list = Self {
            entries,
            live: live.clone(),
        };
        (list, live)
    }
}

impl Renew for RuleList {
    fn renew(&mut self, sources: &mut Sources) -> Result<(), String> {
        let mut rules = Rules::default();
        for entry in &self.entries {
            match entry.strip_prefix(FILE) {
                Some(name) => read(&mut rules, Path::new(name), sources)?,
                None => rules.add(entry, "clients".to_owned())?,
            }
        }
        self.live.swap(rules.sorted());
        Ok(())
    }

    fn name(&self) -> String {
        self.entries.join(", ")
    }
}

fn read(rules: &mut Rules, name: &Path, sources: &mut Sources) -> Result<(), String> {
    let text = sources.read(name)?;
    let file = sources.path(name);
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("{}:{}", file.display(), at + 1);
        let added = rules.add(line, place.clone());
        added.map_err(|problem| format!("{place}: {problem}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ip;

    fn rules(lines: &[&str]) -> Result<Rules, String> {
        let mut rules = Rules::default();
        for line in lines {
            rules.add(line, (*line).to_owned())?;
        }
        Ok(rules.sorted())
    }

    fn host(name: &str) -> ReverseName {
        ReverseName::Confirmed(Domain::parse(name).expect("a domain"))
    }

    #[test]
    fn the_order_is_tcprules() {
        let rules = rules(&[
            ":deny",
            "=:allow",
            "=.example:deny",
            "=.x.example:allow",
            "192.0.:deny",
            "192.0.2.0/25:allow",
            "=a.x.example:deny",
            "192.0.2.1:deny",
            "2001:db8::/32:allow",
            "198.51.100.10-12:allow",
            "203.0-1.:allow",
        ])
        .expect("valid");
        let none = ReverseName::None;
        for (client, name, want) in [
            ("192.0.2.1", host("a.x.example"), "192.0.2.1:deny"),
            ("192.0.2.2", host("a.x.example"), "=a.x.example:deny"),
            ("192.0.2.2", host("b.x.example"), "192.0.2.0/25:allow"),
            ("192.0.2.200", host("b.x.example"), "192.0.:deny"),
            ("192.2.0.1", host("b.c.x.example"), "=.x.example:allow"),
            ("192.2.0.1", host("x.example"), "=.example:deny"),
            ("192.2.0.1", host("example"), "=:allow"),
            ("192.2.0.1", none.clone(), ":deny"),
            (
                "192.2.0.1",
                ReverseName::Unconfirmed(Domain::parse("x.example").expect("a domain")),
                ":deny",
            ),
            ("2001:db8::1", none.clone(), "2001:db8::/32:allow"),
            ("198.51.100.12", none.clone(), "198.51.100.10-12:allow"),
            ("198.51.100.13", none.clone(), ":deny"),
            ("203.1.2.3", none, "203.0-1.:allow"),
        ] {
            let found = rules.find(ip(client), &name).map(|r| r.map(|r| &*r.place));
            assert_eq!(found, Ok(Some(want)), "{client} {name:?}");
        }
    }

    #[test]
    fn a_host_that_dns_does_not_tell_decides_nothing() {
        let find = |lines: &[&str]| {
            let rules = rules(lines).expect("valid");
            rules
                .find(ip("192.0.2.1"), &ReverseName::Unknown)
                .map(|r| r.is_some())
        };
        assert_eq!(find(&["192.0.2.1:deny", "=a.example:allow"]), Ok(true));
        assert_eq!(find(&["192.0.2.:deny", "=a.example:allow"]), Err(Undecided));
        assert_eq!(find(&["192.0.2.:deny", "=.example:allow"]), Ok(true));
        assert_eq!(find(&[":deny", "=.example:allow"]), Err(Undecided));
        assert_eq!(find(&[":deny"]), Ok(true));
    }

    #[test]
    fn options_and_faults() {
        let rules = rules(&["10.:deny,action=hold,text=\"No, thanks: bye\""]).expect("valid");
        let rule = rules
            .find(ip("10.1.2.3"), &ReverseName::None)
            .expect("decided")
            .expect("found");
        assert_eq!(rule.action, Some(ForgedAction::Hold));
        assert_eq!(rule.text.as_deref(), Some("No, thanks: bye"));
        for (line, want) in [
            ("10.", "is no rule"),
            ("10:allow", "is no client"),
            ("10.0.0.256:allow", "is no client"),
            ("10.0.0.5-2:allow", "is no client"),
            ("=a b:allow", "is no client"),
            ("127.:allow,RELAYCLIENT=\"\"", "`RELAYCLIENT` is no option"),
            ("127.:deny,action=drop", "`drop` is no action"),
            ("127.:deny,text=\"x", "does not end"),
            ("127.:denyall", "behind a comma"),
        ] {
            let error = self::rules(&[line]).map(drop).expect_err(line);
            assert!(error.contains(want), "{error}");
        }
    }
}
