//! Settings that outlive a restart: what an operator switched by a command, not in the
//! configuration.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use crate::audit::{self, Line};
use crate::model::Actor;

/// Whether our own mail to people goes out.
const LETTERS: &str = "letters";
/// The value of [`LETTERS`] that stops it. Any other value, or none, lets it go out.
const STOPPED: &str = "stopped";

/// Whether an operator stopped our own mail to people.
pub(crate) fn letters_stopped(db: &Connection) -> rusqlite::Result<bool> {
    let value: Option<String> = db
        .prepare_cached("SELECT value FROM setting WHERE key = ?1")?
        .query_row([LETTERS], |row| row.get(0))
        .optional()?;
    Ok(value.as_deref() == Some(STOPPED))
}

/// Stops our own mail to people, or lets it go out again.
pub(crate) fn set_letters_stopped(
    db: &Connection,
    stopped: bool,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let value = if stopped { STOPPED } else { "on" };
    db.prepare_cached(
        "INSERT INTO setting (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?
    .execute([LETTERS, value])?;
    // About no item: id 0 is nobody's.
    let line = Line {
        at: now,
        item: Id(0),
        subject: Id(0),
        event: "all letters",
        state: value,
        detail: "",
    };
    audit::append(db, &line, by)
}
