//! When a copy that could not be delivered is tried again, and when it is given up. Pure.

use std::time::Duration;

use posthouse_hook::{Id, Timestamp};

use crate::config::Retry;

/// Times between attempts.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) retry: Retry,
    pub(crate) expire: Duration,
}

/// What follows an attempt that failed for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt at that time.
    Attempt(Timestamp),
    /// The time in the queue is over.
    GiveUp,
}

impl Schedule {
    /// What follows attempt number `attempts` (counted from 1) of a message that waits since
    /// `since`. The last attempt is made when its time is just over.
    pub(crate) fn next(
        &self,
        message: Id,
        attempts: u32,
        since: Timestamp,
        now: Timestamp,
    ) -> Next {
        let end = since.after(self.expire);
        if now >= end {
            return Next::GiveUp;
        }
        let wait = spread(self.retry.wait(attempts), message);
        Next::Attempt(now.after(wait).min(end))
    }
}

/// Up to a tenth more or less, the same for all copies of a message: what failed together does not
/// all come back at one moment, yet one transaction still serves a message.
fn spread(wait: Duration, message: Id) -> Duration {
    // Fibonacci hashing: neighbouring ids come out far apart.
    let mixed = message
        .0
        .cast_unsigned()
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        >> 32;
    let permille = u32::try_from(900 + mixed % 201).unwrap_or(1000);
    wait.saturating_mul(permille) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule {
            retry: Retry::default(),
            expire: Duration::from_secs(4 * 86_400),
        }
    }

    #[test]
    fn waits_grow_and_stay_near_their_length() {
        for (attempts, minutes) in [(1, 5), (2, 10), (5, 120), (50, 120)] {
            for id in 0..500 {
                let next = schedule().next(Id(id), attempts, Timestamp(0), Timestamp(0));
                let Next::Attempt(at) = next else {
                    panic!("too early to give up");
                };
                let tenths = at.millis() / (minutes * 6_000);
                assert!((9..=11).contains(&tenths), "{attempts} {id}: {at:?}");
            }
        }
    }

    #[test]
    fn the_last_attempt_comes_at_the_end() {
        let end = Timestamp(4 * 86_400_000);
        let shortly = Timestamp(end.millis() - 1000);
        let next = |now| schedule().next(Id(1), 40, Timestamp(0), now);
        assert_eq!(next(shortly), Next::Attempt(end));
        assert_eq!(next(end), Next::GiveUp);
    }
}
