//! A look into a database of somebody else's: one statement of the operator's, one value, yes or no.
//!
//! The database is opened for reading only, the value is bound and never part of the statement, and
//! nothing of the ledger is touched here.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle, OpenFlags, OptionalExtension as _};

/// How long a reader waits for whoever writes there.
const BUSY: Duration = Duration::from_secs(1);
/// Idle connections that are kept.
const KEPT: usize = 4;

/// Why a database gave no answer, with its path. For the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LookupFault(String);

/// One statement over one database. A clone shares its connections.
#[derive(Clone)]
pub struct Lookup {
    path: PathBuf,
    statement: Arc<str>,
    idle: Arc<Mutex<Idle>>,
}

/// Connections to the file that had this device and number.
#[derive(Default)]
struct Idle {
    file: (u64, u64),
    connections: Vec<Connection>,
}

/// Stops the statement when nobody waits for it any more.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Option<InterruptHandle>>>);

struct StopOnDrop(Running);

impl Lookup {
    /// Opens the database once, and checks that the statement only reads and has one parameter.
    pub fn new(path: &Path, statement: &str) -> Result<Self, LookupFault> {
        let this = Self {
            path: path.to_owned(),
            statement: statement.into(),
            idle: Arc::default(),
        };
        let db = this.take()?;
        this.check(&db)?;
        this.put(db);
        Ok(this)
    }

    /// Whether the statement, asked about that value, gives a row whose first column is neither 0
    /// nor NULL. Dropping the future stops the statement.
    pub async fn finds(&self, value: String) -> Result<bool, LookupFault> {
        let running = Running::default();
        let _stop = StopOnDrop(running.clone());
        let this = self.clone();
        let task = move || this.look(&value, &running);
        tokio::task::spawn_blocking(task)
            .await
            .map_err(|error| self.fault(error))?
    }

    fn look(&self, value: &str, running: &Running) -> Result<bool, LookupFault> {
        let db = self.take()?;
        running.set(Some(db.get_interrupt_handle()));
        let found = find(&db, &self.statement, value);
        running.set(None);
        let found = found.map_err(|error| self.fault(error))?;
        self.put(db);
        Ok(found)
    }

    fn check(&self, db: &Connection) -> Result<(), LookupFault> {
        let statement = db
            .prepare(&self.statement)
            .map_err(|error| self.fault(error))?;
        if !statement.readonly() {
            return Err(self.fault("the query would change the database"));
        }
        match statement.parameter_count() {
            1 => Ok(()),
            count => Err(self.fault(format_args!(
                "the query has {count} parameters and must have one, ?1"
            ))),
        }
    }

    /// An idle connection to the file that stands there now, or a new one.
    fn take(&self) -> Result<Connection, LookupFault> {
        let meta = std::fs::metadata(&self.path).map_err(|error| self.fault(error))?;
        let file = (meta.dev(), meta.ino());
        let mut idle = self.idle();
        if idle.file != file {
            *idle = Idle {
                file,
                connections: Vec::new(),
            };
        }
        let kept = idle.connections.pop();
        drop(idle);
        kept.map_or_else(|| self.open(), Ok)
    }

    fn put(&self, db: Connection) {
        let mut idle = self.idle();
        if idle.connections.len() < KEPT {
            idle.connections.push(db);
        }
    }

    fn open(&self) -> Result<Connection, LookupFault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Connection> {
            let db = Connection::open_with_flags(&self.path, flags)?;
            db.busy_timeout(BUSY)?;
            Ok(db)
        };
        open().map_err(|error| self.fault(error))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, error: impl std::fmt::Display) -> LookupFault {
        LookupFault(format!("{}: {error}", self.path.display()))
    }
}

fn find(db: &Connection, statement: &str, value: &str) -> rusqlite::Result<bool> {
    let mut statement = db.prepare_cached(statement)?;
    let truth = |row: &rusqlite::Row<'_>| {
        Ok(!matches!(
            row.get_ref(0)?,
            ValueRef::Null | ValueRef::Integer(0)
        ))
    };
    let found = statement.query_row([value], truth).optional()?;
    Ok(found.unwrap_or(false))
}

impl Running {
    fn set(&self, handle: Option<InterruptHandle>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        let running = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = running.as_ref() {
            handle.interrupt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &str = "select 1 from mailbox where address = ?1";

    fn database(dir: &Path, name: &str, address: &str) -> PathBuf {
        let path = dir.join(name);
        let db = Connection::open(&path).expect("a database");
        db.execute_batch("create table mailbox (address text primary key, n int)")
            .expect("a table");
        db.execute("insert into mailbox values (?1, 0)", [address])
            .expect("a row");
        path
    }

    #[tokio::test]
    async fn a_value_is_bound_and_never_part_of_the_statement() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = database(dir.path(), "a.db", "ann@x.example");
        let lookup = Lookup::new(&path, QUERY).expect("valid");
        for (value, want) in [
            ("ann@x.example", true),
            ("bob@x.example", false),
            ("' or '1'='1", false),
            ("x'; drop table mailbox; --", false),
            ("%", false),
        ] {
            assert_eq!(lookup.finds(value.to_owned()).await, Ok(want), "{value}");
        }
        let zero = Lookup::new(&path, "select n from mailbox where address = ?1").expect("valid");
        assert_eq!(zero.finds("ann@x.example".to_owned()).await, Ok(false));
    }

    #[tokio::test]
    async fn a_database_that_is_replaced_is_opened_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = database(dir.path(), "a.db", "ann@x.example");
        let lookup = Lookup::new(&path, QUERY).expect("valid");
        let new = database(dir.path(), "b.db", "bob@x.example");
        std::fs::rename(new, &path).expect("moved");
        assert_eq!(lookup.finds("bob@x.example".to_owned()).await, Ok(true));
        assert_eq!(lookup.finds("ann@x.example".to_owned()).await, Ok(false));
        std::fs::remove_file(&path).expect("removed");
        let fault = lookup
            .finds("bob@x.example".to_owned())
            .await
            .expect_err("gone");
        assert!(fault.to_string().contains("a.db: No such file"), "{fault}");
    }

    #[test]
    fn statements_that_cannot_be_asked_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = database(dir.path(), "a.db", "ann@x.example");
        for (statement, why) in [
            ("select 1 from missing where a = ?1", "no such table"),
            ("delete from mailbox where address = ?1", "would change"),
            ("select 1 from mailbox", "0 parameters"),
            (
                "select 1 from mailbox where address = ?1 and n = ?2",
                "2 parameters",
            ),
            ("select select", "syntax error"),
        ] {
            let fault = Lookup::new(&path, statement).err().expect(statement);
            assert!(fault.to_string().contains(why), "{statement}: {fault}");
        }
    }

    /// Would run for ever; the test ends because nobody waits.
    #[tokio::test]
    async fn a_statement_that_nobody_waits_for_is_stopped() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = database(dir.path(), "a.db", "ann@x.example");
        let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) \
                       select 1 from n where i < 0 and ?1 = 'x'";
        let lookup = Lookup::new(&path, endless).expect("valid");
        let asked = lookup.finds("x".to_owned());
        let limit = Duration::from_millis(200);
        assert!(tokio::time::timeout(limit, asked).await.is_err());
    }
}
