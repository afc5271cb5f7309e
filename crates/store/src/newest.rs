//! Tables of which only the newest rows are kept: `seq` counts up in the order of commits, so the
//! oldest rows are a prefix, and no other row is looked at.

use posthouse_hook::Timestamp;
use rusqlite::{Connection, params};

/// Most rows that one round deletes: the writer serves others in between.
const ROUND: usize = 1000;

/// A table with the columns `seq` and `at`, and how many rows it may have after tidying.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Newest {
    pub(crate) table: &'static str,
    pub(crate) most: i64,
}

impl Newest {
    /// Deletes a round of rows from before `before`, and of those past the most. Says whether there
    /// may be more.
    pub(crate) fn trim(self, db: &Connection, before: Timestamp) -> rusqlite::Result<bool> {
        let Self { table, most } = self;
        let sql = format!(
            "DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} ORDER BY seq LIMIT ?1)
             AND (at < ?2 OR seq <= (SELECT max(seq) FROM {table}) - ?3)"
        );
        let deleted = db
            .prepare_cached(&sql)?
            .execute(params![ROUND, before.0, most])?;
        Ok(deleted == ROUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::in_memory;

    const JUDGED: Newest = Newest {
        table: "judged",
        most: 1500,
    };

    /// The rows that are left of `count`, each a millisecond younger than the one before.
    fn left(count: i64, before: i64) -> (i64, i64) {
        let db = in_memory();
        for n in 1..=count {
            db.execute("INSERT INTO judged VALUES (NULL, ?1, ?1, '')", [n])
                .expect("inserted");
        }
        while JUDGED.trim(&db, Timestamp(before)).expect("trimmed") {}
        let sql = "SELECT count(*), coalesce(min(at), 0) FROM judged";
        db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("counted")
    }

    #[test]
    fn the_oldest_go_first_by_age_and_by_number() {
        assert_eq!(left(1200, 0), (1200, 1));
        assert_eq!(left(1200, 1101), (100, 1101));
        assert_eq!(left(4000, 0), (1500, 2501));
        assert_eq!(left(4000, 3001), (1000, 3001));
        assert_eq!(left(0, 5), (0, 0));
    }
}
