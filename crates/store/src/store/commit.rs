//! The commit: bytes first, then rows, then the word that it is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use posthouse_hook::{
    Commit, CommitError, Content, Id, Link, LinkKind, Outcome, Receipt, ReversePath, Session,
    Transaction,
};

use super::{Store, StoreError};
use crate::handoff::Reserved;
use crate::intake::{Body, Fate, Intake, in_row};
use crate::model::{Claimed, ClaimedRecipient, CopyId};

#[async_trait::async_trait]
impl Commit for Store {
    async fn commit(
        &self,
        session: &Session,
        tx: &Transaction,
        outcome: &Outcome,
    ) -> Result<Receipt, CommitError> {
        let content = &tx.message.content;
        self.0.room.take(content.len())?;
        let now = self.now();
        let Some(mut intake) = Intake::of_transaction(session, tx, outcome, &self.0.ids, now)
        else {
            return Ok(Receipt {
                id: tx.id,
                link: None,
            });
        };
        intake.body = self.place(tx.id, content).await?;
        let reserved = self.reserve(&intake, content);
        let relays_at_once = intake.relays() && reserved.is_some();
        if relays_at_once {
            intake.hand_over();
        }
        let intake = Arc::new(intake);
        let spooled = matches!(intake.body, Body::File);
        let earlier = match self.insert(Arc::clone(&intake)).await {
            Ok(earlier) => earlier,
            Err(error) => {
                self.remove_files(spooled.then_some(tx.id));
                return Err(error.into());
            }
        };
        if earlier.is_some() {
            self.remove_files(spooled.then_some(tx.id));
        } else {
            self.pass_on(&intake, content, reserved);
        }
        let id = earlier.unwrap_or(tx.id);
        let held = intake.refused && intake.facts.is_some();
        Ok(Receipt {
            id,
            link: held.then(|| self.item_link(id, &tx.reverse_path)),
        })
    }

    fn room(&self, size: u64) -> Result<(), CommitError> {
        self.0.room.check(size).map_err(CommitError::from)
    }
}

impl Store {
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
        let octets = match content {
            Content::Memory(bytes) => bytes.len() + 1024,
            Content::Spooled(_) => 1024,
        };
        self.0.budget.reserve(octets)
    }

    /// Writes the rows; gives the id of an earlier message instead if this is a retry of it.
    async fn insert(&self, intake: Arc<Intake>) -> Result<Option<Id>, StoreError> {
        self.write(move |db| {
            let earlier = match intake.all_held() {
                true => intake.earlier(db)?,
                false => None,
            };
            if earlier.is_none() {
                intake.insert(db)?;
            }
            Ok(earlier)
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
        // The relay is gone only at shutdown; the next start returns the lease.
        let _ = self.0.fresh.send(fresh(intake, content, reserved));
    }

    fn item_link(&self, id: Id, reverse_path: &ReversePath) -> Link {
        let party = reverse_path.address();
        self.0.key.mint(LinkKind::Item, id, &party, 0)
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
