//! A mailbox: `local-part@domain`.

use std::fmt;
use std::str::FromStr;

use super::{AddressError, Domain, Host, debug_as_display};

/// Longest local-part in octets. RFC 5321 §4.5.3.1.1 asks for 64 at least and for no limit where
/// possible: SRS and VERP senders are longer.
const MAX_LOCAL: usize = 255;

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

    /// `local-part@domain`, as it is stored and logged.
    pub(super) fn address(&self) -> String {
        match &self.host {
            // Made at once: this is asked for several times a message.
            Host::Domain(domain) => [&*self.local, "@", domain.as_str()].concat(),
            Host::Literal(_) => self.to_string(),
        }
    }

    /// The key under which two spellings of one address meet: all lower-case. RFC 5321 §2.4 lets
    /// only the final host tell `A@x` from `a@x`; for choices and letters we treat them as one.
    pub fn key(&self) -> String {
        self.address().to_ascii_lowercase()
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

impl FromStr for Mailbox {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

debug_as_display!(Mailbox);
