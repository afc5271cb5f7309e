//! Rows of people about whom there is nothing left to know: nothing is kept for them or from them,
//! and they have chosen nothing. A flood of forged recipients must not stay in the ledger for ever.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, params};

use crate::forget::ROUND;

/// Who has a row of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum People {
    Recipients,
    Senders,
}

impl People {
    pub(crate) const ALL: [Self; 2] = [Self::Recipients, Self::Senders];

    /// The table, and what holds of a row in it that nobody needs. `?1` is the moment before which
    /// the last letter must have gone out.
    ///
    /// An address to which letters failed may be tried anew after that time; one whose owner has
    /// stopped them stays.
    fn idle(self) -> (&'static str, &'static str) {
        match self {
            Self::Recipients => (
                "address",
                "choice = 'hold' AND letters <> 'stopped' AND interval_days IS NULL
                 AND language IS NULL AND (last_letter IS NULL OR last_letter < ?1)
                 AND NOT EXISTS (SELECT 1 FROM recipient r WHERE r.owner = address.id)
                 AND NOT EXISTS (SELECT 1 FROM pending p
                                 WHERE p.party = 'recipient' AND p.subject = address.id)
                 AND NOT EXISTS (SELECT 1 FROM errand e
                                 WHERE e.what = 'link' AND e.subject = address.id)",
            ),
            Self::Senders => (
                "sender",
                "choice = 'hold' AND id < ?1
                 AND NOT EXISTS (SELECT 1 FROM facts f WHERE f.sender = sender.address)
                 AND NOT EXISTS (SELECT 1 FROM pending p
                                 WHERE p.party = 'sender' AND p.subject = sender.id)
                 AND NOT EXISTS (SELECT 1 FROM errand e
                                 WHERE e.what = 'manage' AND e.subject = sender.id)",
            ),
        }
    }

    /// What `?1` is: letters know the time, a sender's id carries it.
    fn bound(self, before: Timestamp) -> i64 {
        match self {
            Self::Recipients => before.0,
            Self::Senders => Id::first_of(before).0,
        }
    }
}

/// Rows that nobody needs, at most a round of them.
pub(crate) fn find(
    db: &Connection,
    people: People,
    before: Timestamp,
) -> rusqlite::Result<Vec<Id>> {
    let (table, idle) = people.idle();
    db.prepare_cached(&format!(
        "SELECT id FROM {table} WHERE {idle} LIMIT {ROUND}"
    ))?
    .query_map([people.bound(before)], |row| row.get(0).map(Id))?
    .collect()
}

/// Deletes those of the rows that still nobody needs.
pub(crate) fn forget(
    db: &Connection,
    people: People,
    rows: &[Id],
    before: Timestamp,
) -> rusqlite::Result<()> {
    let (table, idle) = people.idle();
    let sql = format!("DELETE FROM {table} WHERE {idle} AND id = ?2");
    let mut delete = db.prepare_cached(&sql)?;
    for row in rows {
        delete.execute(params![people.bound(before), row.0])?;
    }
    Ok(())
}
