//! Deleting: what nobody needs any more, once every copy is in a final state or past its retention.
//!
//! Files go after their rows: each function returns the messages whose spool files are to be removed
//! once the deletion is committed.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::copies::{Change, apply, selected};
use crate::model::{Actor, Selection, Who};
use crate::state::Event;
use crate::tally;

/// Most messages that one round of tidying deletes: the writer serves others in between.
const ROUND: usize = 200;
/// Most items of which one round of trimming deletes the audit.
const AUDIT_ROUND: usize = 1000;

/// Deletes what nobody needs once every copy of a message is in a final state: all of it, or only
/// the bytes if it was held, so that its pages can tell what became of it. Returns the message if
/// its bytes were a spool file, to be removed after the commit.
pub(crate) fn forget_if_done(db: &Connection, message: Id) -> rusqlite::Result<Option<Id>> {
    let was_held: Option<bool> = db
        .prepare_cached(
            "SELECT held FROM message WHERE id = ?1 AND NOT EXISTS (
               SELECT 1 FROM recipient r WHERE r.message = message.id
               AND r.state IN ('held', 'queued', 'sending', 'deferred', 'suspended'))",
        )?
        .query_row([message.0], |row| row.get(0))
        .optional()?;
    match was_held {
        None => Ok(None),
        Some(true) => forget_bytes(db, message),
        Some(false) => forget(db, message),
    }
}

fn forget_bytes(db: &Connection, message: Id) -> rusqlite::Result<Option<Id>> {
    let file: Option<bool> = db
        .prepare_cached("DELETE FROM body WHERE message = ?1 RETURNING bytes IS NULL")?
        .query_row([message.0], |row| row.get(0))
        .optional()?;
    Ok((file == Some(true)).then_some(message))
}

/// Deletes all rows of a message but its audit.
pub(crate) fn forget(db: &Connection, message: Id) -> rusqlite::Result<Option<Id>> {
    let file = forget_bytes(db, message)?;
    for table in ["recipient", "facts"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE message = ?1"))?
            .execute([message.0])?;
    }
    db.prepare_cached("DELETE FROM message WHERE id = ?1")?
        .execute([message.0])?;
    Ok(file)
}

/// What one round of tidying came to.
pub(crate) struct Expired {
    /// The spool files to remove.
    pub(crate) files: Vec<Id>,
    /// Whether there may be more to expire.
    pub(crate) more: bool,
}

/// Expires held copies of messages received before `before`, and deletes what is past it and has
/// no open copy.
pub(crate) fn expire(
    db: &Connection,
    before: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<Expired> {
    let old = expired(db, before)?;
    let mut files = Vec::new();
    for item in &old {
        expire_one(db, *item, now)?;
        tally::forget_item(db, *item)?;
        files.extend(forget(db, *item)?);
    }
    Ok(Expired {
        files,
        more: old.len() == ROUND,
    })
}

/// An id is older than the commit that it is part of, so the range of ids leaves nobody out; it
/// spares a look at every message.
fn expired(db: &Connection, before: Timestamp) -> rusqlite::Result<Vec<Id>> {
    db.prepare_cached(
        "SELECT id FROM message WHERE id < ?1 AND held AND received_at < ?2 AND NOT EXISTS (
           SELECT 1 FROM recipient r WHERE r.message = message.id
           AND r.state IN ('queued', 'sending', 'deferred', 'suspended'))
         LIMIT ?3",
    )?
    .query_map(params![Id::first_of(before).0, before.0, ROUND], |row| {
        row.get(0).map(Id)
    })?
    .collect()
}

fn expire_one(db: &Connection, item: Id, now: Timestamp) -> rusqlite::Result<()> {
    let what = Selection {
        item,
        addresses: Vec::new(),
    };
    let change = Change {
        said: Some("the time of keeping is over"),
        ..Change::of(Event::Expire, now, None)
    };
    for copy in selected(db, &what)? {
        apply(db, &copy, &change, &Actor::local(Who::Retention))?;
    }
    Ok(())
}

/// Items of which audit lines from before `before` may go, at most a round of them: those that are
/// not kept any more. Items are numbered by time, so what is newer is not looked at.
pub(crate) fn audited(db: &Connection, before: Timestamp) -> rusqlite::Result<Vec<Id>> {
    db.prepare_cached(
        "SELECT DISTINCT item FROM audit WHERE item < ?1 AND at < ?2
         AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = audit.item) LIMIT ?3",
    )?
    .query_map(
        params![Id::first_of(before).0, before.0, AUDIT_ROUND],
        |row| row.get(0).map(Id),
    )?
    .collect()
}

/// Deletes the audit lines of these items from before `before`.
pub(crate) fn trim_audit(db: &Connection, items: &[Id], before: Timestamp) -> rusqlite::Result<()> {
    let mut delete = db.prepare_cached("DELETE FROM audit WHERE item = ?1 AND at < ?2")?;
    for item in items {
        delete.execute([item.0, before.0])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::in_memory;
    use crate::state::State;

    /// A message that was held, of which one copy is in that state.
    fn ledger(state: State) -> Connection {
        let db = in_memory();
        let rows = format!(
            "INSERT INTO message VALUES (1, 5, '', NULL, '', 0, 0, 0, 0, 1, '', 0);
             INSERT INTO recipient (message, id, address, kind, state, queued_at, changed_at)
             VALUES (1, 2, 'b@x.example', 'relayed', 'expired', 5, 5),
                    (1, 3, 'c@x.example', 'relayed', '{}', 5, 5);
             INSERT INTO body VALUES (1, NULL);",
            state.name()
        );
        db.execute_batch(&rows).expect("inserted");
        db
    }

    fn count(db: &Connection, table: &str) -> usize {
        let sql = format!("SELECT count(*) FROM {table}");
        db.query_row(&sql, [], |row| row.get(0)).expect("counted")
    }

    #[test]
    fn bytes_are_kept_while_anything_can_happen_to_a_copy() {
        for state in State::ALL {
            let db = ledger(state);
            let file = forget_if_done(&db, Id(1)).expect("forgotten");
            assert_eq!(file.is_some(), state.is_final(), "{state:?}");
            assert_eq!(count(&db, "body"), usize::from(!state.is_final()));
            assert_eq!(count(&db, "message"), 1, "its pages tell of it");
        }
    }

    #[test]
    fn what_is_on_its_way_outlives_the_retention() {
        for state in State::ALL {
            let db = ledger(state);
            let later = Timestamp(1_790_000_000_000);
            let round = expire(&db, later, later).expect("expired");
            let stays = !state.is_final() && state != State::Held;
            assert_eq!(round.files.is_empty(), stays, "{state:?}");
            assert_eq!(count(&db, "message"), usize::from(stays), "{state:?}");
            assert!(!round.more);
            let audited = usize::from(state == State::Held);
            assert_eq!(count(&db, "audit"), audited, "{state:?}");
        }
    }
}
