//! What the quarantine judged by: written in the commit of the message, read to be judged again.
//! The message's text, subject and header are never among it.

use posthouse_hook::chain::DecidedBy;
use posthouse_hook::facts::{Judgement, Looked};
use posthouse_hook::{Id, Outcome, Scan, Session, Timestamp, Transaction};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use crate::audit::clean;
use crate::model::{Became, Judged, JudgedCopy};
use crate::newest::Newest;

/// Rows that are kept after tidying: the newest.
pub(crate) const KEPT: Newest = Newest {
    table: "judged",
    most: 1_000_000,
};
/// The code of the reply to what is accepted.
const ACCEPTED: u16 = 250;

/// The facts of a message as JSON; none if no quarantine judged it.
pub(crate) fn facts(session: &Session, tx: &Transaction, outcome: &Outcome) -> Option<String> {
    let judgement = tx.notes.get::<Judgement>()?;
    let looked = tx.notes.get::<Looked>()?;
    let chain = tx.notes.get::<DecidedBy>().map(|DecidedBy(name)| name);
    let judged = Judged {
        id: tx.id,
        at: tx.started,
        chain: chain.map(ToString::to_string).unwrap_or_default(),
        client: session.client_ip(),
        helo: clean(session.helo.as_deref().unwrap_or_default()),
        authenticated: session.auth.is_some(),
        from: tx.reverse_path.clone(),
        to: copies(tx, judgement, outcome),
        sender: judgement.sender.clone(),
        origin: judgement.origin,
        spf: judgement.spf,
        ours: judgement.ours,
        column: judgement.column,
        looked: *looked,
        scans: judgement.scans.0.iter().map(without_tests).collect(),
        code: match outcome {
            Outcome::Accepted(_) => ACCEPTED,
            Outcome::Refused { refusal, .. } => refusal.code(),
        },
    };
    serde_json::to_string(&judged).ok()
}

fn copies(tx: &Transaction, judgement: &Judgement, outcome: &Outcome) -> Vec<JudgedCopy> {
    let known = tx.recipients.iter().zip(&judgement.rows);
    known
        .zip(Became::of(outcome))
        .map(|((recipient, row), became)| JudgedCopy {
            address: recipient.forward_path.clone(),
            row: *row,
            became,
        })
        .collect()
}

fn without_tests(scan: &Scan) -> Scan {
    Scan {
        scanner: scan.scanner.clone(),
        found: scan.found.clone(),
        score: scan.score,
        limit: scan.limit,
        action: scan.action.clone(),
        tests: Vec::new(),
    }
}

/// Writes the facts of one message.
pub(crate) fn insert(
    db: &Connection,
    message: Id,
    at: Timestamp,
    facts: &str,
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO judged (message, at, facts) VALUES (?1, ?2, ?3)")?
        .execute(params![message.0, at.0, facts])?;
    Ok(())
}

/// At most `limit` messages that were judged since then, in order, those up to the row `after` left
/// out; each with its row.
pub(crate) fn since(
    db: &Connection,
    since: Timestamp,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Judged)>> {
    db.prepare_cached(
        "SELECT seq, message, at, facts FROM judged WHERE seq > ?1 AND at >= ?2
         ORDER BY seq LIMIT ?3",
    )?
    .query_map(params![after, since.0, limit], |row| {
        Ok((row.get(0)?, judged(row)?))
    })?
    .collect()
}

fn judged(row: &Row<'_>) -> rusqlite::Result<Judged> {
    let facts: String = row.get(3)?;
    let judged: Judged = serde_json::from_str(&facts)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(3, Type::Text, error.into()))?;
    Ok(Judged {
        id: Id(row.get(1)?),
        at: Timestamp(row.get(2)?),
        ..judged
    })
}
