//! What people see: items, links, addresses and their letters.

use std::time::Duration;

use posthouse_hook::{Id, LinkClaim, LinkKey, LinkKind, Timestamp};
use rusqlite::Connection;

use super::{Store, StoreError};
use crate::audit::{self, Line};
use crate::intake::Intake;
use crate::letters::{self, Booking, Due};
use crate::model::{
    Actor, Address, Audited, Filter, Item, LetterCaps, LetterDue, LetterSent, Letters, OwnMessage,
    Proven,
};
use crate::overdue;
use crate::rows;
use crate::{addresses, choices};

impl Store {
    /// One message with its recipients.
    pub async fn item(&self, id: Id) -> Result<Option<Item>, StoreError> {
        self.0.readers.read(move |db| rows::item(db, id)).await
    }

    /// Messages that fit the filter, newest first.
    pub async fn items(&self, filter: Filter) -> Result<Vec<Item>, StoreError> {
        self.0
            .readers
            .read(move |db| rows::items(db, &filter, None))
            .await
    }

    /// The audit lines of a message and its recipients, oldest first.
    pub async fn audit(&self, item: Id) -> Result<Vec<Audited>, StoreError> {
        self.0
            .readers
            .read(move |db| audit::of_item(db, item))
            .await
    }

    /// What a link leads to, if it is genuine and not revoked. Unknown links create nothing.
    pub async fn prove(&self, claim: &LinkClaim) -> Result<Option<Proven>, StoreError> {
        let (key, now) = (self.0.key.clone(), self.now());
        let claim = claim.clone();
        self.0
            .readers
            .read(move |db| prove(db, &key, &claim, now))
            .await
    }

    /// Writes into the audit that a page was looked at.
    pub async fn viewed(&self, subject: Id, by: Actor) -> Result<(), StoreError> {
        let at = self.now();
        self.write(move |db| audit::append(db, &plain_line(at, subject, "viewed", ""), &by))
            .await
    }

    /// Ends letters to an address, until [`Store::resume_letters`].
    pub async fn stop_letters(&self, address: Id, by: Actor) -> Result<(), StoreError> {
        self.set_letters(address, Letters::Stopped, by).await
    }

    /// Begins letters to an address again, whatever ended them.
    pub async fn resume_letters(&self, address: Id, by: Actor) -> Result<(), StoreError> {
        self.set_letters(address, Letters::On, by).await
    }

    async fn set_letters(
        &self,
        address: Id,
        letters: Letters,
        by: Actor,
    ) -> Result<(), StoreError> {
        let at = self.now();
        self.write(move |db| {
            if addresses::set_letters(db, address, letters)? {
                let line = plain_line(at, address, "letters", letters.name());
                audit::append(db, &line, &by)?;
            }
            Ok(())
        })
        .await
    }

    /// The row of an address, if anything was ever held for it.
    pub async fn address(&self, address: &str) -> Result<Option<Address>, StoreError> {
        let address = address.to_owned();
        self.0
            .readers
            .read(move |db| addresses::by_name(db, &address))
            .await
    }

    /// Messages of which a copy to this address is or was held, newest first. Only that copy is
    /// among their recipients: nobody learns of the others.
    pub async fn items_of(
        &self,
        address: &Address,
        filter: Filter,
    ) -> Result<Vec<Item>, StoreError> {
        let (owner, address) = (address.id, address.address.clone());
        self.0
            .readers
            .read(move |db| {
                let mut items = rows::items(db, &filter, Some(owner))?;
                for item in &mut items {
                    item.recipients.retain(|r| r.address.key() == address);
                }
                Ok(items)
            })
            .await
    }

    /// Addresses to write to: something is held that may cause a letter and came after the last
    /// one, letters are on, and the last letter is at least `interval` old. Oldest need first.
    pub async fn letters_due(
        &self,
        interval: Duration,
        limit: usize,
    ) -> Result<Vec<LetterDue>, StoreError> {
        self.letters_due_among(interval, limit, |_| true).await
    }

