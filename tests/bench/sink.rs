//! The counting sink: takes everything at once, knows each message by its number, keeps nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use posthouse_tests::next_hop::{NextHop, Taken};

use crate::message::number_in;
use crate::tally::Tally;

/// Octets of a message in which its number is looked for.
const HEAD: usize = 4096;

/// A running sink.
pub(crate) struct Sink {
    next_hop: NextHop,
    current: Arc<Mutex<Arc<Tally>>>,
}

impl Sink {
    /// Listens on this loopback port; 0 takes any.
    pub(crate) fn start(port: u16) -> io::Result<Self> {
        let current = Arc::new(Mutex::new(Arc::new(Tally::new(0, 0))));
        let tallies = Arc::clone(&current);
        let count = move |taken: &Taken<'_>| {
            let head = &taken.message[..taken.message.len().min(HEAD)];
            let tally = Arc::clone(&tallies.lock().expect("nobody panics with it"));
            tally.deliver(number_in(head));
        };
        let next_hop = NextHop::start(port, count)?;
        Ok(Self { next_hop, current })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.next_hop.addr()
    }

    /// Counts for this run from now on.
    pub(crate) fn count_for(&self, tally: &Arc<Tally>) {
        *self.current.lock().expect("nobody panics with it") = Arc::clone(tally);
    }
}
