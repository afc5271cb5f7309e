//! Quotas that the operator writes: one for all, and a file with one user a line,
//! `user,octets[,messages]`. The file is read again when it changes; a broken new one is refused,
//! and the old one kept.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::quota::answer::Limits;
use crate::quota::names::Names;

/// Longest file that is read, in octets: a million users and more.
const MAX_FILE: u64 = 64 << 20;

type Table = HashMap<String, Limits>;

/// What the operator says of quotas.
#[derive(Debug)]
pub(super) struct Quotas {
    /// For those of whom nothing else is known.
    pub(super) default: Limits,
    file: Option<File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    stamp: Option<Stamp>,
    table: Arc<Table>,
}

/// What tells one version of a file from another.
type Stamp = (SystemTime, u64);

impl Quotas {
    /// Reads the file, if there is one.
    pub(super) fn new(default: Limits, file: Option<&Path>) -> Result<Self, String> {
        let open = |path: &Path| -> Result<File, String> {
            let stamp = stamp(path)?;
            let table = Arc::new(read(path)?);
            let seen = Mutex::new(Seen {
                stamp: Some(stamp),
                table,
            });
            Ok(File {
                path: path.to_owned(),
                seen,
            })
        };
        Ok(Self {
            default,
            file: file.map(open).transpose()?,
        })
    }

    /// What is written for this user: by whole address first, then by user.
    pub(super) fn of(&self, names: &Names) -> Option<Limits> {
        let table = self.file.as_ref()?.table();
        let of = |name: &str| table.get(&name.to_ascii_lowercase()).copied();
        of(&names.address()).or_else(|| of(names.user()))
    }
}

impl File {
    /// The newest version that could be read.
    fn table(&self) -> Arc<Table> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.path).ok();
        if now != seen.stamp {
            seen.stamp = now;
            match read(&self.path) {
                Ok(table) => seen.table = Arc::new(table),
                Err(why) => tracing::error!(why, "the old quotas are kept"),
            }
        }
        Arc::clone(&seen.table)
    }
}

fn stamp(path: &Path) -> Result<Stamp, String> {
    let stamp = std::fs::metadata(path).and_then(|meta| Ok((meta.modified()?, meta.len())));
    stamp.map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Table, String> {
    let (_, len) = stamp(path)?;
    if len > MAX_FILE {
        return Err(format!("{}: more than {MAX_FILE} octets", path.display()));
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    let mut table = Table::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let bad = || {
            format!(
                "{}:{}: write user,octets or user,octets,messages",
                path.display(),
                at + 1
            )
        };
        let (user, limits) = entry(line).ok_or_else(bad)?;
        table.insert(user, limits);
    }
    Ok(table)
}

fn entry(line: &str) -> Option<(String, Limits)> {
    let mut fields = line.split(',').map(str::trim);
    let user = fields.next().filter(|user| !user.is_empty())?;
    let octets = fields.next()?.parse().ok()?;
    let messages = fields.next().map_or(Some(0), |n| n.parse().ok())?;
    let limits = Limits { octets, messages };
    let whole = fields.next().is_none();
    whole.then(|| (user.to_ascii_lowercase(), limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(quotas: &Quotas, name: &str) -> Option<u64> {
        let names = Names::asked(name).expect("a name");
        quotas.of(&names).map(|limits| limits.octets)
    }

    #[test]
    fn a_user_has_a_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "# users\nann, 100\nann@b.example,200,3\n\n").expect("written");
        let quotas = Quotas::new(Limits::default(), Some(file.path())).expect("read");
        assert_eq!(octets(&quotas, "Ann"), Some(100));
        assert_eq!(octets(&quotas, "ann@b.example"), Some(200));
        assert_eq!(octets(&quotas, "ann@c.example"), Some(100));
        assert_eq!(octets(&quotas, "bob"), None);
        std::fs::write(file.path(), "ann,3000\n").expect("written");
        assert_eq!(octets(&quotas, "ann"), Some(3000));
        std::fs::write(file.path(), "ann,three thousand\n").expect("written");
        assert_eq!(octets(&quotas, "ann"), Some(3000));
    }

    #[test]
    fn a_bad_line_names_itself() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for bad in ["ann", "ann,x", ",1", "ann,1,2,3", "ann,-1"] {
            std::fs::write(file.path(), format!("bob,1\n{bad}\n")).expect("written");
            let error = Quotas::new(Limits::default(), Some(file.path())).expect_err("refused");
            assert!(error.contains(":2:"), "{bad}: {error}");
        }
    }
}
