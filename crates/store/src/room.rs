//! Whether there is room: `min_free` octets of the file system stay free, because deleting needs
//! room too.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::StoreError;

/// How long one look at the file system holds.
const FRESH: Duration = Duration::from_secs(1);

/// Watches the free space of one directory's file system.
#[derive(Debug)]
pub(crate) struct Room {
    dir: PathBuf,
    min_free: u64,
    seen: Mutex<Option<(Instant, u64)>>,
}

impl Room {
    pub(crate) fn new(dir: PathBuf, min_free: u64) -> Self {
        Self {
            dir,
            min_free,
            seen: Mutex::new(None),
        }
    }

    /// Whether `size` more octets leave `min_free`.
    pub(crate) fn check(&self, size: u64) -> Result<(), StoreError> {
        let free = self.free()?;
        if free.saturating_sub(size) >= self.min_free {
            return Ok(());
        }
        Err(StoreError::Full(format!(
            "{free} octets free in {}, {size} wanted, min_free is {}",
            self.dir.display(),
            self.min_free
        )))
    }

    fn free(&self) -> Result<u64, StoreError> {
        let mut seen = self.seen.lock().unwrap_or_else(|p| p.into_inner());
        if let Some((at, free)) = *seen
            && at.elapsed() < FRESH
        {
            return Ok(free);
        }
        let stat = rustix::fs::statvfs(&self.dir).map_err(std::io::Error::from)?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        *seen = Some((Instant::now(), free));
        Ok(free)
    }
}