    /// The same, of the addresses (lower case) that are `wanted`. The others wait, and count for
    /// nothing in `limit`.
    pub async fn letters_due_among(
        &self,
        interval: Duration,
        limit: usize,
        wanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Vec<LetterDue>, StoreError> {
        let (key, now) = (self.0.key.clone(), self.now());
        let read = move |db: &Connection| {
            let ask = Due {
                key: &key,
                interval,
                limit,
                now,
            };
            letters::due(db, &ask, &wanted)
        };
        self.0.readers.read(read).await
    }

    /// Since when a letter to a `wanted` address (lower case) is due, if one has been for a day in
    /// which no letter went out at all.
    pub async fn letters_overdue(
        &self,
        interval: Duration,
        wanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Option<Timestamp>, StoreError> {
        let now = self.now();
        let read = move |db: &Connection| overdue::since(db, interval, &wanted, now);
        self.0.readers.read(read).await
    }

    /// Queues a letter if it is still due and within the caps, and records that it went, in one
    /// commit.
    pub async fn send_letter(
        &self,
        due: &LetterDue,
        letter: OwnMessage,
        interval: Duration,
        caps: LetterCaps,
    ) -> Result<LetterSent, StoreError> {
        let now = self.now();
        let address = due.address.clone();
        let intake = Intake::of_own(letter, &self.0.ids, now);
        let sent = self
            .write(move |db| {
                Ok(match letters::book(db, &address, interval, &caps, now)? {
                    Booking::NotDue => LetterSent::NotDue,
                    Booking::Capped(cap) => LetterSent::Capped(cap),
                    Booking::Booked => {
                        intake.insert(db)?;
                        LetterSent::Queued(intake.id)
                    }
                })
            })
            .await?;
        self.0.changed.notify_one();
        Ok(sent)
    }
}

fn prove(
    db: &Connection,
    key: &LinkKey,
    claim: &LinkClaim,
    now: Timestamp,
) -> rusqlite::Result<Option<Proven>> {
    match claim.kind {
        LinkKind::Item => prove_item(db, key, claim),
        LinkKind::Address | LinkKind::Stop => prove_address(db, key, claim),
        LinkKind::Confirm => prove_confirm(db, key, claim, now),
        LinkKind::Manage => prove_sender(db, key, claim),
    }
}

fn prove_item(
    db: &Connection,
    key: &LinkKey,
    claim: &LinkClaim,
) -> rusqlite::Result<Option<Proven>> {
    let Some(item) = rows::item(db, claim.id)? else {
        return Ok(None);
    };
    let generation = db
        .prepare_cached("SELECT generation FROM message WHERE id = ?1")?
        .query_row([claim.id.0], |row| row.get(0))?;
    let genuine = item.refused && key.proves(claim, &item.reverse_path.address(), generation);
    Ok(genuine.then(|| Proven::Item(Box::new(item))))
}

fn prove_address(
    db: &Connection,
    key: &LinkKey,
    claim: &LinkClaim,
) -> rusqlite::Result<Option<Proven>> {
    let Some(row) = addresses::by_id(db, claim.id)? else {
        return Ok(None);
    };
    if !key.proves(claim, &row.address.address, row.generation) {
        return Ok(None);
    }
    Ok(Some(match claim.kind {
        LinkKind::Stop => Proven::Stop(row.address),
        _ => Proven::Address(row.address),
    }))
}

fn prove_confirm(
    db: &Connection,
    key: &LinkKey,
    claim: &LinkClaim,
    now: Timestamp,
) -> rusqlite::Result<Option<Proven>> {
    let found = choices::pending(db, claim.id, now)?;
    let genuine = found.filter(|pending| key.proves(claim, &pending.mailed, 0));
    Ok(genuine.map(|pending| Proven::Confirm(Box::new(pending))))
}

fn prove_sender(
    db: &Connection,
    key: &LinkKey,
    claim: &LinkClaim,
) -> rusqlite::Result<Option<Proven>> {
    let found = choices::sender_by_id(db, claim.id)?;
    let genuine = found.filter(|row| key.proves(claim, &row.sender.address, row.generation));
    Ok(genuine.map(|row| Proven::Manage(row.sender)))
}

fn plain_line<'a>(at: Timestamp, item: Id, event: &'a str, state: &'a str) -> Line<'a> {
    Line {
        at,
        item,
        subject: item,
        event,
        state,
        detail: "",
    }
}
