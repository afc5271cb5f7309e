//! Counting by the hour, for caps.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, params};

const HOUR: i64 = 3_600_000;

/// How often `key` was counted in the last `hours` (0: ever), the running hour included.
pub(crate) fn sum(db: &Connection, key: &str, hours: i64, now: Timestamp) -> rusqlite::Result<u32> {
    let first = if hours == 0 {
        0
    } else {
        now.millis() / HOUR - hours + 1
    };
    db.prepare_cached("SELECT coalesce(sum(n), 0) FROM tally WHERE key = ?1 AND hour >= ?2")?
        .query_row(params![key, first], |row| row.get(0))
}

/// The key under which `what` is counted about an item.
pub(crate) fn item_key(item: Id, what: &str) -> String {
    format!("item {item} {what}")
}

/// Forgets what was counted about an item.
pub(crate) fn forget_item(db: &Connection, item: Id) -> rusqlite::Result<()> {
    // A range, because the key is a prefix of the index.
    let prefix = item_key(item, "");
    db.prepare_cached("DELETE FROM tally WHERE key >= ?1 AND key < ?1 || '\u{7f}'")?
        .execute([prefix])?;
    Ok(())
}

/// Counts one more of `key`.
pub(crate) fn count(db: &Connection, key: &str, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO tally (key, hour, n) VALUES (?1, ?2, 1)
         ON CONFLICT (key, hour) DO UPDATE SET n = n + 1",
    )?
    .execute(params![key, now.millis() / HOUR])?;
    Ok(())
}

/// Forgets what no cap asks for any more. What was counted about an item lasts as long as that.
pub(crate) fn forget(db: &Connection, before: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM tally WHERE hour < ?1 AND key NOT LIKE 'item %'")?
        .execute([before.millis() / HOUR])?;
    Ok(())
}
