//! What is kept, for pages and the command line: messages, their copies, their audit, and counts.

use std::net::IpAddr;

use posthouse_hook::facts::Judgement;
use posthouse_hook::{ForwardPath, Id, Lesson, ReversePath, Row, Timestamp, Trail};
use serde::Serialize;

use super::{Kind, Who};
use crate::state::State;

/// One message with its recipients, for pages and the command line. Bytes apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// The message's id.
    pub id: Id,
    /// When it was accepted or refused.
    pub received_at: Timestamp,
    /// The envelope sender as received.
    pub reverse_path: ReversePath,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The client's HELO name.
    pub helo: String,
    /// Octets.
    pub size: u64,
    /// Header From, decoded and shortened.
    pub from: String,
    /// Header Subject, decoded and shortened.
    pub subject: String,
    /// Header Date as written.
    pub date: String,
    /// Whether the sender was refused (and so has a link).
    pub refused: bool,
    /// What the quarantine found, for items that were held.
    pub judgement: Option<Judgement>,
    /// What the plugins said, for items that were held.
    pub trail: Trail,
    /// Its recipients.
    pub recipients: Vec<ItemRecipient>,
}

/// One recipient's copy of an [`Item`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemRecipient {
    /// The row's id.
    pub id: Id,
    /// To whom.
    pub address: ForwardPath,
    /// Where it stands.
    pub state: State,
    /// The matrix's row, for copies that were held.
    pub row: Option<Row>,
    /// What it counts as for routes.
    pub kind: Kind,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next attempt is due.
    pub next_attempt: Option<Timestamp>,
    /// The last words about it: the next hop's reply, or who discarded it.
    pub said: String,
    /// When the state last changed.
    pub changed_at: Timestamp,
    /// Whether it goes, or went, where its recipient redirects all mail.
    pub redirected: bool,
}

impl ItemRecipient {
    /// Whether its recipient discarded it, rather than its sender or the operator.
    pub fn recipient_discarded(&self) -> bool {
        self.state == State::Discarded && self.said == said_of_discard(Who::Recipient)
    }
}

/// The last words about a copy that somebody discarded.
pub(crate) fn said_of_discard(who: Who) -> String {
    format!("discarded: {}", who.name())
}

/// What to list; empty means everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only copies to this address (any case).
    pub recipient: Option<String>,
    /// Only messages from this envelope sender (any case).
    pub sender: Option<String>,
    /// Only messages in whose sender or subject this text stands (any case, as far as ASCII goes).
    pub text: Option<String>,
    /// Only copies in one of these states.
    pub states: Vec<State>,
    /// Only ids below this one: the page after it. Newest come first.
    pub before: Option<Id>,
    /// How many messages at the most; 0 means 100.
    pub limit: usize,
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audited {
    /// When.
    pub at: Timestamp,
    /// The recipient row, or the message or address that the line is about.
    pub subject: Id,
    /// The event's name.
    pub event: String,
    /// The state behind it.
    pub state: String,
    /// Who.
    pub who: String,
    /// From where, and any words.
    pub detail: String,
}

/// What scanners are to be told about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LessonDue {
    /// The message; its bytes are kept for as long.
    pub message: Id,
    /// What a person made of it.
    pub lesson: Lesson,
    /// Tries that failed.
    pub tries: u32,
}

/// A message that was spam and was not held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// The message's id.
    pub id: Id,
    /// When it came.
    pub at: Timestamp,
    /// The sender after SRS was unwrapped, lower case.
    pub sender: String,
    /// Octets of the whole message.
    pub size: u64,
    /// Octets of it that are kept.
    pub kept: u64,
    /// What the quarantine found.
    pub judgement: Option<Judgement>,
}

/// How much is in which state, for `posthouse status` and alarms.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Copies by state; final states are counted only while their rows are kept.
    pub states: Vec<(State, u64)>,
    /// Letters that caps kept back in the last day.
    pub letters_capped: u64,
    /// Addresses whose letter a cap keeps back, at most 1000.
    pub letters_kept_back: Vec<String>,
    /// Copies that a standing choice discarded in the last day.
    pub discarded: u64,
    /// Messages that were relayed in the last day although no scanner answered.
    pub relayed_unscanned: u64,
    /// Messages that went on in the last day only because their chain observes.
    pub observed: u64,
    /// Messages that were spam and of which nothing was held, in the last day.
    pub spam_not_held: u64,
    /// Lessons that scanners learned in the last day.
    pub lessons_learned: u64,
    /// Lessons that were given up in the last day.
    pub lessons_given_up: u64,
    /// Octets of all messages of which a copy is held.
    pub held_octets: u64,
    /// Octets of samples.
    pub sample_octets: u64,
    /// Octets that both may have together.
    pub max_size: u64,
    /// Held copies that expired in the last day.
    pub expired: Expiries,
}

/// Held copies that expired, by the bound that they met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Expiries {
    /// Older than the retention.
    pub age: u64,
    /// The oldest when all together were too much.
    pub size: u64,
    /// The oldest of a sender that was over its share.
    pub share: u64,
}
