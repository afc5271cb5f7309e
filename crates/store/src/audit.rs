//! The audit: every change of a state, and every look at a page, is one row.

use posthouse_hook::link::redact;
use posthouse_hook::trail::{cut, visible};
use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, params};

use crate::model::{Actor, Audited};

/// Longest detail in characters: the next hop's words are bounded.
const MAX_DETAIL: usize = 500;

/// What one audit row is about.
pub(crate) struct Line<'a> {
    pub(crate) at: Timestamp,
    /// The message or the address.
    pub(crate) item: Id,
    /// The recipient row, or the same as `item`.
    pub(crate) subject: Id,
    pub(crate) event: &'a str,
    pub(crate) state: &'a str,
    pub(crate) detail: &'a str,
}

/// Appends a row.
pub(crate) fn append(db: &Connection, line: &Line<'_>, by: &Actor) -> rusqlite::Result<()> {
    let from = by.from.map(|ip| format!("{ip} ")).unwrap_or_default();
    let detail = clean(&format!("{from}{}", line.detail));
    db.prepare_cached(
        "INSERT INTO audit (item, seq, at, subject, event, state, who, detail)
         VALUES (?2, (SELECT coalesce(max(seq), 0) + 1 FROM audit WHERE item = ?2),
                 ?1, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        line.at.0,
        line.item.0,
        line.subject.0,
        line.event,
        line.state,
        by.who.name(),
        detail
    ])?;
    Ok(())
}

/// A peer's words, bounded and without anything that could disguise a line.
pub(crate) fn clean(text: &str) -> String {
    visible(cut(&redact(text.trim()), MAX_DETAIL))
}

/// The rows of one item, oldest first.
pub(crate) fn of_item(db: &Connection, item: Id) -> rusqlite::Result<Vec<Audited>> {
    db.prepare_cached(
        "SELECT at, subject, event, state, who, detail FROM audit WHERE item = ?1 ORDER BY seq",
    )?
    .query_map([item.0], |row| {
        Ok(Audited {
            at: Timestamp(row.get(0)?),
            subject: Id(row.get(1)?),
            event: row.get(2)?,
            state: row.get(3)?,
            who: row.get(4)?,
            detail: row.get(5)?,
        })
    })?
    .collect()
}
