//! Standing choices: how they are read, asked for, confirmed and set.
//!
//! Nothing takes effect here without a confirm link, but for what its caller may do at once: an
//! operator everything, a person what makes things as they were.

mod asking;
mod pending;

use posthouse_hook::{ForwardPath, Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::addresses::{ADDRESS, address_of};
use crate::audit::{self, Line};
use crate::model::{
    Actor, Address, Choices, Kind, Objection, RecipientChoice, Selection, Sender, SenderChoice,
};
use crate::quarantine;
use crate::rows::unreadable;

pub(crate) use asking::{Asking, CONFIRM, UNDO, ask};
pub(crate) use pending::{
    confirm, confirm_link, forget, pending, unwritten, waiting, withdraw, written,
};

const SENDER: &str = "id, address, choice, chosen_at, generation";

/// A sender and the generation of its links.
pub(crate) struct SenderRow {
    pub(crate) sender: Sender,
    pub(crate) generation: u32,
}

fn sender_of(row: &Row<'_>) -> rusqlite::Result<SenderRow> {
    let choice: String = row.get(2)?;
    let sender = Sender {
        id: Id(row.get(0)?),
        address: row.get(1)?,
        choice: SenderChoice::parse(&choice).ok_or_else(|| unreadable(2, &choice))?,
        chosen_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
    };
    Ok(SenderRow {
        sender,
        generation: row.get(4)?,
    })
}

/// Reads a recipient's choice from the columns choice and target.
pub(crate) fn recipient_choice(row: &Row<'_>, column: usize) -> rusqlite::Result<RecipientChoice> {
    let name: String = row.get(column)?;
    let target: Option<String> = row.get(column + 1)?;
    read_choice(&name, target.as_deref()).ok_or_else(|| unreadable(column, &name))
}

fn read_choice(name: &str, target: Option<&str>) -> Option<RecipientChoice> {
    Some(match name {
        "hold" => RecipientChoice::Hold,
        "discard" => RecipientChoice::Discard,
        "redirect" => RecipientChoice::Redirect(ForwardPath::from_address(target?).ok()?),
        _ => return None,
    })
}

/// Every standing choice.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Choices> {
    let senders = db
        .prepare_cached(&format!(
            "SELECT {SENDER} FROM sender WHERE choice <> 'hold'"
        ))?
        .query_map([], sender_of)?
        .map(|row| row.map(|r| (r.sender.address, r.sender.choice)))
        .collect::<rusqlite::Result<_>>()?;
    let recipients = db
        .prepare_cached(&format!(
            "SELECT {ADDRESS} FROM address WHERE choice <> 'hold'"
        ))?
        .query_map([], address_of)?
        .map(|row| row.map(|r| (r.address.address, r.address.choice)))
        .collect::<rusqlite::Result<_>>()?;
    Ok(Choices {
        senders,
        recipients,
    })
}

/// Senders who have chosen something, by address; at most `limit`.
pub(crate) fn senders(db: &Connection, limit: usize) -> rusqlite::Result<Vec<Sender>> {
    db.prepare_cached(&format!(
        "SELECT {SENDER} FROM sender WHERE choice <> 'hold' ORDER BY address LIMIT ?1"
    ))?
    .query_map([limit], |row| sender_of(row).map(|r| r.sender))?
    .collect()
}

/// Recipients who have chosen something, letters included, by address; at most `limit`.
pub(crate) fn recipients(db: &Connection, limit: usize) -> rusqlite::Result<Vec<Address>> {
    db.prepare_cached(&format!(
        "SELECT {ADDRESS} FROM address
         WHERE choice <> 'hold' OR letters <> 'on' OR interval_days IS NOT NULL
         ORDER BY address LIMIT ?1"
    ))?
    .query_map([limit], |row| address_of(row).map(|r| r.address))?
    .collect()
}

/// The row of a sender, in any case.
pub(crate) fn sender_by_name(
    db: &Connection,
    address: &str,
) -> rusqlite::Result<Option<SenderRow>> {
    db.prepare_cached(&format!("SELECT {SENDER} FROM sender WHERE address = ?1"))?
        .query_row([address.to_ascii_lowercase()], sender_of)
        .optional()
}

