//! Counts sessions, in all and for each client address, and says when one more is too many.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The part of an IPv6 address that counts: one customer has a /64, so one address says nothing.
const V6_NETWORK: u128 = u128::MAX << 64;

/// Who is connected.
#[derive(Debug)]
pub(crate) struct Census {
    most: usize,
    most_per_client: usize,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// A session that was let in; leaves when dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    census: Arc<Census>,
    client: IpAddr,
}

impl Census {
    /// A census with its two limits.
    pub(crate) fn new(most: usize, most_per_client: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_client,
            present: Mutex::default(),
        })
    }

    /// Lets one more session in, unless it is too many.
    pub(crate) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Guest> {
        let client = network(client);
        let mut present = self.present();
        let here = present.by_client.get(&client).copied().unwrap_or(0);
        if present.all >= self.most || here >= self.most_per_client {
            return None;
        }
        present.all += 1;
        present.by_client.insert(client, here + 1);
        Some(Guest {
            census: Arc::clone(self),
            client,
        })
    }

    /// The counts stay right even if a thread panicked while it held them.
    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut present = self.census.present();
        present.all -= 1;
        if let Some(here) = present.by_client.get_mut(&self.client) {
            *here -= 1;
            if *here == 0 {
                present.by_client.remove(&self.client);
            }
        }
    }
}

fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & V6_NETWORK).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("valid")
    }

    #[test]
    fn each_client_has_its_share() {
        let census = Census::new(3, 2);
        let first = census.admit(ip("192.0.2.1")).expect("room");
        let _second = census.admit(ip("::ffff:192.0.2.1")).expect("room");
        assert!(census.admit(ip("192.0.2.1")).is_none());
        let _third = census.admit(ip("192.0.2.2")).expect("room");
        assert!(census.admit(ip("192.0.2.3")).is_none(), "three in all");
        drop(first);
        assert!(census.admit(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn six_counts_by_network_and_nothing_is_left_behind() {
        let census = Census::new(9, 1);
        let guest = census.admit(ip("2001:db8::1")).expect("room");
        assert!(census.admit(ip("2001:db8::ffff:2")).is_none());
        assert!(census.admit(ip("2001:db8:0:1::1")).is_some());
        drop(guest);
        assert!(census.present().by_client.is_empty());
    }
}
