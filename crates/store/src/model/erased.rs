//! The receipt of an erasure.

use std::collections::BTreeMap;

use posthouse_hook::{ForwardPath, Id, Timestamp};
use serde::{Deserialize, Serialize};

/// What was erased about one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erased {
    /// The receipt's number: the audit has a line of it, without the address.
    pub receipt: Id,
    /// When.
    pub at: Timestamp,
    /// About whom.
    pub address: ForwardPath,
    /// How much was erased, by kind.
    pub erased: BTreeMap<String, usize>,
    /// Copies that are on their way: they stay until they are done, and their rows go then.
    pub waiting: usize,
    /// Messages of which copies of other people stay: their bytes are as they were.
    pub shared: usize,
}

impl Erased {
    pub(crate) fn new(receipt: Id, at: Timestamp, address: ForwardPath) -> Self {
        Self {
            receipt,
            at,
            address,
            erased: BTreeMap::new(),
            waiting: 0,
            shared: 0,
        }
    }

    pub(crate) fn count(&mut self, kind: &str, more: usize) {
        if more > 0 {
            *self.erased.entry(kind.to_owned()).or_default() += more;
        }
    }
}
