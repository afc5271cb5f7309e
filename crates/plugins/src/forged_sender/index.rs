//! The index of a list: what a million entries are held in, and looked up in.
//!
//! Keys stand one after the other in one text, entries are 16 octets, and a table of places is probed
//! from the hash on. A key is `ann@x.example`, `@x.example` for a domain or `.x.example` for what is
//! below it: each of them is a tail of an address that it matches, so that a lookup copies nothing.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use posthouse_hook::proofs::ForgedAction;

use super::glob::Glob;

/// Most patterns of a list: each is tried on each address that nothing else matches.
const MAX_PATTERNS: usize = 1000;
/// Longest key in octets.
const MAX_KEY: usize = 1000;

/// What a line says besides its key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Saying {
    pub(super) action: Option<ForgedAction>,
    pub(super) text: Option<String>,
}

/// A compiled list.
#[derive(Debug)]
pub(super) struct Index {
    keys: Vec<u8>,
    entries: Vec<Entry>,
    slots: Vec<Slot>,
    hasher: RandomState,
    patterns: Vec<Pattern>,
    sayings: Vec<Saying>,
    files: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    len: u16,
    file: u16,
    line: u32,
    saying: u32,
}

impl Entry {
    fn place(&self) -> Place {
        Place {
            file: self.file,
            line: self.line,
            saying: self.saying,
        }
    }
}

/// Where an entry stands, and what it says there.
#[derive(Debug, Clone, Copy)]
struct Place {
    file: u16,
    line: u32,
    saying: u32,
}

/// One place of the table: half of the hash beside the entry's number, counted from one.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    tag: u32,
    entry: u32,
}

#[derive(Debug)]
struct Pattern {
    glob: Glob,
    of: Whole,
    place: Place,
}

/// What a pattern is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Address,
    Domain,
}

/// A line that matched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found<'a> {
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) saying: &'a Saying,
}

impl Index {
    /// The line for an address in lower case: of the address itself, else of its domain, else of the
    /// nearest domain above that, else of the first pattern.
    pub(super) fn find(&self, address: &str) -> Option<Found<'_>> {
        let at = address.rfind('@')?;
        let dots = memchr::memchr_iter(b'.', &address.as_bytes()[at..]).map(|dot| at + dot);
        let mut keys = [0, at].into_iter().chain(dots);
        let place = keys.find_map(|from| self.exact(&address.as_bytes()[from..]));
        place
            .or_else(|| self.pattern(address, at))
            .map(|place| self.found(place))
    }

    fn exact(&self, key: &[u8]) -> Option<Place> {
        let (tag, mut slot) = self.slot(key)?;
        loop {
            let found = self.slots[slot];
            let entry = self.entries.get((found.entry as usize).checked_sub(1)?)?;
            if found.tag == tag && self.key(entry) == key {
                return Some(entry.place());
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// The tag of a key, and where the table is probed first; none if the table is empty.
    fn slot(&self, key: &[u8]) -> Option<(u32, usize)> {
        let mask = self.slots.len().checked_sub(1)?;
        let hash = self.hasher.hash_one(key);
        Some(((hash >> 32) as u32, hash as usize & mask))
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        let start = entry.start as usize;
        &self.keys[start..start + usize::from(entry.len)]
    }

    fn pattern(&self, address: &str, at: usize) -> Option<Place> {
        if self.patterns.is_empty() {
            return None;
        }
        let all: Vec<char> = address.chars().collect();
        let domain = address[..=at].chars().count();
        let mut patterns = self.patterns.iter();
        let found = patterns.find(|pattern| match pattern.of {
            Whole::Address => pattern.glob.matches(&all),
            Whole::Domain => pattern.glob.matches(&all[domain..]),
        });
        found.map(|pattern| pattern.place)
    }

    fn found(&self, place: Place) -> Found<'_> {
        Found {
            file: &self.files[usize::from(place.file)],
            line: place.line,
            saying: &self.sayings[place.saying as usize],
        }
    }

    /// How many entries and patterns there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.patterns.len()
    }
}

impl Default for Index {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            entries: Vec::new(),
            slots: Vec::new(),
            hasher: RandomState::new(),
            patterns: Vec::new(),
            sayings: vec![Saying::default()],
            files: Vec::new(),
        }
    }
}

/// An index that is being made.
#[derive(Default)]
pub(super) struct Builder {
    index: Index,
    known: HashMap<Saying, u32>,
}

impl Builder {
    /// Begins a file, or whatever the next entries are to be known by.
    pub(super) fn file(&mut self, name: impl Into<String>) -> Result<u16, String> {
        let number = u16::try_from(self.index.files.len());
        self.index.files.push(name.into());
        number.map_err(|_| "too many files".to_owned())
    }

