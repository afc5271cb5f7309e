//! How it stands with letters, address by address, and an operator's hand on them.

use std::time::Duration;

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, Row, params};

use crate::audit::{self, Line};
use crate::letters::CAPPED;
use crate::model::{Actor, Correspondent, Letters, Resent, StandingCounts};
use crate::rows::unreadable;

/// Addresses with something to tell about letters, the longest wait first; at most `limit`.
pub(crate) fn list(
    db: &Connection,
    interval: Duration,
    limit: usize,
) -> rusqlite::Result<Vec<Correspondent>> {
    let millis = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    db.prepare_cached(
        "SELECT address, letters, waiting, last_letter, capped_at, tried_at,
           coalesce(interval_days * 86400000, ?1),
           (SELECT count(*) FROM recipient r WHERE r.owner = address.id AND r.state = 'held') AS held
         FROM address WHERE held > 0 OR letters <> 'on'
         ORDER BY waiting IS NULL, waiting, address LIMIT ?2",
    )?
    .query_map(params![millis, limit], correspondent)?
    .collect()
}

fn correspondent(row: &Row<'_>) -> rusqlite::Result<Correspondent> {
    let name: String = row.get(1)?;
    let letters = Letters::parse(&name).ok_or_else(|| unreadable(1, &name))?;
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp));
    let (waiting, last_letter, tried) = (time(2)?, time(3)?, time(5)?);
    let interval = Duration::from_millis(u64::try_from(row.get::<_, i64>(6)?).unwrap_or(0));
    let waits = waiting.filter(|_| letters == Letters::On);
    let next_due = waits.map(|since| {
        let free = last_letter.map(|last| last.after(interval));
        let again = tried.map(|tried| tried.after(CAPPED));
        since.max(free.unwrap_or(since)).max(again.unwrap_or(since))
    });
    Ok(Correspondent {
        address: row.get(0)?,
        letters,
        held: row.get(7)?,
        waiting_since: waiting,
        last_letter,
        next_due,
        kept_back_since: time(4)?.filter(|_| waits.is_some()),
    })
}

/// Makes a letter due now, whenever the last one went, if something is held that may cause one.
pub(crate) fn resend(
    db: &Connection,
    address: &str,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<Resent> {
    let Some(row) = crate::addresses::by_name(db, address)? else {
        return Ok(Resent::NothingHeld);
    };
    match row.letters {
        Letters::On => {}
        Letters::Stopped | Letters::Failed => return Ok(Resent::Off(row.letters)),
    }
    let (held, causes) = held_and_causes(db, row.id)?;
    if held == 0 {
        return Ok(Resent::NothingHeld);
    }
    if causes == 0 {
        return Ok(Resent::OnlyAutomatic);
    }
    // Without a last letter all that is held counts as new.
    db.prepare_cached(
        "UPDATE address SET waiting = coalesce(waiting, ?2), last_letter = NULL, capped_at = NULL,
           tried_at = NULL WHERE id = ?1",
    )?
    .execute(params![row.id.0, now.0])?;
    audit::append(db, &line(now, row.id, "resend"), by)?;
    Ok(Resent::Due(held))
}

/// Copies that are held for an address, and those of them that may cause a letter.
fn held_and_causes(db: &Connection, owner: Id) -> rusqlite::Result<(usize, usize)> {
    db.prepare_cached(
        "SELECT count(*), coalesce(sum(f.letters), 0) FROM recipient r
         LEFT JOIN facts f ON f.message = r.message WHERE r.owner = ?1 AND r.state = 'held'",
    )?
    .query_row([owner.0], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// How many have chosen what, and what is asked of the operator.
pub(crate) fn counts(db: &Connection) -> rusqlite::Result<StandingCounts> {
    let count = |sql: &str| db.prepare_cached(sql)?.query_row([], |row| row.get(0));
    Ok(StandingCounts {
        senders_refuse: count("SELECT count(*) FROM sender WHERE choice = 'refuse'")?,
        senders_discard: count("SELECT count(*) FROM sender WHERE choice = 'discard'")?,
        recipients_discard: count("SELECT count(*) FROM address WHERE choice = 'discard'")?,
        recipients_redirect: count("SELECT count(*) FROM address WHERE choice = 'redirect'")?,
        recipients_without_letters: count("SELECT count(*) FROM address WHERE letters <> 'on'")?,
        requests: count(
            "SELECT count(*) FROM request WHERE EXISTS (
               SELECT 1 FROM recipient r WHERE r.message = request.message AND r.state = 'held')",
        )?,
    })
}

fn line(at: Timestamp, address: Id, event: &'static str) -> Line<'static> {
    Line {
        at,
        item: address,
        subject: address,
        event,
        state: "due",
        detail: "",
    }
}
