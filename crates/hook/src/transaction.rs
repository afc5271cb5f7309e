//! A transaction: MAIL up to the end of DATA (RFC 5321 §3.3).

use std::sync::Arc;

use crate::address::{ForwardPath, ReversePath};
use crate::id::Id;
use crate::message::{Content, Header, Message};
use crate::notes::Notes;
use crate::outcome::Disposition;
use crate::time::Timestamp;

/// What `BODY=` said (RFC 6152).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyType {
    /// `BODY=7BIT`, or nothing.
    #[default]
    SevenBit,
    /// `BODY=8BITMIME`.
    EightBitMime,
}

/// One recipient of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipient {
    /// As the client gave it.
    pub forward_path: ForwardPath,
    /// What becomes of this recipient's copy.
    pub disposition: Disposition,
    /// Where the copy goes in place of the forward-path, by the recipient's own standing choice.
    pub redirect: Option<ForwardPath>,
}

impl Recipient {
    /// A recipient whose copy is relayed unless a plugin says otherwise.
    pub fn new(forward_path: ForwardPath) -> Self {
        Self {
            forward_path,
            disposition: Disposition::Relay,
            redirect: None,
        }
    }
}

/// An envelope and, from the hook point `headers` on, its message. A clone is a fork.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The id that the client hears as "Queued as", and that the ledger keeps.
    pub id: Id,
    /// When MAIL came.
    pub started: Timestamp,
    /// The reverse-path.
    pub reverse_path: ReversePath,
    /// The message size that the client declared (RFC 1870), in octets.
    pub declared_size: Option<u64>,
    /// What the client declared with `BODY=`.
    pub body_type: BodyType,
    /// The recipients that were taken.
    pub recipients: Vec<Recipient>,
    /// Our own Received field, CRLF included, and what plugins put above it
    /// ([`Transaction::prepend`]): prepended when the message is relayed.
    pub received: String,
    /// The message: empty before `headers`, its header section only at `headers`, whole at `data`.
    pub message: Message,
    /// Notes that last as long as the transaction.
    pub notes: Notes,
}

impl Transaction {
    /// A transaction without recipients or message.
    pub fn new(id: Id, started: Timestamp, reverse_path: ReversePath) -> Self {
        Self {
            id,
            started,
            reverse_path,
            declared_size: None,
            body_type: BodyType::default(),
            recipients: Vec::new(),
            received: String::new(),
            message: Message {
                header: Arc::new(Header::default()),
                content: Content::default(),
            },
            notes: Notes::default(),
        }
    }

    /// Puts a header field of ours above the message, above what was put there before. The value is
    /// one line: what could end it is replaced.
    pub fn prepend(&mut self, name: &str, value: &str) {
        let line = |c: char| if c.is_control() { ' ' } else { c };
        let value: String = value.chars().map(line).collect();
        self.received.insert_str(0, &format!("{name}: {value}\r\n"));
    }

    /// The dispositions, in the order of the recipients.
    pub fn dispositions(&self) -> impl Iterator<Item = Disposition> + '_ {
        self.recipients.iter().map(|r| r.disposition)
    }
}
