//! An SPF record's syntax (RFC 7208 §4.6.1, §5, §6, §12): a record is whole and right, or broken.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use posthouse_hook::Spf;

use super::macros::DomainSpec;

/// A parsed record.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<DomainSpec>,
    has_exp: bool,
}

/// One directive: a mechanism, and the result if it matches.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) result: Spf,
    pub(super) mechanism: Mechanism,
}

/// The mechanisms of RFC 7208 §5. Without a domain-spec, the current domain is meant.
#[derive(Debug)]
pub(super) enum Mechanism {
    All,
    Include(DomainSpec),
    A(Target),
    Mx(Target),
    Ptr(Option<DomainSpec>),
    Ip4(Ipv4Net),
    Ip6(Ipv6Net),
    Exists(DomainSpec),
}

/// What `a` and `mx` are about: a domain, and how much of its addresses must agree.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) domain: Option<DomainSpec>,
    pub(super) v4_prefix: u8,
    pub(super) v6_prefix: u8,
}

/// Whether a TXT record claims to be an SPF record: `v=spf1`, then a space or the end (§4.5).
pub(super) fn is_spf(txt: &[u8]) -> bool {
    match txt.split_at_checked(b"v=spf1".len()) {
        Some((version, rest)) => {
            version.eq_ignore_ascii_case(b"v=spf1") && matches!(rest.first(), None | Some(b' '))
        }
        None => false,
    }
}

impl Record {
    /// Reads a record for which [`is_spf`] is true; `None` if anything in it is wrong.
    pub(super) fn parse(txt: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(txt).ok()?;
        let mut record = Self::default();
        for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
            record.add(term)?;
        }
        Some(record)
    }

    fn add(&mut self, term: &str) -> Option<()> {
        match modifier(term) {
            Some((name, value)) => self.add_modifier(name, value),
            None => {
                self.directives.push(directive(term)?);
                Some(())
            }
        }
    }

    /// `redirect` and `exp` stand once at the most (§6); others are nobody's, but well-formed.
    fn add_modifier(&mut self, name: &str, value: &str) -> Option<()> {
        if name.eq_ignore_ascii_case("redirect") {
            let spec = DomainSpec::parse(value)?;
            return self.redirect.replace(spec).is_none().then_some(());
        }
        if name.eq_ignore_ascii_case("exp") {
            DomainSpec::parse(value)?;
            return (!std::mem::replace(&mut self.has_exp, true)).then_some(());
        }
        DomainSpec::parse_macro_string(value).map(drop)
    }
}

/// Splits `name=value`, if the term has the form of a modifier.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let rest = name.strip_prefix(|c: char| c.is_ascii_alphabetic())?;
    rest.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        .then_some((name, value))
}

fn directive(term: &str) -> Option<Directive> {
    let (result, term) = match term.split_at_checked(1)? {
        ("+", rest) => (Spf::Pass, rest),
        ("-", rest) => (Spf::Fail, rest),
        ("~", rest) => (Spf::SoftFail, rest),
        ("?", rest) => (Spf::Neutral, rest),
        _ => (Spf::Pass, term),
    };
    let end = term.find([':', '/']).unwrap_or(term.len());
    let (name, rest) = term.split_at(end);
    let mechanism = mechanism(&name.to_ascii_lowercase(), rest)?;
    Some(Directive { result, mechanism })
}

/// `rest` begins with the `:` or `/` behind the name, or is empty.
fn mechanism(name: &str, rest: &str) -> Option<Mechanism> {
    let value = || rest.strip_prefix(':');
    match name {
        "all" => rest.is_empty().then_some(Mechanism::All),
        "include" => Some(Mechanism::Include(DomainSpec::parse(value()?)?)),
        "exists" => Some(Mechanism::Exists(DomainSpec::parse(value()?)?)),
        "a" => Some(Mechanism::A(target(rest)?)),
        "mx" => Some(Mechanism::Mx(target(rest)?)),
        "ptr" if rest.is_empty() => Some(Mechanism::Ptr(None)),
        "ptr" => Some(Mechanism::Ptr(Some(DomainSpec::parse(value()?)?))),
        "ip4" => ip4(value()?).map(Mechanism::Ip4),
        "ip6" => ip6(value()?).map(Mechanism::Ip6),
        _ => None,
    }
}

/// `[":" domain-spec] [dual-cidr-length]`. A domain-spec may hold slashes, so the lengths are
/// taken from the end.
fn target(rest: &str) -> Option<Target> {
    let (rest, v6_prefix) = split_prefix(rest, "//", 128)?;
    let (rest, v4_prefix) = split_prefix(rest, "/", 32)?;
    let domain = match rest.strip_prefix(':') {
        Some(spec) => Some(DomainSpec::parse(spec)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some(Target {
        domain,
        v4_prefix,
        v6_prefix,
    })
}

/// Takes `/NN` off the end, if it is there.
fn split_prefix<'a>(text: &'a str, mark: &str, max: u8) -> Option<(&'a str, u8)> {
    match text.rsplit_once(mark) {
        Some((before, digits)) if is_number(digits) && !before.ends_with('/') => {
            Some((before, prefix(digits, max)?))
        }
        _ => Some((text, max)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A prefix length without leading zeros.
fn prefix(digits: &str, max: u8) -> Option<u8> {
    let plain = is_number(digits) && (digits == "0" || !digits.starts_with('0'));
    let number: u8 = plain.then(|| digits.parse().ok())??;
    (number <= max).then_some(number)
}

fn ip4(value: &str) -> Option<Ipv4Net> {
    let (address, length) = match value.split_once('/') {
        Some((address, digits)) => (address, prefix(digits, 32)?),
        None => (value, 32),
    };
    Ipv4Net::new(address.parse::<Ipv4Addr>().ok()?, length).ok()
}

fn ip6(value: &str) -> Option<Ipv6Net> {
    let (address, length) = match value.split_once('/') {
        Some((address, digits)) => (address, prefix(digits, 128)?),
        None => (value, 128),
    };
    Ipv6Net::new(address.parse::<Ipv6Addr>().ok()?, length).ok()
}
