//! Whether there is room: `min_free` octets stay free, because deleting needs room too.
//!
//! Free is what the file system has left and what is empty within the ledger, whose file never
//! shrinks: what was deleted there makes room for what comes next. A quarter of `min_free` has to
//! be left outside of it, for the write-ahead log and for spool files.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::StoreError;
use crate::db::open_reader;

/// How long one look holds.
const FRESH: Duration = Duration::from_secs(1);

/// Watches the free space of the state directory.
#[derive(Debug)]
pub(crate) struct Room {
    dir: PathBuf,
    min_free: u64,
    seen: Mutex<Seen>,
}

/// The last look.
#[derive(Debug, Default)]
struct Seen {
    at: Option<Instant>,
    /// Octets free on the file system, less what was let in since the look.
    outside: u64,
    /// Octets of empty pages in the ledger.
    within: u64,
    ledger: Option<Connection>,
}

impl Room {
    pub(crate) fn new(dir: PathBuf, min_free: u64) -> Self {
        let seen = Mutex::default();
        Self {
            dir,
            min_free,
            seen,
        }
    }

    /// Whether `size` more octets leave `min_free`.
    pub(crate) fn check(&self, size: u64) -> Result<(), StoreError> {
        self.look(size).map(drop)
    }

    /// The same, for octets that are about to be written: they count until the next look, for much
    /// can come before it. Each may be written twice, to the log and from there to the ledger.
    pub(crate) fn take(&self, size: u64) -> Result<(), StoreError> {
        let mut seen = self.look(size)?;
        seen.outside = seen.outside.saturating_sub(size.saturating_mul(2));
        Ok(())
    }

    fn look(&self, size: u64) -> Result<std::sync::MutexGuard<'_, Seen>, StoreError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.is_none_or(|at| at.elapsed() >= FRESH) {
            self.refresh(&mut seen)?;
        }
        let outside = seen.outside.saturating_sub(size);
        if outside >= self.min_free / 4 && outside.saturating_add(seen.within) >= self.min_free {
            return Ok(seen);
        }
        Err(StoreError::Full(format!(
            "{} octets free in {} and {} in the ledger, {size} wanted, min_free is {}",
            seen.outside,
            self.dir.display(),
            seen.within,
            self.min_free
        )))
    }

    fn refresh(&self, seen: &mut Seen) -> Result<(), StoreError> {
        let stat = rustix::fs::statvfs(&self.dir).map_err(std::io::Error::from)?;
        seen.outside = stat.f_bavail.saturating_mul(stat.f_frsize);
        seen.within = self.empty_pages(seen)?;
        seen.at = Some(Instant::now());
        Ok(())
    }

    fn empty_pages(&self, seen: &mut Seen) -> Result<u64, StoreError> {
        let db = match seen.ledger.take() {
            Some(db) => db,
            None => open_reader(&self.dir.join("ledger.db"))?,
        };
        let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let octets = number("freelist_count")?.saturating_mul(number("page_size")?);
        seen.ledger = Some(db);
        Ok(u64::try_from(octets).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::open_writer;

    /// As if this had been seen just now.
    fn see(room: &Room, outside: u64, within: u64) {
        *room.seen.lock().expect("whole") = Seen {
            at: Some(Instant::now()),
            outside,
            within,
            ledger: None,
        };
    }

    #[test]
    fn what_is_let_in_counts_until_the_next_look() {
        let dir = tempfile::tempdir().expect("a directory");
        open_writer(&dir.path().join("ledger.db")).expect("a ledger");
        let room = Room::new(dir.path().to_owned(), 1000);
        see(&room, 1100, 0);
        assert!(room.check(100).is_ok());
        assert!(room.take(50).is_ok(), "once to the log, once to the ledger");
        assert!(
            room.check(1)
                .is_err_and(|e| matches!(e, StoreError::Full(_)))
        );
        room.seen.lock().expect("whole").at = None;
        assert!(room.check(1).is_ok(), "the disk has more");
    }

    #[test]
    fn empty_pages_count_but_for_a_quarter() {
        let room = Room::new(PathBuf::from("/"), 1000);
        let fits = |outside, within| {
            see(&room, outside, within);
            room.check(10).is_ok()
        };
        assert!(fits(1010, 0));
        assert!(!fits(1009, 0));
        assert!(fits(260, 750));
        assert!(!fits(259, 100_000));
    }
}
