//! `cdb:PATH`: a constant database. A key is an address, or `@domain` for all of its addresses; the
//! values do not matter. A file that is replaced is opened anew.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cdb2::CDB;

use super::{Directory, Found, Question};
use crate::backend::Dead;

/// By what a change of the file is noticed: device, number, size, and time of change in nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

#[derive(Clone)]
pub(super) struct Cdb {
    path: PathBuf,
    open: Arc<Mutex<Option<Open>>>,
}

struct Open {
    stamp: Stamp,
    cdb: Arc<CDB>,
}

impl Cdb {
    /// Opens the file once, to see that it is there and a database.
    pub(super) fn new(path: PathBuf) -> Result<Self, String> {
        let this = Self {
            path,
            open: Arc::default(),
        };
        this.current().map(|_| this)
    }

    /// The database that stands there now.
    fn current(&self) -> Result<Arc<CDB>, String> {
        let told = |error: std::io::Error| format!("{}: {error}", self.path.display());
        let stamp = stamp(&self.path).map_err(told)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match &*open {
            Some(open) if open.stamp == stamp => Ok(Arc::clone(&open.cdb)),
            _ => {
                let cdb = Arc::new(CDB::open(&self.path).map_err(told)?);
                let kept = Arc::clone(&cdb);
                *open = Some(Open { stamp, cdb: kept });
                Ok(cdb)
            }
        }
    }

    fn look(&self, address: &str) -> Result<bool, String> {
        let cdb = self.current()?;
        let has = |key: &str| match cdb.get(key.as_bytes()) {
            Some(Err(error)) => Err(format!("{}: {error}", self.path.display())),
            found => Ok(found.is_some()),
        };
        let domain = address.rfind('@').map(|at| &address[at..]);
        Ok(has(address)? || domain.is_some_and(|domain| has(domain) == Ok(true)))
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let meta = std::fs::metadata(path)?;
    let changed = (meta.mtime(), meta.mtime_nsec());
    Ok((meta.dev(), meta.ino(), meta.len(), changed.0, changed.1))
}

#[async_trait]
impl Directory for Cdb {
    fn name(&self) -> String {
        format!("cdb:{}", self.path.display())
    }

    fn is_at_hand(&self) -> bool {
        true
    }

    async fn find(&self, question: &Question) -> Result<Found, Dead> {
        let Question::Address(address) = question else {
            return Ok(Found::Elsewhere);
        };
        let (this, address) = (self.clone(), address.clone());
        // A file with a fault may panic in there, or be on a disk that hangs.
        let task = tokio::task::spawn_blocking(move || this.look(&address));
        let found = task.await.map_err(|error| Dead(error.to_string()))?;
        found.map(Found::from).map_err(Dead)
    }
}

#[cfg(test)]
mod tests {
    use cdb2::CDBWriter;

    use super::*;

    fn database(path: &Path, keys: &[&str]) {
        let mut cdb = CDBWriter::create(path.to_str().expect("a name")).expect("a file");
        for key in keys {
            cdb.add(key.as_bytes(), b"1").expect("written");
        }
        cdb.finish().expect("moved");
    }

    async fn finds(cdb: &Cdb, address: &str) -> Result<Found, Dead> {
        cdb.find(&Question::Address(address.to_owned())).await
    }

    #[tokio::test]
    async fn addresses_and_whole_domains_are_keys() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.cdb");
        database(&path, &["ann@x.example", "@y.example"]);
        let cdb = Cdb::new(path.clone()).expect("a database");
        assert_eq!(finds(&cdb, "ann@x.example").await, Ok(Found::Yes));
        assert_eq!(finds(&cdb, "anybody@y.example").await, Ok(Found::Yes));
        assert_eq!(finds(&cdb, "bob@x.example").await, Ok(Found::No));
        database(&path, &["bob@x.example"]);
        assert_eq!(finds(&cdb, "bob@x.example").await, Ok(Found::Yes));
        assert_eq!(finds(&cdb, "ann@x.example").await, Ok(Found::No));
        std::fs::write(&path, "nonsense").expect("written");
        assert!(finds(&cdb, "bob@x.example").await.is_err());
        std::fs::remove_file(&path).expect("removed");
        assert!(finds(&cdb, "bob@x.example").await.is_err());
    }
}
