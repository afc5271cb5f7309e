//! The room that held mail takes: what is over its bounds, and by how much.
//!
//! One narrow row for each message of which a copy is held. The bounds are reckoned from these rows
//! alone; who is evicted is decided here and carried out by `forget`.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, params};

use crate::intake::Intake;
use crate::model::Bounds;

/// Which bound a held copy met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// `retention_days`.
    Age,
    /// `max_size`.
    Size,
    /// `sender_share`.
    Share,
}

impl Bound {
    /// Every bound.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::Age, Self::Size, Self::Share];

    /// The last words about the copy.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Age => "the time of keeping is over",
            Self::Size => "the quarantine is full: the oldest had to go (max_size)",
            Self::Share => "this sender's mail takes more than its share (sender_share)",
        }
    }

    /// Under which copies are counted that met it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Age => "expired by age",
            Self::Size => "expired by size",
            Self::Share => "expired by share",
        }
    }
}

/// A message whose held copies are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Eviction {
    pub(crate) message: Id,
    pub(crate) bound: Bound,
}

/// Notes a message of which a copy is held from the start.
pub(crate) fn note(db: &Connection, intake: &Intake) -> rusqlite::Result<()> {
    let Some(facts) = intake.facts.as_ref().filter(|_| intake.holds()) else {
        return Ok(());
    };
    let size = i64::try_from(intake.size).unwrap_or(i64::MAX);
    db.prepare_cached("INSERT INTO keeping (message, sender, size) VALUES (?1, ?2, ?3)")?
        .execute(params![intake.id.0, facts.sender, size])?;
    Ok(())
}

/// Notes a message of which a copy came back to be held.
pub(crate) fn note_again(db: &Connection, message: Id) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO keeping (message, sender, size)
         SELECT m.id, f.sender, m.size FROM message m JOIN facts f ON f.message = m.id
         WHERE m.id = ?1",
    )?
    .execute([message.0])?;
    Ok(())
}

/// Drops the note once no copy of the message is held any more.
pub(crate) fn let_go(db: &Connection, message: Id) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM keeping WHERE message = ?1 AND NOT EXISTS (
           SELECT 1 FROM recipient r WHERE r.message = ?1 AND r.state = 'held')",
    )?
    .execute([message.0])?;
    Ok(())
}

