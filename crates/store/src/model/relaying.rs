//! What passes between the store and the relay.

use posthouse_hook::{Content, ForwardPath, Id, ReversePath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::handoff::Reserved;

/// Whose message it is: routes can select by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A client's message on its way.
    Relayed,
    /// A client's message that was held and released.
    Released,
    /// A client's message on its way to where its recipient wants all mail.
    Redirected,
    /// A letter of ours to a recipient, or another mail of ours that is no DSN.
    Letter,
    /// A delivery status notification of ours.
    Dsn,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Relayed,
        Self::Released,
        Self::Redirected,
        Self::Letter,
        Self::Dsn,
    ];

    /// The name in the ledger and in routes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relayed => "relayed",
            Self::Released => "released",
            Self::Redirected => "redirected",
            Self::Letter => "letter",
            Self::Dsn => "dsn",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A message of our own making: a letter or a DSN.
#[derive(Debug, Clone)]
pub struct OwnMessage {
    /// [`Kind::Letter`] or [`Kind::Dsn`].
    pub kind: Kind,
    /// To whom; the reverse-path is always null.
    pub to: ForwardPath,
    /// The whole message, CRLF line ends, no dot-stuffing.
    pub bytes: Vec<u8>,
}

/// A message that is due, and the recipients that were claimed for this attempt.
#[derive(Debug)]
pub struct Claimed {
    /// The message's id.
    pub id: Id,
    /// The reverse-path as received.
    pub reverse_path: ReversePath,
    /// When the message was accepted: queue time counts from here, or from its release.
    pub since: Timestamp,
    /// Our Received field, to be prepended; empty for messages of our own.
    pub received: String,
    /// Whether the client declared `BODY=8BITMIME`.
    pub eight_bit: bool,
    /// Whether a DSN may be sent if it fails: never for a null reverse-path, never where the
    /// matrix forbids it.
    pub dsn_allowed: bool,
    /// All bytes as received.
    pub content: Content,
    /// The claimed recipients.
    pub recipients: Vec<ClaimedRecipient>,
    /// The share of the in-memory hand-over that this message takes, given back when dropped.
    pub reserved: Option<Reserved>,
}

/// Names one recipient's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyId {
    /// The message.
    pub message: Id,
    /// The recipient row.
    pub recipient: Id,
}

/// One recipient of an attempt.
#[derive(Debug, Clone)]
pub struct ClaimedRecipient {
    /// The copy.
    pub id: CopyId,
    /// To whom the client sent it.
    pub forward_path: ForwardPath,
    /// Where it goes in place of that, by the recipient's redirect. Whoever delivers it asks first
    /// whether the redirect still holds.
    pub redirect: Option<ForwardPath>,
    /// For the choice of a route.
    pub kind: Kind,
    /// Attempts made before this one.
    pub attempts: u32,
}

impl ClaimedRecipient {
    /// To whom it is to be delivered.
    pub fn deliver_to(&self) -> &ForwardPath {
        self.redirect.as_ref().unwrap_or(&self.forward_path)
    }
}

/// What an attempt came to for one recipient.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempted {
    /// The copy.
    pub copy: CopyId,
    /// The result.
    pub result: AttemptResult,
    /// The next hop's words, or why it could not be reached. Cleaned by the store for display.
    pub said: String,
    /// The next hop, `host[ip]:port` or as it is known.
    pub next_hop: String,
}

/// See [`Attempted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// 2xx.
    Delivered,
    /// 4xx or no connection: try again then.
    Deferred(Timestamp),
    /// 5xx, or the time is over.
    Failed,
    /// No attempt was made: shutdown, or no slot.
    GivenBack,
    /// The redirect does not hold any more, and the address itself may be filtered: back into the
    /// quarantine, for its owner. Only for copies of [`Kind::Redirected`].
    Withheld,
}
