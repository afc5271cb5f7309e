//! The names that lists are asked for (RFC 5782 §2.1, §2.2, §2.4), and their test points (§5).

use std::net::IpAddr;

use posthouse_hook::Domain;
use serde::Serialize;

/// What a list is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Address(IpAddr),
    Name(Domain),
}

/// A kind of subject: a list has a test of its own for each that it is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Family {
    V4,
    V6,
    Names,
}

impl Subject {
    pub(super) fn family(&self) -> Family {
        match self {
            Self::Address(IpAddr::V4(_)) => Family::V4,
            Self::Address(IpAddr::V6(_)) => Family::V6,
            Self::Name(_) => Family::Names,
        }
    }

    /// The name to ask; none if it would be too long for DNS.
    pub(super) fn within(&self, zone: &Domain) -> Option<Domain> {
        let labels = match self {
            Self::Address(IpAddr::V4(ip)) => reversed(&ip.octets().map(|o| o.to_string())),
            Self::Address(IpAddr::V6(ip)) => {
                let nibbles = ip.octets().map(|o| format!("{:x}.{:x}", o & 15, o >> 4));
                reversed(&nibbles)
            }
            Self::Name(name) => name.to_string(),
        };
        Domain::for_query(&format!("{labels}.{zone}"))
    }
}

fn reversed(parts: &[String]) -> String {
    let parts: Vec<_> = parts.iter().rev().map(String::as_str).collect();
    parts.join(".")
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A name of somebody's host or domain, that a list of domains can be asked about: with a dot, and no
/// address in disguise, which such lists answer with an error.
pub(super) fn askable(name: &Domain) -> bool {
    let last = name.as_str().rsplit_once('.').map(|(_, last)| last);
    last.is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()))
}

/// The test points of RFC 5782 §5: what is always listed, and what never is.
pub(super) fn test_points(family: Family) -> [&'static str; 2] {
    match family {
        Family::V4 => ["127.0.0.2", "127.0.0.1"],
        Family::V6 => ["::FFFF:7F00:2", "::FFFF:7F00:1"],
        Family::Names => ["TEST", "INVALID"],
    }
}

/// Reads a test point of that kind. A mapped address stays one here: it is what is asked.
pub(super) fn point(family: Family, text: &str) -> Option<Subject> {
    match family {
        Family::V4 => text.parse().ok().map(|ip| Subject::Address(IpAddr::V4(ip))),
        Family::V6 => text.parse().ok().map(|ip| Subject::Address(IpAddr::V6(ip))),
        Family::Names => Domain::parse(text).ok().map(Subject::Name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(family: Family, text: &str) -> String {
        let zone = Domain::parse("bl.example").expect("a domain");
        let subject = point(family, text).expect("a subject");
        subject.within(&zone).expect("short enough").to_string()
    }

    #[test]
    fn names_are_those_of_the_rfc() {
        assert_eq!(asked(Family::V4, "192.0.2.99"), "99.2.0.192.bl.example");
        assert_eq!(
            asked(Family::V6, "2001:db8:1:2:3:4:567:89ab"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"
        );
        assert_eq!(
            asked(Family::V6, "::FFFF:7F00:2"),
            "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.example"
        );
        assert_eq!(asked(Family::Names, "TEST"), "test.bl.example");
    }

    #[test]
    fn only_names_with_a_dot_are_asked_about() {
        for (name, want) in [
            ("mail.example", true),
            ("localhost", false),
            ("192.0.2.1", false),
            ("xn--bcher-kva.example", true),
        ] {
            let name = Domain::parse(name).expect("a domain");
            assert_eq!(askable(&name), want, "{name}");
        }
    }

    #[test]
    fn a_name_too_long_for_dns_is_not_asked() {
        let zone = Domain::parse("bl.example").expect("a domain");
        let long = Domain::parse(&"a.".repeat(125)).expect("a domain");
        assert_eq!(Subject::Name(long).within(&zone), None);
    }
}
