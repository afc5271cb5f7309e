//! A list by itself, without a chain: for measuring, and for programs that only look up.

use posthouse_hook::Live;

use super::index::Index;
use super::lines::List;
use crate::sources::{Renew as _, Sources};

/// Who may not appear from outside.
pub struct ForgedList(Live<Index>);

impl ForgedList {
    /// Compiles lines and `file:PATH` entries, as the option `list` has them. The error names file, line
    /// and entry.
    pub fn compile(entries: &[String], sources: &mut Sources) -> Result<Self, String> {
        let (mut list, live) = List::new(entries.to_vec());
        list.renew(sources).map(|()| Self(live))
    }

    /// Tells the file and line of each address that is listed; addresses are in lower case. Returns how
    /// many were.
    pub fn look_up<'a>(
        &self,
        addresses: impl IntoIterator<Item = &'a str>,
        mut tell: impl FnMut(&'a str, &str, u32),
    ) -> usize {
        let index = self.0.load();
        let mut listed = 0;
        for address in addresses {
            if let Some(found) = index.find(address) {
                tell(address, found.file, found.line);
                listed += 1;
            }
        }
        listed
    }

    /// How many entries and patterns there are.
    pub fn len(&self) -> usize {
        self.0.load().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
