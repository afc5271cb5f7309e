//! Erasing: all that is stored about one address, as recipient and as sender.
//!
//! A reader looks for it, because that takes a look at every row; the writer erases what was found,
//! a round at a time, and looks again at each row before it does. What is on its way is a promise:
//! it stays until it is delivered, and is noted so that its rows go then.

pub(crate) mod naming;

use posthouse_hook::{Id, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::copies::{self, Change, Copy, apply, selected};
use crate::model::{Actor, Erased, Kind, RecipientChoice, Selection, Who};
use crate::state::{Event, State};
use crate::{choices, forget, keeping};
use naming::{names, redacted};

/// What becomes of a row whose column names the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The row goes if the column is the address.
    DropIs,
    /// The row goes if the column names the address anywhere.
    DropNaming,
    /// The name is replaced.
    Redact,
}

/// A column that may name an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    table: &'static str,
    /// The table's primary key.
    keys: &'static [&'static str],
    column: &'static str,
    how: How,
    /// What it is called in the receipt.
    kind: &'static str,
}

const fn column(
    table: &'static str,
    keys: &'static [&'static str],
    column: &'static str,
    how: How,
    kind: &'static str,
) -> Column {
    Column {
        table,
        keys,
        column,
        how,
        kind,
    }
}

/// Every column that may name an address, but those of messages and their copies, which
/// [`messages`] is about. A test holds this list to the schema.
pub(crate) const COLUMNS: &[Column] = &[
    column("facts", &["message"], "from_text", How::Redact, "facts"),
    column("facts", &["message"], "subject", How::Redact, "facts"),
    column("facts", &["message"], "date", How::Redact, "facts"),
    column("facts", &["message"], "judgement", How::Redact, "facts"),
    column("facts", &["message"], "trail", How::Redact, "facts"),
    column("message", &["id"], "helo", How::Redact, "facts"),
    column(
        "recipient",
        &["message", "id"],
        "said",
        How::Redact,
        "last words",
    ),
    column(
        "audit",
        &["item", "seq"],
        "detail",
        How::Redact,
        "audit lines",
    ),
    column("tally", &["key", "hour"], "key", How::DropNaming, "counts"),
    column("sample", &["id"], "sender", How::DropIs, "samples"),
    column("sample", &["id"], "judgement", How::DropNaming, "samples"),
    column("sample", &["id"], "bytes", How::DropNaming, "samples"),
    column("request", &["message"], "comment", How::Redact, "requests"),
    column("pending", &["id"], "mailed", How::DropIs, "choices"),
    column("pending", &["id"], "target", How::DropIs, "choices"),
    column("errand", &["id"], "mailed", How::DropIs, "letters"),
    column(
        "observed",
        &["seq"],
        "reverse_path",
        How::DropIs,
        "observations",
    ),
    column(
        "observed",
        &["seq"],
        "recipients",
        How::DropNaming,
        "observations",
    ),
    column(
        "judged",
        &["seq"],
        "facts",
        How::DropNaming,
        "judged messages",
    ),
    column(
        "greylist",
        &["network", "sender", "recipient"],
        "sender",
        How::DropIs,
        "greylisted tries",
    ),
    column(
        "greylist",
        &["network", "sender", "recipient"],
        "recipient",
        How::DropIs,
        "greylisted tries",
    ),
    column("sender", &["id"], "address", How::DropIs, "addresses"),
    column("address", &["id"], "address", How::DropIs, "addresses"),
];

/// Where a row is: the values of its primary key.
pub(crate) type Place = Vec<Value>;

/// Messages that the address sent, or of which a copy went to it.
pub(crate) fn messages(db: &Connection, address: &str) -> rusqlite::Result<Vec<Id>> {
    db.prepare_cached(
        "SELECT message FROM facts WHERE sender = ?1
         UNION SELECT id FROM message WHERE lower(reverse_path) = ?1
         UNION SELECT message FROM recipient WHERE lower(address) = ?1 OR lower(target) = ?1",
    )?
    .query_map([address], |row| row.get(0).map(Id))?
    .collect()
}

