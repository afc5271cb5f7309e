//! What an operator looks at and changes by commands.

use std::time::Duration;

use posthouse_hook::Id;

use super::{Store, StoreError};
use crate::model::{Actor, Correspondent, Resent, StandingCounts};
use crate::{choices, correspondents, letters, revoke};

/// What a list gives at the most.
const LISTED: usize = 10_000;

impl Store {
    /// Addresses with held mail or without letters, and how it stands with letters to them: the
    /// longest wait first, at most 10,000. `interval` is the least time between two letters where
    /// the owner chose none.
    pub async fn correspondents(
        &self,
        interval: Duration,
    ) -> Result<Vec<Correspondent>, StoreError> {
        self.0
            .readers
            .read(move |db| correspondents::list(db, interval, LISTED))
            .await
    }

    /// Makes a letter due now, whenever the last one went, if something is held that may cause one.
    pub async fn resend_letter(&self, address: &str, by: Actor) -> Result<Resent, StoreError> {
        let (address, now) = (address.to_owned(), self.now());
        let resent = self
            .write(move |db| correspondents::resend(db, &address, &by, now))
            .await?;
        self.0.errands.notify_one();
        Ok(resent)
    }

    /// The row of a recipient, made if need be: for an operator who sets something ahead of its
    /// first mail.
    pub async fn recipient_row(&self, address: &str) -> Result<Id, StoreError> {
        let (address, new) = (address.to_owned(), self.ids().next(self.now()));
        self.write(move |db| choices::ensure_address(db, &address, new))
            .await
    }

    /// Revokes the item link of a message; a retry of the message gets a new one. Says whether there
    /// is such a message.
    pub async fn revoke_item(&self, item: Id, by: Actor) -> Result<bool, StoreError> {
        let now = self.now();
        self.write(move |db| revoke::item(db, item, &by, now)).await
    }

    /// Revokes every link of an address, confirm links included; new ones are mailed when they are
    /// asked for, and with the next letter. Gives how many rows of ours that concerned.
    pub async fn revoke_address(&self, address: &str, by: Actor) -> Result<usize, StoreError> {
        let (address, now) = (address.to_ascii_lowercase(), self.now());
        self.write(move |db| revoke::address(db, &address, &by, now))
            .await
    }

    /// How many copies are held for an address.
    pub async fn held_for(&self, address: Id) -> Result<usize, StoreError> {
        self.0
            .readers
            .read(move |db| letters::held_count(db, address))
            .await
    }

    /// How many have chosen what, and what is asked of the operator.
    pub async fn standing_counts(&self) -> Result<StandingCounts, StoreError> {
        self.0.readers.read(correspondents::counts).await
    }
}