/// Octets of all messages of which a copy is held.
pub(crate) fn held_octets(db: &Connection) -> rusqlite::Result<u64> {
    let sum = "SELECT coalesce(sum(size), 0) FROM keeping INDEXED BY keeping_sender";
    db.prepare_cached(sum)?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

/// Octets of all samples.
pub(crate) fn sample_octets(db: &Connection) -> rusqlite::Result<u64> {
    let sum = "SELECT coalesce(sum(kept), 0) FROM sample INDEXED BY sample_kept";
    db.prepare_cached(sum)?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

/// Messages with a copy that is held since before `before`, the oldest first.
///
/// An id is older than the commit that it is part of, so the range of ids leaves nobody out.
pub(crate) fn too_old(db: &Connection, before: Timestamp) -> rusqlite::Result<Vec<Eviction>> {
    db.prepare_cached(
        "SELECT k.message FROM keeping k JOIN message m ON m.id = k.message
         WHERE k.message < ?1 AND m.received_at < ?2 ORDER BY k.message",
    )?
    .query_map([Id::first_of(before).0, before.0], |row| {
        Ok(Eviction {
            message: Id(row.get(0)?),
            bound: Bound::Age,
        })
    })?
    .collect()
}

/// What has to go for its sender's share: the oldest of each that is over it.
pub(crate) fn over_share(db: &Connection, bounds: &Bounds) -> rusqlite::Result<Vec<Eviction>> {
    let bound = Bound::Share;
    let mut oldest =
        db.prepare_cached("SELECT message, size FROM keeping WHERE sender = ?1 ORDER BY message")?;
    let mut found = Vec::new();
    for (sender, octets) in greedy(db, bounds.share())? {
        let excess = octets.saturating_sub(roomy(bounds.share()));
        let rows = oldest.query_map([sender], sized)?;
        found.extend(until(excess, rows)?.map(|message| Eviction { message, bound }));
    }
    Ok(found)
}

/// What has to go for the bound on all: the oldest. Samples are gone by then.
pub(crate) fn over_size(db: &Connection, bounds: &Bounds) -> rusqlite::Result<Vec<Eviction>> {
    let bound = Bound::Size;
    let octets = held_octets(db)?;
    if octets <= bounds.max_size {
        return Ok(Vec::new());
    }
    let excess = octets.saturating_sub(roomy(bounds.max_size));
    let mut oldest = db.prepare_cached("SELECT message, size FROM keeping ORDER BY message")?;
    let found = until(excess, oldest.query_map([], sized)?)?;
    Ok(found.map(|message| Eviction { message, bound }).collect())
}

/// Senders whose held mail takes more than `share` octets, and how much it takes.
fn greedy(db: &Connection, share: u64) -> rusqlite::Result<Vec<(String, u64)>> {
    let share = i64::try_from(share).unwrap_or(i64::MAX);
    db.prepare_cached(GREEDY)?
        .query_map([share], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?
        .collect()
}

/// Walks the index once.
const GREEDY: &str = "SELECT sender, sum(size) AS octets FROM keeping INDEXED BY keeping_sender
    GROUP BY sender HAVING octets > ?1 ORDER BY octets DESC";

/// What is left of a bound once it was passed: a twentieth is made free, so that a flood is not
/// looked at message by message.
fn roomy(bound: u64) -> u64 {
    bound - bound / 20
}

fn sized(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Id, u64)> {
    Ok((Id(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs()))
}

/// The first messages of `rows` that together have at least `excess` octets, or all.
fn until(
    excess: u64,
    rows: impl Iterator<Item = rusqlite::Result<(Id, u64)>>,
) -> rusqlite::Result<impl Iterator<Item = Id>> {
    let mut left = excess;
    let mut found = Vec::new();
    for row in rows {
        if left == 0 {
            break;
        }
        let (message, size) = row?;
        left = left.saturating_sub(size);
        found.push(message);
    }
    Ok(found.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::in_memory;

    fn bounds(max_size: u64, sender_share: f64) -> Bounds {
        Bounds {
            max_size,
            sender_share,
        }
    }

    fn ledger(rows: &[(i64, &str, i64)]) -> Connection {
        let db = in_memory();
        for (message, sender, size) in rows {
            db.execute(
                "INSERT INTO keeping VALUES (?1, ?2, ?3)",
                params![message, sender, size],
            )
            .expect("inserted");
        }
        db
    }

    fn ids(evictions: &[Eviction]) -> Vec<i64> {
        evictions.iter().map(|e| e.message.0).collect()
    }

    #[test]
    fn the_oldest_of_whoever_is_over_goes_first() {
        let db = ledger(&[
            (1, "ann", 10),
            (2, "eve", 30),
            (3, "eve", 30),
            (4, "ann", 10),
        ]);
        let share = over_share(&db, &bounds(100, 0.5)).expect("reads");
        assert_eq!(ids(&share), [2]);
        assert!(
            over_share(&db, &bounds(100, 0.6))
                .expect("reads")
                .is_empty()
        );
        let size = over_size(&db, &bounds(60, 1.0)).expect("reads");
        assert_eq!(ids(&size), [1, 2], "23 octets of 80 have to go");
        assert!(over_size(&db, &bounds(80, 1.0)).expect("reads").is_empty());
    }

    #[test]
    fn a_look_at_the_shares_is_one_walk_over_a_narrow_index() {
        let db = in_memory();
        let plan = |sql: &str| -> String {
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            db.query_row(&sql, [0], |row| row.get(3)).expect("a plan")
        };
        let wanted = "SCAN keeping USING COVERING INDEX keeping_sender";
        assert_eq!(plan(GREEDY), wanted);
    }
}
