//! The key of all links, kept in the state directory and made at the first start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::StoreError;
use crate::db::at;

const NAME: &str = "link.key";

/// Reads the key, or makes one that only the owner can read.
pub(crate) fn load_or_make(state: &Path) -> Result<[u8; 32], StoreError> {
    let path = state.join(NAME);
    match path.try_exists() {
        Ok(false) => make(state, &path).map_err(at(&path)),
        _ => load(state),
    }
}

/// Reads the key.
pub(crate) fn load(state: &Path) -> Result<[u8; 32], StoreError> {
    let path = state.join(NAME);
    let bytes = fs::read(&path).map_err(at(&path))?;
    bytes.try_into().map_err(|_| {
        let path = path.display();
        StoreError::Failing(format!(
            "{path} is not 32 octets long; restore it from a backup"
        ))
    })
}

/// Written under another name first: a key that is half there would revoke every link.
fn make(state: &Path, path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let draft = state.join("link.key.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(state)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = load_or_make(dir.path()).expect("made");
        assert_eq!(load_or_make(dir.path()).expect("read"), first);
        fs::write(dir.path().join(NAME), b"short").expect("written");
        assert!(load_or_make(dir.path()).is_err());
    }

    #[test]
    fn whoever_only_reads_makes_no_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = load(dir.path()).expect_err("no key").to_string();
        assert!(error.contains("link.key: No such file"), "{error}");
        assert!(!dir.path().join(NAME).exists());
    }
}
