//! What a try is remembered by: the client's network, the sender and the recipient, each in the form
//! in which the next try of the same message will have it too.

use std::net::IpAddr;

use ipnet::IpNet;
use posthouse_hook::{ForwardPath, ReversePath};
use posthouse_store::GreyTriplet;

/// How many bits of an address are its network: a server farm tries again from a neighbour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Masks {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

pub(super) fn of(
    client: IpAddr,
    masks: Masks,
    from: &ReversePath,
    to: &ForwardPath,
) -> GreyTriplet {
    GreyTriplet {
        network: network(client, masks),
        sender: sender(from),
        recipient: to.key(),
    }
}

fn network(client: IpAddr, masks: Masks) -> String {
    let client = client.to_canonical();
    let bits = match client {
        IpAddr::V4(_) => masks.v4,
        IpAddr::V6(_) => masks.v6,
    };
    IpNet::new(client, bits).map_or_else(|_| client.to_string(), |net| net.trunc().to_string())
}

/// The sender without what changes from message to message, or from try to try: the extension behind
/// `+`, the hash and time of SRS, the tag of BATV, and whole numbers as in VERP.
fn sender(from: &ReversePath) -> String {
    let Some(mailbox) = from.mailbox() else {
        return String::new();
    };
    let key = mailbox.key();
    let Some((local, domain)) = key.rsplit_once('@') else {
        return key;
    };
    let local = local.strip_prefix("prvs=").map_or(local, after_tag);
    let local = srs(local).unwrap_or_else(|| without_extension(local).to_owned());
    format!("{}@{domain}", numbers(&local))
}

/// `prvs=tag=local` is BATV.
fn after_tag(tagged: &str) -> &str {
    tagged.split_once('=').map_or(tagged, |(_tag, local)| local)
}

fn without_extension(local: &str) -> &str {
    match local.split_once('+') {
        Some((base, _)) if !base.is_empty() => base,
        _ => local,
    }
}

/// `srs0=hash=time=domain=local` without hash and time; `srs1=hash=host==hash=time=…` likewise.
fn srs(local: &str) -> Option<String> {
    let (tag, rest) = local.split_at_checked(4)?;
    let rest = rest.strip_prefix(['=', '+', '-'])?;
    match tag {
        "srs0" => {
            let mut parts = rest.splitn(3, '=');
            let (_hash, _time, inner) = (parts.next()?, parts.next()?, parts.next()?);
            Some(format!("srs0={inner}"))
        }
        "srs1" => {
            let mut parts = rest.splitn(3, '=');
            let (_hash, host, inner) = (parts.next()?, parts.next()?, parts.next()?);
            let inner = inner.get(1..)?;
            let mut parts = inner.splitn(3, '=');
            let (_hash, _time, inner) = (parts.next()?, parts.next()?, parts.next()?);
            Some(format!("srs1={host}={inner}"))
        }
        _ => None,
    }
}

/// Numbers between other signs than letters become `#`: `bounce-12-ann=x` and `bounce-13-ann=x` are
/// one; `ann2`, and somebody who is called by a number, stay.
fn numbers(local: &str) -> String {
    if local.bytes().all(|b| b.is_ascii_digit()) {
        return local.to_owned();
    }
    let words = local.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words.map(number).collect()
}

fn number(word: &str) -> String {
    let end = word.find(|c: char| !c.is_ascii_alphanumeric());
    let (name, rest) = word.split_at(end.unwrap_or(word.len()));
    let is_number = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    [if is_number { "#" } else { name }, rest].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::ip;

    fn of_sender(from: &str) -> String {
        sender(&ReversePath::parse(from).expect("a path"))
    }

    #[test]
    fn senders_that_come_again_are_one() {
        for (from, want) in [
            ("<>", ""),
            ("<Ann@X.example>", "ann@x.example"),
            ("<ann2@x.example>", "ann2@x.example"),
            ("<ann+tag-1@x.example>", "ann@x.example"),
            ("<+odd@x.example>", "+odd@x.example"),
            (
                "<list-bounces-1234-bob=isp.example@l.example>",
                "list-bounces-#-bob=isp.example@l.example",
            ),
            ("<4915112345@x.example>", "4915112345@x.example"),
            ("<prvs=1234abcdef=ann@x.example>", "ann@x.example"),
            (
                "<SRS0=aBcD=XY=a.example=bob@f.example>",
                "srs0=a.example=bob@f.example",
            ),
            (
                "<SRS1=h=g.example==i=t=a.example=bob@f.example>",
                "srs1=g.example=a.example=bob@f.example",
            ),
            ("<srs0=x@f.example>", "srs0=x@f.example"),
        ] {
            assert_eq!(of_sender(from), want, "{from}");
        }
    }

    #[test]
    fn neighbours_are_one_client() {
        let masks = Masks { v4: 24, v6: 64 };
        for (client, want) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(network(ip(client), masks), want);
        }
    }

    proptest! {
        /// Nothing panics, and what was made the same stays the same.
        #[test]
        fn the_form_is_stable(local in "[a-zA-Z0-9=+._-]{1,40}") {
            if let Ok(path) = ReversePath::parse(&format!("<{local}@x.example>")) {
                let once = sender(&path);
                prop_assert_eq!(&once, &once.to_ascii_lowercase());
                prop_assert!(once.ends_with("@x.example"));
            }
        }
    }
}
