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
