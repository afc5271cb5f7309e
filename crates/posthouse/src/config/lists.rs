//! Lists of domains, networks and addresses: inline entries and files that are read again.
//!
//! A list is swapped whole. A new version with a fault is refused and the old one kept.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use posthouse_hook::{AddressList, DomainList, Live, NetworkList};
use posthouse_plugins::ListSpec;

/// Largest list file in octets: a list is held in memory.
const MAX_FILE: u64 = 256 << 20;
const FILE: &str = "file:";

/// A list type: how one entry is added.
pub(crate) trait Entries: Default + Send + Sync + 'static {
    fn add(&mut self, entry: &str) -> Result<(), String>;
}

macro_rules! entries {
    ($($list:ty),*) => {
        $(impl Entries for $list {
            fn add(&mut self, entry: &str) -> Result<(), String> {
                self.add(entry)
            }
        })*
    };
}

entries!(AddressList, DomainList, NetworkList);

/// Every list that the configuration names, to be read again on change.
#[derive(Default)]
pub(crate) struct Lists {
    /// Relative file names start here: where the configuration is.
    base: PathBuf,
    read: Vec<Box<dyn Reload>>,
}

/// What one reload of one list came to.
enum Reloaded {
    Unchanged,
    Swapped(String),
    Refused(String),
}

trait Reload: Send {
    fn reload(&mut self, base: &Path) -> Reloaded;
}

struct Listed<L> {
    spec: ListSpec,
    live: Live<L>,
    seen: Vec<Option<Stamp>>,
}

/// By what a change of a file is noticed.
type Stamp = (SystemTime, u64, u64);

impl Lists {
    /// Lists whose relative file names start at `base`.
    pub(crate) fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            read: Vec::new(),
        }
    }

    /// Reads a list. Only lists with files are read again.
    pub(crate) fn open<L: Entries>(&mut self, spec: &ListSpec) -> Result<Live<L>, String> {
        let seen = stamps(spec, &self.base);
        let live = Live::new(read::<L>(spec, &self.base)?);
        if !seen.is_empty() {
            self.read.push(Box::new(Listed {
                spec: spec.clone(),
                live: live.clone(),
                seen,
            }));
        }
        Ok(live)
    }

    /// Reads every list again whose files have changed, and logs what came of it.
    pub(crate) fn reload(&mut self) {
        for list in &mut self.read {
            match list.reload(&self.base) {
                Reloaded::Unchanged => {}
                Reloaded::Swapped(spec) => tracing::info!(list = spec, "list read again"),
                Reloaded::Refused(why) => {
                    tracing::error!(why, "list has a fault; the old one is kept")
                }
            }
        }
    }
}

impl<L: Entries> Reload for Listed<L> {
    fn reload(&mut self, base: &Path) -> Reloaded {
        let now = stamps(&self.spec, base);
        if now == self.seen {
            return Reloaded::Unchanged;
        }
        self.seen = now;
        match read::<L>(&self.spec, base) {
            Ok(list) => {
                self.live.swap(list);
                Reloaded::Swapped(self.spec.to_string())
            }
            Err(why) => Reloaded::Refused(why),
        }
    }
}

/// The files that a list names.
fn files<'a>(spec: &'a ListSpec, base: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    let names = spec.entries().iter().filter_map(|e| e.strip_prefix(FILE));
    names.map(|name| base.join(name))
}

fn stamps(spec: &ListSpec, base: &Path) -> Vec<Option<Stamp>> {
    use std::os::unix::fs::MetadataExt as _;
    let stamp = |file: PathBuf| {
        let meta = std::fs::metadata(file).ok()?;
        Some((meta.modified().ok()?, meta.len(), meta.ino()))
    };
    files(spec, base).map(stamp).collect()
}

fn read<L: Entries>(spec: &ListSpec, base: &Path) -> Result<L, String> {
    let mut list = L::default();
    for entry in spec.entries() {
        match entry.strip_prefix(FILE) {
            Some(name) => read_file(&mut list, &base.join(name))?,
            None => list.add(entry)?,
        }
    }
    Ok(list)
}

/// One entry a line; `#` begins a comment.
fn read_file<L: Entries>(list: &mut L, file: &Path) -> Result<(), String> {
    let place = file.display();
    let size = std::fs::metadata(file)
        .map_err(|e| format!("{place}: {e}"))?
        .len();
    if size > MAX_FILE {
        return Err(format!(
            "{place}: {size} octets are more than the {MAX_FILE} allowed"
        ));
    }
    let text = std::fs::read_to_string(file).map_err(|e| format!("{place}: {e}"))?;
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    for (at, line) in text.lines().enumerate() {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if !entry.is_empty() {
            list.add(entry)
                .map_err(|error| format!("{place}:{}: {error}", at + 1))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> posthouse_hook::Domain {
        posthouse_hook::Domain::parse(text).expect("valid")
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("list.txt");
        std::fs::write(&file, "# ours\na.example # first\n\n").expect("written");
        let mut lists = Lists::new(dir.path());
        let spec = ListSpec::Many(vec!["inline.example".into(), "file:list.txt".into()]);
        let live: Live<DomainList> = lists.open(&spec).expect("reads");
        assert!(live.load().contains(&domain("a.example")));

        std::fs::write(&file, "b.example\nc.example\n").expect("written");
        lists.reload();
        assert!(live.load().contains(&domain("b.example")));
        assert!(live.load().contains(&domain("inline.example")));
        assert!(!live.load().contains(&domain("a.example")));

        std::fs::write(&file, "d.example\nno domain\n").expect("written");
        lists.reload();
        assert!(live.load().contains(&domain("b.example")));
        assert!(!live.load().contains(&domain("d.example")));
    }

    #[test]
    fn faults_name_file_line_and_value() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("n.txt"), "192.0.2.0/24\n192.0.2.0/99\n").expect("written");
        let mut lists = Lists::new(dir.path());
        let spec = ListSpec::One("file:n.txt".into());
        let error = lists.open::<NetworkList>(&spec).expect_err("a fault");
        assert!(
            error.contains("n.txt:2: `192.0.2.0/99` is neither"),
            "{error}"
        );
        let missing = ListSpec::One("file:none.txt".into());
        let error = lists.open::<NetworkList>(&missing).expect_err("a fault");
        assert!(error.contains("none.txt: No such file"), "{error}");
    }
}
