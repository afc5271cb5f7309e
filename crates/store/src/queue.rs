//! The queue: claims, attempts and what they come to.

use std::collections::HashSet;
use std::time::Duration;

use posthouse_hook::{Id, ReversePath, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use crate::addresses;
use crate::audit::clean;
use crate::copies::{self, COPY, Change, Copy, apply, copy_of};
use crate::model::{Actor, AttemptResult, Attempted, ClaimedRecipient, CopyId, Kind, Who};
use crate::quarantine;
use crate::rows::{forward_path, redirect, reverse_path};
use crate::state::{Event, State};

/// The calendar of what is due.
const DUE: &str = "SELECT message FROM recipient WHERE due_at <= ?1 ORDER BY due_at";

/// A claimed message without its bytes.
#[derive(Debug)]
pub(crate) struct ClaimedRow {
    pub(crate) id: Id,
    pub(crate) reverse_path: ReversePath,
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
    due_messages(db, limit, now)?
        .into_iter()
        .map(|message| claim_message(db, message, lease, now))
        .collect()
}

/// Up to `limit` messages that are due, the longest first. Walks the calendar only as far as it has
/// to; asked to group by message, SQLite would read every copy in the ledger.
fn due_messages(db: &Connection, limit: usize, now: Timestamp) -> rusqlite::Result<Vec<Id>> {
    let mut find = db.prepare_cached(DUE)?;
    let mut rows = find.query([now.0])?;
    let (mut due, mut seen) = (Vec::new(), HashSet::new());
    while due.len() < limit
        && let Some(row) = rows.next()?
    {
        let message = Id(row.get(0)?);
        if seen.insert(message) {
            due.push(message);
        }
    }
    Ok(due)
}

fn claim_message(
    db: &Connection,
    message: Id,
    lease: Duration,
    now: Timestamp,
) -> rusqlite::Result<ClaimedRow> {
    let mut claimed = message_row(db, message)?;
    for due in due_copies(db, message, now)? {
        take(db, due.copy, now, now.after(lease))?;
        claimed.since = claimed.since.max(due.queued_at);
        claimed.recipients.push(due.recipient);
    }
    Ok(claimed)
}

/// A message of which nothing is claimed yet.
fn message_row(db: &Connection, message: Id) -> rusqlite::Result<ClaimedRow> {
    db.prepare_cached(
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
    })
}

/// A copy that is due, as the state table and as the relay need it.
struct DueCopy {
    copy: Copy,
    recipient: ClaimedRecipient,
    /// When it was accepted or released.
    queued_at: Timestamp,
}

fn due_copies(db: &Connection, message: Id, now: Timestamp) -> rusqlite::Result<Vec<DueCopy>> {
    db.prepare_cached(&format!(
        "SELECT {COPY}, attempts, queued_at, target FROM recipient
         WHERE message = ?1 AND due_at <= ?2 ORDER BY id"
    ))?
    .query_map([message.0, now.0], |row| {
        let copy = copy_of(row)?;
        Ok(DueCopy {
            recipient: ClaimedRecipient {
                id: copy.id,
                forward_path: forward_path(row, 3)?,
                redirect: redirect(row, 7)?,
                kind: copy.kind,
                attempts: row.get(5)?,
            },
            queued_at: Timestamp(row.get(6)?),
            copy,
        })
    })?
    .collect()
}

/// Claims one copy; one whose lease ran out goes back to the queue first.
fn take(db: &Connection, mut copy: Copy, now: Timestamp, until: Timestamp) -> rusqlite::Result<()> {
    let relay = Actor::local(Who::Relay);
    if copy.state == State::Sending {
        give_back(db, &copy, "the lease ran out", now)?;
        copy.state = State::Queued;
    }
    apply(
        db,
        &copy,
        &Change::of(Event::Claim, now, Some(until)),
        &relay,
    )?;
    Ok(())
}

fn give_back(db: &Connection, copy: &Copy, why: &str, now: Timestamp) -> rusqlite::Result<()> {
    let back = Change {
        detail: why,
        ..Change::of(Event::GiveBack, now, Some(now))
    };
    apply(db, copy, &back, &Actor::local(Who::Relay))?;
    Ok(())
}

/// When the earliest attempt or lease end is due.
pub(crate) fn next_due(db: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    db.prepare_cached("SELECT min(due_at) FROM recipient WHERE due_at IS NOT NULL")?
        .query_row([], |row| row.get::<_, Option<i64>>(0))
        .map(|due| due.map(Timestamp))
}

