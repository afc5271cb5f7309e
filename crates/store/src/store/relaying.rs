//! The relay's side of the store: what is due, and what attempts came to.

use std::sync::atomic::Ordering;
use std::time::Duration;

use posthouse_hook::{Content, Id, Timestamp};
use rusqlite::Connection;
use tokio::sync::mpsc;

use super::{Store, StoreError};
use crate::forget;
use crate::intake::Intake;
use crate::model::{Attempted, Claimed, OwnMessage};
use crate::queue::{self, ClaimedRow};
use crate::writer::Haste;

impl Store {
    /// Messages that were accepted just now and are already claimed: for the relay, once.
    pub fn take_fresh(&self) -> Option<mpsc::UnboundedReceiver<Claimed>> {
        let end = self
            .0
            .fresh_end
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .take();
        self.0
            .handing_over
            .fetch_or(end.is_some(), Ordering::Relaxed);
        end
    }

    /// Resolves when something may be due that was not handed over: released, retried, submitted.
    /// One waiter; a change before the call is not missed.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Claims up to `limit` messages that are due, each with all of its due recipients.
    pub async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, StoreError> {
        let now = self.now();
        let rows = self
            .write(move |db| queue::claim(db, limit, lease, now))
            .await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            match self.content(row.id).await {
                Ok(Some(content)) => claimed.push(claimed_of(row, content)),
                missing => self.park(row, missing.err()).await?,
            }
        }
        Ok(claimed)
    }

    /// A message without bytes is neither sent empty nor forgotten.
    async fn park(&self, row: ClaimedRow, error: Option<StoreError>) -> Result<(), StoreError> {
        tracing::error!(message = %row.id, ?error, "message bytes are missing or damaged; suspended");
        let now = self.now();
        self.write(move |db| {
            row.recipients
                .iter()
                .try_for_each(|recipient| queue::park(db, recipient.id, now))
        })
        .await
    }

    /// When the next attempt is due, if any waits.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.0.readers.read(queue::next_due).await
    }

    /// Records what attempts came to, and queues the DSNs that they cause, in one commit. It waits
    /// a few milliseconds for a commit to share: a crash in between repeats these attempts, which
    /// it could do anyhow.
    pub async fn settle(
        &self,
        results: Vec<Attempted>,
        notices: Vec<OwnMessage>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let notices: Vec<_> = notices
            .into_iter()
            .map(|own| Intake::of_own(own, &self.0.ids, now))
            .collect();
        let due = !notices.is_empty();
        let files = self
            .write_with(Haste::Lazy, move |db| {
                notices.iter().try_for_each(|notice| notice.insert(db))?;
                settle_all(db, &results, now)
            })
            .await?;
        self.remove_files(files);
        if due {
            self.0.changed.notify_one();
        }
        Ok(())
    }
}

fn settle_all(db: &Connection, results: &[Attempted], now: Timestamp) -> rusqlite::Result<Vec<Id>> {
    let mut ended = Vec::new();
    for attempt in results {
        ended.extend(queue::settle(db, attempt, now)?);
    }
    ended.dedup();
    let mut files = Vec::new();
    for message in ended {
        files.extend(forget::forget_if_done(db, message)?);
    }
    Ok(files)
}

fn claimed_of(row: ClaimedRow, content: Content) -> Claimed {
    Claimed {
        id: row.id,
        reverse_path: row.reverse_path,
        since: row.since,
        received: row.received,
        eight_bit: row.eight_bit,
        dsn_allowed: row.dsn_allowed,
        content,
        recipients: row.recipients,
        reserved: None,
    }
}
