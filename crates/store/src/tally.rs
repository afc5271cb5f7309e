//! Counting by the hour, for caps.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, params};

const HOUR: i64 = 3_600_000;

/// How far back a sum looks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Window {
    /// So many hours, the running one included.
    Hours(i64),
    /// As far back as anything was counted.
    Ever,
}

/// How often `key` was counted within the window.
pub(crate) fn sum(
    db: &Connection,
    key: &str,
    window: Window,
    now: Timestamp,
) -> rusqlite::Result<u32> {
    let first = match window {
        Window::Hours(hours) => now.millis() / HOUR - hours + 1,
        Window::Ever => 0,
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

/// Forgets what was counted before `before`: no cap asks for it any more. What was counted about an
/// item lasts as long as the item.
pub(crate) fn forget(db: &Connection, before: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM tally WHERE hour < ?1 AND key NOT LIKE 'item %'")?
        .execute([before.millis() / HOUR])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::in_memory;

    const NOON: Timestamp = Timestamp(500_000 * HOUR);

    #[test]
    fn a_window_ends_with_its_hour() {
        let db = in_memory();
        count(&db, "k", NOON).expect("counted");
        count(&db, "other", NOON).expect("counted");
        let sum_after =
            |millis, window| sum(&db, "k", window, Timestamp(NOON.0 + millis)).expect("summed");
        assert_eq!(sum_after(HOUR - 1, Window::Hours(1)), 1);
        assert_eq!(sum_after(HOUR, Window::Hours(1)), 0);
        assert_eq!(sum_after(24 * HOUR - 1, Window::Hours(24)), 1);
        assert_eq!(sum_after(24 * HOUR, Window::Hours(24)), 0);
        assert_eq!(sum_after(999 * HOUR, Window::Ever), 1);
    }

    #[test]
    fn what_is_counted_about_an_item_lasts_as_long_as_the_item() {
        let db = in_memory();
        let keys = [
            item_key(Id(1), "dsn"),
            item_key(Id(12), "dsn"),
            "cap".to_owned(),
        ];
        for key in &keys {
            count(&db, key, NOON).expect("counted");
        }
        let sums = || {
            keys.each_ref()
                .map(|key| sum(&db, key, Window::Ever, NOON).expect("summed"))
        };
        forget(&db, Timestamp(NOON.0 + HOUR)).expect("forgotten");
        assert_eq!(sums(), [1, 1, 0]);
        forget_item(&db, Id(1)).expect("forgotten");
        assert_eq!(sums(), [0, 1, 0]);
    }
}
