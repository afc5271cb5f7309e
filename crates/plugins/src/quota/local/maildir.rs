//! How full a Maildir is: by its `maildirsize`, or by counting.
//!
//! It never writes: what is counted is told and forgotten. It never follows a symbolic link, and it
//! stops at its bounds, which is an error and never "has room".

use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use posthouse_hook::Timestamp;
use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::maildirsize::{self, MAX_FILE, Sizes};
use super::path::NOFOLLOW;
use crate::quota::answer::{Limits, Usage};

/// An older file that says "over quota" is not believed: mail may have been deleted since.
const STALE: Duration = Duration::from_secs(15 * 60);
/// The folder that does not count (Maildir++). Folders below it do, as for Courier.
const TRASH: &[u8] = b".Trash";

/// How far counting may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Files and directories that are looked at.
    pub(super) entries: u64,
    pub(super) until: Instant,
}

/// Limits from elsewhere: those of this user come before those of the file, the others after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    pub(super) own: Option<Limits>,
    pub(super) default: Limits,
}

pub(super) fn usage(
    dir: &OwnedFd,
    quota: Quota,
    now: Timestamp,
    bounds: Bounds,
) -> Result<Usage, String> {
    let file = read_sizes(dir);
    let written = file.and_then(|file| file.sizes.limits);
    let limits = quota.own.or(written).unwrap_or(quota.default);
    let of = |(octets, messages)| Usage {
        octets,
        messages: Some(messages),
        limits,
    };
    if let Some(File { sizes, changed }) = file
        && let Some(usage) = sizes.sums.map(of)
        && !(usage.over(None) && now.since(changed) >= STALE)
    {
        return Ok(usage);
    }
    Walk { bounds }.count(dir).map(of)
}

/// The file `maildirsize`.
#[derive(Clone, Copy)]
struct File {
    sizes: Sizes,
    changed: Timestamp,
}

/// None if there is no such file, or nothing that could be one.
fn read_sizes(dir: &OwnedFd) -> Option<File> {
    let flags = NOFOLLOW | OFlags::NONBLOCK;
    let file = openat(dir, "maildirsize", flags, Mode::empty()).ok()?;
    let stat = fstat(&file).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut octets = Vec::new();
    let mut file = std::fs::File::from(file).take(MAX_FILE);
    file.read_to_end(&mut octets).ok()?;
    Some(File {
        sizes: maildirsize::parse(&octets),
        changed: Timestamp(stat.st_mtime.saturating_mul(1000)),
    })
}

/// A walk through all folders.
struct Walk {
    bounds: Bounds,
}

type Sums = (u64, u64);

impl Walk {
    fn count(mut self, maildir: &OwnedFd) -> Result<Sums, String> {
        let mut sums = self.folder(maildir)?;
        for name in names(maildir)? {
            let name = self.bounds.count(name)?;
            if !name.starts_with(b".") || name == TRASH {
                continue;
            }
            if let Some(folder) = open_dir(maildir, &name)? {
                sums = add(sums, self.folder(&folder)?);
            }
        }
        Ok(sums)
    }

    fn folder(&mut self, folder: &OwnedFd) -> Result<Sums, String> {
        let mut sums = (0, 0);
        for sub in ["new", "cur"] {
            if let Some(dir) = open_dir(folder, sub.as_bytes())? {
                sums = add(sums, self.messages(&dir)?);
            }
        }
        Ok(sums)
    }

    fn messages(&mut self, dir: &OwnedFd) -> Result<Sums, String> {
        let mut sums = (0, 0);
        for name in names(dir)? {
            let name = self.bounds.count(name)?;
            if name.starts_with(b".") || is_trashed(&name) {
                continue;
            }
            if let Some(octets) = size(dir, &name)? {
                sums = add(sums, (octets, 1));
            }
        }
        Ok(sums)
    }
}

/// The names in a directory, without `.` and `..`.
fn names(dir: &OwnedFd) -> Result<impl Iterator<Item = Result<Vec<u8>, String>>, String> {
    let entries = Dir::read_from(dir).map_err(|error| fault(b"", error))?;
    let name = |entry: rustix::io::Result<DirEntry>| match entry {
        Ok(entry) => Ok(entry.file_name().to_bytes().to_vec()),
        Err(error) => Err(fault(b"", error)),
    };
    let other = |name: &Result<Vec<u8>, String>| !matches!(name.as_deref(), Ok(b"." | b".."));
    Ok(entries.map(name).filter(other))
}

impl Bounds {
    /// Counts one entry.
    fn count<T>(&mut self, entry: Result<T, String>) -> Result<T, String> {
        let left = self.entries.checked_sub(1);
        self.entries = left.ok_or("the mailbox has too many messages to count")?;
        match Instant::now() < self.until {
            true => entry,
            false => Err("the mailbox takes too long to count".to_owned()),
        }
    }
}

fn add(one: Sums, other: Sums) -> Sums {
    (one.0.saturating_add(other.0), one.1.saturating_add(other.1))
}

/// A directory; none if that name is another thing.
fn open_dir(dir: &OwnedFd, name: &[u8]) -> Result<Option<OwnedFd>, String> {
    match openat(dir, name, NOFOLLOW | OFlags::DIRECTORY, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(fault(name, error)),
    }
}

/// The size of a message, from its name (`,S=`) if it is there. None if it is gone meanwhile, or no
/// file.
fn size(dir: impl AsFd, name: &[u8]) -> Result<Option<u64>, String> {
    if let Some(size) = size_in(name) {
        return Ok(Some(size));
    }
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            Ok(u64::try_from(stat.st_size).ok())
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(fault(name, error)),
    }
}

/// The digits behind the last `,S=` before the flags.
fn size_in(name: &[u8]) -> Option<u64> {
    let base = name.split(|b| *b == b':').next()?;
    let at = memchr::memmem::rfind(base, b",S=")?;
    let rest = base.get(at + 3..)?;
    let end = rest.iter().position(|b| !b.is_ascii_digit());
    let digits = rest.get(..end.unwrap_or(rest.len()))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether the flag T is set: what is to be deleted does not count (Maildir++).
fn is_trashed(name: &[u8]) -> bool {
    let flags = memchr::memmem::rfind(name, b":2,").and_then(|at| name.get(at + 3..));
    flags.is_some_and(|flags| flags.contains(&b'T'))
}

fn fault(name: &[u8], error: Errno) -> String {
    format!("{}: {error}", String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_names() {
        for (name, size) in [
            (&b"1.M2.host,S=18"[..], Some(18)),
            (b"1.host,S=18:2,S", Some(18)),
            (b"1.host,S=18,W=19:2,S", Some(18)),
            (b"1.host,S=1,S=2", Some(2)),
            (b"1.host:2,S=18", None),
            (b"1.host,S=", None),
            (b"1.host,S=x", None),
            (b"1.host,S=99999999999999999999", None),
            (b"1.host,s=18", None),
        ] {
            assert_eq!(size_in(name), size, "{}", String::from_utf8_lossy(name));
        }
        assert!(is_trashed(b"1:2,ST") && !is_trashed(b"T:2,S") && !is_trashed(b"1T"));
    }
}
