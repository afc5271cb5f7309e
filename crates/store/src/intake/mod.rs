//! What a transaction becomes in the ledger: the rows of one message, prepared before the commit
//! and written by it. Nothing here decides anything: the outcome did.

mod copies;
mod dsn;
mod facts;
mod insert;

use bytes::Bytes;
use posthouse_hook::facts::{Judgement, RelayedUnscanned};
use posthouse_hook::{
    BodyType, Content, Id, IdMaker, Outcome, ReversePath, Session, Timestamp, Transaction,
};

use crate::audit::clean;
use crate::model::{Choices, OwnMessage, RecipientChoice};
use crate::observed::{self, NewObserved};
use crate::samples;

pub use copies::would_cause_letters;
pub(crate) use copies::{Fate, NewCopy};
pub(crate) use facts::Facts;
pub(crate) use insert::{DISCARDED_KEY, Earlier, UNSCANNED_KEY};

/// A message that is about to be committed.
pub(crate) struct Intake {
    pub(crate) id: Id,
    pub(crate) at: Timestamp,
    pub(crate) reverse_path: ReversePath,
    pub(crate) client: Option<String>,
    pub(crate) helo: String,
    pub(crate) size: u64,
    pub(crate) eight_bit: bool,
    pub(crate) dsn_allowed: bool,
    pub(crate) refused: bool,
    pub(crate) received: String,
    pub(crate) body: Body,
    pub(crate) facts: Option<Facts>,
    /// Whether a scan was wanted and did not happen.
    pub(crate) unscanned: bool,
    /// Whether the scan called it spam and nothing of it is held.
    pub(crate) spam_not_held: bool,
    /// What a chain that observes would have done.
    pub(crate) observed: Vec<NewObserved>,
    /// What the quarantine judged by, if that is kept.
    pub(crate) judged: Option<String>,
    pub(crate) copies: Vec<NewCopy>,
    /// What a discard by somebody's standing choice is counted under.
    pub(crate) discards: Vec<String>,
    /// The unwrapped sender, lower case.
    sender: String,
}

/// Where the bytes are kept.
pub(crate) enum Body {
    /// In the row.
    Row(Bytes),
    /// In the spool, synced already.
    File,
}

impl Intake {
    /// The rows of a client's message. `None` if the outcome keeps nothing.
    pub(crate) fn of_transaction(
        session: &Session,
        tx: &Transaction,
        outcome: &Outcome,
        ids: &IdMaker,
        at: Timestamp,
    ) -> Option<Self> {
        let copies = copies::of(tx, outcome, ids, at);
        if copies.is_empty() {
            return None;
        }
        let judgement = tx.notes.get::<Judgement>();
        let sender = judgement.map_or(&tx.reverse_path, |j| &j.sender);
        // What is on its way by a redirect may yet come back to be held.
        let may_be_held = copies
            .iter()
            .any(|c| matches!(c.fate, Fate::Held(_)) || c.redirect.is_some());
        Some(Self {
            id: tx.id,
            at,
            reverse_path: tx.reverse_path.clone(),
            client: Some(session.client_ip().to_string()),
            helo: clean(session.helo.as_deref().unwrap_or_default()),
            size: tx.message.content.len(),
            eight_bit: tx.body_type == BodyType::EightBitMime,
            dsn_allowed: dsn::dsn_allowed(session, tx, judgement),
            refused: matches!(outcome, Outcome::Refused { .. }),
            received: tx.received.clone(),
            body: Body::File,
            unscanned: tx.notes.get::<RelayedUnscanned>().is_some(),
            spam_not_held: samples::is_spam_not_held(judgement, outcome),
            observed: observed::of(tx),
            judged: None,
            facts: may_be_held.then(|| Facts::of(session, tx, judgement)),
            copies,
            discards: Vec::new(),
            sender: sender.address().to_ascii_lowercase(),
        })
    }

    /// The rows of a message of our own.
    pub(crate) fn of_own(own: OwnMessage, ids: &IdMaker, at: Timestamp) -> Self {
        let copy = NewCopy {
            id: ids.next(at),
            address: own.to,
            redirect: None,
            kind: own.kind,
            fate: Fate::Queued,
        };
        Self {
            id: ids.next(at),
            at,
            reverse_path: ReversePath::Null,
            client: None,
            helo: String::new(),
            size: own.bytes.len() as u64,
            eight_bit: own.bytes.iter().any(|b| !b.is_ascii()),
            dsn_allowed: false,
            refused: false,
            received: String::new(),
            body: Body::Row(own.bytes.into()),
            facts: None,
            unscanned: false,
            spam_not_held: false,
            observed: Vec::new(),
            judged: None,
            copies: vec![copy],
            discards: Vec::new(),
            sender: String::new(),
        }
    }

    /// Notes whose choice each discard is, for the counts that they see.
    pub(crate) fn count_discards(&mut self, choices: &Choices) {
        let dropped = self.copies.iter().filter(|c| c.fate == Fate::Discarded);
        self.discards = dropped
            .map(|copy| match choices.of_recipient(&copy.address) {
                RecipientChoice::Discard => recipient_discards(&copy.address.key()),
                _ => sender_discards(&self.sender),
            })
            .collect();
    }

    /// Whether a copy is or was held.
    pub(crate) fn holds(&self) -> bool {
        self.copies.iter().any(|c| matches!(c.fate, Fate::Held(_)))
    }

    /// Whether nothing but the count and the audit is to be kept.
    pub(crate) fn is_dropped(&self) -> bool {
        self.copies.iter().all(|c| c.fate == Fate::Discarded)
    }

    /// Whether every copy is held, so that a retry of the same message may find this one.
    pub(crate) fn all_held(&self) -> bool {
        self.copies.iter().all(|c| matches!(c.fate, Fate::Held(_)))
    }

    /// Whether a copy goes to the relay at once.
    pub(crate) fn relays(&self) -> bool {
        self.copies.iter().any(|c| c.fate == Fate::Queued)
    }

    /// Marks what waits for the relay as handed over.
    pub(crate) fn hand_over(&mut self) {
        for copy in &mut self.copies {
            if copy.fate == Fate::Queued {
                copy.fate = Fate::HandedOver;
            }
        }
    }
}

/// What discards by a sender's choice are counted under.
pub(crate) fn sender_discards(sender: &str) -> String {
    format!("discarded from {sender}")
}

/// What discards by a recipient's choice are counted under.
pub(crate) fn recipient_discards(recipient: &str) -> String {
    format!("discarded for {recipient}")
}

/// The bytes of a message that is small enough for a row, without a copy.
pub(crate) fn in_row(content: &Content, threshold: usize) -> Option<Bytes> {
    match content {
        Content::Memory(bytes) if bytes.len() <= threshold => Some(bytes.clone()),
        _ => None,
    }
}
