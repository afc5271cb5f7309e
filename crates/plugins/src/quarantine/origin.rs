//! The origin: where a message entered our realm, walked back through the Received fields that
//! our own servers wrote. Never believes a field that a stranger could have written.

use std::net::IpAddr;

use posthouse_hook::{Header, NetworkList, Origin};

use super::received::{Hop, parse};

/// What the walk found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// The first address outside our servers.
    pub(super) origin: Origin,
    /// The name that was given there.
    pub(super) helo: String,
    /// Where our servers' own trace block ends, in octets from the start of the message.
    pub(super) trace_end: usize,
    /// Why the walk ended where it did.
    pub(super) why: String,
}

/// Walks from the client back. The top Received field counts only if the client is one of
/// `ours`, the next only if the address in the one above is, and so on.
pub(super) fn walk(header: &Header, client: IpAddr, helo: &str, ours: &NetworkList) -> Walk {
    let mut at = client;
    let mut helo = helo.to_owned();
    let mut trace_end = 0;
    let mut believed = 0_usize;
    let mut end = None;
    for field in header.all("Received") {
        if end.is_some() || !ours.contains(at) {
            break;
        }
        believed += 1;
        trace_end = field.offset + field.raw.len();
        match parse(&field.text()) {
            Some(Hop::From { ip, helo: name }) => (at, helo) = (ip, name),
            Some(Hop::Within) => {}
            Some(Hop::Submitted) => end = Some(End::Submitted),
            None => end = Some(End::NotUnderstood),
        }
    }
    Walk {
        origin: match end {
            Some(End::NotUnderstood) => Origin::Unknown,
            _ => Origin::Address(at),
        },
        helo,
        trace_end,
        why: why(at, believed, end, ours),
    }
}

/// What ends a walk before an address outside.
#[derive(Clone, Copy)]
enum End {
    Submitted,
    NotUnderstood,
}

fn why(at: IpAddr, believed: usize, end: Option<End>, ours: &NetworkList) -> String {
    match (end, believed) {
        (Some(End::NotUnderstood), n) => format!("Received field {n}, of {at}, is not understood"),
        (Some(End::Submitted), n) => format!("handed in on {at} itself, by Received field {n}"),
        (None, 0) if ours.contains(at) => {
            "the client, our server, with no Received field".to_owned()
        }
        (None, 0) => "the client, which is not one of our_servers".to_owned(),
        (None, n) if ours.contains(at) => format!("our server; no Received field after {n}"),
        (None, n) => format!("named by Received field {n}, the last that our servers wrote"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::testing::ip;

    const OURS: [&str; 2] = ["192.0.2.10", "192.0.2.11"];

    fn found(client: &str, header: &str) -> Walk {
        let mut ours = NetworkList::default();
        for server in OURS {
            ours.add(server).expect("an address");
        }
        let header = Header::parse(Bytes::from(header.replace('\n', "\r\n")));
        walk(&header, ip(client), "client.example", &ours)
    }

    fn origin(client: &str, header: &str) -> Option<IpAddr> {
        found(client, header).origin.address()
    }

    #[test]
    fn a_stranger_is_the_origin_whatever_it_says() {
        let forged = "Received: from x ([198.51.100.9]) by y (Posthouse) with ESMTP id 1; d\n\n";
        let walk = found("203.0.113.5", forged);
        assert_eq!(walk.origin.address(), Some(ip("203.0.113.5")));
        assert_eq!((walk.trace_end, walk.helo.as_str()), (0, "client.example"));
    }

    #[test]
    fn fields_are_believed_as_far_as_our_servers_wrote_them() {
        let header = "Received: from b ([192.0.2.11]) by a (Posthouse) with ESMTP id 1; d\n\
            Received: from s.example (s.example [198.51.100.7]) by b (Postfix) with ESMTP id 2; d\n\
            Received: from v.example ([203.0.113.1]) by s.example (Postfix) with ESMTP id 3; d\n\
            Subject: x\n\n";
        let walk = found("192.0.2.10", header);
        assert_eq!(walk.origin.address(), Some(ip("198.51.100.7")));
        assert_eq!(walk.helo, "s.example");
        let rest = &header.replace('\n', "\r\n")[walk.trace_end..];
        assert!(rest.starts_with("Received: from v.example"), "{rest}");
    }

    #[test]
    fn a_field_that_is_not_understood_ends_the_walk() {
        let header = "Received: by a with magic\n\
            Received: from s ([198.51.100.7]) by a (Posthouse) with ESMTP id 1; d\n\n";
        assert_eq!(found("192.0.2.10", header).origin, Origin::Unknown);
    }

    #[test]
    fn a_message_of_our_own_server_has_that_server_as_its_origin() {
        assert_eq!(
            origin("192.0.2.10", "Subject: x\n\n"),
            Some(ip("192.0.2.10"))
        );
        let local = "Received: by a (Postfix, from userid 33) id 1; d\n\
            Received: from v ([203.0.113.1]) by a (Postfix) with ESMTP id 2; d\n\n";
        assert_eq!(origin("192.0.2.10", local), Some(ip("192.0.2.10")));
    }

    #[test]
    fn qmail_writes_two_fields_for_one_hop() {
        let header = "Received: (qmail 3 invoked from network); d\n\
            Received: from unknown (HELO m) (198.51.100.7) by 0 with SMTP; d\n\n";
        assert_eq!(origin("192.0.2.10", header), Some(ip("198.51.100.7")));
    }

    #[test]
    fn a_loop_through_our_servers_ends_with_the_fields() {
        let hop = "Received: from b ([192.0.2.10]) by a (Posthouse) with ESMTP id 1; d\n";
        let walk = found("192.0.2.10", &format!("{}\n", hop.repeat(50)));
        assert_eq!(walk.origin.address(), Some(ip("192.0.2.10")));
    }
}
