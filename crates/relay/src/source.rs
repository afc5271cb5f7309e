//! The source of a route: the local addresses that its connections are made from, so that what
//! leaves by it never shares an address with other mail. Pure: nothing is bound here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

/// At most one local address of each family. The default names none: the system chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(try_from = "OneOrMore")]
pub struct Source {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

/// The local address for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    /// Whichever the system chooses: the route names none.
    Any,
    /// This one.
    Address(IpAddr),
    /// The route names addresses, but none of this family.
    Nowhere,
}

/// As the configuration writes it: one address, or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Source {
    /// From where an address is reached.
    pub(crate) fn towards(&self, to: IpAddr) -> Local {
        let ours = match to {
            IpAddr::V4(_) => self.v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.v6.map(IpAddr::V6),
        };
        match ours {
            Some(address) => Local::Address(address),
            None if *self == Self::default() => Local::Any,
            None => Local::Nowhere,
        }
    }

    /// Every address that is named.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.map(IpAddr::V4);
        v4.into_iter().chain(self.v6.map(IpAddr::V6))
    }

    fn add(&mut self, address: IpAddr) -> Result<(), String> {
        let before = match address {
            IpAddr::V4(ip) => self.v4.replace(ip).map(IpAddr::V4),
            IpAddr::V6(ip) => self.v6.replace(ip).map(IpAddr::V6),
        };
        match before {
            None => Ok(()),
            Some(before) => Err(format!(
                "source has two addresses of one family, {before} and {address}; a route has at most one of each"
            )),
        }
    }
}

impl TryFrom<OneOrMore> for Source {
    type Error = String;

    fn try_from(written: OneOrMore) -> Result<Self, String> {
        let texts = match written {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        if texts.is_empty() {
            return Err("source is empty; leave it out, or name an address".to_owned());
        }
        let mut source = Self::default();
        for text in texts {
            source.add(parse(&text)?)?;
        }
        Ok(source)
    }
}

fn parse(text: &str) -> Result<IpAddr, String> {
    let address: Option<IpAddr> = text.parse().ok();
    address
        .filter(|ip| !ip.is_unspecified() && !ip.is_multicast())
        .ok_or_else(|| {
            format!("`{text}` is no source; write a local address such as 192.0.2.7 or 2001:db8::7")
        })
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.addresses().map(|ip| ip.to_string()).collect();
        f.write_str(&all.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Probe {
        source: Source,
    }

    fn read(value: &str) -> Result<Source, String> {
        let probe: Result<Probe, _> = toml::from_str(&format!("source = {value}"));
        probe.map(|p| p.source).map_err(|error| error.to_string())
    }

    #[test]
    fn one_address_of_each_family() {
        let v4 = IpAddr::from([192, 0, 2, 7]);
        let v6: IpAddr = "2001:db8::7".parse().expect("valid");
        let (to4, to6) = (IpAddr::from([127, 0, 0, 1]), Ipv6Addr::LOCALHOST.into());
        for (value, want4, want6) in [
            ("\"192.0.2.7\"", Local::Address(v4), Local::Nowhere),
            ("[\"2001:db8::7\"]", Local::Nowhere, Local::Address(v6)),
            (
                "[\"192.0.2.7\", \"2001:db8::7\"]",
                Local::Address(v4),
                Local::Address(v6),
            ),
        ] {
            let source = read(value).expect("valid");
            assert_eq!((source.towards(to4), source.towards(to6)), (want4, want6));
        }
        assert_eq!(Source::default().towards(to4), Local::Any);
    }

    #[test]
    fn sources_that_are_none() {
        for (value, says) in [
            ("[]", "source is empty"),
            ("\"0.0.0.0\"", "`0.0.0.0` is no source"),
            ("\"out.isp.example\"", "`out.isp.example` is no source"),
            (
                "[\"192.0.2.7\", \"192.0.2.8\"]",
                "two addresses of one family, 192.0.2.7 and 192.0.2.8",
            ),
        ] {
            let error = read(value).expect_err(value);
            assert!(error.contains(says), "{value}: {error}");
        }
    }
}
