//! The envelope's addresses (RFC 5321 §4.1.2), parsed once at the door.
//!
//! Inside Posthouse nothing is "a sender string": a reverse-path may be null, a forward-path may be
//! the bare `<postmaster>`, a domain is lower-case ASCII. Source routes are accepted and dropped
//! (RFC 5321 §3.3 and appendix C). Nothing here looks at header fields.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest domain in octets (RFC 5321 §4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// Longest name in octets that DNS can be asked for, without its final dot (RFC 1035 §2.3.4).
const MAX_QUERY: usize = 253;
/// Longest local-part in octets. RFC 5321 §4.5.3.1.1 asks for 64 at least and for no limit where
/// possible: SRS and VERP senders are longer.
const MAX_LOCAL: usize = 255;
/// Longest path in octets, brackets and source route included; §4.5.3.1.3 asks for 256 at least.
const MAX_PATH: usize = 600;

/// Why an address cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The brackets, the `@`, the quotes or the characters are not RFC 5321's.
    #[error("the address is not of the form local-part@domain")]
    Syntax,
    /// A part is longer than RFC 5321 §4.5.3.1 allows.
    #[error("the address is too long")]
    TooLong,
    /// The address has octets beyond ASCII and SMTPUTF8 (RFC 6531) is not offered.
    #[error("the address has characters outside ASCII")]
    NotAscii,
}

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

impl fmt::Debug for Domain {
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

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `local-part@domain`. The local-part keeps its case and, where it needs them, its quotes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    local: Box<str>,
    host: Host,
}

impl Mailbox {
    /// Parses `local@domain`, `"quoted local"@domain` or `local@[literal]`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if !text.is_ascii() {
            return Err(AddressError::NotAscii);
        }
        let (local, host) = split_at_sign(text)?;
        if local.len() > MAX_LOCAL {
            return Err(AddressError::TooLong);
        }
        Ok(Self {
            local: unquote_if_plain(local).into(),
            host: Host::parse(host)?,
        })
    }

    /// The local-part as it is written on the wire, quotes included.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain or address literal.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The domain, unless the address has a literal.
    pub fn domain(&self) -> Option<&Domain> {
        self.host.domain()
    }

    /// The key under which two spellings of one address meet: all lower-case. RFC 5321 §2.4 lets
    /// only the final host tell `A@x` from `a@x`; for choices and letters we treat them as one.
    pub fn key(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }
}

/// Splits at the `@` behind the local-part and checks the local-part.
fn split_at_sign(text: &str) -> Result<(&str, &str), AddressError> {
    let at = if text.starts_with('"') {
        end_of_quoted(text).ok_or(AddressError::Syntax)?
    } else {
        text.find('@').ok_or(AddressError::Syntax)?
    };
    let (local, rest) = text.split_at(at);
    let host = rest.strip_prefix('@').ok_or(AddressError::Syntax)?;
    if local.starts_with('"') || is_dot_string(local) {
        Ok((local, host))
    } else {
        Err(AddressError::Syntax)
    }
}

/// The index just behind the closing quote of a quoted-string (RFC 5321 `Quoted-string`).
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, b) in text.bytes().enumerate().skip(1) {
        match b {
            _ if !(32..=126).contains(&b) => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// RFC 5321 `Dot-string`: atoms with single dots between them.
fn is_dot_string(text: &str) -> bool {
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

fn is_printable(b: u8) -> bool {
    (b' '..=b'~').contains(&b)
}

fn is_atext(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b)
}

/// `"ann"@x` and `ann@x` are one address (RFC 5321 §4.1.2): the shorter form is kept.
fn unquote_if_plain(local: &str) -> &str {
    local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|inner| is_dot_string(inner))
        .unwrap_or(local)
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.host)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// Where notices about a message go (RFC 5321 §4.1.1.2). The null reverse-path is a value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: notices about this message would loop (RFC 5321 §4.5.5).
    Null,
    /// An address that can be told.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// Parses `<…>` as it stands behind `MAIL FROM:`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match inside_brackets(text)? {
            "" => Ok(Self::Null),
            inner => Mailbox::parse(without_route(inner)?).map(Self::Mailbox),
        }
    }

    /// Reads the form of [`ReversePath::address`]: an address, or nothing for the null path.
    pub fn from_address(text: &str) -> Result<Self, AddressError> {
        match text {
            "" => Ok(Self::Null),
            text => Mailbox::parse(text).map(Self::Mailbox),
        }
    }

    /// The bare address; empty for the null reverse-path. How it is stored and logged.
    pub fn address(&self) -> String {
        self.mailbox().map(ToString::to_string).unwrap_or_default()
    }

    /// The mailbox, unless this is the null reverse-path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// The sender's domain, if there is one.
    pub fn domain(&self) -> Option<&Domain> {
        self.mailbox().and_then(Mailbox::domain)
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl fmt::Debug for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// To whom a message goes (RFC 5321 §4.1.1.3).
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, which every server must take (RFC 5321 §4.5.1).
    Postmaster,
    /// An address.
    Mailbox(Mailbox),
}

