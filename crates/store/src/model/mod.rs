//! What the store takes and gives: plain values, without a word of SQL.

mod choices;
mod correspondents;
mod deeds;
mod erased;
mod grey;
mod items;
mod judged;
mod letters;
mod observed;
mod relaying;

use std::path::PathBuf;
use std::time::Duration;

pub use choices::{
    Asked, Choices, Confirmed, Errand, ErrandKind, Objection, Owner, Pending, RecipientChoice,
    Request, Sender, SenderChoice, Wish,
};
pub use correspondents::{Correspondent, Resent, StandingCounts};
pub use deeds::{Actor, Done, ReleaseCaps, Released, Selection, Who};
pub use erased::Erased;
pub use grey::{GreyNetwork, GreySeen, GreyTriplet, GreyTry};
pub(crate) use items::said_of_discard;
pub use items::{Audited, Counts, Expiries, Filter, Item, ItemRecipient, LessonDue, Sample};
pub use judged::{Became, Judged, JudgedCopy};
pub use letters::{Address, LetterCaps, LetterDue, LetterSent, Letters, Proven};
pub use observed::{ObservedCase, ObservedCount, ObservedReport};
pub use relaying::{AttemptResult, Attempted, Claimed, ClaimedRecipient, CopyId, Kind, OwnMessage};

/// How much room held mail may take. What is over goes, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Octets of all messages that are held, and of samples.
    pub max_size: u64,
    /// The part of it that the held mail of one sender may take: above 0, at most 1.
    pub sender_share: f64,
}

impl Bounds {
    /// Octets that the held mail of one sender may take.
    pub fn share(&self) -> u64 {
        // Octets are far below the 2^53 that a double holds exactly.
        (self.max_size as f64 * self.sender_share) as u64
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_size: 4 << 30,
            sender_share: 0.2,
        }
    }
}

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
    /// How much room they may take.
    pub bounds: Bounds,
    /// How long audit lines are kept.
    pub audit_kept: Duration,
    /// How long it is kept what chains that observe would have done.
    pub observed_kept: Duration,
    /// How long it is kept what the quarantine judged by. Zero keeps nothing.
    pub judged_kept: Duration,
}
