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
        self.prepend_folded(name, &[value]);
    }

    /// The same with a value of several lines, each but the first folded onto a line of its own
    /// (RFC 5322 §2.2.3). Lines without a visible character are left out.
    pub fn prepend_folded(&mut self, name: &str, lines: &[impl AsRef<str>]) {
        let lines = lines
            .iter()
            .map(|line| line.as_ref().replace(char::is_control, " "));
        let lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
        let value = lines.join("\r\n\t");
        self.received.insert_str(0, &format!("{name}: {value}\r\n"));
    }

    /// The dispositions, in the order of the recipients.
    pub fn dispositions(&self) -> impl Iterator<Item = Disposition> + '_ {
        self.recipients.iter().map(|r| r.disposition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_ours_ends_where_it_should() {
        let mut tx = Transaction::new(Id(1), Timestamp(0), ReversePath::Null);
        tx.received = "Received: x\r\n".to_owned();
        tx.prepend("A", "one\r\nEvil: two");
        tx.prepend_folded("B", &["one;", " ", "two\r\n\r\nthree"]);
        let want = "B: one;\r\n\ttwo    three\r\nA: one  Evil: two\r\nReceived: x\r\n";
        assert_eq!(tx.received, want);
    }
}
