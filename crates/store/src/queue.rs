//! The queue: claims, attempts and what they come to, and an operator's hand on it.

use std::time::Duration;

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use crate::audit::{self, Line, clean};
use crate::model::{
    Actor, AttemptResult, Attempted, ClaimedRecipient, CopyId, Done, Kind, Selection,
};
use crate::rows::{forward_path, kind, reverse_path, state, unreadable};
use crate::state::{Event, State, next};

/// A copy as the state table needs it.
pub(crate) struct Copy {
    pub(crate) id: Id,
    pub(crate) message: Id,
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

/// Applies one event to one copy: the only place where a state is written. Says whether the state
/// table allowed it.
pub(crate) fn apply(
    db: &Connection,
    copy: &Copy,
    change: &Change<'_>,
    by: &Actor,
) -> rusqlite::Result<bool> {
    let Some(state) = next(copy.state, change.event) else {
        return Ok(false);
    };
    db.prepare_cached(
        "UPDATE recipient SET state = ?3, due_at = ?4, said = coalesce(?5, said), changed_at = ?6
         WHERE message = ?1 AND id = ?2",
    )?
    .execute(params![
        copy.message.0,
        copy.id.0,
        state.name(),
        change.due_at.map(|t| t.0),
        change.said,
        change.at.0
    ])?;
    let line = Line {
        at: change.at,
        item: copy.message,
        subject: copy.id,
        event: change.event.name(),
        state: state.name(),
        detail: change.detail,
    };
    audit::append(db, &line, by)?;
    Ok(true)
}

fn copy_of(row: &SqlRow<'_>) -> rusqlite::Result<Copy> {
    Ok(Copy {
        id: Id(row.get(0)?),
        message: Id(row.get(1)?),
        state: state(row, 2)?,
        address: row.get(3)?,
        kind: kind(row, 4)?,
    })
}

fn copy(db: &Connection, id: CopyId) -> rusqlite::Result<Option<Copy>> {
    db.prepare_cached(
        "SELECT id, message, state, address, kind FROM recipient WHERE message = ?1 AND id = ?2",
    )?
    .query_row([id.message.0, id.recipient.0], copy_of)
    .optional()
}

/// The copies of a selection, in order.
pub(crate) fn selected(db: &Connection, what: &Selection) -> rusqlite::Result<Vec<Copy>> {
    let all = db
        .prepare_cached(
            "SELECT id, message, state, address, kind FROM recipient
             WHERE message = ?1 ORDER BY id",
        )?
        .query_map([what.item.0], copy_of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let wanted = |copy: &Copy| {
        what.addresses.is_empty()
            || what
                .addresses
                .iter()
                .any(|a| a.eq_ignore_ascii_case(&copy.address))
    };
    Ok(all.into_iter().filter(wanted).collect())
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
        if states.contains(&copy.state) && apply(db, &copy, change, by)? {
            done.changed += 1;
        } else {
            done.untouched += 1;
        }
    }
    Ok(done)
}

/// A claimed message without its bytes.
#[derive(Debug)]
pub(crate) struct ClaimedRow {
    pub(crate) id: Id,
    pub(crate) reverse_path: posthouse_hook::ReversePath,
    pub(crate) since: Timestamp,
    pub(crate) received: String,
    pub(crate) eight_bit: bool,
    pub(crate) dsn_allowed: bool,
    pub(crate) recipients: Vec<ClaimedRecipient>,
}

/// Claims up to `limit` due messages, each with all of its due copies.
pub(crate) fn claim(
    db: &Connection,
    limit: usize,
    lease: Duration,
    now: Timestamp,
) -> rusqlite::Result<Vec<ClaimedRow>> {
    let due = db
        .prepare_cached(
            "SELECT message, min(due_at) FROM recipient WHERE due_at <= ?1
             GROUP BY message ORDER BY 2 LIMIT ?2",
        )?
        .query_map(params![now.0, limit], |row| row.get(0).map(Id))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    due.into_iter()
        .map(|message| claim_message(db, message, lease, now))
        .collect()
}

fn claim_message(
    db: &Connection,
    message: Id,
    lease: Duration,
    now: Timestamp,
) -> rusqlite::Result<ClaimedRow> {
    let mut claimed = db
        .prepare_cached(
            "SELECT reverse_path, received_at, received, eight_bit, dsn_allowed
             FROM message WHERE id = ?1",
        )?
        .query_row([message.0], |row| {
            Ok(ClaimedRow {
                id: message,
                reverse_path: reverse_path(row, 0)?,
                since: Timestamp(row.get(1)?),
                received: row.get(2)?,
                eight_bit: row.get(3)?,
                dsn_allowed: row.get(4)?,
                recipients: Vec::new(),
            })
        })?;
    for (copy, recipient, queued_at) in due_copies(db, message, now)? {
        take(db, copy, now, now.after(lease))?;
        claimed.since = claimed.since.max(queued_at);
        claimed.recipients.push(recipient);
    }
    Ok(claimed)
}

type DueCopy = (Copy, ClaimedRecipient, Timestamp);

fn due_copies(db: &Connection, message: Id, now: Timestamp) -> rusqlite::Result<Vec<DueCopy>> {
    db.prepare_cached(
        "SELECT id, message, state, address, kind, attempts, queued_at FROM recipient
         WHERE message = ?1 AND due_at <= ?2 ORDER BY id",
    )?
    .query_map(params![message.0, now.0], |row| {
        let recipient = ClaimedRecipient {
            id: CopyId {
                message: Id(row.get(1)?),
                recipient: Id(row.get(0)?),
            },
            forward_path: forward_path(row, 3)?,
            kind: kind(row, 4)?,
            attempts: row.get(5)?,
        };
        Ok((copy_of(row)?, recipient, Timestamp(row.get(6)?)))
    })?
    .collect()
}

/// Claims one copy; one whose lease ran out goes back to the queue first.
fn take(db: &Connection, mut copy: Copy, now: Timestamp, until: Timestamp) -> rusqlite::Result<()> {
    let relay = Actor::local("relay");
    if copy.state == State::Sending {
        let back = Change {
            event: Event::GiveBack,
            at: now,
            due_at: Some(now),
            said: None,
            detail: "the lease ran out",
        };
        apply(db, &copy, &back, &relay)?;
        copy.state = State::Queued;
    }
    let claim = Change {
        event: Event::Claim,
        at: now,
        due_at: Some(until),
        said: None,
        detail: "",
    };
    apply(db, &copy, &claim, &relay).map(|_| ())
}

/// When the earliest attempt or lease end is due.
pub(crate) fn next_due(db: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    db.prepare_cached("SELECT min(due_at) FROM recipient WHERE due_at IS NOT NULL")?
        .query_row([], |row| row.get::<_, Option<i64>>(0))
        .map(|due| due.map(Timestamp))
}

/// Gives back what is being sent since before `since`: at start everything, because no worker of a
/// former run lives; later what a worker has lost. Copies that were handed over in memory have no
/// time in the calendar, which would cost every message a page.
pub(crate) fn void_leases(
    db: &Connection,
    since: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let sending = db
        .prepare(
            "SELECT id, message, state, address, kind FROM recipient
             WHERE state = 'sending' AND changed_at <= ?1",
        )?
        .query_map([since.0], copy_of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let back = Change {
        event: Event::GiveBack,
        at: now,
        due_at: Some(now),
        said: None,
        detail: "the lease is void",
    };
    for copy in &sending {
        apply(db, copy, &back, &Actor::local("relay"))?;
    }
    Ok(sending.len())
}

/// Records one attempt. Returns the message if this may have been its last open copy.
pub(crate) fn settle(
    db: &Connection,
    attempt: &Attempted,
    now: Timestamp,
) -> rusqlite::Result<Option<Id>> {
    let Some(copy) = copy(db, attempt.copy)? else {
        return Ok(None);
    };
    let said = clean(&attempt.said);
    let (event, due_at) = match attempt.result {
        AttemptResult::Delivered => (Event::Deliver, None),
        AttemptResult::Deferred(until) => (Event::Defer, Some(until)),
        AttemptResult::Failed => (Event::Fail, None),
        AttemptResult::GivenBack => (Event::GiveBack, Some(now)),
    };
    let detail = format!("{} {said}", attempt.next_hop);
    let change = Change {
        event,
        at: now,
        due_at,
        said: (event != Event::GiveBack).then_some(&said),
        detail: &detail,
    };
    if !apply(db, &copy, &change, &Actor::local("relay"))? {
        tracing::warn!(recipient = %copy.id, state = copy.state.name(), "attempt on a copy that was not being sent");
        return Ok(None);
    }
    if event != Event::GiveBack {
        db.prepare_cached(
            "UPDATE recipient SET attempts = attempts + 1 WHERE message = ?1 AND id = ?2",
        )?
        .execute([copy.message.0, copy.id.0])?;
    }
    if event == Event::Fail && copy.kind == Kind::Letter {
        end_letters(db, &copy.address)?;
    }
    Ok(matches!(event, Event::Deliver | Event::Fail).then_some(copy.message))
}

/// A letter that fails for good ends letters to that address.
fn end_letters(db: &Connection, address: &str) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE address SET letters = 'failed' WHERE address = ?1")?
        .execute([address.to_ascii_lowercase()])?;
    Ok(())
}

/// Deletes what nobody needs once every copy of a message is in a final state: all of it, or only
/// the bytes if it was held, so that its pages can tell what became of it. Returns the message if
/// its bytes were a spool file, to be removed after the commit.
pub(crate) fn forget_if_done(db: &Connection, message: Id) -> rusqlite::Result<Option<Id>> {
    let found: Option<(bool, bool)> = db
        .prepare_cached(
            "SELECT m.held, EXISTS (SELECT 1 FROM recipient r WHERE r.message = m.id
             AND r.state IN ('held', 'queued', 'sending', 'deferred', 'suspended'))
             FROM message m WHERE m.id = ?1",
        )?
        .query_row([message.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        None | Some((_, true)) => Ok(None),
        Some((true, false)) => forget_bytes(db, message),
        Some((false, false)) => forget(db, message),
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

/// The bytes of a message.
pub(crate) enum Bytes {
    Row(Vec<u8>),
    File,
}

/// Where the bytes of a message are, if they are kept.
pub(crate) fn bytes(db: &Connection, message: Id) -> rusqlite::Result<Option<Bytes>> {
    db.prepare_cached("SELECT bytes FROM body WHERE message = ?1")?
        .query_row([message.0], |row| row.get::<_, Option<Vec<u8>>>(0))
        .optional()
        .map(|found| found.map(|bytes| bytes.map_or(Bytes::File, Bytes::Row)))
}

impl Kind {
    /// The name in the ledger and in routes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relayed => "relayed",
            Self::Released => "released",
            Self::Letter => "letter",
            Self::Dsn => "dsn",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Relayed, Self::Released, Self::Letter, Self::Dsn]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Puts a claimed copy whose bytes are missing where an operator sees it.
pub(crate) fn park(db: &Connection, id: CopyId, now: Timestamp) -> rusqlite::Result<()> {
    let Some(mut copy) = copy(db, id)? else {
        return Ok(());
    };
    let why = "the bytes of this message are missing from the spool";
    for event in [Event::GiveBack, Event::Suspend] {
        let change = Change {
            event,
            at: now,
            due_at: None,
            said: Some(why),
            detail: why,
        };
        apply(db, &copy, &change, &Actor::local("relay"))?;
        copy.state = next(copy.state, event).ok_or_else(|| unreadable(2, copy.state.name()))?;
    }
    Ok(())
}
