//! SPF macros (RFC 7208 §7): a domain-spec is parsed once, then expanded for an identity.

use std::net::IpAddr;

use super::Identity;

/// Longest name that may be asked of DNS; longer expansions lose labels on the left (§7.3).
const MAX_NAME: usize = 253;

/// A domain-spec, `macro-string domain-end`.
#[derive(Debug)]
pub(super) struct DomainSpec(Vec<Part>);

#[derive(Debug)]
enum Part {
    Literal(String),
    Macro(Macro),
}

/// `%{letter digits r delimiters}`.
#[derive(Debug)]
struct Macro {
    /// Lower-case.
    letter: char,
    /// Whether the letter was upper-case: URL-escape the result.
    escape: bool,
    /// How many parts on the right to keep; 0 keeps all.
    keep: usize,
    reverse: bool,
    delimiters: String,
}

impl DomainSpec {
    /// Reads a domain-spec: a macro-string that ends in a top label or in a macro (§7.1).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let spec = Self::parse_macro_string(text)?;
        let ends_well = match spec.0.last()? {
            Part::Macro(_) => true,
            Part::Literal(text) => ends_in_top_label(text),
        };
        ends_well.then_some(spec)
    }

    /// Reads a macro-string, which may also be empty.
    pub(super) fn parse_macro_string(mut text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        while !text.is_empty() {
            let (part, rest) = part(text)?;
            parts.push(part);
            text = rest;
        }
        Some(Self(parts))
    }

    /// Whether `%{p}` is used, which alone needs DNS.
    pub(super) fn needs_name(&self) -> bool {
        self.0
            .iter()
            .any(|part| matches!(part, Part::Macro(m) if m.letter == 'p'))
    }

    /// The name for this identity, at the domain that is being evaluated. `validated` stands for
    /// `%{p}`.
    pub(super) fn expand(&self, identity: &Identity<'_>, domain: &str, validated: &str) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Macro(m) => out.push_str(&m.expand(identity, domain, validated)),
            }
        }
        shorten(out)
    }
}

fn part(text: &str) -> Option<(Part, &str)> {
    let Some(rest) = text.strip_prefix('%') else {
        let end = text.find('%').unwrap_or(text.len());
        let (literal, rest) = text.split_at(end);
        let visible = literal.bytes().all(|b| b.is_ascii_graphic());
        return visible.then(|| (Part::Literal(literal.to_owned()), rest));
    };
    let (escaped, after) = rest.split_at_checked(1)?;
    let literal = match escaped {
        "%" => "%",
        "_" => " ",
        "-" => "%20",
        "{" => {
            let (inner, after) = after.split_once('}')?;
            return Some((Part::Macro(Macro::parse(inner)?), after));
        }
        _ => return None,
    };
    Some((Part::Literal(literal.to_owned()), after))
}

/// Whether the literal end of a domain-spec is `.toplabel` with at most one more dot: no number,
/// and no hyphen at either end.
fn ends_in_top_label(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let Some((_, label)) = text.rsplit_once('.') else {
        return false;
    };
    let bytes = label.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && !bytes.iter().all(u8::is_ascii_digit)
}

impl Macro {
    fn parse(inner: &str) -> Option<Self> {
        let letter = inner.chars().next().filter(char::is_ascii_alphabetic)?;
        let lower = letter.to_ascii_lowercase();
        let rest = &inner[1..];
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let (digits, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let keep = match digits {
            "" => 0,
            digits => digits.parse().ok().filter(|keep| *keep > 0)?,
        };
        let reverse = rest.starts_with(['r', 'R']);
        let delimiters = if reverse { &rest[1..] } else { rest };
        let known = "slodiphv".contains(lower) && delimiters.bytes().all(is_delimiter);
        known.then(|| Self {
            letter: lower,
            escape: letter.is_ascii_uppercase(),
            keep,
            reverse,
            delimiters: delimiters.to_owned(),
        })
    }

    fn expand(&self, identity: &Identity<'_>, domain: &str, validated: &str) -> String {
        let value = self.value(identity, domain, validated);
        let delimiters = match self.delimiters.as_str() {
            "" => ".",
            some => some,
        };
        let mut parts: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
        if self.reverse {
            parts.reverse();
        }
        let skip = match self.keep {
            0 => 0,
            keep => parts.len().saturating_sub(keep),
        };
        let joined = parts[skip..].join(".");
        if self.escape { escape(&joined) } else { joined }
    }

    fn value(&self, identity: &Identity<'_>, domain: &str, validated: &str) -> String {
        match self.letter {
            's' => format!("{}@{}", identity.local, identity.domain),
            'l' => identity.local.to_owned(),
            'o' => identity.domain.to_owned(),
            'd' => domain.to_owned(),
            'i' => dotted(identity.ip),
            'p' => validated.to_owned(),
            'h' => identity.helo.to_owned(),
            _ if identity.ip.is_ipv4() => "in-addr".to_owned(),
            _ => "ip6".to_owned(),
        }
    }
}

fn is_delimiter(b: u8) -> bool {
    b".-+,/_=".contains(&b)
}

/// An address as `%{i}` writes it: an IPv6 address nibble by nibble.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let hex = format!("{:032x}", u128::from(ip));
            let nibbles: Vec<_> = hex.chars().map(String::from).collect();
            nibbles.join(".")
        }
    }
}

/// URL-escapes what RFC 3986 does not call unreserved.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// Drops labels on the left until the name may be asked.
fn shorten(name: String) -> String {
    let mut rest = name.as_str();
    while rest.trim_end_matches('.').len() > MAX_NAME {
        match rest.split_once('.') {
            Some((_, shorter)) => rest = shorter,
            None => break,
        }
    }
    rest.to_owned()
}
