//! Greylisting's memory: triplets that were seen, and networks that have shown that they come again.
//!
//! It is bounded, and losing any row of it costs somebody one more delay and never lets anybody
//! through.

use posthouse_hook::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::model::{GreyNetwork, GreySeen, GreyTriplet, GreyTry};

/// Most rows that one round deletes: the writer serves others in between.
const ROUND: i64 = 1000;
/// New rows after which it is looked whether there are too many.
pub(crate) const LOOK_EVERY: u32 = 512;

/// What is known of a triplet, and of its network.
pub(crate) fn seen(
    db: &Connection,
    triplet: &GreyTriplet,
    now: Timestamp,
) -> rusqlite::Result<GreySeen> {
    let tried = db
        .prepare_cached(
            "SELECT first, passed, expires FROM greylist
             WHERE network = ?1 AND sender = ?2 AND recipient = ?3 AND expires > ?4",
        )?
        .query_row(
            params![triplet.network, triplet.sender, triplet.recipient, now.0],
            |row| {
                Ok(GreyTry {
                    first: Timestamp(row.get(0)?),
                    passed: row.get(1)?,
                    expires: Timestamp(row.get(2)?),
                })
            },
        )
        .optional()?;
    let network = db
        .prepare_cached(
            "SELECT successes, expires FROM grey_network WHERE network = ?1 AND expires > ?2",
        )?
        .query_row(params![triplet.network, now.0], |row| {
            Ok(GreyNetwork {
                successes: row.get(0)?,
                expires: Timestamp(row.get(1)?),
            })
        })
        .optional()?;
    Ok(GreySeen { tried, network })
}

/// Notes a first try. One that somebody else noted meanwhile stays as it is.
pub(crate) fn first(
    db: &Connection,
    triplet: &GreyTriplet,
    now: Timestamp,
    expires: Timestamp,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO greylist (network, sender, recipient, first, expires)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET first = excluded.first, passed = 0, expires = excluded.expires
         WHERE expires <= excluded.first",
    )?
    .execute(params![
        triplet.network,
        triplet.sender,
        triplet.recipient,
        now.0,
        expires.0
    ])?;
    Ok(())
}

/// Notes that a triplet passes, until then. Its network has one success more if it never did before.
pub(crate) fn passed(
    db: &Connection,
    triplet: &GreyTriplet,
    expires: Timestamp,
) -> rusqlite::Result<()> {
    let key = params![triplet.network, triplet.sender, triplet.recipient];
    let before: Option<bool> = db
        .prepare_cached(
            "SELECT passed FROM greylist WHERE network = ?1 AND sender = ?2 AND recipient = ?3",
        )?
        .query_row(key, |row| row.get(0))
        .optional()?;
    db.prepare_cached(
        "UPDATE greylist SET passed = 1, expires = ?4
         WHERE network = ?1 AND sender = ?2 AND recipient = ?3",
    )?
    .execute(params![
        triplet.network,
        triplet.sender,
        triplet.recipient,
        expires.0
    ])?;
    succeeded(
        db,
        &triplet.network,
        expires,
        u32::from(before == Some(false)),
    )
}

/// Keeps a network known until then, with so many successes more.
pub(crate) fn succeeded(
    db: &Connection,
    network: &str,
    expires: Timestamp,
    more: u32,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO grey_network (network, successes, expires) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET successes = min(successes + excluded.successes, 1000000),
         expires = max(expires, excluded.expires)",
    )?
    .execute(params![network, more, expires.0])?;
    Ok(())
}

/// Deletes a round of rows past their time. Says whether there may be more.
pub(crate) fn expire(db: &Connection, now: Timestamp) -> rusqlite::Result<bool> {
    let mut most = 0;
    for passed in [0, 1] {
        let deleted = db
            .prepare_cached(
                "DELETE FROM greylist WHERE (network, sender, recipient) IN (
                   SELECT network, sender, recipient FROM greylist
                   WHERE passed = ?1 AND expires <= ?2 ORDER BY expires LIMIT ?3)",
            )?
            .execute(params![passed, now.0, ROUND])?;
        most = most.max(deleted);
    }
    let networks = db
        .prepare_cached(
            "DELETE FROM grey_network WHERE network IN (
               SELECT network FROM grey_network WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
        )?
        .execute(params![now.0, ROUND])?;
    Ok(i64::try_from(most.max(networks)) == Ok(ROUND))
}

