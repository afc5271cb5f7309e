//! Erasing all that is stored about an address, for [`crate::erase`].

use posthouse_hook::{ForwardPath, Timestamp};
use rusqlite::Connection;

use super::{Store, StoreError};
use crate::audit::{self, Line};
use crate::db;
use crate::erase::{self, COLUMNS, Column};
use crate::forget::ROUND;
use crate::model::{Actor, Erased};

impl Store {
    /// Erases all that is stored about an address, as recipient and as sender, and overwrites it.
    /// Copies that are on their way stay until they are done. What was deleted before this call
    /// may be left in empty pages of the ledger's file until they are used again.
    pub async fn erase(&self, address: &ForwardPath, by: Actor) -> Result<Erased, StoreError> {
        let (name, now) = (address.key(), self.now());
        let receipt = Erased::new(self.0.ids.next(now), now, address.clone());
        let mut receipt = self.erase_messages(receipt, &name, now).await?;
        receipt = self.erase_party(receipt, &name, now).await?;
        for column in COLUMNS {
            receipt = self.erase_column(receipt, column, &name).await?;
        }
        let done = receipt.clone();
        self.write(move |db| audit::append(db, &line(&done), &by))
            .await?;
        self.reload_choices().await?;
        self.0.changed.notify_one();
        self.empty_log().await;
        Ok(receipt)
    }

    async fn erase_party(
        &self,
        receipt: Erased,
        name: &str,
        now: Timestamp,
    ) -> Result<Erased, StoreError> {
        let name = name.to_owned();
        self.write(move |db| {
            let mut erased = receipt.clone();
            thoroughly(db, |db| erase::erase_party(db, &name, now, &mut erased))?;
            Ok(erased)
        })
        .await
    }

    async fn erase_messages(
        &self,
        mut receipt: Erased,
        name: &str,
        now: Timestamp,
    ) -> Result<Erased, StoreError> {
        let wanted = name.to_owned();
        let find = self.0.readers.read(move |db| erase::messages(db, &wanted));
        for round in find.await?.chunks(ROUND) {
            let (name, round, so_far) = (name.to_owned(), round.to_vec(), receipt.clone());
            let erase = self.write(move |db| {
                let (mut erased, mut files) = (so_far.clone(), Vec::new());
                thoroughly(db, |db| {
                    for message in &round {
                        files.extend(erase::erase_message(db, *message, &name, now, &mut erased)?);
                    }
                    Ok(())
                })?;
                Ok((erased, files))
            });
            let (erased, files) = erase.await?;
            self.remove_files(files);
            receipt = erased;
        }
        Ok(receipt)
    }

    async fn erase_column(
        &self,
        mut receipt: Erased,
        column: &'static Column,
        name: &str,
    ) -> Result<Erased, StoreError> {
        let wanted = name.to_owned();
        let find = self
            .0
            .readers
            .read(move |db| erase::places(db, column, &wanted));
        for round in find.await?.chunks(ROUND) {
            let (name, round, so_far) = (name.to_owned(), round.to_vec(), receipt.clone());
            let erase = self.write(move |db| {
                let mut erased = so_far.clone();
                thoroughly(db, |db| {
                    erase::erase_at(db, column, &round, &name, &mut erased)
                })?;
                Ok(erased)
            });
            receipt = erase.await?;
        }
        Ok(receipt)
    }

    /// What was erased is still in the write-ahead log until that is emptied.
    async fn empty_log(&self) {
        let path = self.0.settings.state.join("ledger.db");
        let emptied = tokio::task::spawn_blocking(move || db::empty_log(&path)).await;
        match emptied {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the ledger's log still has what was erased; it goes with the next full checkpoint");
            }
            Err(error) => tracing::warn!(%error, "the ledger's log was not emptied"),
        }
    }
}

/// Runs `work` so that what it deletes is overwritten, empty pages included: too dear for every
/// message that is delivered.
fn thoroughly<T>(
    db: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    db.execute_batch("PRAGMA secure_delete = ON")?;
    let result = work(db);
    db.execute_batch("PRAGMA secure_delete = FAST")?;
    result
}

/// The audit keeps that something was erased, and how much, but not of whom.
fn line(receipt: &Erased) -> Line<'_> {
    Line {
        at: receipt.at,
        item: receipt.receipt,
        subject: receipt.receipt,
        event: "erase",
        state: "erased",
        detail: "all that was stored about one address",
    }
}
