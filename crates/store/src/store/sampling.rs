//! Samples of spam that was not held: kept after the commit, listed, exported, bounded.

use posthouse_hook::{Content, Id, Timestamp};

use super::{Store, StoreError};
use crate::keeping;
use crate::model::Sample;
use crate::samples::{self, BEGINNING, NewSample};
use crate::writer::Haste;

impl Store {
    /// Samples, the newest first, at most `limit`.
    pub async fn samples(&self, limit: usize) -> Result<Vec<Sample>, StoreError> {
        self.0
            .readers
            .read(move |db| samples::list(db, limit))
            .await
    }

    /// The first octets of a sample's message, its header section included.
    pub async fn sample_bytes(&self, id: Id) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.readers.read(move |db| samples::bytes(db, id)).await
    }

    /// Keeps a sample behind the client's back: it hears its reply whether that works or not.
    pub(super) fn keep_sample(&self, sample: NewSample, content: Content) {
        let store = self.clone();
        tokio::spawn(async move {
            if let Err(error) = store.write_sample(sample, content).await {
                tracing::warn!(%error, "a sample was not kept");
            }
        });
    }

    async fn write_sample(&self, sample: NewSample, content: Content) -> Result<(), StoreError> {
        let bytes = content.head(BEGINNING).await?;
        self.0.crowd.came(bytes.len() as u64);
        self.write_with(Haste::Lazy, move |db| sample.insert(db, &bytes))
            .await
    }

    pub(super) async fn forget_samples(&self, before: Timestamp) -> Result<(), StoreError> {
        while self.write(move |db| samples::forget(db, before)).await? {}
        Ok(())
    }

    /// Deletes samples, the oldest first, while they and what is held are over the bound.
    pub(super) async fn shrink_samples(&self) -> Result<(), StoreError> {
        let most = self.0.settings.bounds.max_size;
        loop {
            let octets = self.0.readers.read(|db| {
                Ok(keeping::held_octets(db)?.saturating_add(keeping::sample_octets(db)?))
            });
            let excess = octets.await?.saturating_sub(most);
            if excess == 0 || self.write(move |db| samples::shrink(db, excess)).await? == 0 {
                return Ok(());
            }
        }
    }
}
