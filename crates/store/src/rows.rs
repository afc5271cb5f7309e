//! Rows into values: how messages and recipients are read.

use std::collections::HashMap;
use std::net::IpAddr;

use posthouse_hook::{ForwardPath, Id, ReversePath, Row, Timestamp, Trail};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, ToSql, params_from_iter};

use crate::model::{Filter, Item, ItemRecipient, Kind};
use crate::state::State;

/// The columns that [`item_of`] reads.
const ITEM: &str = "m.id, m.received_at, m.reverse_path, m.client, m.helo, m.size, m.refused,
    f.from_text, f.subject, f.date, f.judgement, f.trail
    FROM message m LEFT JOIN facts f ON f.message = m.id";
const RECIPIENT: &str = "id, address, state, filtered, kind, attempts, due_at, said, changed_at,
    target IS NOT NULL";
/// Messages that a list gives when no limit is asked for, and the most that it ever gives.
const PAGE: usize = 100;
const MOST: usize = 10_000;

/// A value in the ledger that this version does not know: an error, never a guess.
pub(crate) fn unreadable(column: usize, text: &str) -> rusqlite::Error {
    let error = format!("unexpected value `{text}`");
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

pub(crate) fn state(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<State> {
    let text: String = row.get(column)?;
    State::parse(&text).ok_or_else(|| unreadable(column, &text))
}

pub(crate) fn forward_path(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<ForwardPath> {
    let text: String = row.get(column)?;
    ForwardPath::from_address(&text).map_err(|_| unreadable(column, &text))
}

/// Where a copy goes in place of its address.
pub(crate) fn redirect(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Option<ForwardPath>> {
    match row.get::<_, Option<String>>(column)? {
        Some(_) => forward_path(row, column).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn reverse_path(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<ReversePath> {
    let text: String = row.get(column)?;
    ReversePath::from_address(&text).map_err(|_| unreadable(column, &text))
}

pub(crate) fn kind(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Kind> {
    let text: String = row.get(column)?;
    Kind::parse(&text).ok_or_else(|| unreadable(column, &text))
}

/// One message with its recipients.
pub(crate) fn item(db: &Connection, id: Id) -> rusqlite::Result<Option<Item>> {
    let found = db
        .prepare_cached(&format!("SELECT {ITEM} WHERE m.id = ?1"))?
        .query_row([id.0], item_of)
        .optional()?;
    found.map(|item| with_recipients(db, item)).transpose()
}

/// Messages that fit the filter, newest first.
pub(crate) fn items(
    db: &Connection,
    filter: &Filter,
    owner: Option<Id>,
) -> rusqlite::Result<Vec<Item>> {
    list(db, filter, condition(filter, owner))
}

/// Messages of which this sender (unwrapped, lower case) was told that they are held.
pub(crate) fn items_from(
    db: &Connection,
    sender: &str,
    filter: &Filter,
) -> rusqlite::Result<Vec<Item>> {
    let mut wanted = condition(filter, None);
    wanted.and("f.sender = ?", sender.to_owned());
    wanted.terms.push("m.refused".to_owned());
    list(db, filter, wanted)
}

/// How many messages from this sender (unwrapped, lower case) are held.
pub(crate) fn held_from(db: &Connection, sender: &str) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "SELECT count(*) FROM facts f WHERE f.sender = ?1 AND EXISTS (
           SELECT 1 FROM recipient r WHERE r.message = f.message AND r.state = 'held')",
    )?
    .query_row([sender], |row| row.get(0))
}

fn list(db: &Connection, filter: &Filter, wanted: Condition) -> rusqlite::Result<Vec<Item>> {
    let limit = match filter.limit {
        0 => PAGE,
        n => n.min(MOST),
    };
    let condition = wanted.sql();
    let sql = format!("SELECT {ITEM} WHERE {condition} ORDER BY m.id DESC LIMIT {limit}");
    let found = db
        .prepare_cached(&sql)?
        .query_map(params_from_iter(wanted.values), item_of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    found
        .into_iter()
        .map(|item| with_recipients(db, item))
        .collect()
}

/// A condition in SQL with placeholders, and the values for them.
#[derive(Default)]
struct Condition {
    terms: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Condition {
    fn and(&mut self, term: impl Into<String>, value: impl ToSql + 'static) {
        self.terms.push(term.into());
        self.values.push(Box::new(value));
    }

    fn and_one_of(&mut self, column: &str, states: &[State]) {
        let marks = vec!["?"; states.len()].join(", ");
        self.terms.push(format!("{column} IN ({marks})"));
        let names = states.iter().map(|state| Box::new(state.name()) as _);
        self.values.extend(names);
    }

    fn sql(&self) -> String {
        match self.terms.is_empty() {
            true => "true".to_owned(),
            false => self.terms.join(" AND "),
        }
    }
}

/// The filter for messages. With an owner: only messages of which a copy is or was held for that
/// address row.
fn condition(filter: &Filter, owner: Option<Id>) -> Condition {
    let mut wanted = Condition::default();
    if let Some(before) = filter.before {
        wanted.and("m.id < ?", before.0);
    }
    if let Some(sender) = &filter.sender {
        wanted.and("lower(m.reverse_path) = ?", sender.to_ascii_lowercase());
    }
    if let Some(text) = &filter.text {
        wanted.and(
            "instr(lower(f.from_text || char(10) || f.subject || char(10) || m.reverse_path), ?) > 0",
            text.to_ascii_lowercase(),
        );
    }
    let copies = condition_on_copies(filter, owner);
    if !copies.terms.is_empty() {
        let some = format!("SELECT r.message FROM recipient r WHERE {}", copies.sql());
        wanted.terms.push(format!("m.id IN ({some})"));
        wanted.values.extend(copies.values);
    }
    wanted
}

fn condition_on_copies(filter: &Filter, owner: Option<Id>) -> Condition {
    let mut wanted = Condition::default();
    if let Some(owner) = owner {
        wanted.and("r.owner = ?", owner.0);
    }
    if let Some(recipient) = &filter.recipient {
        wanted.and("lower(r.address) = ?", recipient.to_ascii_lowercase());
    }
    if !filter.states.is_empty() {
        wanted.and_one_of("r.state", &filter.states);
    }
    wanted
}

fn item_of(row: &SqlRow<'_>) -> rusqlite::Result<Item> {
    let client: Option<String> = row.get(3)?;
    let text = |column: usize| {
        row.get::<_, Option<String>>(column)
            .map(Option::unwrap_or_default)
    };
    let judgement: Option<String> = row.get(10)?;
    let trail: Option<String> = row.get(11)?;
    Ok(Item {
        id: Id(row.get(0)?),
        received_at: Timestamp(row.get(1)?),
        reverse_path: reverse_path(row, 2)?,
        client: client.and_then(|ip| ip.parse::<IpAddr>().ok()),
        helo: row.get(4)?,
        size: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        refused: row.get(6)?,
        from: text(7)?,
        subject: text(8)?,
        date: text(9)?,
        judgement: judgement.map_or(Ok(None), |json| from_json(10, &json))?,
        trail: trail.map_or_else(|| Ok(Trail::default()), |json| from_json(11, &json))?,
        recipients: Vec::new(),
    })
}

fn from_json<T: serde::de::DeserializeOwned>(column: usize, json: &str) -> rusqlite::Result<T> {
    serde_json::from_str(json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn with_recipients(db: &Connection, mut item: Item) -> rusqlite::Result<Item> {
    item.recipients = db
        .prepare_cached(&format!(
            "SELECT {RECIPIENT} FROM recipient WHERE message = ?1 ORDER BY id"
        ))?
        .query_map([item.id.0], recipient_of)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(item)
}

fn recipient_of(row: &SqlRow<'_>) -> rusqlite::Result<ItemRecipient> {
    let state = state(row, 2)?;
    let filtered: Option<bool> = row.get(3)?;
    let due: Option<i64> = row.get(6)?;
    Ok(ItemRecipient {
        id: Id(row.get(0)?),
        address: forward_path(row, 1)?,
        state,
        row: filtered.map(|yes| if yes { Row::Filtered } else { Row::Other }),
        kind: kind(row, 4)?,
        attempts: row.get(5)?,
        next_attempt: due
            .filter(|_| matches!(state, State::Queued | State::Deferred))
            .map(Timestamp),
        said: row.get(7)?,
        changed_at: Timestamp(row.get(8)?),
        redirected: row.get(9)?,
    })
}

/// Copies by state.
pub(crate) fn counts(db: &Connection) -> rusqlite::Result<Vec<(State, u64)>> {
    let found: HashMap<String, i64> = db
        .prepare_cached("SELECT state, count(*) FROM recipient GROUP BY state")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let count = |state: State| u64::try_from(found.get(state.name()).copied().unwrap_or(0));
    Ok(State::ALL
        .into_iter()
        .map(|state| (state, count(state).unwrap_or(0)))
        .collect())
}
