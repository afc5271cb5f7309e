//! Standing choices, their confirm links, and the mail that people ask us for.

use std::sync::Arc;

use posthouse_hook::{ForwardPath, Id, IdMaker, Language, Timestamp};
use rusqlite::Connection;

use super::{Store, StoreError};
use crate::choices::{self, Asking};
use crate::intake::{Intake, recipient_discards, sender_discards};
use crate::model::{
    Actor, Address, Asked, Choices, Confirmed, Errand, Filter, Item, OwnMessage, Pending,
    RecipientChoice, Request, Sender, SenderChoice, Wish,
};
use crate::tally::{self, Window};
use crate::{addresses, errands, requests, rows, settings};

/// What a list gives at the most.
const LISTED: usize = 10_000;

impl Store {
    /// Every standing choice but the default, as it is in force now. Costs no look into the ledger.
    pub fn choices(&self) -> Arc<Choices> {
        self.0.choices.load()
    }

    /// Reads the choices anew. One at a time: the last to begin sees the newest state.
    pub(super) async fn reload_choices(&self) -> Result<(), StoreError> {
        let _one = self.0.reloading.lock().await;
        let fresh = self.0.readers.read(choices::all).await?;
        self.0.choices.swap(fresh);
        Ok(())
    }

    /// Has the confirm link of a choice mailed to the address that it concerns, within the caps.
    /// Whether the target of a redirect is filtered, the caller has to know.
    pub async fn ask_choice(
        &self,
        wish: Wish,
        language: Option<Language>,
        by: Actor,
    ) -> Result<Asked, StoreError> {
        let asked = self
            .write_asking(language, by, move |db, asking| {
                choices::ask(db, &wish, asking)
            })
            .await?;
        self.0.errands.notify_one();
        Ok(asked)
    }

    /// The choice that an owner (the row of a recipient or a sender) asked for and that waits for its
    /// confirm link; the newest if there are several.
    pub async fn waiting_choice(&self, owner: Id) -> Result<Option<Pending>, StoreError> {
        let now = self.now();
        self.0
            .readers
            .read(move |db| choices::waiting(db, owner, now))
            .await
    }

    /// Ends the confirm links of an owner that nobody has used: the wish is taken back.
    pub async fn withdraw_choice(&self, owner: Id, by: Actor) -> Result<(), StoreError> {
        let now = self.now();
        self.write(move |db| choices::withdraw(db, owner, &by, now))
            .await
    }

    /// Puts a choice in force whose confirm link was proven. `None` if the link cannot be used any
    /// more. Whether the target of a redirect is filtered by now, the caller has to know.
    pub async fn confirm(&self, pending: Id, by: Actor) -> Result<Option<Confirmed>, StoreError> {
        let confirmed = self
            .write_asking(None, by, move |db, asking| {
                choices::confirm(db, pending, asking)
            })
            .await?;
        self.reload_choices().await?;
        self.0.errands.notify_one();
        self.0.changed.notify_one();
        Ok(confirmed)
    }

    /// Sets a sender's choice at once: for the operator, and for a sender who goes back to the
    /// default.
    pub async fn set_sender(
        &self,
        address: String,
        choice: SenderChoice,
        by: Actor,
    ) -> Result<(), StoreError> {
        self.write_asking(None, by, move |db, asking| {
            let id = choices::ensure_sender(db, &address, asking.ids.next(asking.now))?;
            choices::set_sender(db, id, choice, asking.by, asking.now)
        })
        .await?;
        self.reload_choices().await
    }

    /// Sets a recipient's choice at once: for the operator, and for a recipient who goes back to
    /// the default. A redirect takes along what is held; gives how many copies.
    pub async fn set_recipient(
        &self,
        address: String,
        choice: RecipientChoice,
        by: Actor,
    ) -> Result<usize, StoreError> {
        let moved = self
            .write_asking(None, by, move |db, asking| {
                let id = choices::ensure_address(db, &address, asking.ids.next(asking.now))?;
                choices::set_recipient(db, id, &choice, asking.by, asking.now)
            })
            .await?;
        self.reload_choices().await?;
        self.0.changed.notify_one();
        Ok(moved)
    }

    /// Why an address cannot redirect to a target, as far as the ledger knows.
    pub async fn redirect_objection(
        &self,
        owner: &str,
        target: &ForwardPath,
    ) -> Result<Option<crate::model::Objection>, StoreError> {
        let (owner, target) = (owner.to_ascii_lowercase(), target.clone());
        self.0
            .readers
            .read(move |db| choices::objection(db, &owner, &target))
            .await
    }

    /// How often, and in which language, an address is written to; none is as configured.
    pub async fn set_correspondence(
        &self,
        address: Id,
        interval_days: Option<u16>,
        language: Option<Language>,
        by: Actor,
    ) -> Result<(), StoreError> {
        let now = self.now();
        self.write(move |db| {
            addresses::set_correspondence(db, address, interval_days, language, &by, now)
        })
        .await
    }

