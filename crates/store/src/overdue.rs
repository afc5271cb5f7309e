//! Whether mail waits for a letter and none goes out: what an operator has to be told of.

use std::time::Duration;

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, params};

/// How long a letter may be due, and how long none may have gone out.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// See [`crate::Store::letters_overdue`].
pub(crate) fn since(
    db: &Connection,
    interval: Duration,
    wanted: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let longest = longest_due(db, interval, wanted, now)?;
    match longest {
        Some(since) if !went_out(db, now)? => Ok(Some(since)),
        _ => Ok(None),
    }
}

/// Since when a letter is due that has been so for a day. Caps count for nothing: a cap that lets
/// no letter through for a day is worth a look.
fn longest_due(
    db: &Connection,
    interval: Duration,
    wanted: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement = db.prepare_cached(
        "SELECT id, address, since FROM (
           SELECT id, address, waiting, max(waiting, coalesce(
             last_letter + coalesce(interval_days * 86400000, ?2), 0)) AS since
           FROM address WHERE waiting <= ?1 AND letters = 'on')
         WHERE since <= ?1 ORDER BY waiting",
    )?;
    let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![now.before(DAY).0, interval])?;
    while let Some(row) = rows.next()? {
        let address: String = row.get(1)?;
        if wanted(&address) && holds(db, Id(row.get(0)?))? {
            return Ok(Some(Timestamp(row.get(2)?)));
        }
    }
    Ok(None)
}

fn holds(db: &Connection, owner: Id) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM recipient WHERE owner = ?1 AND state = 'held')",
    )?
    .query_row([owner.0], |row| row.get(0))
}

/// Whether a letter went out within the last day.
fn went_out(db: &Connection, now: Timestamp) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM address WHERE last_letter > ?1 AND last_letter <= ?2)",
    )?
    .query_row([now.before(DAY).0, now.0], |row| row.get(0))
}
