//! Lists of domains, networks and addresses: inline entries and files that are read again.
//!
//! A list is swapped whole. A new version with a fault is refused and the old one kept.

use std::path::Path;

use posthouse_hook::{AddressList, DomainList, Live, NetworkList};
use posthouse_plugins::{ListSpec, Renew, Sources};

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
    /// Relative file names start where the configuration is.
    none: Sources,
    watched: Vec<Watched>,
}

/// A list, and the files that it was last made of.
struct Watched {
    list: Box<dyn Renew>,
    sources: Sources,
}

struct Listed<L> {
    spec: ListSpec,
    live: Live<L>,
}

impl Lists {
    /// Lists whose relative file names start at `base`.
    pub(crate) fn new(base: &Path) -> Self {
        Self {
            none: Sources::new(base),
            watched: Vec::new(),
        }
    }

    /// Reads a list. Only lists with files are read again.
    pub(crate) fn open<L: Entries>(&mut self, spec: &ListSpec) -> Result<Live<L>, String> {
        let live = Live::default();
        self.keep(Box::new(Listed::<L> {
            spec: spec.clone(),
            live: live.clone(),
        }))?;
        Ok(live)
    }

    /// Makes something of files, and makes it again when one of them changes.
    pub(crate) fn keep(&mut self, mut list: Box<dyn Renew>) -> Result<(), String> {
        let mut sources = self.none.clone();
        list.renew(&mut sources)?;
        if !sources.is_empty() {
            self.watched.push(Watched { list, sources });
        }
        Ok(())
    }

    /// Reads every list again whose files have changed, and logs what came of it.
    pub(crate) fn reload(&mut self) {
        let changed = self.watched.iter_mut().filter(|w| w.sources.changed());
        for Watched { list, sources } in changed {
            sources.clear();
            match list.renew(sources) {
                Ok(()) => tracing::info!(list = list.name(), "list read again"),
                Err(why) => tracing::error!(why, "list has a fault; the old one is kept"),
            }
        }
    }
}

impl<L: Entries> Renew for Listed<L> {
    fn renew(&mut self, sources: &mut Sources) -> Result<(), String> {
        let mut list = L::default();
        for entry in self.spec.entries() {
            match entry.strip_prefix(FILE) {
                Some(name) => read_file(&mut list, Path::new(name), sources)?,
                None => list.add(entry)?,
            }
        }
        self.live.swap(list);
        Ok(())
    }

    fn name(&self) -> String {
        self.spec.to_string()
    }
}

/// One entry a line; `#` begins a comment.
fn read_file<L: Entries>(list: &mut L, name: &Path, sources: &mut Sources) -> Result<(), String> {
    let text = sources.read(name)?;
    for (at, line) in text.lines().enumerate() {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if !entry.is_empty() {
            list.add(entry)
                .map_err(|error| format!("{}:{}: {error}", sources.path(name).display(), at + 1))?;
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
