//! Tidying: what time alone ends, a round at a time, so that the writer serves others in between.
//! What takes a look at many rows is found by a reader.

use std::time::Duration;

use posthouse_hook::Timestamp;
use rusqlite::Connection;

use super::{Store, StoreError};
use crate::idle::{self, People};
use crate::keeping::{self, Eviction};
use crate::newest::Newest;
use crate::{choices, erase, errands, forget, judged, observed, queue, tally};

/// How long a copy may stay with the relay. Only a relay that has lost it outlives this.
const LEASE: Duration = Duration::from_secs(6 * 3600);
/// Tallies older than this serve no cap.
const TALLIES: Duration = Duration::from_secs(40 * 24 * 3600);
/// How long it is known that somebody got a letter: no interval between two is longer.
const LETTER_KNOWN: Duration = Duration::from_secs(366 * 24 * 3600);

impl Store {
    /// Expires held copies past their retention or over the bounds on their room, deletes what
    /// nobody needs any more, trims the audit. Cheap when there is nothing to do; call it every few
    /// minutes.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let now = self.now();
        let settings = &self.0.settings;
        let kept = now.before(settings.retention);
        self.evict(now, move |db| keeping::too_old(db, kept))
            .await?;
        self.forget_old(kept).await?;
        self.forget_samples(kept).await?;
        self.make_room().await?;
        self.erase_done().await?;
        for people in People::ALL {
            self.forget_idle(people, now.before(LETTER_KNOWN)).await?;
        }
        self.trim_audit(now.before(settings.audit_kept)).await?;
        self.void_leases(now.before(LEASE), now).await?;
        let seen = now.before(settings.observed_kept);
        self.trim_newest(observed::KEPT, seen).await?;
        let judged = now.before(settings.judged_kept);
        self.trim_newest(judged::KEPT, judged).await?;
        self.forget_grey(now).await?;
        let counted = now.before(TALLIES);
        self.write(move |db| {
            tally::forget(db, counted)?;
            errands::forget(db, now.before(errands::KEPT))?;
            choices::forget(db, now)
        })
        .await
    }

    /// Evicts what is over the bounds on room, the oldest first: of senders that take more than
    /// their share, then of all. Samples go before anybody's mail.
    pub async fn make_room(&self) -> Result<(), StoreError> {
        let (now, bounds) = (self.now(), self.0.settings.bounds);
        self.evict(now, move |db| keeping::over_share(db, &bounds))
            .await?;
        self.shrink_samples().await?;
        self.evict(now, move |db| keeping::over_size(db, &bounds))
            .await?;
        let octets = |db: &Connection| {
            Ok(keeping::held_octets(db)?.saturating_add(keeping::sample_octets(db)?))
        };
        let held = self.0.readers.read(octets).await?;
        self.0.crowd.looked(held);
        Ok(())
    }

    /// Resolves when so much was held since the last look that a bound may be passed: then call
    /// [`Store::make_room`].
    pub async fn crowded(&self) {
        self.0.crowd.wait().await;
    }

    /// Lets a reader find what is to go, and the writer evict it, a round at a time.
    async fn evict(
        &self,
        now: Timestamp,
        find: impl FnOnce(&Connection) -> rusqlite::Result<Vec<Eviction>> + Send + 'static,
    ) -> Result<(), StoreError> {
        let found = self.0.readers.read(find).await?;
        for round in found.chunks(forget::ROUND) {
            let (bound, round) = (round[0].bound, round.to_vec());
            let evict = self.write(move |db| forget::evict(db, &round, now));
            let evicted = evict.await?;
            tracing::info!(
                copies = evicted.copies,
                why = bound.words(),
                "held mail expired"
            );
            self.remove_files(evicted.files);
        }
        Ok(())
    }

    async fn forget_old(&self, before: Timestamp) -> Result<(), StoreError> {
        loop {
            let round = self.write(move |db| forget::forget_old(db, before)).await?;
            self.remove_files(round.files);
            if !round.more {
                return Ok(());
            }
        }
    }

    /// Erases what had to wait for its delivery.
    async fn erase_done(&self) -> Result<(), StoreError> {
        let now = self.now();
        let files = self.write(move |db| erase::erase_done(db, now)).await?;
        self.remove_files(files);
        Ok(())
    }

    async fn forget_idle(&self, people: People, before: Timestamp) -> Result<(), StoreError> {
        loop {
            let find = move |db: &Connection| idle::find(db, people, before);
            let rows = self.0.readers.read(find).await?;
            if rows.is_empty() {
                return Ok(());
            }
            self.write(move |db| idle::forget(db, people, &rows, before))
                .await?;
        }
    }

    async fn trim_audit(&self, before: Timestamp) -> Result<(), StoreError> {
        loop {
            let find = self.0.readers.read(move |db| forget::audited(db, before));
            let items = find.await?;
            if items.is_empty() {
                return Ok(());
            }
            self.write(move |db| forget::trim_audit(db, &items, before))
                .await?;
        }
    }

    async fn trim_newest(&self, newest: Newest, before: Timestamp) -> Result<(), StoreError> {
        while self.write(move |db| newest.trim(db, before)).await? {}
        Ok(())
    }

    async fn void_leases(&self, since: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let find = self
            .0
            .readers
            .read(move |db| queue::sending_since(db, since));
        let lost = find.await?;
        if lost.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            copies = lost.len(),
            "the relay has lost copies; they are queued again"
        );
        self.write(move |db| queue::void_leases(db, &lost, since, now))
            .await?;
        self.0.changed.notify_one();
        Ok(())
    }
}
