//! Looking back: what was observed, and what was judged.

use posthouse_hook::Timestamp;

use super::{Store, StoreError};
use crate::model::{Judged, ObservedReport};
use crate::{judged, observed};

impl Store {
    /// What chains that observe would have done since then: counts, and at most `limit` of the
    /// newest cases.
    pub async fn observed(
        &self,
        since: Timestamp,
        limit: usize,
    ) -> Result<ObservedReport, StoreError> {
        let report = move |db: &_| observed::report(db, since, limit);
        self.0.readers.read(report).await
    }

    /// At most `limit` messages that the quarantine judged since then, in the order of their
    /// commits, each with its row; for the next ones, ask for those after the last row.
    pub async fn judged(
        &self,
        since: Timestamp,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Judged)>, StoreError> {
        let read = move |db: &_| judged::since(db, since, after, limit);
        self.0.readers.read(read).await
    }
}
