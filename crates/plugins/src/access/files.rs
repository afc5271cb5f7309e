//! Access lists from the configuration and from files, kept up to date while the program runs.
//!
//! A list is swapped whole. A line that is not understood is named, and the old list stays.

use std::path::Path;

use posthouse_hook::Live;

use super::list::AccessList;
use crate::options::{BuildError, ListSpec};
use crate::sources::{Renew, Sources};
use crate::surroundings::{Surroundings, bad_list};

/// Whether lines may have replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replies {
    /// In a deny list.
    Taken,
    /// In an allow list: whom it has hears none.
    Refused,
}

struct Kept {
    spec: ListSpec,
    replies: Replies,
    live: Live<AccessList>,
}

/// The list that the option `key` names.
pub(super) fn keep(
    parts: &mut dyn Surroundings,
    key: &str,
    spec: ListSpec,
    replies: Replies,
) -> Result<Live<AccessList>, BuildError> {
    let live = Live::default();
    let kept = Kept {
        spec: spec.clone(),
        replies,
        live: live.clone(),
    };
    let made = parts.keep(Box::new(kept));
    made.map_err(|error| bad_list(key, &spec, &error))?;
    Ok(live)
}

impl Renew for Kept {
    fn renew(&mut self, sources: &mut Sources) -> Result<(), String> {
        let mut list = AccessList::default();
        for entry in self.spec.entries() {
            match entry.strip_prefix("file:") {
                Some(name) => self.read(&mut list, Path::new(name), sources)?,
                None => self.add(&mut list, entry)?,
            }
        }
        self.live.swap(list);
        Ok(())
    }

    fn name(&self) -> String {
        self.spec.to_string()
    }
}

impl Kept {
    /// One entry a line; `#` begins a comment.
    fn read(
        &self,
        list: &mut AccessList,
        name: &Path,
        sources: &mut Sources,
    ) -> Result<(), String> {
        let text = sources.read(name)?;
        for (at, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if !entry.is_empty() {
                let place = || format!("{}:{}", sources.path(name).display(), at + 1);
                self.add(list, entry)
                    .map_err(|error| format!("{}: {error}", place()))?;
            }
        }
        Ok(())
    }

    fn add(&self, list: &mut AccessList, entry: &str) -> Result<(), String> {
        match entry.split_once(char::is_whitespace) {
            Some((what, reply)) if self.replies == Replies::Refused => Err(format!(
                "`{}` stands behind `{what}`: whom a list allows hears no reply",
                reply.trim()
            )),
            _ => list.add(entry),
        }
    }
}
