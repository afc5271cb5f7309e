//! Who is asking: the client's address, through proxies that are trusted and no others.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use posthouse_hook::NetworkList;

/// Hops of `X-Forwarded-For` that are looked at.
const MAX_HOPS: usize = 20;

/// The address at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The client's address: walks `X-Forwarded-For` from the right, as long as the hop that wrote an
/// entry is trusted. What stands left of an untrusted hop is hearsay.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &NetworkList) -> IpAddr {
    let mut client = peer.to_canonical();
    for entry in forwarded(headers).into_iter().rev().take(MAX_HOPS) {
        if !trusted.contains(client) {
            break;
        }
        match address(entry) {
            Some(ip) => client = ip.to_canonical(),
            None => break,
        }
    }
    client
}

/// Every entry of every `X-Forwarded-For` field, first to last.
fn forwarded(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("").split(','))
        .map(str::trim)
        .collect()
}

/// An address, with or without a port.
fn address(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().ok().map(|a| a.ip());
    entry.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, fields: &[&'static str]) -> String {
        let mut trusted = NetworkList::default();
        for entry in ["127.0.0.0/8", "10.0.0.1"] {
            trusted.add(entry).expect("a network");
        }
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("x-forwarded-for", field.parse().expect("a value"));
        }
        client(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(seen("198.51.100.1", &["192.0.2.1"]), "198.51.100.1");
        assert_eq!(seen("::ffff:127.0.0.1", &["192.0.2.1:99"]), "192.0.2.1");
    }

    #[test]
    fn the_walk_ends_at_the_first_stranger() {
        assert_eq!(
            seen("127.0.0.1", &["6.6.6.6, 192.0.2.1, 10.0.0.1"]),
            "192.0.2.1"
        );
        assert_eq!(seen("127.0.0.1", &["6.6.6.6", "192.0.2.1"]), "192.0.2.1");
        assert_eq!(seen("127.0.0.1", &["192.0.2.1, junk"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &["junk, 10.0.0.1"]), "10.0.0.1");
    }
}
