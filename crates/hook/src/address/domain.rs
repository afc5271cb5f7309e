//! What stands behind the `@`: domain names and address literals.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AddressError, debug_as_display};

/// Longest domain in octets (RFC 5321 §4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// Longest name in octets that DNS can be asked for, without its final dot (RFC 1035 §2.3.4).
const MAX_QUERY: usize = 253;

/// A domain name: lower-case, ASCII, without a final dot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Box<str>);

impl Domain {
    /// Parses a domain name. Underscores are let through: real hosts have them.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if !text.is_ascii() {
            return Err(AddressError::NotAscii);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > MAX_DOMAIN {
            return Err(AddressError::TooLong);
        }
        if text.split('.').all(is_label) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(AddressError::Syntax)
        }
    }

    /// A name to be asked of DNS and nothing else: labels of any printable ASCII, as SPF's macros
    /// make them (RFC 7208 §7). None if DNS could not be asked for it (RFC 1035 §2.3.4).
    pub fn for_query(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let label = |l: &str| (1..=63).contains(&l.len()) && l.bytes().all(is_printable);
        (text.len() <= MAX_QUERY && text.split('.').all(label))
            .then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The name, lower-case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a true subdomain of `parent`.
    pub fn is_below(&self, parent: &str) -> bool {
        self.0
            .strip_suffix(parent)
            .is_some_and(|rest| rest.ends_with('.'))
    }
}

/// One label: 1 to 63 letters, digits, hyphens or underscores, no hyphen at either end.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Domain {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0.into()
    }
}

/// What stands behind the `@`: a domain or an address literal (RFC 5321 §4.1.3).
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name.
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

impl Host {
    /// Parses a domain or an address literal.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix('[') {
            None => Domain::parse(text).map(Self::Domain),
            Some(rest) => rest
                .strip_suffix(']')
                .and_then(parse_literal)
                .map(Self::Literal)
                .ok_or(AddressError::Syntax),
        }
    }

    /// The domain, unless this is an address literal.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Literal(_) => None,
        }
    }
}

/// The inside of an address literal; the `IPv6:` tag is case-insensitive.
fn parse_literal(text: &str) -> Option<IpAddr> {
    if let Ok(v4) = Ipv4Addr::from_str(text) {
        return Some(IpAddr::V4(v4));
    }
    let tag = text.get(..5)?;
    let rest = text.get(5..)?;
    if !tag.eq_ignore_ascii_case("IPv6:") {
        return None;
    }
    Ipv6Addr::from_str(rest).ok().map(IpAddr::V6)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

debug_as_display!(Domain, Host);

fn is_printable(b: u8) -> bool {
    (b' '..=b'~').contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_dns_may_look_odd() {
        let name = |text: &str| Domain::for_query(text).map(|d| d.to_string());
        assert_eq!(name("A+b =%26._spf.X."), Some("a+b =%26._spf.x".to_owned()));
        for bad in ["", ".", "a..b", "a\tb.c", "\u{e9}.example"] {
            assert_eq!(name(bad), None, "{bad}");
        }
        assert_eq!(name(&"a".repeat(64)), None);
        assert_eq!(name(&"a.".repeat(128)), None);
    }

    #[test]
    fn subdomains_end_at_a_dot() {
        let domain = Domain::parse("mx.badexample.com").expect("valid");
        assert!(domain.is_below("badexample.com"));
        assert!(!domain.is_below("example.com"));
        assert!(!domain.is_below("mx.badexample.com"));
    }
}
