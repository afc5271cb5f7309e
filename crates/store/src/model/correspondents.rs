//! How it stands with letters and choices, as an operator sees it.

use posthouse_hook::Timestamp;
use serde::{Deserialize, Serialize};

use super::Letters;

/// An address, and how it stands with letters to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Correspondent {
    /// The address, lower case.
    pub address: String,
    /// Whether letters go to it.
    pub letters: Letters,
    /// Copies that are held for it.
    pub held: usize,
    /// Since when something new waits for a letter.
    pub waiting_since: Option<Timestamp>,
    /// When the last letter went out.
    pub last_letter: Option<Timestamp>,
    /// When the next one may go out, if nothing but time keeps it back; may be past.
    pub next_due: Option<Timestamp>,
    /// Since when a cap keeps it back.
    pub kept_back_since: Option<Timestamp>,
}

/// What came of the wish for a letter now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resent {
    /// It is due: so many copies are held. Caps, and the stop of all letters, still bind it.
    Due(usize),
    /// Nothing is held for that address.
    NothingHeld,
    /// All that is held is mail that causes no letter: automatic messages.
    OnlyAutomatic,
    /// Letters to it were stopped, or one failed for good.
    Off(Letters),
}

/// How many have chosen what, and what is asked of the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StandingCounts {
    /// Senders whose spam is refused without being held.
    pub senders_refuse: u64,
    /// Senders whose spam is discarded.
    pub senders_discard: u64,
    /// Recipients who discard spam.
    pub recipients_discard: u64,
    /// Recipients who redirect all mail.
    pub recipients_redirect: u64,
    /// Recipients who get no letters: stopped, or one failed for good.
    pub recipients_without_letters: u64,
    /// Senders' questions about messages that are still held.
    pub requests: u64,
}
