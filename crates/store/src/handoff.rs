//! The in-memory hand-over of fresh messages to the relay, bounded in octets.
//!
//! What finds no room here is read back from the ledger: accepting may outrun relaying.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The octets that are free for the hand-over.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// A share of the hand-over; given back when dropped.
#[derive(Debug)]
pub struct Reserved {
    budget: Budget,
    octets: usize,
}

impl Budget {
    pub(crate) fn new(octets: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(octets)))
    }

    /// Takes a share, if there is room for it.
    pub(crate) fn reserve(&self, octets: usize) -> Option<Reserved> {
        let take = |free: usize| free.checked_sub(octets);
        self.0
            .try_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .ok()?;
        Some(Reserved {
            budget: self.clone(),
            octets,
        })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_share_is_free_again() {
        let budget = Budget::new(10);
        let share = budget.reserve(8).expect("room");
        assert!(budget.reserve(3).is_none());
        drop(share);
        assert!(budget.reserve(10).is_some());
    }
}