/// The rows of which this column names the address.
pub(crate) fn places(
    db: &Connection,
    column: &Column,
    address: &str,
) -> rusqlite::Result<Vec<Place>> {
    let Column {
        table,
        keys,
        column: name,
        ..
    } = column;
    let sql = format!(
        "SELECT {}, CAST({name} AS BLOB) FROM {table} WHERE instr(lower(CAST({name} AS TEXT)), ?1)",
        keys.join(", ")
    );
    let mut find = db.prepare(&sql)?;
    let mut rows = find.query([address])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if column.is_about(row.get_ref(keys.len())?.as_blob()?, address) {
            let key = (0..keys.len()).map(|n| row.get(n));
            found.push(key.collect::<rusqlite::Result<_>>()?);
        }
    }
    Ok(found)
}

impl Column {
    fn is_about(&self, octets: &[u8], address: &str) -> bool {
        match self.how {
            How::DropIs => octets.eq_ignore_ascii_case(address.as_bytes()),
            How::DropNaming | How::Redact => names(octets, address),
        }
    }

    fn condition(&self) -> String {
        let terms = self.keys.iter().enumerate();
        let terms = terms.map(|(n, key)| format!("{key} = ?{}", n + 1));
        terms.collect::<Vec<_>>().join(" AND ")
    }
}

/// Erases the address from one column of these rows.
pub(crate) fn erase_at(
    db: &Connection,
    column: &Column,
    places: &[Place],
    address: &str,
    erased: &mut Erased,
) -> rusqlite::Result<()> {
    for place in places {
        let rows = match column.how {
            How::DropIs | How::DropNaming => drop_at(db, column, place)?,
            How::Redact => redact_at(db, column, place, address)?,
        };
        erased.count(column.kind, rows);
    }
    Ok(())
}

fn drop_at(db: &Connection, column: &Column, place: &Place) -> rusqlite::Result<usize> {
    let (table, condition) = (column.table, column.condition());
    db.prepare_cached(&format!("DELETE FROM {table} WHERE {condition}"))?
        .execute(rusqlite::params_from_iter(place))
}

fn redact_at(
    db: &Connection,
    column: &Column,
    place: &Place,
    address: &str,
) -> rusqlite::Result<usize> {
    let (table, name, condition) = (column.table, column.column, column.condition());
    let old: Vec<String> = db
        .prepare_cached(&format!("SELECT {name} FROM {table} WHERE {condition}"))?
        .query_map(rusqlite::params_from_iter(place), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut rows = 0;
    for text in old {
        let mut values = place.clone();
        values.push(Value::Text(redacted(&text, address)));
        let set = format!(
            "UPDATE {table} SET {name} = ?{} WHERE {condition}",
            values.len()
        );
        rows += db
            .prepare_cached(&set)?
            .execute(rusqlite::params_from_iter(values))?;
    }
    Ok(rows)
}

/// What hangs on the rows of the address, before they go: its choices that wait, redirects of
/// others to it, and the words in its audit. Who did what and when stays.
pub(crate) fn erase_party(
    db: &Connection,
    address: &str,
    now: Timestamp,
    erased: &mut Erased,
) -> rusqlite::Result<()> {
    let by = Actor::local(Who::Operator);
    for owner in redirecting_to(db, address)? {
        choices::set_recipient(db, owner, &RecipientChoice::Hold, &by, now)?;
        erased.count("redirects to it", 1);
    }
    for (table, party) in [("address", "recipient"), ("sender", "sender")] {
        let row = format!("(SELECT id FROM {table} WHERE address = ?1)");
        let choices = format!("DELETE FROM pending WHERE party = '{party}' AND subject IN {row}");
        erased.count("choices", db.prepare_cached(&choices)?.execute([address])?);
        let words = format!("UPDATE audit SET detail = '' WHERE item IN {row}");
        db.prepare_cached(&words)?.execute([address])?;
    }
    Ok(())
}

fn redirecting_to(db: &Connection, address: &str) -> rusqlite::Result<Vec<Id>> {
    db.prepare_cached("SELECT id FROM address WHERE lower(target) = ?1")?
        .query_map([address], |row| row.get(0).map(Id))?
        .collect()
}

/// Erases one message as far as it is the address's: all copies if it sent them, else its own.
/// Returns the message if its bytes were a spool file.
pub(crate) fn erase_message(
    db: &Connection,
    message: Id,
    address: &str,
    now: Timestamp,
    erased: &mut Erased,
) -> rusqlite::Result<Option<Id>> {
    let sent = is_sender(db, message, address)?;
    let everything = Selection {
        item: message,
        addresses: Vec::new(),
    };
    let copies = selected(db, &everything)?;
    for copy in &copies {
        if sent || goes_to(db, copy, address)? {
            erase_copy(db, copy, now, erased)?;
        }
    }
    if sent {
        // What is left of it is on its way, and its pages have nothing to tell any more.
        forget::forget_facts(db, message)?;
    }
    let file = leave(db, message)?;
    match file {
        Left::Nothing(file) => {
            erased.count("messages", 1);
            Ok(file)
        }
        Left::Others(file) => {
            erased.shared += usize::from(!sent);
            Ok(file)
        }
    }
}

/// What is left of a message, and its spool file if that is to go.
enum Left {
    Nothing(Option<Id>),
    Others(Option<Id>),
}

fn leave(db: &Connection, message: Id) -> rusqlite::Result<Left> {
    let copies: i64 = db
        .prepare_cached("SELECT count(*) FROM recipient WHERE message = ?1")?
        .query_row([message.0], |row| row.get(0))?;
    if copies == 0 {
        db.prepare_cached("UPDATE audit SET detail = '' WHERE item = ?1")?
            .execute([message.0])?;
        return forget::forget_held(db, message).map(Left::Nothing);
    }
    keeping::let_go(db, message)?;
    forget::forget_if_done(db, message).map(Left::Others)
}

/// Whether a copy is for the address, by its envelope or by a redirect.
fn goes_to(db: &Connection, copy: &Copy, address: &str) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM recipient WHERE message = ?1 AND id = ?2
           AND (lower(address) = ?3 OR lower(target) = ?3))",
    )?
    .query_row(
        params![copy.id.message.0, copy.id.recipient.0, address],
        |row| row.get(0),
    )
}

