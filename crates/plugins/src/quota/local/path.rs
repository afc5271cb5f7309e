//! The way to a mailbox: a path with places for names, walked one component at a time.
//!
//! Whatever stands in a name, the way never leaves the directory in which the first place for a
//! name is: no name holds a slash or begins with a dot, and behind that directory no symbolic link
//! is followed, not even one that is put there meanwhile.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::quota::names::{Names, Template};

/// Longest name of a file, in octets.
const MAX_COMPONENT: usize = 255;

/// An absolute path with places for names.
#[derive(Debug)]
pub(super) struct MailboxPath {
    /// The operator's own directory, up to the first place for a name.
    base: PathBuf,
    /// What follows, a component each.
    below: Vec<Template>,
}

impl MailboxPath {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("not an absolute path".to_owned());
        }
        let mut path = Self {
            base: "/".into(),
            below: Vec::new(),
        };
        for component in Path::new(text).components() {
            match component {
                Component::Normal(name) => path.add(&name.to_string_lossy())?,
                Component::ParentDir => return Err("a path with `..`".to_owned()),
                _ => {}
            }
        }
        let named = path.below.iter().any(Template::names_somebody);
        let way_out = "the same path for everybody; it needs {user} or {address}";
        named.then_some(path).ok_or_else(|| way_out.to_owned())
    }

    fn add(&mut self, component: &str) -> Result<(), String> {
        let template = Template::parse(component)?;
        if template.has_size() {
            return Err("{size} has no place in a path".to_owned());
        }
        match self.below.is_empty() && template.is_plain() {
            true => self.base.push(component),
            false => self.below.push(template),
        }
        Ok(())
    }

    /// The directory of a Maildir; none if there is none. The error is about this one mailbox.
    pub(super) fn open_dir(&self, names: &Names) -> Result<Option<OwnedFd>, String> {
        self.open(names, OFlags::DIRECTORY)
    }

    /// The file of an mbox; none if there is none. A FIFO does not block it.
    pub(super) fn open_file(&self, names: &Names) -> Result<Option<OwnedFd>, String> {
        self.open(names, OFlags::NONBLOCK)
    }

    fn open(&self, names: &Names, last: OFlags) -> Result<Option<OwnedFd>, String> {
        let Some(components) = self.components(names) else {
            return Ok(None);
        };
        let mut dir = dir_at(CWD, &self.base).map_err(|e| self.fault("/", e))?;
        for (at, name) in components.iter().enumerate() {
            let kind = match at + 1 == components.len() {
                true => last,
                false => OFlags::DIRECTORY,
            };
            match openat(&dir, name.as_str(), NOFOLLOW.union(kind), Mode::empty()) {
                Ok(fd) => dir = fd,
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(self.fault(&format!("/…/{name}"), error)),
            }
        }
        Ok(Some(dir))
    }

    /// What follows the base, for these names. None if they cannot be a mailbox's.
    fn components(&self, names: &Names) -> Option<Vec<String>> {
        let fill = |template: &Template| template.fill(names, None, str::to_owned);
        let safe = |name: &String| is_safe(name);
        let components = self.below.iter().map(|t| fill(t).filter(safe));
        components.collect()
    }

    fn fault(&self, behind: &str, error: Errno) -> String {
        let base = self.base.display();
        match error {
            Errno::LOOP | Errno::NOTDIR => {
                format!("{base}{behind}: a symbolic link, or no directory")
            }
            error => format!("{base}{behind}: {error}"),
        }
    }
}

/// Nothing behind the base is followed.
pub(super) const NOFOLLOW: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The operator's own directory: where it leads is the operator's choice.
fn dir_at(dir: impl std::os::fd::AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(dir, path, flags, Mode::empty())
}

/// One component and nothing else.
fn is_safe(name: &str) -> bool {
    (1..=MAX_COMPONENT).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'/')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(text: &str) -> Names {
        Names::asked(text).expect("a name")
    }

    #[test]
    fn a_path_is_absolute_and_somebodys() {
        for bad in [
            "",
            "mail/{user}",
            "/var/mail",
            "/var/../{user}",
            "/{domain}/x",
            "/{size}/{user}",
            "/{name}",
        ] {
            assert!(MailboxPath::parse(bad).is_err(), "{bad}");
        }
        let path = MailboxPath::parse("/var//mail/./{domain}/{user}/Maildir").expect("a path");
        assert_eq!(path.base, Path::new("/var/mail"));
        assert_eq!(path.below.len(), 3);
    }

    #[test]
    fn no_name_leads_elsewhere() {
        let dir = tempfile::tempdir().expect("a directory");
        let mail = dir.path().join("mail");
        std::fs::create_dir_all(mail.join("ann/Maildir")).expect("made");
        std::fs::create_dir_all(dir.path().join("secret/Maildir")).expect("made");
        symlink(dir.path().join("secret"), mail.join("eve")).expect("made");
        std::fs::create_dir_all(mail.join("mallory")).expect("made");
        symlink("../../secret/Maildir", mail.join("mallory/Maildir")).expect("made");
        std::fs::write(mail.join("file"), "").expect("made");
        let path = MailboxPath::parse(&format!("{}/{{user}}/Maildir", mail.display()));
        let path = path.expect("a path");
        let open = |user: &str| path.open_dir(&names(user)).map(|fd| fd.is_some());
        assert_eq!(open("ann"), Ok(true));
        assert_eq!(open("nobody"), Ok(false));
        for trick in [
            "../secret",
            "..",
            ".",
            "/",
            "/etc",
            "ann/../../secret",
            "..\\secret",
            "./ann",
            "~",
            &"x".repeat(300),
        ] {
            assert_eq!(open(trick), Ok(false), "{trick}");
        }
        for link in ["eve", "mallory", "file"] {
            assert!(open(link).is_err(), "{link}");
        }
    }
}