impl ForwardPath {
    /// Parses `<…>` as it stands behind `RCPT TO:`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match inside_brackets(text)? {
            "" => Err(AddressError::Syntax),
            inner => Self::from_address(without_route(inner)?),
        }
    }

    /// Reads the form of [`ForwardPath::address`].
    pub fn from_address(text: &str) -> Result<Self, AddressError> {
        if text.eq_ignore_ascii_case("postmaster") {
            return Ok(Self::Postmaster);
        }
        Mailbox::parse(text).map(Self::Mailbox)
    }

    /// The bare address. How it is stored and logged.
    pub fn address(&self) -> String {
        match self {
            Self::Postmaster => "postmaster".to_owned(),
            Self::Mailbox(mailbox) => mailbox.to_string(),
        }
    }

    /// The mailbox, unless this is the bare postmaster.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// The recipient's domain, if there is one.
    pub fn domain(&self) -> Option<&Domain> {
        self.mailbox().and_then(Mailbox::domain)
    }

    /// See [`Mailbox::key`].
    pub fn key(&self) -> String {
        self.address().to_ascii_lowercase()
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.address())
    }
}

impl fmt::Debug for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn inside_brackets(text: &str) -> Result<&str, AddressError> {
    if text.len() > MAX_PATH {
        return Err(AddressError::TooLong);
    }
    text.strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .ok_or(AddressError::Syntax)
}

/// Drops a source route, `@one,@two:`, which must be accepted and should be ignored.
fn without_route(inner: &str) -> Result<&str, AddressError> {
    if !inner.starts_with('@') {
        return Ok(inner);
    }
    let (route, rest) = inner.split_once(':').ok_or(AddressError::Syntax)?;
    for hop in route.split(',') {
        let host = hop.strip_prefix('@').ok_or(AddressError::Syntax)?;
        Domain::parse(host)?;
    }
    Ok(rest)
}

macro_rules! serde_as_address {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.address())
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                Self::from_address(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

serde_as_address!(ReversePath);
serde_as_address!(ForwardPath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_paths() {
        for (text, want) in [
            ("<>", Ok("")),
            ("<a@b.example>", Ok("a@b.example")),
            ("<A@B.Example.>", Ok("A@b.example")),
            ("<@r.example,@s.example:a@b.example>", Ok("a@b.example")),
            ("<\"a b\"@x.example>", Ok("\"a b\"@x.example")),
            ("<\"ab\"@x.example>", Ok("ab@x.example")),
            ("<\"a@b>c\"@x.example>", Ok("\"a@b>c\"@x.example")),
            ("<a@[192.0.2.1]>", Ok("a@[192.0.2.1]")),
            ("<a@[ipv6:2001:DB8::1]>", Ok("a@[IPv6:2001:db8::1]")),
            ("<a_b@x_y.example>", Ok("a_b@x_y.example")),
            ("a@b.example", Err(AddressError::Syntax)),
            ("<a@b@c.example>", Err(AddressError::Syntax)),
            ("<a..b@c.example>", Err(AddressError::Syntax)),
            ("<a b@c.example>", Err(AddressError::Syntax)),
            ("<a@>", Err(AddressError::Syntax)),
            ("<@b.example>", Err(AddressError::Syntax)),
            ("<a@[999.0.2.1]>", Err(AddressError::Syntax)),
            ("<a@-b.example>", Err(AddressError::Syntax)),
            ("<\"a@b.example>", Err(AddressError::Syntax)),
            ("<\"a\rb\"@b.example>", Err(AddressError::Syntax)),
            ("<ü@b.example>", Err(AddressError::NotAscii)),
        ] {
            let got = ReversePath::parse(text).map(|path| path.address());
            assert_eq!(got, want.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn forward_paths() {
        assert_eq!(
            ForwardPath::parse("<PostMaster>"),
            Ok(ForwardPath::Postmaster)
        );
        assert_eq!(ForwardPath::parse("<>"), Err(AddressError::Syntax));
        let long = format!("<{}@b.example>", "a".repeat(256));
        assert_eq!(ForwardPath::parse(&long), Err(AddressError::TooLong));
    }

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
