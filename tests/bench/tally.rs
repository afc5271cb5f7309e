//! What became of each message of one run: accepted by the system, delivered to the sink.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::message::Number;

/// One run's count.
pub(crate) struct Tally {
    run: u32,
    accepted: Vec<AtomicU8>,
    delivered: Vec<AtomicU8>,
    taken: AtomicUsize,
    arrived: AtomicUsize,
    strange: AtomicUsize,
    last: Mutex<Instant>,
}

/// Messages that were lost or doubled; both ought to be none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Faults {
    /// Accepted and never delivered.
    pub(crate) lost: usize,
    /// Delivered more than once.
    pub(crate) doubled: usize,
    /// Delivered without a number of this run.
    pub(crate) strange: usize,
}

impl Tally {
    /// A run of that many messages.
    pub(crate) fn new(run: u32, messages: usize) -> Self {
        let zeros = || (0..messages).map(|_| AtomicU8::new(0)).collect();
        Self {
            run,
            accepted: zeros(),
            delivered: zeros(),
            taken: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            strange: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
        }
    }

    /// The run's number.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// The system has taken the message.
    pub(crate) fn accept(&self, message: usize) {
        self.accepted[message].store(1, Relaxed);
        self.taken.fetch_add(1, Relaxed);
    }

    /// The sink has got a message.
    pub(crate) fn deliver(&self, number: Option<Number>) {
        let place = number
            .filter(|number| number.run == self.run)
            .and_then(|number| self.delivered.get(number.message as usize));
        let Some(count) = place else {
            self.strange.fetch_add(1, Relaxed);
            return;
        };
        if count.fetch_add(1, Relaxed) == 0 {
            self.arrived.fetch_add(1, Relaxed);
            *self.last.lock().expect("nobody panics with it") = Instant::now();
        }
    }

    /// Waits until all that was accepted has arrived, or nothing has for `patience`. Returns when
    /// the last one did.
    pub(crate) fn wait(&self, patience: Duration) -> Instant {
        loop {
            let last = *self.last.lock().expect("nobody panics with it");
            let missing = self.taken.load(Relaxed) > self.arrived.load(Relaxed);
            if (!missing && self.faults().lost == 0) || last.elapsed() > patience {
                return last;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// How many were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// What went wrong so far.
    pub(crate) fn faults(&self) -> Faults {
        let pairs = || self.accepted.iter().zip(&self.delivered);
        let lost = pairs().filter(|(a, d)| a.load(Relaxed) > 0 && d.load(Relaxed) == 0);
        let doubled = self.delivered.iter().filter(|d| d.load(Relaxed) > 1);
        Faults {
            lost: lost.count(),
            doubled: doubled.count(),
            strange: self.strange.load(Relaxed),
        }
    }
}
