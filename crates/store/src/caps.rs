//! Caps: how often something may happen within some hours, and the keys under which it is counted.

use std::net::{IpAddr, Ipv6Addr};

use posthouse_hook::Timestamp;
use rusqlite::{Connection, Row};

use crate::tally::{self, Window};

/// One cap on one deed.
pub(crate) struct Cap {
    /// Its key in the configuration.
    name: &'static str,
    /// What is counted: who or what the cap is about.
    key: String,
    window: Window,
    limit: u32,
}

impl Cap {
    /// At most `limit` times `key` within `hours`.
    pub(crate) fn new(name: &'static str, key: String, hours: i64, limit: u32) -> Self {
        Self {
            name,
            key,
            window: Window::Hours(hours),
            limit,
        }
    }
}

/// Who a message comes from, as far as caps are concerned.
#[derive(Debug, Default)]
pub(crate) struct Cause {
    /// The unwrapped sender, lower case; empty if there is none.
    pub(crate) sender: String,
    /// The address at which it entered, or other text if that is not known.
    pub(crate) origin: String,
}

impl Cause {
    /// Reads the columns sender and origin of a row of facts.
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sender: row.get(0)?,
            origin: row.get(1)?,
        })
    }
}

/// The name of the first cap that leaves no room.
pub(crate) fn reached(
    db: &Connection,
    caps: &[Cap],
    now: Timestamp,
) -> rusqlite::Result<Option<&'static str>> {
    for cap in caps {
        if tally::sum(db, &cap.key, cap.window, now)? >= cap.limit {
            return Ok(Some(cap.name));
        }
    }
    Ok(None)
}

/// Counts the deed under every cap.
pub(crate) fn count(db: &Connection, caps: &[Cap], now: Timestamp) -> rusqlite::Result<()> {
    caps.iter()
        .try_for_each(|cap| tally::count(db, &cap.key, now))
}

/// The domain of an address, lower case; text that is no address as it is.
pub(crate) fn domain_of(address: &str) -> String {
    address
        .rsplit_once('@')
        .map_or(address, |(_, domain)| domain)
        .to_ascii_lowercase()
}

/// The /24 or /64 of an address; other text as it is.
pub(crate) fn network_of(origin: &str) -> String {
    match origin.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(ip)) => {
            let net = Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64);
            format!("{net}/64")
        }
        Err(_) => origin.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_network() {
        assert_eq!(network_of("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(network_of("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
        assert_eq!(network_of("unknown"), "unknown");
    }

    #[test]
    fn the_domain_is_what_stands_behind_the_last_at_sign() {
        assert_eq!(domain_of("\"a@b\"@X.example"), "x.example");
        assert_eq!(domain_of("Postmaster"), "postmaster");
    }
}