/// The row of that id.
pub(crate) fn sender_by_id(db: &Connection, id: Id) -> rusqlite::Result<Option<SenderRow>> {
    db.prepare_cached(&format!("SELECT {SENDER} FROM sender WHERE id = ?1"))?
        .query_row([id.0], sender_of)
        .optional()
}

/// The row of a sender; made if need be.
pub(crate) fn ensure_sender(db: &Connection, address: &str, new: Id) -> rusqlite::Result<Id> {
    ensure(db, "sender", address, new)
}

/// The row of a recipient; made if need be.
pub(crate) fn ensure_address(db: &Connection, address: &str, new: Id) -> rusqlite::Result<Id> {
    ensure(db, "address", address, new)
}

fn ensure(db: &Connection, table: &str, address: &str, new: Id) -> rusqlite::Result<Id> {
    db.prepare_cached(&format!(
        "INSERT INTO {table} (id, address) VALUES (?1, ?2)
         ON CONFLICT (address) DO UPDATE SET address = excluded.address RETURNING id"
    ))?
    .query_row(params![new.0, address.to_ascii_lowercase()], |row| {
        row.get(0).map(Id)
    })
}

/// Sets a sender's choice.
pub(crate) fn set_sender(
    db: &Connection,
    id: Id,
    choice: SenderChoice,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let chosen = (choice != SenderChoice::Hold).then_some(now.0);
    db.prepare_cached("UPDATE sender SET choice = ?2, chosen_at = ?3 WHERE id = ?1")?
        .execute(params![id.0, choice.name(), chosen])?;
    audit::append(db, &line(now, id, "choice", choice.name(), ""), by)?;
    pending::supersede(db, id, by, now)
}

/// Sets a recipient's choice. A redirect takes along what is held; gives how many copies.
pub(crate) fn set_recipient(
    db: &Connection,
    id: Id,
    choice: &RecipientChoice,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let target = choice.target().map(ForwardPath::address);
    let chosen = (*choice != RecipientChoice::Hold).then_some(now.0);
    db.prepare_cached("UPDATE address SET choice = ?2, target = ?3, chosen_at = ?4 WHERE id = ?1")?
        .execute(params![id.0, choice.name(), target, chosen])?;
    let detail = target.as_deref().unwrap_or_default();
    audit::append(db, &line(now, id, "choice", choice.name(), detail), by)?;
    pending::supersede(db, id, by, now)?;
    match choice {
        RecipientChoice::Redirect(_) => redirect_held(db, id, by, now),
        RecipientChoice::Hold | RecipientChoice::Discard => Ok(0),
    }
}

/// Releases all that is held for an address to the target of its redirect.
fn redirect_held(db: &Connection, id: Id, by: &Actor, now: Timestamp) -> rusqlite::Result<usize> {
    let held: Vec<(i64, String)> = db
        .prepare_cached(
            "SELECT message, address FROM recipient WHERE owner = ?1 AND state = 'held'",
        )?
        .query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut moved = 0;
    for (message, address) in held {
        let what = Selection {
            item: Id(message),
            addresses: vec![address],
        };
        moved += quarantine::release_as(db, &what, Kind::Redirected, by, now)?.changed;
    }
    Ok(moved)
}

/// Why an address cannot redirect to a target, as far as the ledger knows.
pub(crate) fn objection(
    db: &Connection,
    owner: &str,
    target: &ForwardPath,
) -> rusqlite::Result<Option<Objection>> {
    if target.mailbox().is_none() {
        return Ok(Some(Objection::NoAddress));
    }
    if target.key() == owner {
        return Ok(Some(Objection::Itself));
    }
    let chain: bool = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM address WHERE address = ?1 AND choice = 'redirect')
             OR EXISTS (SELECT 1 FROM address WHERE lower(target) = ?2 AND choice = 'redirect')",
        )?
        .query_row([target.key().as_str(), owner], |row| row.get(0))?;
    Ok(chain.then_some(Objection::Chain))
}

fn line<'a>(at: Timestamp, item: Id, event: &'a str, state: &'a str, detail: &'a str) -> Line<'a> {
    Line {
        at,
        item,
        subject: item,
        event,
        state,
        detail,
    }
}
