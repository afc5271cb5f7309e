//! What the store takes and gives: plain values, without a word of SQL.

mod deeds;
mod items;
mod letters;
mod relaying;

use std::path::PathBuf;
use std::time::Duration;

pub use deeds::{Actor, Done, ReleaseCaps, Released, Selection, Who};
pub use items::{Audited, Counts, Filter, Item, ItemRecipient};
pub use letters::{Address, LetterCaps, LetterDue, LetterSent, Letters, Proven};
pub use relaying::{AttemptResult, Attempted, Claimed, ClaimedRecipient, CopyId, Kind, OwnMessage};

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The state directory.
    pub state: PathBuf,
    /// This node's number, part of every id.
    pub node: u8,
    /// The `[web] url`: the start of every link.
    pub link_base: String,
    /// Octets that must stay free on the file system.
    pub min_free: u64,
    /// Bodies longer than this are spool files. See docs/performance.md for the measurement.
    pub spool_threshold: usize,
    /// Octets of accepted messages that may wait in memory for the relay.
    pub handoff_bytes: usize,
    /// How long held copies are kept.
    pub retention: Duration,
    /// How long audit lines are kept.
    pub audit_kept: Duration,
}
