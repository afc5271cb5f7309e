//! Addresses for which something is or was held: their rows, and whether letters go to them.

use posthouse_hook::{Id, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::model::{Address, Letters};
use crate::rows::unreadable;

/// The columns that [`address_of`] reads.
pub(crate) const ADDRESS: &str = "id, address, letters, last_letter, generation";

/// An address and the generation of its links.
pub(crate) struct AddressRow {
    pub(crate) address: Address,
    pub(crate) generation: u32,
}

/// Reads a row of [`ADDRESS`].
pub(crate) fn address_of(row: &Row<'_>) -> rusqlite::Result<AddressRow> {
    let letters: String = row.get(2)?;
    let address = Address {
        id: Id(row.get(0)?),
        address: row.get(1)?,
        letters: Letters::parse(&letters).ok_or_else(|| unreadable(2, &letters))?,
        last_letter: row.get::<_, Option<i64>>(3)?.map(Timestamp),
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