fn is_sender(db: &Connection, message: Id, address: &str) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM facts WHERE message = ?1 AND sender = ?2)
             OR EXISTS (SELECT 1 FROM message WHERE id = ?1 AND lower(reverse_path) = ?2)",
    )?
    .query_row(params![message.0, address], |row| row.get(0))
}

/// A held copy is dropped, and so is a letter that waits; what else is on its way stays and is
/// noted; of the others there is only a row.
fn erase_copy(
    db: &Connection,
    copy: &Copy,
    now: Timestamp,
    erased: &mut Erased,
) -> rusqlite::Result<()> {
    let may_drop = copy.state == State::Held || copy.kind == Kind::Letter;
    let kind = match (may_drop && drop_held(db, copy, now)?, copy.state) {
        (true, State::Held) => "held copies",
        (true, _) => "letters",
        (false, state) if state.is_final() => "past copies",
        (false, _) => {
            erased.waiting += 1;
            return note(db, copy);
        }
    };
    erased.count(kind, 1);
    erase_row(db, copy)
}

/// Drops a copy that is still held or waits. Says whether it could.
fn drop_held(db: &Connection, copy: &Copy, now: Timestamp) -> rusqlite::Result<bool> {
    let drop = Change {
        said: Some("erased"),
        ..Change::of(Event::Discard, now, None)
    };
    let dropped = apply(db, copy, &drop, &Actor::local(Who::Operator))?;
    Ok(dropped.is_some())
}

/// Its rows go when it is done: see [`erase_done`].
fn note(db: &Connection, copy: &Copy) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO erasure (message, recipient) VALUES (?1, ?2)")?
        .execute([copy.id.message.0, copy.id.recipient.0])?;
    Ok(())
}

/// The row of a copy, and the words in its audit: who did what and when stays.
fn erase_row(db: &Connection, copy: &Copy) -> rusqlite::Result<()> {
    let (message, recipient) = (copy.id.message.0, copy.id.recipient.0);
    for sql in [
        "DELETE FROM recipient WHERE message = ?1 AND id = ?2",
        "DELETE FROM erasure WHERE message = ?1 AND recipient = ?2",
        "UPDATE audit SET detail = '' WHERE item = ?1 AND subject = ?2",
    ] {
        db.prepare_cached(sql)?.execute([message, recipient])?;
    }
    Ok(())
}

