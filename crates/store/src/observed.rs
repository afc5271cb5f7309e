//! What chains that observe would have done: written with the message, reported, and forgotten.

use posthouse_hook::{ForwardPath, Id, Observation, Observed, ReversePath, Timestamp, Transaction};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use crate::model::{ObservedCase, ObservedCount, ObservedReport};
use crate::newest::Newest;
use crate::{rows, tally};

/// Rows that are kept after tidying: the newest.
pub(crate) const KEPT: Newest = Newest {
    table: "observed",
    most: 100_000,
};
/// Messages of which something was observed are counted here.
pub(crate) const OBSERVED_KEY: &str = "observed";
/// Addresses that a row names; of the others only the number is kept.
const NAMED: usize = 10;
/// The most cases that a report ever gives.
const MOST_CASES: usize = 10_000;

/// What is written of one observation.
pub(crate) struct NewObserved {
    chain: String,
    plugin: String,
    point: String,
    would: String,
    copies: usize,
    recipients: String,
}

/// What is to be written of a transaction.
pub(crate) fn of(tx: &Transaction) -> Vec<NewObserved> {
    let observed = tx.notes.get::<Observed>();
    observed.map_or_else(Vec::new, |Observed(all)| all.iter().map(new).collect())
}

fn new(observation: &Observation) -> NewObserved {
    let named: Vec<_> = observation.recipients.iter().take(NAMED).collect();
    NewObserved {
        chain: observation.chain.clone(),
        plugin: observation.plugin.clone(),
        point: observation.point.to_string(),
        would: observation.would.to_string(),
        copies: observation.recipients.len(),
        recipients: serde_json::to_string(&named).unwrap_or_else(|_| "[]".to_owned()),
    }
}

/// Writes the observations of one message, and counts it.
pub(crate) fn insert(
    db: &Connection,
    observed: &[NewObserved],
    (message, from): (Id, &ReversePath),
    at: Timestamp,
) -> rusqlite::Result<()> {
    if observed.is_empty() {
        return Ok(());
    }
    tally::count(db, OBSERVED_KEY, at)?;
    let mut insert = db.prepare_cached(
        "INSERT INTO observed (message, at, reverse_path, chain, plugin, point, would, copies,
         recipients) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for one in observed {
        insert.execute(params![
            message.0,
            at.0,
            from.address(),
            one.chain,
            one.plugin,
            one.point,
            one.would,
            one.copies,
            one.recipients,
        ])?;
    }
    Ok(())
}

/// What was observed since then, with at most `limit` of the newest cases.
pub(crate) fn report(
    db: &Connection,
    since: Timestamp,
    limit: usize,
) -> rusqlite::Result<ObservedReport> {
    Ok(ObservedReport {
        counts: counts(db, since)?,
        cases: cases(db, since, limit.min(MOST_CASES))?,
    })
}

fn counts(db: &Connection, since: Timestamp) -> rusqlite::Result<Vec<ObservedCount>> {
    db.prepare_cached(
        "SELECT chain, plugin, point, would, count(*), sum(copies) FROM observed WHERE at >= ?1
         GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4",
    )?
    .query_map([since.0], |row| {
        Ok(ObservedCount {
            chain: row.get(0)?,
            plugin: row.get(1)?,
            point: row.get(2)?,
            would: row.get(3)?,
            messages: row.get(4)?,
            copies: row.get(5)?,
        })
    })?
    .collect()
}

fn cases(db: &Connection, since: Timestamp, limit: usize) -> rusqlite::Result<Vec<ObservedCase>> {
    db.prepare_cached(
        "SELECT message, at, reverse_path, recipients, copies, chain, plugin, point, would
         FROM observed WHERE at >= ?1 ORDER BY seq DESC LIMIT ?2",
    )?
    .query_map(params![since.0, limit], |row| {
        Ok(ObservedCase {
            id: Id(row.get(0)?),
            at: Timestamp(row.get(1)?),
            from: rows::reverse_path(row, 2)?,
            to: addresses(row, 3)?,
            copies: row.get(4)?,
            chain: row.get(5)?,
            plugin: row.get(6)?,
            point: row.get(7)?,
            would: row.get(8)?,
        })
    })?
    .collect()
}

fn addresses(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<ForwardPath>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}
