//! Requests: what senders ask of the operator about held messages.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::audit::{self, Line, clean};
use crate::model::{Actor, Request};

/// Keeps a request; a second one about the same message replaces the first.
pub(crate) fn put(
    db: &Connection,
    item: Id,
    comment: &str,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let from = by.from.map(|ip| ip.to_string()).unwrap_or_default();
    db.prepare_cached(
        "INSERT INTO request (message, at, comment, asked_by) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (message) DO UPDATE
         SET at = excluded.at, comment = excluded.comment, asked_by = excluded.asked_by",
    )?
    .execute(params![item.0, now.0, clean(comment), from])?;
    let line = Line {
        at: now,
        item,
        subject: item,
        event: "request",
        state: "asked",
        detail: "",
    };
    audit::append(db, &line, by)
}

/// Requests about messages of which a copy is still held, newest first.
pub(crate) fn open(db: &Connection, limit: usize) -> rusqlite::Result<Vec<Request>> {
    db.prepare_cached(
        "SELECT message, at, comment, asked_by FROM request WHERE EXISTS (
           SELECT 1 FROM recipient r WHERE r.message = request.message AND r.state = 'held')
         ORDER BY at DESC LIMIT ?1",
    )?
    .query_map([limit], request_of)?
    .collect()
}

/// The request about one message.
pub(crate) fn of_item(db: &Connection, item: Id) -> rusqlite::Result<Option<Request>> {
    db.prepare_cached("SELECT message, at, comment, asked_by FROM request WHERE message = ?1")?
        .query_row([item.0], request_of)
        .optional()
}

fn request_of(row: &Row<'_>) -> rusqlite::Result<Request> {
    Ok(Request {
        item: Id(row.get(0)?),
        at: Timestamp(row.get(1)?),
        comment: row.get(2)?,
        asked_by: row.get(3)?,
    })
}
