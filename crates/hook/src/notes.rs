//! Typed facts that one plugin leaves for later ones.
//!
//! A note is found by its type, never by a string key: a misspelt note does not compile.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A set of notes, at most one of each type. A clone is cheap: it shares the values.
#[derive(Clone, Default)]
pub struct Notes(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Notes {
    /// Leaves a note; a note of the same type is replaced.
    pub fn put<T: Any + Send + Sync>(&mut self, note: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(note));
    }

    /// Reads a note.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0
            .get(&TypeId::of::<T>())
            .and_then(|note| note.downcast_ref())
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} notes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_does_not_leak_back() {
        let mut notes = Notes::default();
        notes.put(1_u8);
        let mut fork = notes.clone();
        fork.put(2_u8);
        fork.put("new");
        assert_eq!(notes.get::<u8>(), Some(&1));
        assert_eq!(notes.get::<&str>(), None);
        assert_eq!(fork.get::<u8>(), Some(&2));
    }
}
