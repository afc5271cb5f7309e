//! Readers: connections that only read, so that pages and lists never wait for the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use crate::StoreError;
use crate::db;

/// Idle connections that are kept.
const KEPT: usize = 4;

/// A pool of read-only connections.
#[derive(Clone)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Arc::default(),
        }
    }

    /// Runs `work` on a thread for blocking calls. Each statement sees what was committed before
    /// it; keep the work short, or the WAL grows.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = self.clone();
        let task = move || {
            let db = pool.take()?;
            let result = work(&db).map_err(StoreError::from);
            pool.put(db);
            result
        };
        tokio::task::spawn_blocking(task)
            .await
            .map_err(|error| StoreError::Failing(error.to_string()))?
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(|p| p.into_inner()).pop();
        idle.map_or_else(|| db::open_reader(&self.path), Ok)
    }

    fn put(&self, db: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(|p| p.into_inner());
        if idle.len() < KEPT {
            idle.push(db);
        }
    }
}
