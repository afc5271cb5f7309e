//! Temporary files for messages that are too long to be kept in memory.
//!
//! A file lives as long as somebody holds the message; the store links it into a place of its own
//! before that. Nothing here blocks the runtime, and nothing here makes a message durable.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posthouse_hook::{Id, Spooled};
use tokio::task::spawn_blocking;

/// How the files end, so that leftovers of a crash are told from what others put there.
const SUFFIX: &str = "incoming";

/// The directory of the files.
#[derive(Debug, Clone)]
pub(crate) struct SpoolDir(PathBuf);

impl SpoolDir {
    /// Makes the directory if there is none, and removes what a crash left in it. No other
    /// listener may be receiving into it.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == SUFFIX) {
                fs::remove_file(path)?;
            }
        }
        Ok(Self(dir.to_owned()))
    }

    /// An empty file for the message of a transaction.
    pub(crate) async fn create(&self, id: Id) -> io::Result<SpoolWriter> {
        let path = self.0.join(format!("{id}.{SUFFIX}"));
        let create = move || {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            Ok(SpoolWriter {
                file: Arc::new(file),
                path: Temporary(path),
                len: 0,
            })
        };
        spawn_blocking(create).await.map_err(io::Error::other)?
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct SpoolWriter {
    file: Arc<File>,
    path: Temporary,
    len: u64,
}

impl SpoolWriter {
    /// Appends a block, and gives the emptied buffer back to be filled again.
    pub(crate) async fn append(&mut self, mut block: Vec<u8>) -> io::Result<Vec<u8>> {
        self.len += block.len() as u64;
        let file = Arc::clone(&self.file);
        let write = move || {
            (&*file).write_all(&block)?;
            block.clear();
            Ok(block)
        };
        spawn_blocking(write).await.map_err(io::Error::other)?
    }

    /// The whole file, for reading.
    pub(crate) fn finish(self) -> SpoolFile {
        SpoolFile {
            path: self.path,
            len: self.len,
        }
    }
}

/// A file that was written to its end.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    path: Temporary,
    len: u64,
}

impl Spooled for SpoolFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(&self.path.0)?))
    }

    fn path(&self) -> &Path {
        &self.path.0
    }
}

/// A path whose file goes with it.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    /// Freeing the blocks of a long file takes its time, so a runtime's thread does not wait.
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove(&path))),
            Err(_) => remove(&path),
        }
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "temporary file stays until the next start");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_and_goes_with_its_holder() {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = SpoolDir::open(&dir.path().join("in")).expect("made");
        let mut writer = spool.create(Id(7)).await.expect("created");
        let buffer = writer.append(b"one ".to_vec()).await.expect("written");
        assert!(buffer.is_empty() && buffer.capacity() >= 4);
        writer.append(b"two".to_vec()).await.expect("written");
        let file = writer.finish();
        let mut text = String::new();
        file.open()
            .expect("there")
            .read_to_string(&mut text)
            .expect("read");
        assert_eq!((text.as_str(), file.len()), ("one two", 7));
        let path = file.path().to_owned();
        drop(file);
        while path.exists() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn leftovers_are_swept_and_others_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let (ours, other) = (dir.path().join("1.incoming"), dir.path().join("2"));
        fs::write(&ours, "x").expect("written");
        fs::write(&other, "x").expect("written");
        SpoolDir::open(dir.path()).expect("opened");
        assert!(!ours.exists() && other.exists());
    }
}
