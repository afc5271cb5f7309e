//! The paths of an envelope: from whom, and to whom.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AddressError, Domain, Mailbox, debug_as_display};

/// Longest path in octets, brackets and source route included; §4.5.3.1.3 asks for 256 at least.
const MAX_PATH: usize = 600;

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
        self.mailbox().map(Mailbox::address).unwrap_or_default()
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
            Self::Mailbox(mailbox) => mailbox.address(),
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

debug_as_display!(ReversePath, ForwardPath);

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
}
