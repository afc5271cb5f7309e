//! Samples: one in so many of the messages that were spam and were not held, for statistics.
//!
//! They are apart from the quarantine: nobody's page shows them, nothing releases them, and whether
//! one is kept changes nothing for its message.

use posthouse_hook::facts::{Judgement, KeepSample};
use posthouse_hook::{Disposition, Id, Kept, Outcome, Timestamp, Transaction};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::model::Sample;

/// Octets of a message that are kept, its header section included.
pub(crate) const BEGINNING: u64 = 128 * 1024;
/// Messages that were spam and were not held are counted here.
pub(crate) const NOT_HELD_KEY: &str = "spam not held";
/// Most samples that one round of tidying deletes.
const ROUND: usize = 200;

/// A sample that is about to be kept.
pub(crate) struct NewSample {
    id: Id,
    at: Timestamp,
    sender: String,
    size: u64,
    judgement: String,
}

/// Whether the scan called the message spam and nothing of it is held.
pub(crate) fn is_spam_not_held(judgement: Option<&Judgement>, outcome: &Outcome) -> bool {
    let held = match outcome {
        Outcome::Accepted(all) => all.iter().any(|d| matches!(d, Disposition::Hold(_))),
        Outcome::Refused { kept, .. } => kept.iter().any(|k| matches!(k, Kept::Held(_))),
    };
    !held && judgement.is_some_and(|j| j.spam)
}

/// The sample of a transaction, if it is one that is to be kept.
pub(crate) fn of(tx: &Transaction, outcome: &Outcome, at: Timestamp) -> Option<NewSample> {
    let judgement = tx.notes.get::<Judgement>()?;
    tx.notes.get::<KeepSample>()?;
    is_spam_not_held(Some(judgement), outcome).then(|| NewSample {
        id: tx.id,
        at,
        sender: judgement.sender.address().to_ascii_lowercase(),
        size: tx.message.content.len(),
        judgement: serde_json::to_string(judgement).unwrap_or_else(|_| "null".to_owned()),
    })
}

impl NewSample {
    /// Keeps it, with the message's first octets.
    pub(crate) fn insert(&self, db: &Connection, bytes: &[u8]) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO sample (id, at, sender, size, kept, judgement, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            self.id.0,
            self.at.0,
            self.sender,
            i64::try_from(self.size).unwrap_or(i64::MAX),
            bytes.len(),
            self.judgement,
            bytes,
        ])?;
        Ok(())
    }
}

/// Samples, the newest first, at most `limit`.
pub(crate) fn list(db: &Connection, limit: usize) -> rusqlite::Result<Vec<Sample>> {
    db.prepare_cached(
        "SELECT id, at, sender, size, kept, judgement FROM sample ORDER BY id DESC LIMIT ?1",
    )?
    .query_map([limit], sample_of)?
    .collect()
}

fn sample_of(row: &Row<'_>) -> rusqlite::Result<Sample> {
    let judgement: String = row.get(5)?;
    Ok(Sample {
        id: Id(row.get(0)?),
        at: Timestamp(row.get(1)?),
        sender: row.get(2)?,
        size: row.get::<_, i64>(3)?.unsigned_abs(),
        kept: row.get::<_, i64>(4)?.unsigned_abs(),
        judgement: serde_json::from_str(&judgement).ok(),
    })
}

/// The first octets of a sample's message.
pub(crate) fn bytes(db: &Connection, id: Id) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT bytes FROM sample WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))
        .optional()
}

/// Deletes the oldest samples from before `before`, at most a round. Says whether there may be more.
pub(crate) fn forget(db: &Connection, before: Timestamp) -> rusqlite::Result<bool> {
    let deleted = db
        .prepare_cached(
            "DELETE FROM sample WHERE id IN (SELECT id FROM sample WHERE id < ?1 LIMIT ?2)",
        )?
        .execute(params![Id::first_of(before).0, ROUND])?;
    Ok(deleted == ROUND)
}

/// Deletes the oldest samples until `excess` octets are gone or the round is over. Gives the octets
/// that went.
pub(crate) fn shrink(db: &Connection, excess: u64) -> rusqlite::Result<u64> {
    let oldest: Vec<(i64, i64)> = db
        .prepare_cached("SELECT id, kept FROM sample INDEXED BY sample_kept ORDER BY id LIMIT ?1")?
        .query_map([ROUND], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut gone = 0;
    for (id, kept) in oldest {
        if gone >= excess {
            break;
        }
        db.prepare_cached("DELETE FROM sample WHERE id = ?1")?
            .execute([id])?;
        gone += kept.unsigned_abs();
    }
    Ok(gone)
}
