//! Greylisting: what is known of a triplet, and what a try comes to.

use std::sync::atomic::Ordering;

use posthouse_hook::Timestamp;
use rusqlite::Connection;

use super::{Store, StoreError};
use crate::greylist;
use crate::model::{GreySeen, GreyTriplet};
use crate::writer::Haste;

impl Store {
    /// What is known of a triplet that is tried now.
    pub async fn grey_seen(
        &self,
        triplet: GreyTriplet,
        now: Timestamp,
    ) -> Result<GreySeen, StoreError> {
        let read = move |db: &Connection| greylist::seen(db, &triplet, now);
        self.0.readers.read(read).await
    }

    /// Notes a first try, until then. There are never many more than `most` triplets.
    pub async fn grey_first(
        &self,
        triplet: GreyTriplet,
        now: Timestamp,
        expires: Timestamp,
        most: u32,
    ) -> Result<(), StoreError> {
        let count = self.0.greylisted.fetch_add(1, Ordering::Relaxed);
        let look = count.is_multiple_of(greylist::LOOK_EVERY);
        let write = move |db: &Connection| {
            greylist::first(db, &triplet, now, expires)?;
            if look {
                greylist::shrink(db, most)
            } else {
                Ok(())
            }
        };
        self.write_with(Haste::Lazy, write).await
    }

    /// Notes that a triplet passes, and that its network is known, until then.
    pub async fn grey_passed(
        &self,
        triplet: GreyTriplet,
        expires: Timestamp,
    ) -> Result<(), StoreError> {
        let write = move |db: &Connection| greylist::passed(db, &triplet, expires);
        self.write_with(Haste::Lazy, write).await
    }

    /// Keeps a network known until then.
    pub async fn grey_network(
        &self,
        network: String,
        expires: Timestamp,
    ) -> Result<(), StoreError> {
        let write = move |db: &Connection| greylist::succeeded(db, &network, expires, 0);
        self.write_with(Haste::Lazy, write).await
    }

    pub(super) async fn forget_grey(&self, now: Timestamp) -> Result<(), StoreError> {
        while self.write(move |db| greylist::expire(db, now)).await? {}
        Ok(())
    }
}