/// Erases the rows of copies that were on their way when their address was erased and are done now,
/// or came back to be held. Returns messages whose bytes were a spool file.
pub(crate) fn erase_done(db: &Connection, now: Timestamp) -> rusqlite::Result<Vec<Id>> {
    let noted = db
        .prepare_cached(
            "SELECT r.id, r.message, r.state, r.address, r.kind
             FROM erasure e JOIN recipient r ON r.message = e.message AND r.id = e.recipient",
        )?
        .query_map([], copies::copy_of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let is_over = |copy: &&Copy| copy.state.is_final() || copy.state == State::Held;
    let mut files = Vec::new();
    for copy in noted.iter().filter(is_over) {
        drop_held(db, copy, now)?;
        erase_row(db, copy)?;
        let (Left::Nothing(file) | Left::Others(file)) = leave(db, copy.id.message)?;
        files.extend(file);
    }
    forget_vanished(db)?;
    Ok(files)
}

/// Copies whose rows went with their delivery: only their audit is left.
fn forget_vanished(db: &Connection) -> rusqlite::Result<()> {
    let gone = "FROM erasure WHERE NOT EXISTS (SELECT 1 FROM recipient r
        WHERE r.message = erasure.message AND r.id = erasure.recipient)";
    let audit = format!(
        "UPDATE audit SET detail = '' WHERE (item, subject) IN (SELECT message, recipient {gone})"
    );
    db.prepare_cached(&audit)?.execute([])?;
    db.prepare_cached(&format!("DELETE {gone}"))?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::db::in_memory;

    /// Columns of text or octets that [`messages`] and [`erase_party`] are about, or that cannot
    /// name an address.
    const OTHERS: &[(&str, &str)] = &[
        ("message", "reverse_path"),
        ("message", "client"),
        ("message", "received"),
        ("body", "bytes"),
        ("facts", "identity"),
        ("facts", "sender"),
        ("facts", "origin"),
        ("recipient", "address"),
        ("recipient", "kind"),
        ("recipient", "state"),
        ("address", "letters"),
        ("recipient", "target"),
        ("address", "choice"),
        ("address", "target"),
        ("address", "language"),
        ("sender", "choice"),
        ("pending", "party"),
        ("pending", "choice"),
        ("errand", "what"),
        ("errand", "asked_by"),
        ("errand", "language"),
        ("request", "asked_by"),
        ("setting", "key"),
        ("setting", "value"),
        ("observed", "chain"),
        ("observed", "plugin"),
        ("observed", "point"),
        ("observed", "would"),
        ("audit", "event"),
        ("audit", "state"),
        ("audit", "who"),
        ("keeping", "sender"),
        ("feedback", "lesson"),
        ("grey_network", "network"),
        ("greylist", "network"),
    ];

    /// docs/privacy.md tells of every table.
    #[test]
    fn the_docs_tell_of_every_table() {
        const DOCS: &str = include_str!("../../../../docs/privacy.md");
        let tables = COLUMNS.iter().map(|c| c.table);
        for table in tables.chain(OTHERS.iter().map(|(table, _)| *table)) {
            assert!(DOCS.contains(&format!("| `{table}` |")), "{table}");
        }
    }

    /// Whoever adds a column decides here whether it can name an address.
    #[test]
    fn every_column_that_may_name_an_address_is_thought_of() {
        let db = in_memory();
        let mut find = db
            .prepare(
                "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND c.type IN ('TEXT', 'BLOB')
                   AND t.name NOT LIKE 'refinery%' AND t.name NOT LIKE 'sqlite%'",
            )
            .expect("SQL");
        let pairs = find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let found: BTreeSet<(String, String)> = pairs
            .expect("rows")
            .map(|row| row.expect("a row"))
            .collect();
        let owned = |(table, column): (&str, &str)| (table.to_owned(), column.to_owned());
        let listed = COLUMNS.iter().map(|c| (c.table, c.column));
        let thought_of: BTreeSet<_> = listed.chain(OTHERS.iter().copied()).map(owned).collect();
        assert_eq!(found, thought_of);
    }
}