/// Deletes what is more than `most` rows of either table: first triplets that never came again, and of
/// those and the others what would expire soonest.
pub(crate) fn shrink(db: &Connection, most: u32) -> rusqlite::Result<()> {
    let over = |table: &str| {
        let sql = format!("SELECT max(count(*) - ?1, 0) FROM {table}");
        db.prepare_cached(&sql)?
            .query_row([most], |row| row.get::<_, i64>(0))
    };
    let (triplets, networks) = (over("greylist")?, over("grey_network")?);
    db.prepare_cached(
        "DELETE FROM greylist WHERE (network, sender, recipient) IN (
           SELECT network, sender, recipient FROM greylist ORDER BY passed, expires LIMIT ?1)",
    )?
    .execute([triplets])?;
    db.prepare_cached(
        "DELETE FROM grey_network WHERE network IN (
           SELECT network FROM grey_network ORDER BY expires LIMIT ?1)",
    )?
    .execute([networks])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::in_memory;

    fn triplet(n: u32) -> GreyTriplet {
        GreyTriplet {
            network: format!("10.0.{}.0/24", n % 250),
            sender: format!("s{n}@x.example"),
            recipient: "r@isp.example".to_owned(),
        }
    }

    fn at(n: i64) -> Timestamp {
        Timestamp(n)
    }

    fn count(db: &Connection, sql: &str) -> i64 {
        db.query_row(sql, [], |row| row.get(0)).expect("counted")
    }

    #[test]
    fn a_try_is_remembered_until_it_expires_and_counts_once() {
        let (db, one) = (in_memory(), triplet(1));
        assert_eq!(seen(&db, &one, at(0)).expect("read"), GreySeen::default());
        first(&db, &one, at(10), at(100)).expect("written");
        first(&db, &one, at(20), at(110)).expect("written");
        let tried = seen(&db, &one, at(20)).expect("read").tried.expect("known");
        assert_eq!(
            (tried.first, tried.passed),
            (at(10), false),
            "the first counts"
        );
        passed(&db, &one, at(500)).expect("written");
        passed(&db, &one, at(600)).expect("written");
        let known = seen(&db, &one, at(599)).expect("read");
        let network = known.network.expect("known");
        assert_eq!(network.successes, 1, "one triplet is one success");
        assert!(known.tried.expect("known").passed);
        assert_eq!(seen(&db, &one, at(600)).expect("read"), GreySeen::default());
        first(&db, &one, at(700), at(800)).expect("written");
        let again = seen(&db, &one, at(700)).expect("read").tried;
        assert!(!again.expect("known").passed, "it begins anew");
    }

    #[test]
    fn what_is_past_its_time_goes_in_rounds() {
        let db = in_memory();
        for n in 0..2500 {
            first(&db, &triplet(n), at(0), at(i64::from(n))).expect("written");
        }
        let mut rounds = 1;
        while expire(&db, at(2399)).expect("deleted") {
            rounds += 1;
        }
        assert_eq!(rounds, 3);
        assert_eq!(count(&db, "SELECT count(*) FROM greylist"), 100);
    }

    #[test]
    fn past_the_most_those_go_that_never_came_again() {
        let db = in_memory();
        for n in 0..100 {
            first(&db, &triplet(n), at(0), at(i64::from(n))).expect("written");
        }
        for n in 0..10 {
            passed(&db, &triplet(n), at(50)).expect("written");
        }
        shrink(&db, 30).expect("deleted");
        assert_eq!(count(&db, "SELECT count(*) FROM greylist"), 30);
        assert_eq!(count(&db, "SELECT count(*) FROM greylist WHERE passed"), 10);
        assert_eq!(
            count(&db, "SELECT min(expires) FROM greylist WHERE NOT passed"),
            80
        );
        shrink(&db, 5).expect("deleted");
        assert_eq!(count(&db, "SELECT count(*) FROM greylist"), 5);
        assert_eq!(count(&db, "SELECT count(*) FROM grey_network"), 5);
    }
}
