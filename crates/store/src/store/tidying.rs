//! Tidying: what time alone ends, a round at a time, so that the writer serves others in between.
//! What takes a look at many rows is found by a reader.

use std::time::Duration;

use posthouse_hook::Timestamp;

use super::{Store, StoreError};
use crate::{forget, queue, tally};

/// How long a copy may stay with the relay. Only a relay that has lost it outlives this.
const LEASE: Duration = Duration::from_secs(6 * 3600);
/// Tallies older than this serve no cap.
const TALLIES: Duration = Duration::from_secs(40 * 24 * 3600);

impl Store {
    /// Expires held copies past their retention, deletes what nobody needs any more, trims the
    /// audit. Cheap when there is nothing to do; call it every few minutes.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let now = self.now();
        let settings = &self.0.settings;
        self.expire(now.before(settings.retention), now).await?;
        self.trim_audit(now.before(settings.audit_kept)).await?;
        self.void_leases(now.before(LEASE), now).await?;
        let counted = now.before(TALLIES);
        self.write(move |db| tally::forget(db, counted)).await
    }

    async fn expire(&self, before: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let round = self
                .write(move |db| forget::expire(db, before, now))
                .await?;
            self.remove_files(round.files);
            if !round.more {
                return Ok(());
            }
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
