//! Revocation: links that are out lose their force, because the generation that they prove is over.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use crate::audit::{self, Line};
use crate::model::Actor;

/// Revokes the item link of a message. Says whether there is such a message.
pub(crate) fn item(
    db: &Connection,
    item: Id,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let raised = db
        .prepare_cached("UPDATE message SET generation = generation + 1 WHERE id = ?1")?
        .execute([item.0])?;
    if raised == 1 {
        note(db, item, by, now)?;
    }
    Ok(raised == 1)
}

/// Revokes every link of an address (lower case): to its page, to stop letters, to what is held from
/// it, and confirm links that were mailed to it or that are about its choices. Gives how many rows of
/// ours that concerned.
pub(crate) fn address(
    db: &Connection,
    address: &str,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let mut revoked = 0;
    for table in ["address", "sender"] {
        let row: Option<i64> = db
            .prepare_cached(&format!(
                "UPDATE {table} SET generation = generation + 1 WHERE address = ?1 RETURNING id"
            ))?
            .query_row([address], |row| row.get(0))
            .optional()?;
        if let Some(id) = row {
            note(db, Id(id), by, now)?;
            revoked += 1;
        }
    }
    let confirms = db
        .prepare_cached(
            "DELETE FROM pending WHERE lower(mailed) = ?1
               OR (party = 'recipient' AND subject IN (SELECT id FROM address WHERE address = ?1))
               OR (party = 'sender' AND subject IN (SELECT id FROM sender WHERE address = ?1))",
        )?
        .execute([address])?;
    Ok(revoked + confirms)
}

fn note(db: &Connection, item: Id, by: &Actor, now: Timestamp) -> rusqlite::Result<()> {
    let line = Line {
        at: now,
        item,
        subject: item,
        event: "revoke",
        state: "revoked",
        detail: "",
    };
    audit::append(db, &line, by)
}
