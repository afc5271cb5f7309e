//! Recipients' copies and their states: the only place where a state is written.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use crate::audit::{self, Line};
use crate::keeping;
use crate::model::{Actor, CopyId, Done, Kind, Selection};
use crate::rows::{kind, state};
use crate::state::{Event, State, next};

/// The columns that [`copy_of`] reads.
pub(crate) const COPY: &str = "id, message, state, address, kind";

/// A copy as the state table needs it.
pub(crate) struct Copy {
    pub(crate) id: CopyId,
    pub(crate) state: State,
    pub(crate) address: String,
    pub(crate) kind: Kind,
}

/// What a change of state leaves in the row besides the state.
pub(crate) struct Change<'a> {
    pub(crate) event: Event,
    pub(crate) at: Timestamp,
    /// Next attempt, or end of the lease; only for states that wait for one.
    pub(crate) due_at: Option<Timestamp>,
    /// New last words; `None` keeps the old ones.
    pub(crate) said: Option<&'a str>,
    pub(crate) detail: &'a str,
}

impl Change<'_> {
    /// A change of which there is nothing to say.
    pub(crate) fn of(event: Event, at: Timestamp, due_at: Option<Timestamp>) -> Self {
        Self {
            event,
            at,
            due_at,
            said: None,
            detail: "",
        }
    }
}

/// Applies one event to one copy. Gives the state behind it; none if the state table does not allow
/// it, and nothing changes.
pub(crate) fn apply(
    db: &Connection,
    copy: &Copy,
    change: &Change<'_>,
    by: &Actor,
) -> rusqlite::Result<Option<State>> {
    let Some(state) = next(copy.state, change.event) else {
        return Ok(None);
    };
    write(db, copy.id, state, change)?;
    if copy.state == State::Held {
        keeping::let_go(db, copy.id.message)?;
    }
    let line = Line {
        at: change.at,
        item: copy.id.message,
        subject: copy.id.recipient,
        event: change.event.name(),
        state: state.name(),
        detail: change.detail,
    };
    audit::append(db, &line, by)?;
    Ok(Some(state))
}

fn write(db: &Connection, id: CopyId, state: State, change: &Change<'_>) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE recipient SET state = ?3, due_at = ?4, said = coalesce(?5, said), changed_at = ?6,
           attempts = attempts + ?7
         WHERE message = ?1 AND id = ?2",
    )?
    .execute(params![
        id.message.0,
        id.recipient.0,
        state.name(),
        change.due_at.map(|t| t.0),
        change.said,
        change.at.0,
        change.event.ends_attempt(),
    ])?;
    Ok(())
}

/// One copy, while its row is kept.
pub(crate) fn copy(db: &Connection, id: CopyId) -> rusqlite::Result<Option<Copy>> {
    db.prepare_cached(&format!(
        "SELECT {COPY} FROM recipient WHERE message = ?1 AND id = ?2"
    ))?
    .query_row([id.message.0, id.recipient.0], copy_of)
    .optional()
}

/// The copies of a selection, in order.
pub(crate) fn selected(db: &Connection, what: &Selection) -> rusqlite::Result<Vec<Copy>> {
    let all = db
        .prepare_cached(&format!(
            "SELECT {COPY} FROM recipient WHERE message = ?1 ORDER BY id"
        ))?
        .query_map([what.item.0], copy_of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let named = |copy: &Copy| {
        let mut names = what.addresses.iter();
        names.any(|name| name.eq_ignore_ascii_case(&copy.address))
    };
    let wanted = |copy: &Copy| what.addresses.is_empty() || named(copy);
    Ok(all.into_iter().filter(wanted).collect())
}

/// Reads a row of [`COPY`], or one that begins with these columns.
pub(crate) fn copy_of(row: &SqlRow<'_>) -> rusqlite::Result<Copy> {
    Ok(Copy {
        id: CopyId {
            recipient: Id(row.get(0)?),
            message: Id(row.get(1)?),
        },
        state: state(row, 2)?,
        address: row.get(3)?,
        kind: kind(row, 4)?,
    })
}

/// Applies one event to every copy of the selection that is in one of `states`.
pub(crate) fn apply_to(
    db: &Connection,
    what: &Selection,
    states: &[State],
    change: &Change<'_>,
    by: &Actor,
) -> rusqlite::Result<Done> {
    let mut done = Done::default();
    for copy in selected(db, what)? {
        if states.contains(&copy.state) && apply(db, &copy, change, by)?.is_some() {
            done.changed += 1;
        } else {
            done.untouched += 1;
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::in_memory;
    use crate::model::Who;

    fn count(db: &Connection, sql: &str) -> usize {
        db.query_row(&format!("SELECT count(*) FROM {sql}"), [], |row| row.get(0))
            .expect("counted")
    }

    /// A copy in that state.
    fn ledger(state: State) -> (Connection, Copy) {
        let db = in_memory();
        let rows = format!(
            "INSERT INTO message VALUES (1, 5, '', NULL, '', 0, 0, 0, 0, 1, '', 0);
             INSERT INTO recipient (message, id, address, kind, state, queued_at, changed_at)
             VALUES (1, 2, 'b@x.example', 'relayed', '{}', 5, 5);",
            state.name()
        );
        db.execute_batch(&rows).expect("inserted");
        let id = CopyId {
            message: Id(1),
            recipient: Id(2),
        };
        let found = copy(&db, id).expect("reads").expect("a row");
        (db, found)
    }

    /// Who, from where, what: one line for each change, none for what cannot happen.
    #[test]
    fn every_change_leaves_one_line_in_the_audit() {
        let by = Actor {
            who: Who::Sender,
            from: Some([203, 0, 113, 7].into()),
        };
        for (state, event) in State::ALL
            .into_iter()
            .flat_map(|s| Event::ALL.map(|e| (s, e)))
        {
            let (db, copy) = ledger(state);
            let change = Change {
                detail: "why",
                ..Change::of(event, Timestamp(9), None)
            };
            let changed = apply(&db, &copy, &change, &by).expect("applied");
            assert_eq!(changed, next(state, event));
            let lines = count(&db, "audit");
            assert_eq!(lines, usize::from(changed.is_some()), "{state:?} {event:?}");
            if let Some(after) = changed {
                let line = format!(
                    "audit WHERE item = 1 AND subject = 2 AND at = 9 AND event = '{}'
                     AND state = '{}' AND who = 'sender link' AND detail = '203.0.113.7 why'",
                    event.name(),
                    after.name()
                );
                assert_eq!(count(&db, &line), 1, "{state:?} {event:?}");
                let row = format!("recipient WHERE state = '{}'", after.name());
                assert_eq!(count(&db, &row), 1);
            }
        }
    }
}
