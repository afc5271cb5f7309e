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

    /// Whether there is no message in it.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(fs::read_dir(&self.0)?.next().is_none())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(dir: &Path) -> Spool {
        Spool::open(dir.join("spool")).expect("opens")
    }

    fn names(spool: &Spool) -> Vec<String> {
        let entries = fs::read_dir(&spool.0).expect("there");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("readable").file_name().into_string())
            .map(|name| name.expect("text"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_message_that_is_a_file_already_gets_a_second_name() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let spool = spool(dir.path());
        let path = dir.path().join("incoming");
        fs::write(&path, b"0123456789").expect("written");
        let incoming = Content::Spooled(Arc::new(SpoolFile { path, len: 10 }));
        spool.keep(Id(7), &incoming).expect("kept");
        let kept = spool.path(Id(7));
        assert_eq!(fs::metadata(&kept).expect("there").nlink(), 2);
        assert_eq!(fs::read(&kept).expect("reads"), b"0123456789");
    }

    #[test]
    fn a_message_whose_file_is_gone_is_not_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = spool(dir.path());
        let path = dir.path().join("gone");
        let gone = Content::Spooled(Arc::new(SpoolFile { path, len: 10 }));
        assert!(spool.keep(Id(7), &gone).is_err());
        assert_eq!(names(&spool), [""; 0]);
    }

    #[test]
    fn only_orphans_are_swept() {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = spool(dir.path());
        for id in [1, 2] {
            let bytes = Content::Memory(Bytes::from_static(b"x"));
            spool.keep(Id(id), &bytes).expect("kept");
        }
        fs::write(spool.0.join("junk"), b"x").expect("written");
        fs::create_dir(spool.0.join("directory")).expect("made");
        let swept = spool.sweep(&HashSet::from([Id(2)])).expect("swept");
        assert_eq!(
            (swept, names(&spool)),
            (2, vec!["2".into(), "directory".into()])
        );
    }
}