    /// Has the links of an address mailed to it, if anything is held for it or from it. Nobody can
    /// tell from outside whether it was; no link that is out loses its force.
    pub async fn ask_links(
        &self,
        address: &ForwardPath,
        language: Option<Language>,
        by: Actor,
    ) -> Result<(), StoreError> {
        let address = address.clone();
        self.write_asking(language, by, move |db, asking| {
            errands::ask_links(db, &address, asking)
        })
        .await?;
        self.0.errands.notify_one();
        Ok(())
    }

    /// Mail of ours that is to be written, the oldest first.
    pub async fn errands_due(&self, limit: usize) -> Result<Vec<Errand>, StoreError> {
        let (key, now) = (self.0.key.clone(), self.now());
        self.0
            .readers
            .read(move |db| errands::due(db, &key, limit, now))
            .await
    }

    /// Queues the mail of an errand and ends the errand, in one commit. Gives the message's id, or
    /// none if the errand was done or dropped meanwhile.
    pub async fn errand_done(
        &self,
        errand: Id,
        mail: OwnMessage,
    ) -> Result<Option<Id>, StoreError> {
        let now = self.now();
        let intake = Intake::of_own(mail, &self.0.ids, now);
        let queued = self
            .write(move |db| {
                if !errands::end(db, errand, now)? {
                    return Ok(None);
                }
                intake.insert(db)?;
                Ok(Some(intake.id))
            })
            .await?;
        self.0.changed.notify_one();
        Ok(queued)
    }

    /// Waits until somebody may have asked for mail of ours.
    pub async fn errand_asked(&self) {
        self.0.errands.notified().await;
    }

    /// Senders who have chosen something, by address.
    pub async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        self.0.readers.read(|db| choices::senders(db, LISTED)).await
    }

    /// The row of a sender, if it has chosen something or asked for a link.
    pub async fn sender(&self, address: &str) -> Result<Option<Sender>, StoreError> {
        let address = address.to_owned();
        let find = move |db: &Connection| choices::sender_by_name(db, &address);
        Ok(self.0.readers.read(find).await?.map(|row| row.sender))
    }

    /// How many copies a sender's, and how many a recipient's choice to discard has dropped in the
    /// last 40 days.
    pub async fn discarded(&self, address: &str) -> Result<(u32, u32), StoreError> {
        let (address, now) = (address.to_ascii_lowercase(), self.now());
        let count = move |db: &Connection| {
            let sum = |key: &str| tally::sum(db, key, Window::Ever, now);
            Ok((
                sum(&sender_discards(&address))?,
                sum(&recipient_discards(&address))?,
            ))
        };
        self.0.readers.read(count).await
    }

    /// Recipients who have chosen something, by address.
    pub async fn recipients(&self) -> Result<Vec<Address>, StoreError> {
        self.0
            .readers
            .read(|db| choices::recipients(db, LISTED))
            .await
    }

    /// Messages from a sender (unwrapped, any case) that were refused and held, newest first: those
    /// of which that sender was told.
    pub async fn items_from(&self, sender: &str, filter: Filter) -> Result<Vec<Item>, StoreError> {
        let sender = sender.to_ascii_lowercase();
        self.0
            .readers
            .read(move |db| rows::items_from(db, &sender, &filter))
            .await
    }

    /// How many messages from a sender (unwrapped, any case) are held.
    pub async fn held_from(&self, sender: &str) -> Result<usize, StoreError> {
        let sender = sender.to_ascii_lowercase();
        self.0
            .readers
            .read(move |db| rows::held_from(db, &sender))
            .await
    }

    /// Asks the operator for the release of a held message; asking again replaces the comment.
    pub async fn ask_operator(&self, item: Id, comment: &str, by: Actor) -> Result<(), StoreError> {
        let (comment, now) = (comment.to_owned(), self.now());
        self.write(move |db| requests::put(db, item, &comment, &by, now))
            .await
    }

    /// What senders ask of the operator about messages that are still held, newest first.
    pub async fn requests(&self) -> Result<Vec<Request>, StoreError> {
        self.0.readers.read(|db| requests::open(db, LISTED)).await
    }

    /// What the sender of this message asks of the operator.
    pub async fn request(&self, item: Id) -> Result<Option<Request>, StoreError> {
        self.0
            .readers
            .read(move |db| requests::of_item(db, item))
            .await
    }

    /// Whether an operator stopped all of our own mail to people: letters, and the mail that people
    /// ask for. What waits stays due.
    pub async fn letters_stopped(&self) -> Result<bool, StoreError> {
        self.0.readers.read(settings::letters_stopped).await
    }

    /// Stops all of our own mail to people, or lets it go out again. Outlives a restart.
    pub async fn set_letters_stopped(&self, stopped: bool, by: Actor) -> Result<(), StoreError> {
        let now = self.now();
        self.write(move |db| settings::set_letters_stopped(db, stopped, &by, now))
            .await?;
        self.0.errands.notify_one();
        Ok(())
    }

    async fn write_asking<T: Send + 'static>(
        &self,
        language: Option<Language>,
        by: Actor,
        work: impl Fn(&Connection, &Asking<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (ids, now): (Arc<IdMaker>, Timestamp) = (self.ids(), self.now());
        self.write(move |db| {
            let asking = Asking {
                by: &by,
                language,
                ids: &ids,
                now,
            };
            work(db, &asking)
        })
        .await
    }
}