    /// Adds a key, in lower case. Of equal keys the first stays.
    pub(super) fn key(&mut self, key: &[&str], at: (u16, u32), says: Saying) -> Result<(), String> {
        let len: usize = key.iter().map(|part| part.len()).sum();
        if len > MAX_KEY {
            return Err(format!("an entry is longer than {MAX_KEY} octets"));
        }
        let start = u32::try_from(self.index.keys.len()).map_err(|_| "the list is too large")?;
        let place = self.place(at, says)?;
        for part in key {
            self.index.keys.extend_from_slice(part.as_bytes());
        }
        self.index.entries.push(Entry {
            start,
            len: len as u16,
            file: place.file,
            line: place.line,
            saying: place.saying,
        });
        Ok(())
    }

    /// Adds a pattern.
    pub(super) fn pattern(
        &mut self,
        glob: Glob,
        of: Whole,
        at: (u16, u32),
        says: Saying,
    ) -> Result<(), String> {
        if self.index.patterns.len() == MAX_PATTERNS {
            return Err(format!("more than {MAX_PATTERNS} patterns in one list"));
        }
        let place = self.place(at, says)?;
        self.index.patterns.push(Pattern { glob, of, place });
        Ok(())
    }

    fn place(&mut self, (file, line): (u16, u32), says: Saying) -> Result<Place, String> {
        let saying = self.saying(says)?;
        Ok(Place { file, line, saying })
    }

    /// The number of a saying: most lines say nothing, and many the same.
    fn saying(&mut self, says: Saying) -> Result<u32, String> {
        if says == Saying::default() {
            return Ok(0);
        }
        if let Some(known) = self.known.get(&says) {
            return Ok(*known);
        }
        let number =
            u32::try_from(self.index.sayings.len()).map_err(|_| "the list is too large")?;
        self.index.sayings.push(says.clone());
        self.known.insert(says, number);
        Ok(number)
    }

    /// The index, with its table at most half full.
    pub(super) fn finish(self) -> Index {
        let mut index = self.index;
        if !index.entries.is_empty() {
            let room = (index.entries.len() * 2).next_power_of_two();
            index.slots = vec![Slot::default(); room];
        }
        for number in 0..index.entries.len() {
            index.put(number);
        }
        index.keys.shrink_to_fit();
        index.entries.shrink_to_fit();
        index
    }
}

impl Index {
    fn put(&mut self, number: usize) {
        let entry = self.entries[number];
        let Some((tag, mut slot)) = self.slot(self.key(&entry)) else {
            return;
        };
        while let Some(taken) = (self.slots[slot].entry as usize).checked_sub(1) {
            let same = self.slots[slot].tag == tag;
            if same && self.key(&self.entries[taken]) == self.key(&entry) {
                return;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        let entry = number as u32 + 1;
        self.slots[slot] = Slot { tag, entry };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(keys: &[&str]) -> Index {
        let mut builder = Builder::default();
        let file = builder.file("f").expect("room");
        for (at, key) in keys.iter().enumerate() {
            let at = (file, at as u32 + 1);
            builder.key(&[key], at, Saying::default()).expect("room");
        }
        builder.finish()
    }

    #[test]
    fn the_nearest_key_wins_and_of_equal_ones_the_first() {
        let index = index(&[
            ".example",
            ".x.example",
            "@x.example",
            "ann@x.example",
            "ann@x.example",
        ]);
        for (address, line) in [
            ("ann@x.example", Some(4)),
            ("bob@x.example", Some(3)),
            ("ann@a.b.x.example", Some(2)),
            ("ann@notx.example", Some(1)),
            ("ann@example", None),
            ("ann@x.example.net", None),
            ("@x.example", Some(3)),
            ("no address", None),
            ("", None),
        ] {
            assert_eq!(index.find(address).map(|f| f.line), line, "{address}");
        }
        assert!(Index::default().find("a@b").is_none());
    }

    #[test]
    fn a_pattern_comes_last() {
        let mut builder = Builder::default();
        let file = builder.file("f").expect("room");
        for (line, pattern, of) in [(1, "*@*", Whole::Address), (2, "x*", Whole::Domain)] {
            let glob = Glob::parse(pattern).expect("valid");
            let at = (file, line);
            builder
                .pattern(glob, of, at, Saying::default())
                .expect("room");
        }
        builder
            .key(&["@x.example"], (file, 3), Saying::default())
            .expect("room");
        let index = builder.finish();
        assert_eq!(index.find("a@x.example").map(|f| f.line), Some(3));
        assert_eq!(index.find("a@xy.example").map(|f| f.line), Some(1));
    }

    #[test]
    fn patterns_are_bounded() {
        let mut builder = Builder::default();
        let mut add = || {
            let glob = Glob::parse("*a").expect("valid");
            builder.pattern(glob, Whole::Address, (0, 1), Saying::default())
        };
        assert!((0..MAX_PATTERNS).all(|_| add().is_ok()));
        assert!(add().is_err());
    }
}
