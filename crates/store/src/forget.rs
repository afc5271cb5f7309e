//! Deleting: what nobody needs any more, once every copy is in a final state or past its retention.
//!
//! Files go after their rows: each function returns the messages whose spool files are to be removed
//! once the deletion is committed.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::copies::{self, Change};
use crate::keeping::{self, Eviction};
use crate::model::{Actor, Selection, Who};
use crate::state::{Event, State};
use crate::tally;

/// Most messages that one round of tidying deletes: the writer serves others in between.
pub(crate) const ROUND: usize = 200;
/// Most items of which one round of trimming deletes the audit.
const AUDIT_ROUND: usize = 1000;

/// Deletes what nobody needs once every copy of a message is in a final state: all of it, or only
/// the bytes if it was held, so that its pages can tell what became of it. What scanners are still
/// to learn keeps its bytes. Returns the message if
/// its bytes were a spool file, to be removed after the commit.
pub(crate) fn forget_if_done(db: &Connection, message: Id) -> rusqlite::Result<Option<Id>> {
    let was_held: Option<bool> = db
        .prepare_cached(
            "SELECT held FROM message WHERE id = ?1 AND NOT EXISTS (
               SELECT 1 FROM recipient r WHERE r.message = message.id
               AND r.state IN ('held', 'queued', 'sending', 'deferred', 'suspended'))
             AND NOT EXISTS (SELECT 1 FROM feedback f WHERE f.message = message.id)",
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

/// Deletes all rows of a message that was never held, but its audit.
fn forget(db: &Connection, message: Id) -> rusqlite::Result<Option<Id>> {
    let file = forget_bytes(db, message)?;
    // A redirected message has facts, in case that it comes back.
    for (table, key) in [
        ("recipient", "message"),
        ("facts", "message"),
        ("message", "id"),
    ] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE {key} = ?1"))?
            .execute([message.0])?;
    }
    Ok(file)
}

/// Deletes all rows of a message that was held, but its audit.
pub(crate) fn forget_held(db: &Connection, message: Id) -> rusqlite::Result<Option<Id>> {
    forget_facts(db, message)?;
    forget(db, message)
}

/// Deletes what is known of a message beyond what its delivery needs.
pub(crate) fn forget_facts(db: &Connection, message: Id) -> rusqlite::Result<()> {
    tally::forget_item(db, message)?;
    for table in ["facts", "keeping", "feedback", "request"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE message = ?1"))?
            .execute([message.0])?;
    }
    Ok(())
}

/// What one round of evictions came to.
pub(crate) struct Evicted {
    /// The spool files to remove.
    pub(crate) files: Vec<Id>,
    /// Copies that expired in it.
    pub(crate) copies: usize,
}

/// Expires what is still held of these messages, and deletes those of which nothing is on its way.
/// A copy in another state is not touched: its message keeps its bytes.
pub(crate) fn evict(
    db: &Connection,
    evictions: &[Eviction],
    now: Timestamp,
) -> rusqlite::Result<Evicted> {
    let (mut files, mut copies) = (Vec::new(), 0);
    for eviction in evictions {
        copies += expire_copies(db, *eviction, now)?;
        match is_open(db, eviction.message)? {
            true => keeping::let_go(db, eviction.message)?,
            false => files.extend(forget_held(db, eviction.message)?),
        }
    }
    Ok(Evicted { files, copies })
}

fn expire_copies(db: &Connection, eviction: Eviction, now: Timestamp) -> rusqlite::Result<usize> {
    let Eviction { message, bound } = eviction;
    let what = Selection {
        item: message,
        addresses: Vec::new(),
    };
    let change = Change {
        said: Some(bound.words()),
        detail: bound.words(),
        ..Change::of(Event::Expire, now, None)
    };
    let by = Actor::local(Who::Retention);
    let done = copies::apply_to(db, &what, &[State::Held], &change, &by)?;
    for _ in 0..done.changed {
        tally::count(db, bound.key(), now)?;
    }
    Ok(done.changed)
}

