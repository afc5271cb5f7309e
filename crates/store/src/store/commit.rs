//! The commit: bytes first, then rows, then the word that it is durable.
//!
//! It runs in a task of its own: a caller that stops waiting (its deadline has passed) abandons the
//! commit as a whole, before or after it is made, and never leaves it half done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use posthouse_hook::{
    Commit, CommitError, Content, Id, LinkKind, Outcome, Receipt, Session, Transaction,
};

use super::{Store, StoreError};
use crate::forget;
use crate::handoff::Reserved;
use crate::intake::{Body, Earlier, Fate, Intake, in_row};
use crate::judged;
use crate::model::{Claimed, ClaimedRecipient, CopyId};
use crate::samples;

/// What a recipient costs in memory, beyond the message, while it waits for the relay.
const PER_RECIPIENT: usize = 512;
/// What a message costs at least.
const PER_MESSAGE: usize = 1024;

#[async_trait::async_trait]
impl Commit for Store {
    async fn commit(
        &self,
        session: &Session,
        tx: &Transaction,
        outcome: &Outcome,
    ) -> Result<Receipt, CommitError> {
        let content = tx.message.content.clone();
        self.0.room.take(content.len())?;
        let intake = Intake::of_transaction(session, tx, outcome, &self.0.ids, self.now());
        let Some(mut intake) = intake else {
            return Ok(Receipt {
                id: tx.id,
                link: None,
            });
        };
        intake.count_discards(&self.choices());
        if !self.0.settings.judged_kept.is_zero() {
            intake.judged = judged::facts(session, tx, outcome);
        }
        let sample = samples::of(tx, outcome, intake.at);
        let caller = Caller::default();
        let acceptance = self.clone().accept(intake, content.clone(), caller.flag());
        let accepted = tokio::spawn(acceptance).await;
        caller.told_now();
        let failing = |error: tokio::task::JoinError| CommitError::Failing(error.to_string());
        let receipt = accepted.map_err(failing)??;
        if let Some(sample) = sample {
            self.keep_sample(sample, content);
        }
        Ok(receipt)
    }

    fn room(&self, size: u64) -> Result<(), CommitError> {
        self.0.room.check(size).map_err(CommitError::from)
    }
}

/// The caller's side: when it is dropped untold, nobody waits for the commit any more.
#[derive(Default)]
struct Caller {
    gone: Arc<AtomicBool>,
    told: bool,
}

impl Caller {
    fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.gone)
    }

    fn told_now(mut self) {
        self.told = true;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if !self.told {
            self.gone.store(true, Ordering::Relaxed);
        }
    }
}

/// What became of the rows.
enum Inserted {
    New,
    /// This is a retry of a message that is held.
    Retry(Earlier),
    /// Every copy was discarded: nothing but the count and the audit is kept.
    Dropped(Option<Id>),
    /// The caller was gone before it began: the client heard 451 and will come again.
    Abandoned,
}

impl Store {
    /// Bytes, rows, hand-over, receipt; on any failure nothing of the message remains.
    async fn accept(
        self,
        mut intake: Intake,
        content: Content,
        gone: Arc<AtomicBool>,
    ) -> Result<Receipt, StoreError> {
        intake.body = self.place(intake.id, &content).await?;
        let reserved = self.reserve(&intake, &content);
        if reserved.is_some() {
            intake.hand_over();
        }
        let intake = Arc::new(intake);
        let inserted = self.insert(Arc::clone(&intake), gone).await;
        let kept = matches!(inserted, Ok(Inserted::New | Inserted::Dropped(_)));
        if !kept && matches!(intake.body, Body::File) {
            self.remove_files([intake.id]);
        }
        match inserted? {
            Inserted::New => {
                if intake.holds() {
                    self.0.crowd.came(intake.size);
                }
                self.pass_on(&intake, &content, reserved);
                Ok(self.receipt(&intake, &intake.itself()))
            }
            Inserted::Retry(first) => Ok(self.receipt(&intake, &first)),
            Inserted::Dropped(file) => {
                self.remove_files(file);
                Ok(self.receipt(&intake, &intake.itself()))
            }
            Inserted::Abandoned => Err(StoreError::Failing("the deadline passed".to_owned())),
        }
    }

    /// The receipt of a message; the link is that of the first of several equal ones.
    fn receipt(&self, intake: &Intake, first: &Earlier) -> Receipt {
        let party = first.reverse_path.address();
        let link = || {
            self.0
                .key
                .mint(LinkKind::Item, first.id, &party, first.generation)
        };
        let held = intake.refused && intake.holds();
        Receipt {
            id: first.id,
            link: held.then(link),
        }
    }

    /// Puts the bytes where they are to stay: into the row, or into a file that is synced now, off
    /// the writer thread.
    async fn place(&self, id: Id, content: &Content) -> Result<Body, StoreError> {
        if let Some(bytes) = in_row(content, self.0.settings.spool_threshold) {
            return Ok(Body::Row(bytes));
        }
        let (spool, content) = (self.0.spool.clone(), content.clone());
        tokio::task::spawn_blocking(move || spool.keep(id, &content))
            .await
            .map_err(std::io::Error::other)??;
        Ok(Body::File)
    }

    /// A share of the in-memory hand-over, if somebody takes messages there and has room.
    fn reserve(&self, intake: &Intake, content: &Content) -> Option<Reserved> {
        if !intake.relays() || !self.0.handing_over.load(Ordering::Relaxed) {
            return None;
        }
        // What is spooled costs no memory, but a message is never free.
        let bytes = match content {
            Content::Memory(bytes) => bytes.len(),
            Content::Spooled(_) => 0,
        };
        let recipients = intake.copies.len() * PER_RECIPIENT;
        self.0.budget.reserve(bytes + recipients + PER_MESSAGE)
    }

    async fn insert(
        &self,
        intake: Arc<Intake>,
        gone: Arc<AtomicBool>,
    ) -> Result<Inserted, StoreError> {
        self.write(move |db| {
            if gone.load(Ordering::Relaxed) {
                return Ok(Inserted::Abandoned);
            }
            if intake.all_held()
                && let Some(first) = intake.earlier(db)?
            {
                return Ok(Inserted::Retry(first));
            }
            intake.insert(db)?;
            Ok(match intake.is_dropped() {
                true => Inserted::Dropped(forget::forget_if_done(db, intake.id)?),
                false => Inserted::New,
            })
        })
        .await
    }

    fn pass_on(&self, intake: &Intake, content: &Content, reserved: Option<Reserved>) {
        let Some(reserved) = reserved else {
            if intake.relays() {
                self.0.changed.notify_one();
            }
            return;
        };
        // The relay is gone only at shutdown; the next start voids the lease.
        let _ = self.0.fresh.send(fresh(intake, content, reserved));
    }
}

/// A message that goes to the relay without a look into the ledger.
fn fresh(intake: &Intake, content: &Content, reserved: Reserved) -> Claimed {
    let recipients = intake
        .copies
        .iter()
        .filter(|copy| copy.fate == Fate::HandedOver)
        .map(|copy| ClaimedRecipient {
            id: CopyId {
                message: intake.id,
                recipient: copy.id,
            },
            forward_path: copy.address.clone(),
            redirect: copy.redirect.clone(),
            kind: copy.kind,
            attempts: 0,
        });
    Claimed {
        id: intake.id,
        reverse_path: intake.reverse_path.clone(),
        since: intake.at,
        received: intake.received.clone(),
        eight_bit: intake.eight_bit,
        dsn_allowed: intake.dsn_allowed,
        content: content.clone(),
        recipients: recipients.collect(),
        reserved: Some(reserved),
    }
}
