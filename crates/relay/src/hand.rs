//! What the relay has in its hands: claimed and not settled. Its size bounds what is claimed, and
//! a copy whose lease ran out while it waits here is not taken up a second time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthouse_hook::Content;
use posthouse_store::{Claimed, CopyId};
use tokio::sync::Notify;

/// Octets in memory of messages that were claimed from the ledger. What comes by the hand-over is
/// bounded by the store.
const MAX_OCTETS: usize = 16 * 1024 * 1024;
/// What a message takes at least.
const LEAST: usize = 8 * 1024;

/// A claimed message while its recipients are attempted; shared by the jobs for its targets.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) claimed: Claimed,
    _weight: Option<Weight>,
}

/// A share of [`MAX_OCTETS`]; given back when dropped.
#[derive(Debug)]
struct Weight {
    hand: Arc<Hand>,
    octets: usize,
}

/// The recipients in hand.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    copies: Mutex<HashSet<CopyId>>,
    octets: AtomicUsize,
    stirred: Notify,
}

impl Hand {
    /// Whether more may be claimed.
    pub(crate) fn has_room(&self) -> bool {
        self.octets.load(Ordering::Relaxed) < MAX_OCTETS
    }

    /// Resolves when there is room again, or another attempt was put on the calendar.
    pub(crate) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// See [`Hand::stirred`].
    pub(crate) fn stir(&self) {
        self.stirred.notify_one();
    }

    /// Takes a message, without the recipients that are in hand already; none if all are.
    pub(crate) fn take(self: &Arc<Self>, mut claimed: Claimed) -> Option<Parcel> {
        let mut copies = self.lock();
        claimed.recipients.retain(|copy| copies.insert(copy.id));
        drop(copies);
        if claimed.recipients.is_empty() {
            return None;
        }
        let octets = LEAST
            + match &claimed.content {
                Content::Memory(bytes) => bytes.len(),
                Content::Spooled(_) => 0,
            };
        let weight = claimed.reserved.is_none().then(|| {
            self.octets.fetch_add(octets, Ordering::Relaxed);
            Weight {
                hand: Arc::clone(self),
                octets,
            }
        });
        Some(Parcel {
            claimed,
            _weight: weight,
        })
    }

    /// These are settled.
    pub(crate) fn settled(&self, copies: impl IntoIterator<Item = CopyId>) {
        let mut held = self.lock();
        for copy in copies {
            held.remove(&copy);
        }
    }

    /// What was never settled.
    pub(crate) fn rest(&self) -> Vec<CopyId> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<CopyId>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Weight {
    /// Only who makes room where there was none wakes the runner.
    fn drop(&mut self) {
        let before = self.hand.octets.fetch_sub(self.octets, Ordering::Relaxed);
        if before >= MAX_OCTETS && before - self.octets < MAX_OCTETS {
            self.hand.stir();
        }
    }
}

#[cfg(test)]
mod tests {
    use posthouse_hook::{ForwardPath, Id, ReversePath, Timestamp};
    use posthouse_store::{ClaimedRecipient, Kind};

    use super::*;

    fn copy(recipient: i64) -> CopyId {
        CopyId {
            message: Id(1),
            recipient: Id(recipient),
        }
    }

    fn claimed(ids: &[i64]) -> Claimed {
        let recipient = |id: &i64| ClaimedRecipient {
            id: copy(*id),
            forward_path: ForwardPath::Postmaster,
            redirect: None,
            kind: Kind::Relayed,
            attempts: 0,
        };
        Claimed {
            id: Id(1),
            reverse_path: ReversePath::Null,
            since: Timestamp(0),
            received: String::new(),
            eight_bit: false,
            dsn_allowed: false,
            content: Content::Memory(vec![b'x'; MAX_OCTETS].into()),
            recipients: ids.iter().map(recipient).collect(),
            reserved: None,
        }
    }

    #[test]
    fn nothing_is_taken_twice() {
        let hand = Arc::new(Hand::default());
        let first = hand.take(claimed(&[1, 2])).expect("new");
        let second = hand.take(claimed(&[2, 3])).expect("one is new");
        assert_eq!(second.claimed.recipients.len(), 1);
        assert!(hand.take(claimed(&[1, 3])).is_none());
        hand.settled([copy(1), copy(2)]);
        assert_eq!(hand.rest(), [copy(3)]);
        assert!(!hand.has_room());
        drop((first, second));
        assert!(hand.has_room());
    }
}