/// Whether anything can still happen to a copy of the message.
fn is_open(db: &Connection, message: Id) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM recipient WHERE message = ?1
           AND state IN ('held', 'queued', 'sending', 'deferred', 'suspended'))",
    )?
    .query_row([message.0], |row| row.get(0))
}

/// What one round of forgetting came to.
pub(crate) struct Forgotten {
    /// The spool files to remove.
    pub(crate) files: Vec<Id>,
    /// Whether there may be more to do.
    pub(crate) more: bool,
}

/// Deletes messages that were held, are past `before`, and have no open copy: at most a round.
pub(crate) fn forget_old(db: &Connection, before: Timestamp) -> rusqlite::Result<Forgotten> {
    let old = done_before(db, before)?;
    let mut files = Vec::new();
    for item in &old {
        files.extend(forget_held(db, *item)?);
    }
    Ok(Forgotten {
        files,
        more: old.len() == ROUND,
    })
}

/// An id is older than the commit that it is part of, so the range of ids leaves nobody out; it
/// spares a look at every message.
fn done_before(db: &Connection, before: Timestamp) -> rusqlite::Result<Vec<Id>> {
    db.prepare_cached(
        "SELECT id FROM message WHERE id < ?1 AND held AND received_at < ?2 AND NOT EXISTS (
           SELECT 1 FROM recipient r WHERE r.message = message.id
           AND r.state IN ('held', 'queued', 'sending', 'deferred', 'suspended'))
         LIMIT ?3",
    )?
    .query_map(params![Id::first_of(before).0, before.0, ROUND], |row| {
        row.get(0).map(Id)
    })?
    .collect()
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
    use crate::keeping::Bound;

    /// A message that was held, of which one copy is in that state.
    fn ledger(state: State) -> Connection {
        let db = in_memory();
        let rows = format!(
            "INSERT INTO message VALUES (1, 5, '', NULL, '', 0, 0, 0, 0, 1, '', 0);
             INSERT INTO recipient (message, id, address, kind, state, queued_at, changed_at)
             VALUES (1, 2, 'b@x.example', 'relayed', 'expired', 5, 5),
                    (1, 3, 'c@x.example', 'relayed', '{}', 5, 5);
             INSERT INTO body VALUES (1, NULL); INSERT INTO keeping VALUES (1, '', 0);",
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

    /// Whatever the bound: what was promised to the next hop stays, and its bytes with it.
    #[test]
    fn what_is_on_its_way_outlives_every_bound() {
        let later = Timestamp(1_790_000_000_000);
        for (state, bound) in State::ALL
            .into_iter()
            .flat_map(|s| Bound::ALL.map(|b| (s, b)))
        {
            let db = ledger(state);
            let message = Id(1);
            let round = evict(&db, &[Eviction { message, bound }], later).expect("evicted");
            let stays = !state.is_final() && state != State::Held;
            assert_eq!(round.files.is_empty(), stays, "{state:?}");
            for table in ["message", "body"] {
                assert_eq!(count(&db, table), usize::from(stays), "{state:?} {table}");
            }
            let held = usize::from(state == State::Held);
            assert_eq!(
                (round.copies, count(&db, "audit")),
                (held, held),
                "{state:?}"
            );
            let counted = tally::sum(&db, bound.key(), tally::Window::Ever, later);
            assert_eq!(counted.expect("summed") as usize, held);
        }
    }

    #[test]
    fn what_is_done_goes_when_its_time_is_over() {
        for state in State::ALL {
            let db = ledger(state);
            let round = forget_old(&db, Timestamp(1_790_000_000_000)).expect("forgotten");
            assert_eq!(
                round.files.len(),
                usize::from(state.is_final()),
                "{state:?}"
            );
            assert_eq!(
                count(&db, "message"),
                usize::from(!state.is_final()),
                "{state:?}"
            );
            assert!(!round.more);
        }
    }
}
