//! Where the bytes of a message are: in a row of their own, or in the spool.

use std::collections::HashSet;

use posthouse_hook::Id;
use rusqlite::{Connection, OptionalExtension as _};

/// The bytes of a message.
pub(crate) enum Bytes {
    Row(Vec<u8>),
    /// In a spool file of so many octets.
    File(u64),
}

/// Where the bytes of a message are, if they are kept.
pub(crate) fn of(db: &Connection, message: Id) -> rusqlite::Result<Option<Bytes>> {
    let sql = "SELECT bytes, size FROM body JOIN message ON id = message WHERE message = ?1";
    db.prepare_cached(sql)?
        .query_row([message.0], |row| {
            let size = row.get::<_, i64>(1)?.unsigned_abs();
            Ok(row
                .get::<_, Option<_>>(0)?
                .map_or(Bytes::File(size), Bytes::Row))
        })
        .optional()
}

/// The messages whose bytes are spool files.
pub(crate) fn spooled(db: &Connection) -> rusqlite::Result<HashSet<Id>> {
    db.prepare("SELECT message FROM body WHERE bytes IS NULL")?
        .query_map([], |row| row.get(0).map(Id))?
        .collect()
}
