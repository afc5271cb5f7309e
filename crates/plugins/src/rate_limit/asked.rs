//! The plugin's own marks on a transaction: which recipients it has counted, and whether it is to
//! hold the message. Each `rate_limit` of a chain has marks of its own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use posthouse_hook::{Recipient, Transaction};

/// The recipients that were counted, by whom. Bounded by the recipients of a transaction.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<HashSet<(usize, String)>>>);

impl Asked {
    /// The marks of this transaction.
    pub(super) fn of(tx: &mut Transaction) -> Self {
        if let Some(asked) = tx.notes.get::<Self>() {
            return asked.clone();
        }
        let asked = Self::default();
        tx.notes.put(asked.clone());
        asked
    }

    /// Marks a recipient; false if it was marked before.
    pub(super) fn remember(&self, plugin: usize, recipient: &Recipient) -> bool {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.insert((plugin, recipient.forward_path.key()))
    }
}

/// Who wants the message held.
#[derive(Clone, Default)]
pub(super) struct ToHold(Vec<usize>);

impl ToHold {
    pub(super) fn put(tx: &mut Transaction, plugin: usize) {
        let mut all = tx.notes.get::<Self>().cloned().unwrap_or_default();
        if !all.0.contains(&plugin) {
            all.0.push(plugin);
        }
        tx.notes.put(all);
    }

    pub(super) fn has(tx: &Transaction, plugin: usize) -> bool {
        let all = tx.notes.get::<Self>();
        all.is_some_and(|all| all.0.contains(&plugin))
    }
}
