//! Where the bytes of a message are: in a row of their own, or in the spool.

use std::collections::HashSet;

use posthouse_hook::Id;
use rusqlite::{Connection, OptionalExtension as _};

/// The bytes of a message.
pub(crate) enum Bytes {
    Row(Vec<u8>),
    File,
}

/// Where the bytes of a message are, if they are kept.
pub(crate) fn of(db: &Connection, message: Id) -> rusqlite::Result<Option<Bytes>> {
    db.prepare_cached("SELECT bytes FROM body WHERE message = ?1")?
        .query_row([message.0], |row| row.get::<_, Option<Vec<u8>>>(0))
        .optional()
        .map(|found| found.map(|bytes| bytes.map_or(Bytes::File, Bytes::Row)))
}

/// The messages whose bytes are spool files.
pub(crate) fn spooled(db: &Connection) -> rusqlite::Result<HashSet<Id>> {
    db.prepare("SELECT message FROM body WHERE bytes IS NULL")?
        .query_map([], |row| row.get(0).map(Id))?
        .collect()
}
