//! Connections: how the ledger is opened, and how its schema is brought up to date.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::StoreError;

mod embedded {
    refinery::embed_migrations!("../../migrations");
}

/// How long a reader waits for a lock before it gives up.
const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 64;

/// Opens the ledger for the writer thread and migrates it.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    private_file(path).map_err(at(path))?;
    let mut db = Connection::open(path).map_err(StoreError::from)?;
    // The page size holds only for a new file, and only before WAL is chosen.
    db.execute_batch(
        "PRAGMA page_size = 16384;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = FAST;
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -32768;",
    )?;
    prepare(&db)?;
    embedded::migrations::runner()
        .run(&mut db)
        .map_err(|error| {
            StoreError::Failing(format!("migration of {}: {error}", path.display()))
        })?;
    Ok(db)
}

/// A ledger for unit tests, which no file outlives.
#[cfg(test)]
pub(crate) fn in_memory() -> Connection {
    let mut db = Connection::open_in_memory().expect("memory");
    let migrated = embedded::migrations::runner().run(&mut db);
    migrated.expect("migrations");
    db
}

/// Makes the file before SQLite does, readable by us alone; its log takes after it.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(path)?;
    Ok(())
}

/// Opens the ledger for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    prepare(&db)?;
    Ok(db)
}

/// Brings the write-ahead log into the ledger and cuts it. Fails if a reader is in the way for long.
pub(crate) fn empty_log(path: &Path) -> Result<(), StoreError> {
    let db = Connection::open(path)?;
    prepare(&db)?;
    let busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    match busy {
        false => Ok(()),
        true => Err(StoreError::Failing("the ledger is being read".to_owned())),
    }
}

/// What holds for every connection.
fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without the planner's promise of one plan for all values, SQLite compiles some statements
    // anew each time they are bound, the audit's among them.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.to_string()),
            _ => Self::Failing(error.to_string()),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Self::Full(error.to_string()),
            _ => Self::Failing(error.to_string()),
        }
    }
}

/// The error of the file system with the path that it is about, which its own words leave out.
pub(crate) fn at(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    move |error| {
        let named = format!("{}: {error}", path.display());
        std::io::Error::new(error.kind(), named).into()
    }
}
