//! The store as others see it.

use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::{
    Clock, Commit, CommitError, Content, Id, LinkClaim, LinkKey, Outcome, Receipt, Session,
    Timestamp, Transaction,
};
use tokio::sync::mpsc;

use crate::model::{
    Actor, Address, Attempted, Audited, Claimed, Counts, Done, Filter, Item, LetterCaps, LetterDue,
    LetterSent, OwnMessage, Proven, ReleaseCaps, Released, Selection, Settings,
};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or less than `min_free` is left.
    #[error("no room: {0}")]
    Full(String),
    /// SQLite or the file system failed.
    #[error("the store fails: {0}")]
    Failing(String),
}

/// A handle to the store. A clone is the same store.
#[derive(Clone)]
pub struct Store(Arc<()>);

impl Store {
    /// Opens or makes the ledger in the state directory, migrates it, sweeps orphans, and returns
    /// every lease to the queue. The lock on the directory is held until the last clone is gone.
    pub fn open(_settings: Settings, _clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        todo!()
    }

    /// The key of all links.
    pub fn link_key(&self) -> &LinkKey {
        todo!()
    }

    /// Messages that were accepted just now and are already claimed: for the relay, once.
    pub fn take_fresh(&self) -> Option<mpsc::UnboundedReceiver<Claimed>> {
        todo!()
    }

    /// Resolves when something may be due that was not handed over: released, retried, submitted.
    /// A call before the change and an await after it does not miss it.
    pub async fn changed(&self) {
        todo!()
    }

    /// Claims up to `limit` messages that are due, each with all of its due recipients.
    pub async fn claim(&self, _limit: usize, _lease: Duration) -> Result<Vec<Claimed>, StoreError> {
        todo!()
    }

    /// When the next attempt is due, if any waits.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        todo!()
    }

    /// Records what attempts came to, and queues the DSNs that they cause, in one commit.
    pub async fn settle(
        &self,
        _results: Vec<Attempted>,
        _notices: Vec<OwnMessage>,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// One message with its recipients.
    pub async fn item(&self, _id: Id) -> Result<Option<Item>, StoreError> {
        todo!()
    }

    /// Messages that fit the filter, newest first.
    pub async fn items(&self, _filter: Filter) -> Result<Vec<Item>, StoreError> {
        todo!()
    }

    /// The bytes of a message, while they are kept.
    pub async fn content(&self, _id: Id) -> Result<Option<Content>, StoreError> {
        todo!()
    }

    /// The audit lines of a message and its recipients, oldest first.
    pub async fn audit(&self, _item: Id) -> Result<Vec<Audited>, StoreError> {
        todo!()
    }

    /// Held → queued. With caps: all of the selection or nothing.
    pub async fn release(
        &self,
        _what: Selection,
        _caps: Option<ReleaseCaps>,
        _by: Actor,
    ) -> Result<Released, StoreError> {
        todo!()
    }

    /// Drops held copies.
    pub async fn discard_held(&self, _what: Selection, _by: Actor) -> Result<Done, StoreError> {
        todo!()
    }

    /// Drops copies that wait in the queue.
    pub async fn discard_queued(&self, _what: Selection, _by: Actor) -> Result<Done, StoreError> {
        todo!()
    }

    /// Makes deferred and suspended copies due now.
    pub async fn retry(&self, _what: Selection, _by: Actor) -> Result<Done, StoreError> {
        todo!()
    }

    /// Stops attempts until [`Store::retry`].
    pub async fn suspend(&self, _what: Selection, _by: Actor) -> Result<Done, StoreError> {
        todo!()
    }

    /// What a link leads to, if it is genuine and not revoked. Unknown links create nothing.
    pub async fn prove(&self, _claim: &LinkClaim) -> Result<Option<Proven>, StoreError> {
        todo!()
    }

    /// Writes into the audit that a page was looked at.
    pub async fn viewed(&self, _subject: Id, _by: Actor) -> Result<(), StoreError> {
        todo!()
    }

    /// Ends (or, with `on`, begins again) letters to an address.
    pub async fn set_letters(&self, _address: Id, _on: bool, _by: Actor) -> Result<(), StoreError> {
        todo!()
    }

    /// The row of an address, if anything was ever held for it.
    pub async fn address(&self, _address: &str) -> Result<Option<Address>, StoreError> {
        todo!()
    }

    /// Addresses to write to: something is held that may cause a letter and came after the last
    /// one, letters are on, and the last letter is at least `interval` old. Oldest need first.
    pub async fn letters_due(
        &self,
        _interval: Duration,
        _limit: usize,
    ) -> Result<Vec<LetterDue>, StoreError> {
        todo!()
    }

    /// Queues a letter if it is still due and within the caps, and records that it went, in one
    /// commit.
    pub async fn send_letter(
        &self,
        _due: &LetterDue,
        _letter: OwnMessage,
        _interval: Duration,
        _caps: LetterCaps,
    ) -> Result<LetterSent, StoreError> {
        todo!()
    }

    /// Counts one more of `key` if fewer than `limit` were counted in the last `window` hours
    /// (0: ever), and says whether it did.
    pub async fn count_within(
        &self,
        _key: String,
        _limit: u32,
        _window: u32,
    ) -> Result<bool, StoreError> {
        todo!()
    }

    /// How much is in which state.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        todo!()
    }

    /// Expires held copies past their retention, deletes what nobody needs any more, trims the
    /// audit. Cheap when there is nothing to do; call it every few minutes.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        todo!()
    }
}

#[async_trait::async_trait]
impl Commit for Store {
    async fn commit(
        &self,
        _session: &Session,
        _tx: &Transaction,
        _outcome: &Outcome,
    ) -> Result<Receipt, CommitError> {
        todo!()
    }

    fn room(&self, _size: u64) -> Result<(), CommitError> {
        todo!()
    }
}
