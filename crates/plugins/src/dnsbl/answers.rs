//! What a list's answers mean (RFC 5782 §2.1, §2.3): a listing, a listing that nobody wants, or that
//! the list does not answer us. Pure.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// Answers that count, as an operator writes them: `127.0.0.2`, `127.0.0.2-11`,
/// `127.0.0.2-127.0.0.11` or `127.0.0.0/24`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range(RangeInclusive<Ipv4Addr>);

/// What the answers to one question mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Listed, by these answers.
    Listed(Vec<Ipv4Addr>),
    /// Not listed, or not by an answer that counts.
    NotListed,
    /// The list says that it does not answer us.
    Error(Ipv4Addr),
    /// No list answers so: a resolver that invents answers, or a domain that was sold.
    Foreign(Ipv4Addr),
}

/// What answers mean if only those in `wanted` count; all of them if it is empty.
pub(super) fn meaning(answers: &[Ipv4Addr], wanted: &[Range]) -> Meaning {
    if let Some(foreign) = answers.iter().find(|answer| !answer.is_loopback()) {
        return Meaning::Foreign(*foreign);
    }
    if let Some(error) = answers.iter().find(|answer| is_error(**answer)) {
        return Meaning::Error(*error);
    }
    let counts = |answer: &Ipv4Addr| wanted.is_empty() || wanted.iter().any(|r| r.has(*answer));
    let listed: Vec<_> = answers.iter().copied().filter(counts).collect();
    match listed.is_empty() {
        true => Meaning::NotListed,
        false => Meaning::Listed(listed),
    }
}

/// Answers by which lists say that they do not answer: Spamhaus (127.255.255.0/24, and 127.0.1.255 of
/// its domain list, which was asked about an address), URIBL and SURBL (127.0.0.1), DNSWL
/// (127.0.0.255).
fn is_error(answer: Ipv4Addr) -> bool {
    matches!(
        answer.octets(),
        [127, 255, 255, _] | [127, 0, 1, 255] | [127, 0, 0, 1 | 255]
    )
}

impl Range {
    fn has(&self, answer: Ipv4Addr) -> bool {
        self.0.contains(&answer)
    }
}

/// Why a text is no range of answers.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no answer of a list; write 127.0.0.2, 127.0.0.2-11 or 127.0.0.0/24, all in 127.0.0.0/8"
)]
pub(super) struct RangeError(String);

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let range = match text.split_once('-') {
            Some((first, last)) => from_to(first, last),
            None => network(text),
        };
        let listable = |r: &RangeInclusive<Ipv4Addr>| {
            r.start().is_loopback() && r.end().is_loopback() && !r.is_empty()
        };
        range
            .filter(listable)
            .map(Self)
            .ok_or_else(|| RangeError(text.chars().take(40).collect()))
    }
}

/// The last one as a whole address, or as its last octet.
fn from_to(first: &str, last: &str) -> Option<RangeInclusive<Ipv4Addr>> {
    let first: Ipv4Addr = first.trim().parse().ok()?;
    let last = last.trim();
    let last = last.parse().ok().or_else(|| {
        let [a, b, c, _] = first.octets();
        Some(Ipv4Addr::new(a, b, c, last.parse().ok()?))
    });
    Some(first..=last?)
}

fn network(text: &str) -> Option<RangeInclusive<Ipv4Addr>> {
    let net = text
        .parse::<ipnet::Ipv4Net>()
        .or_else(|_| text.parse::<Ipv4Addr>().map(ipnet::Ipv4Net::from));
    net.ok().map(|net| net.network()..=net.broadcast())
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ips(texts: &[&str]) -> Vec<Ipv4Addr> {
        let parse = |text: &&str| text.parse().expect("an address");
        texts.iter().map(parse).collect()
    }

    fn ranges(texts: &[&str]) -> Vec<Range> {
        let parse = |text: &&str| text.parse().expect("a range");
        texts.iter().map(parse).collect()
    }

    #[test]
    fn only_listings_are_listings() {
        let listed = |answer: &str| Meaning::Listed(ips(&[answer]));
        let error = |answer: &str| Meaning::Error(ips(&[answer])[0]);
        for (answer, want) in [
            ("127.0.0.2", listed("127.0.0.2")),
            ("127.0.1.2", listed("127.0.1.2")),
            ("127.255.254.1", listed("127.255.254.1")),
            ("127.0.0.1", error("127.0.0.1")),
            ("127.0.0.255", error("127.0.0.255")),
            ("127.0.1.255", error("127.0.1.255")),
            ("127.255.255.252", error("127.255.255.252")),
            ("127.255.255.254", error("127.255.255.254")),
            ("127.255.255.255", error("127.255.255.255")),
            ("192.0.2.1", Meaning::Foreign(ips(&["192.0.2.1"])[0])),
            ("128.0.0.2", Meaning::Foreign(ips(&["128.0.0.2"])[0])),
            ("0.0.0.0", Meaning::Foreign(ips(&["0.0.0.0"])[0])),
        ] {
            assert_eq!(meaning(&ips(&[answer]), &[]), want, "{answer}");
        }
        assert_eq!(meaning(&[], &[]), Meaning::NotListed);
        let mixed = ips(&["127.0.0.2", "192.0.2.1", "127.255.255.254"]);
        assert_eq!(meaning(&mixed, &[]), Meaning::Foreign(mixed[1]));
        let mixed = ips(&["127.0.0.2", "127.255.255.254"]);
        assert_eq!(meaning(&mixed, &[]), Meaning::Error(mixed[1]));
    }

    #[test]
    fn answers_may_be_chosen() {
        let wanted = ranges(&["127.0.0.2-11", "127.0.1.0/24", "127.3.0.0-127.3.0.9"]);
        for (answer, counts) in [
            ("127.0.0.2", true),
            ("127.0.0.11", true),
            ("127.0.0.12", false),
            ("127.0.1.7", true),
            ("127.0.2.7", false),
            ("127.3.0.9", true),
        ] {
            let found = meaning(&ips(&[answer]), &wanted);
            let want = match counts {
                true => Meaning::Listed(ips(&[answer])),
                false => Meaning::NotListed,
            };
            assert_eq!(found, want, "{answer}");
        }
        let both = ips(&["127.0.0.99", "127.0.0.3"]);
        assert_eq!(
            meaning(&both, &wanted),
            Meaning::Listed(ips(&["127.0.0.3"]))
        );
        // An error stays one, even if somebody wants it.
        let all = ranges(&["127.0.0.0/8"]);
        assert!(matches!(
            meaning(&ips(&["127.0.0.1"]), &all),
            Meaning::Error(_)
        ));
    }

    #[test]
    fn ranges_outside_of_lists_are_refused() {
        for text in [
            "",
            "127.0.0",
            "192.0.2.1",
            "127.0.0.0/7",
            "127.0.0.9-2",
            "127.0.0.2-256",
            "127.0.0.2-128.0.0.1",
            "::1",
            "127.0.0.0/33",
            "a-b",
        ] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_a_loopback_answer_that_is_no_error_lists(octets in any::<[u8; 4]>()) {
            let answer = Ipv4Addr::from(octets);
            let listed = matches!(meaning(&[answer], &[]), Meaning::Listed(_));
            prop_assert_eq!(listed, octets[0] == 127 && !is_error(answer));
        }

        #[test]
        fn ranges_are_read_or_refused(text in "[0-9./-]{0,40}") {
            let _ = text.parse::<Range>();
        }
    }
}
