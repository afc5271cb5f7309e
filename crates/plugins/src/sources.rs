//! Files that a list is made of, remembered so that a change of any of them is noticed.
//!
//! A file's stamp is taken before it is read: a change while it is read is a change still to come.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Largest list file in octets: a list is held in memory.
const MAX_FILE: u64 = 256 << 20;

/// By what a change of a file is noticed: time, length, inode.
type Stamp = (SystemTime, u64, u64);

/// The files that were looked at, and what they were like.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    base: PathBuf,
    seen: Vec<(PathBuf, Option<Stamp>)>,
}

impl Sources {
    /// No files yet. Relative names start at `base`.
    pub fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            seen: Vec::new(),
        }
    }

    /// Where the file of that name is.
    pub fn path(&self, name: &Path) -> PathBuf {
        self.base.join(name)
    }

    /// Where the file of that name is. From now on a change of it is noticed, even if it is not there.
    /// The error names the file if it is larger than a list may be.
    pub fn open(&mut self, name: &Path) -> Result<PathBuf, String> {
        let file = self.path(name);
        let stamp = stamp(&file);
        self.seen.push((file.clone(), stamp));
        match stamp {
            Some((_, size, _)) if size > MAX_FILE => Err(format!(
                "{}: {size} octets are more than the {MAX_FILE} allowed",
                file.display()
            )),
            _ => Ok(file),
        }
    }

    /// The text of a file, without the byte order mark that some editors begin it with. The error names
    /// the file.
    pub fn read(&mut self, name: &Path) -> Result<String, String> {
        let file = self.open(name)?;
        let text = std::fs::read_to_string(&file);
        let mut text = text.map_err(|error| format!("{}: {error}", file.display()))?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Ok(text)
    }

    /// Forgets every file.
    pub fn clear(&mut self) {
        self.seen.clear();
    }

    /// Whether no file was looked at.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Whether a file is not what it was when it was looked at.
    pub fn changed(&self) -> bool {
        self.seen.iter().any(|(file, seen)| stamp(file) != *seen)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

/// What is made of files, and made again when one of them changes.
pub trait Renew: Send {
    /// Makes it anew and puts it to use whole; after an error the old one stays in use. Every file
    /// is opened through `sources`.
    fn renew(&mut self, sources: &mut Sources) -> Result<(), String>;

    /// What the log calls it.
    fn name(&self) -> String;
}
