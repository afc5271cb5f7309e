//! Message bytes that are too big for a row: one file each, synced before the row that names it.
//!
//! Order: file and directory are on disk before the row is committed; the row is gone before the
//! file is. What a crash leaves between the two is an orphan, swept at start.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use posthouse_hook::{Content, Id, Spooled};

use crate::StoreError;
use crate::db::at;
use crate::store::private_dir;

/// The spool directory.
#[derive(Debug, Clone)]
pub(crate) struct Spool(PathBuf);

/// A message in the spool.
#[derive(Debug)]
struct SpoolFile {
    path: PathBuf,
    len: u64,
}

impl Spooled for SpoolFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(&self.path)?))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Spool {
    /// Makes the directory if need be.
    pub(crate) fn open(dir: PathBuf) -> Result<Self, StoreError> {
        private_dir(&dir).map_err(at(&dir))?;
        Ok(Self(dir))
    }

    /// The spool for reading, whether the directory is there or not.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    fn path(&self, id: Id) -> PathBuf {
        self.0.join(id.to_string())
    }

    /// Puts the bytes into a file and syncs file and directory. Blocks.
    pub(crate) fn keep(&self, id: Id, content: &Content) -> io::Result<()> {
        let path = self.path(id);
        let kept = match content {
            Content::Memory(bytes) => write(&path, bytes),
            Content::Spooled(file) => link_or_copy(file.as_ref(), &path),
        };
        kept.and_then(|()| sync(&path))
            .and_then(|()| sync(&self.0))
            .inspect_err(|_| {
                // Nothing of a message that was not accepted may remain.
                let _ = fs::remove_file(&path);
            })
    }

    /// The bytes of a message, if its file is there and has so many octets: what somebody cut or
    /// added to is not what was received.
    pub(crate) fn content(&self, id: Id, size: u64) -> io::Result<Content> {
        let path = self.path(id);
        let len = fs::metadata(&path)?.len();
        if len != size {
            let why = format!("{} has {len} octets, not {size}", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Content::Spooled(Arc::new(SpoolFile { path, len })))
    }

    /// Removes a file whose row is gone.
    pub(crate) fn remove(&self, id: Id) {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%id, %error, "spool file stays behind until the next start");
            }
            _ => {}
        }
    }

    /// Removes every file that no row names. Returns how many.
    pub(crate) fn sweep(&self, known: &HashSet<Id>) -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let id = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if id.is_none_or(|id| !known.contains(&id)) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

fn write(path: &Path, bytes: &Bytes) -> io::Result<()> {
    private(path)?.write_all(bytes)
}

fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// A second name for the receiver's temporary file costs nothing; across file systems it is copied.
fn link_or_copy(file: &dyn Spooled, path: &Path) -> io::Result<()> {
    match fs::hard_link(file.path(), path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            io::copy(&mut file.open()?, &mut private(path)?).map(|_| ())
        }
        Err(error) => Err(error),
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
