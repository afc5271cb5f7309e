//! Addresses for which something is or was held: their rows, and whether letters go to them.

use posthouse_hook::{Id, Language, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::audit::{self, Line};
use crate::choices::recipient_choice;
use crate::model::{Actor, Address, Letters};
use crate::rows::unreadable;

/// The columns that [`address_of`] reads.
pub(crate) const ADDRESS: &str = "id, address, letters, last_letter, generation, choice, target,
    chosen_at, interval_days, language";

/// An address and the generation of its links.
pub(crate) struct AddressRow {
    pub(crate) address: Address,
    pub(crate) generation: u32,
}

/// Reads a row of [`ADDRESS`].
pub(crate) fn address_of(row: &Row<'_>) -> rusqlite::Result<AddressRow> {
    let letters: String = row.get(2)?;
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp));
    let language: Option<String> = row.get(9)?;
    let address = Address {
        id: Id(row.get(0)?),
        address: row.get(1)?,
        letters: Letters::parse(&letters).ok_or_else(|| unreadable(2, &letters))?,
        last_letter: time(3)?,
        choice: recipient_choice(row, 5)?,
        chosen_at: time(7)?,
        interval_days: row.get(8)?,
        language: language.as_deref().and_then(|tag| tag.parse().ok()),
    };
    Ok(AddressRow {
        address,
        generation: row.get(4)?,
    })
}

/// The row of that id.
pub(crate) fn by_id(db: &Connection, id: Id) -> rusqlite::Result<Option<AddressRow>> {
    db.prepare_cached(&format!("SELECT {ADDRESS} FROM address WHERE id = ?1"))?
        .query_row([id.0], address_of)
        .optional()
}

/// The row of an address, in any case.
pub(crate) fn by_name(db: &Connection, address: &str) -> rusqlite::Result<Option<Address>> {
    db.prepare_cached(&format!("SELECT {ADDRESS} FROM address WHERE address = ?1"))?
        .query_row([address.to_ascii_lowercase()], address_of)
        .optional()
        .map(|found| found.map(|row| row.address))
}

/// Begins or ends letters to an address. Says whether the row is there.
pub(crate) fn set_letters(
    db: &Connection,
    address: Id,
    letters: Letters,
) -> rusqlite::Result<bool> {
    let changed = db
        .prepare_cached("UPDATE address SET letters = ?2 WHERE id = ?1")?
        .execute(params![address.0, letters.name()])?;
    Ok(changed == 1)
}

/// A letter that fails for good ends letters to that address.
pub(crate) fn end_letters(db: &Connection, address: &str) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE address SET letters = ?2 WHERE address = ?1")?
        .execute([
            address.to_ascii_lowercase().as_str(),
            Letters::Failed.name(),
        ])?;
    Ok(())
}

/// Sets how often and in which language an address is written to.
pub(crate) fn set_correspondence(
    db: &Connection,
    address: Id,
    interval_days: Option<u16>,
    language: Option<Language>,
    by: &Actor,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let language = language.map(Language::name);
    db.prepare_cached("UPDATE address SET interval_days = ?2, language = ?3 WHERE id = ?1")?
        .execute(params![address.0, interval_days, language])?;
    let days = interval_days.map_or("as configured".to_owned(), |days| format!("{days} days"));
    let line = Line {
        at: now,
        item: address,
        subject: address,
        event: "correspondence",
        state: language.unwrap_or("as configured"),
        detail: &days,
    };
    audit::append(db, &line, by)
}
