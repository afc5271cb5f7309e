//! When to look whether held mail is over its bounds: an estimate in memory, kept by the commits.
//!
//! Between two looks a flood may hold much. The estimate only ever says "look now"; what goes is
//! decided from the ledger.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::model::Bounds;

/// What is held by estimate, and whom to tell when that is much.
pub(crate) struct Crowd {
    bounds: Bounds,
    /// Octets that were held at the last look.
    held: AtomicU64,
    /// Octets that were held since.
    fresh: AtomicU64,
    much: Notify,
}

impl Crowd {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            held: AtomicU64::new(0),
            fresh: AtomicU64::new(0),
            much: Notify::new(),
        }
    }

    /// Counts a message that is held from now on.
    pub(crate) fn came(&self, octets: u64) {
        let fresh = self.fresh.fetch_add(octets, Ordering::Relaxed) + octets;
        let all = self.held.load(Ordering::Relaxed) + fresh;
        // One sender may have sent all that is fresh.
        if all > self.bounds.max_size || fresh > self.bounds.share() {
            self.much.notify_one();
        }
    }

    /// Takes over what a look has found.
    pub(crate) fn looked(&self, held: u64) {
        self.held.store(held, Ordering::Relaxed);
        self.fresh.store(0, Ordering::Relaxed);
    }

    /// Resolves when a look is due.
    pub(crate) async fn wait(&self) {
        self.much.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_much(crowd: &Crowd) -> bool {
        let soon = Duration::from_millis(1);
        tokio::time::timeout(soon, crowd.wait()).await.is_ok()
    }

    #[tokio::test]
    async fn a_look_is_due_when_a_bound_may_be_passed() {
        let crowd = Crowd::new(Bounds {
            max_size: 100,
            sender_share: 0.5,
        });
        crowd.came(50);
        assert!(!is_much(&crowd).await);
        crowd.came(1);
        assert!(is_much(&crowd).await, "one sender may be over its share");
        crowd.looked(60);
        crowd.came(40);
        assert!(!is_much(&crowd).await);
        crowd.came(1);
        assert!(is_much(&crowd).await, "all together are over");
    }
}