/// The copies that are being sent since before `since`. Looks at every copy, so it is for a reader:
/// those that were handed over in memory have no time in the calendar, which would cost every
/// message a page.
pub(crate) fn sending_since(db: &Connection, since: Timestamp) -> rusqlite::Result<Vec<CopyId>> {
    db.prepare_cached(
        "SELECT message, id FROM recipient WHERE state = 'sending' AND changed_at <= ?1",
    )?
    .query_map([since.0], |row| {
        Ok(CopyId {
            message: Id(row.get(0)?),
            recipient: Id(row.get(1)?),
        })
    })?
    .collect()
}

/// Gives back those of these copies that are still being sent since before `since`: at start all,
/// because no worker of a former run lives; later what a worker has lost.
pub(crate) fn void_leases(
    db: &Connection,
    copies: &[CopyId],
    since: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    // Looked at again: one may have been settled and claimed anew since a reader found it.
    let mut find = db.prepare_cached(&format!(
        "SELECT {COPY} FROM recipient WHERE message = ?1 AND id = ?2 AND changed_at <= ?3"
    ))?;
    for id in copies {
        let key = [id.message.0, id.recipient.0, since.0];
        if let Some(copy) = find.query_row(key, copy_of).optional()? {
            give_back(db, &copy, "the lease is void", now)?;
        }
    }
    Ok(())
}

/// Records one attempt. Returns the message if this may have been its last open copy.
pub(crate) fn settle(
    db: &Connection,
    attempt: &Attempted,
    now: Timestamp,
) -> rusqlite::Result<Option<Id>> {
    let Some(copy) = copies::copy(db, attempt.copy)? else {
        return Ok(None);
    };
    let (event, due_at) = event_of(attempt.result, now);
    let said = clean(&attempt.said);
    let change = Change {
        said: event.ends_attempt().then_some(&said),
        detail: &format!("{} {said}", attempt.next_hop),
        ..Change::of(event, now, due_at)
    };
    if apply(db, &copy, &change, &Actor::local(Who::Relay))?.is_none() {
        tracing::warn!(recipient = %copy.id.recipient, state = copy.state.name(), "attempt on a copy that was not being sent");
        return Ok(None);
    }
    if event == Event::Withhold {
        quarantine::withhold(db, &copy, now)?;
    }
    if event == Event::Fail && copy.kind == Kind::Letter {
        addresses::end_letters(db, &copy.address)?;
    }
    Ok(matches!(event, Event::Deliver | Event::Fail).then_some(copy.id.message))
}

/// The event that a result is, and when the copy is due again.
fn event_of(result: AttemptResult, now: Timestamp) -> (Event, Option<Timestamp>) {
    match result {
        AttemptResult::Delivered => (Event::Deliver, None),
        AttemptResult::Deferred(until) => (Event::Defer, Some(until)),
        AttemptResult::Failed => (Event::Fail, None),
        AttemptResult::GivenBack => (Event::GiveBack, Some(now)),
        AttemptResult::Withheld => (Event::Withhold, None),
    }
}

/// Puts a claimed copy whose bytes are not whole where an operator sees it.
pub(crate) fn park(db: &Connection, id: CopyId, now: Timestamp) -> rusqlite::Result<()> {
    let Some(mut copy) = copies::copy(db, id)? else {
        return Ok(());
    };
    let why = "the bytes of this message are missing or damaged in the spool";
    for event in [Event::GiveBack, Event::Suspend] {
        let change = Change {
            said: Some(why),
            detail: why,
            ..Change::of(event, now, None)
        };
        if let Some(state) = apply(db, &copy, &change, &Actor::local(Who::Relay))? {
            copy.state = state;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::in_memory;

    #[test]
    fn only_a_lease_that_is_still_old_is_void() {
        let db = in_memory();
        let row = "INSERT INTO recipient (message, id, address, kind, state, queued_at, changed_at)
                   VALUES (1, 2, 'b@x.example', 'relayed', 'sending', 5, 100)";
        db.execute_batch(row).expect("inserted");
        let lost = [CopyId {
            message: Id(1),
            recipient: Id(2),
        }];
        let state_after = |since| {
            void_leases(&db, &lost, Timestamp(since), Timestamp(200)).expect("void");
            let copy = copies::copy(&db, lost[0]).expect("reads");
            copy.map(|copy| copy.state)
        };
        assert_eq!(state_after(99), Some(State::Sending));
        assert_eq!(state_after(100), Some(State::Queued));
    }

    #[test]
    fn the_calendar_is_sought_not_read_whole() {
        let plan: String = in_memory()
            .query_row(&format!("EXPLAIN QUERY PLAN {DUE}"), [0], |row| row.get(3))
            .expect("a plan");
        let wanted = "SEARCH recipient USING COVERING INDEX recipient_due";
        assert!(plan.starts_with(wanted), "{plan}");
    }
}
