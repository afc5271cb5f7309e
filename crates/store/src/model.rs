//! What the store takes and gives: plain values, without a word of SQL.

use std::net::IpAddr;
use std::time::Duration;

use posthouse_hook::facts::Judgement;
use posthouse_hook::{Content, ForwardPath, Id, Link, ReversePath, Row, Timestamp, Trail};
use serde::{Deserialize, Serialize};

use crate::handoff::Reserved;
use crate::state::State;

/// Whose message it is: routes can select by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A client's message on its way.
    Relayed,
    /// A client's message that was held and released.
    Released,
    /// A letter of ours to a recipient.
    Letter,
    /// A delivery status notification of ours.
    Dsn,
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
    /// To whom.
    pub forward_path: ForwardPath,
    /// For the choice of a route.
    pub kind: Kind,
    /// Attempts made before this one.
    pub attempts: u32,
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
}

/// Who changes something, for the audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    /// `sender link`, `recipient link`, `operator`, `relay` or `retention`.
    pub who: String,
    /// From which address, if over the network.
    pub from: Option<IpAddr>,
}

impl Actor {
    /// An actor without a network address.
    pub fn local(who: &str) -> Self {
        Self {
            who: who.to_owned(),
            from: None,
        }
    }
}

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
}

/// What to list; empty means everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Only copies to this address (any case).
    pub recipient: Option<String>,
    /// Only messages from this envelope sender (any case).
    pub sender: Option<String>,
    /// Only copies in one of these states.
    #[serde(default)]
    pub states: Vec<State>,
    /// Only ids below this one: the page after it. Newest come first.
    pub before: Option<Id>,
    /// How many messages at the most; 0 means 100.
    #[serde(default)]
    pub limit: usize,
}

/// Which copies a deed is about: a message, or some of its recipients' copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The message.
    pub item: Id,
    /// Only these addresses (any case); empty means all.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// What a deed on a selection did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Copies whose state changed.
    pub changed: usize,
    /// Copies in another state, which stay as they are.
    pub untouched: usize,
}

/// How often senders may release their own mail within a day; past a cap the operator decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseCaps {
    /// By one envelope sender.
    pub per_sender: u32,
    /// By one sender domain.
    pub per_sender_domain: u32,
    /// From one origin network (/24 for IPv4, /64 for IPv6).
    pub per_origin_network: u32,
    /// To one destination domain.
    pub per_destination_domain: u32,
    /// In all.
    pub total: u32,
}

impl Default for ReleaseCaps {
    fn default() -> Self {
        Self {
            per_sender: 10,
            per_sender_domain: 100,
            per_origin_network: 50,
            per_destination_domain: 100,
            total: 1000,
        }
    }
}

/// What came of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Released {
    /// Done, as far as copies were held.
    Done(Done),
    /// This cap is reached (its key in the configuration): the operator decides.
    Capped(String),
}

/// How many letters may go out; the surplus is counted and listed, not sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LetterCaps {
    /// In a day, caused by one sender.
    pub per_sender_daily: u32,
    /// In a day, caused by one origin.
    pub per_origin_daily: u32,
    /// In an hour, to one domain.
    pub per_domain_hourly: u32,
    /// In an hour, in all.
    pub total_hourly: u32,
}

impl Default for LetterCaps {
    fn default() -> Self {
        Self {
            per_sender_daily: 5,
            per_origin_daily: 5,
            per_domain_hourly: 100,
            total_hourly: 500,
        }
    }
}

/// Whether letters go to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Letters {
    /// They do.
    On,
    /// Its owner stopped them.
    Stopped,
    /// One failed for good.
    Failed,
}

/// A recipient address for which something is or was held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Address {
    /// The row's id: what address and stop links are about.
    pub id: Id,
    /// The address, lower case.
    pub address: String,
    /// Whether letters go to it.
    pub letters: Letters,
    /// When the last letter went out.
    pub last_letter: Option<Timestamp>,
}

/// An address that is to be written to.
#[derive(Debug)]
pub struct LetterDue {
    /// The address.
    pub address: Address,
    /// To whom the letter goes.
    pub to: ForwardPath,
    /// How many messages are held for it, those that may not cause a letter included.
    pub held: usize,
    /// The newest of them, at most ten.
    pub newest: Vec<Item>,
    /// The link to the page of the address.
    pub link: Link,
    /// The link that stops letters.
    pub stop_link: Link,
}

/// What came of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetterSent {
    /// It is queued, and the address counts as written to.
    Queued(Id),
    /// This cap is reached (its key in the configuration): counted, not sent.
    Capped(&'static str),
    /// Somebody stopped letters, or another letter went out meanwhile.
    NotDue,
}

/// What a proven link leads to.
#[derive(Debug, Clone)]
pub enum Proven {
    /// One held message, for its sender.
    Item(Box<Item>),
    /// All that is held for one address.
    Address(Address),
    /// Letters to one address.
    Stop(Address),
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

/// How much is in which state, for `posthouse status` and alarms.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Copies by state; final states are counted only while their rows are kept.
    pub states: Vec<(State, u64)>,
    /// Letters that caps kept back in the last day.
    pub letters_capped: u64,
    /// Addresses whose letter a cap keeps back, at most 1000.
    pub letters_kept_back: Vec<String>,
    /// Messages that were relayed in the last day although no scanner answered.
    pub relayed_unscanned: u64,
}

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The state directory.
    pub state: std::path::PathBuf,
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
