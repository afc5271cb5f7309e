//! What a transaction becomes in the ledger: the rows of one message, prepared before the commit
//! and written by it.

use std::sync::Arc;

use bytes::Bytes;
use mail_parser::MessageParser;
use posthouse_hook::facts::{Judgement, RelayedUnscanned};
use posthouse_hook::{
    Column, Content, Disposition, ForwardPath, Header, Id, IdMaker, Kept, Outcome, ReversePath,
    Row, Session, Spf, Timestamp, Transaction, Why,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::audit::{self, Line, clean};
use crate::model::{Actor, Kind, OwnMessage};
use crate::rows;
use crate::state::State;
use crate::tally;

/// Messages that were relayed unscanned are counted here.
pub(crate) const UNSCANNED_KEY: &str = "relayed unscanned";
/// Longest display text of a header field in characters.
const MAX_TEXT: usize = 200;

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
    pub(crate) copies: Vec<Copy>,
}

/// Where the bytes are kept.
pub(crate) enum Body {
    /// In the row.
    Row(Bytes),
    /// In the spool, synced already.
    File,
}

/// The first of several equal messages.
pub(crate) struct Earlier {
    pub(crate) id: Id,
    pub(crate) reverse_path: ReversePath,
    /// Of its item link.
    pub(crate) generation: u32,
}

/// What is known of a held message.
pub(crate) struct Facts {
    pub(crate) identity: [u8; 32],
    pub(crate) sender: String,
    pub(crate) origin: String,
    pub(crate) from: String,
    pub(crate) subject: String,
    pub(crate) date: String,
    pub(crate) judgement: String,
    pub(crate) trail: String,
    /// Whether this message may cause letters: never a DSN or an auto-submitted message.
    pub(crate) letters: bool,
}

/// One recipient's copy.
pub(crate) struct Copy {
    pub(crate) id: Id,
    pub(crate) address: ForwardPath,
    pub(crate) kind: Kind,
    pub(crate) fate: Fate,
}

/// How a copy begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Queued,
    /// Handed over in memory: claimed from the start.
    HandedOver,
    Held(Row),
    Discarded,
}

impl Fate {
    fn state(self) -> State {
        match self {
            Self::Queued => State::Queued,
            Self::HandedOver => State::Sending,
            Self::Held(_) => State::Held,
            Self::Discarded => State::Discarded,
        }
    }

    fn due_at(self, now: Timestamp) -> Option<i64> {
        match self {
            Self::Queued => Some(now.0),
            Self::HandedOver | Self::Held(_) | Self::Discarded => None,
        }
    }

    fn filtered(self) -> Option<bool> {
        match self {
            Self::Held(row) => Some(row == Row::Filtered),
            _ => None,
        }
    }
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
        let copies = copies(tx, outcome, ids, at);
        if copies.is_empty() {
            return None;
        }
        let judgement = tx.notes.get::<Judgement>();
        let held = copies.iter().any(|c| matches!(c.fate, Fate::Held(_)));
        Some(Self {
            id: tx.id,
            at,
            reverse_path: tx.reverse_path.clone(),
            client: Some(session.client_ip().to_string()),
            helo: clean(session.helo.as_deref().unwrap_or_default()),
            size: tx.message.content.len(),
            eight_bit: tx.body_type == posthouse_hook::BodyType::EightBitMime,
            dsn_allowed: dsn_allowed(&tx.reverse_path, judgement),
            refused: matches!(outcome, Outcome::Refused { .. }),
            received: tx.received.clone(),
            body: Body::File,
            unscanned: tx.notes.get::<RelayedUnscanned>().is_some(),
            facts: held.then(|| Facts::of(session, tx, judgement)),
            copies,
        })
    }

    /// The rows of a message of our own.
    pub(crate) fn of_own(own: OwnMessage, ids: &IdMaker, at: Timestamp) -> Self {
        let copy = Copy {
            id: ids.next(at),
            address: own.to,
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
            copies: vec![copy],
        }
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

    /// Writes every row. Runs inside the writer's transaction, perhaps twice.
    pub(crate) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        self.insert_message(db)?;
        self.insert_body(db)?;
        if let Some(facts) = &self.facts {
            facts.insert(db, self.id)?;
        }
        if self.unscanned {
            tally::count(db, UNSCANNED_KEY, self.at)?;
        }
        for copy in &self.copies {
            self.insert_copy(db, copy)?;
        }
        Ok(())
    }

    fn insert_message(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO message (id, received_at, reverse_path, client, helo, size, eight_bit,
             dsn_allowed, refused, held, received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            self.id.0,
            self.at.0,
            self.reverse_path.address(),
            self.client,
            self.helo,
            i64::try_from(self.size).unwrap_or(i64::MAX),
            self.eight_bit,
            self.dsn_allowed,
            self.refused,
            self.facts.is_some(),
            self.received,
        ])?;
        Ok(())
    }

    fn insert_body(&self, db: &Connection) -> rusqlite::Result<()> {
        let bytes = match &self.body {
            Body::Row(bytes) => Some(&bytes[..]),
            Body::File => None,
        };
        db.prepare_cached("INSERT INTO body (message, bytes) VALUES (?1, ?2)")?
            .execute(params![self.id.0, bytes])?;
        Ok(())
    }

    fn insert_copy(&self, db: &Connection, copy: &Copy) -> rusqlite::Result<()> {
        let owner = match copy.fate {
            Fate::Held(Row::Filtered) => Some(self.owner(db, copy)?),
            _ => None,
        };
        let state = copy.fate.state();
        db.prepare_cached(
            "INSERT INTO recipient (id, message, address, owner, kind, state, filtered, queued_at,
             due_at, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8)",
        )?
        .execute(params![
            copy.id.0,
            self.id.0,
            copy.address.address(),
            owner,
            copy.kind.name(),
            state.name(),
            copy.fate.filtered(),
            self.at.0,
            copy.fate.due_at(self.at),
        ])?;
        let line = Line {
            at: self.at,
            item: self.id,
            subject: copy.id,
            event: "commit",
            state: state.name(),
            detail: "",
        };
        audit::append(db, &line, &Actor::local("chain"))
    }

    /// The row of the address that a copy is held for; made if need be, and waiting for a letter if
    /// this message may cause one.
    fn owner(&self, db: &Connection, copy: &Copy) -> rusqlite::Result<i64> {
        let letters = self.facts.as_ref().is_some_and(|f| f.letters);
        let waiting = letters.then_some(self.at.0);
        db.prepare_cached(
            "INSERT INTO address (id, address, waiting) VALUES (?1, ?2, ?3)
             ON CONFLICT (address) DO UPDATE SET waiting = coalesce(waiting, excluded.waiting)
             RETURNING id",
        )?
        .query_row(params![copy.id.0, copy.address.key(), waiting], |row| {
            row.get(0)
        })
    }

    /// An earlier message with the same retry identity of which every copy is still held, and the
    /// reverse-path that it came with: a forwarder's SRS address is another one every day.
    pub(crate) fn earlier(&self, db: &Connection) -> rusqlite::Result<Option<Earlier>> {
        let Some(facts) = &self.facts else {
            return Ok(None);
        };
        db.prepare_cached(
            "SELECT f.message, m.reverse_path, m.generation FROM facts f JOIN message m ON m.id = f.message
             WHERE f.identity = ?1 AND m.refused = ?2 AND NOT EXISTS (
               SELECT 1 FROM recipient r WHERE r.message = f.message AND r.state <> 'held')
             LIMIT 1",
        )?
        .query_row(params![facts.identity, self.refused], |row| {
            Ok(Earlier {
                id: Id(row.get(0)?),
                reverse_path: rows::reverse_path(row, 1)?,
                generation: row.get(2)?,
            })
        })
        .optional()
    }
}

/// The recipients whose copies, held so, would wait for a letter: for `explain`.
pub fn would_cause_letters(tx: &Transaction, outcome: &Outcome) -> Vec<ForwardPath> {
    if !causes_letters(tx) {
        return Vec::new();
    }
    copies(tx, outcome, &IdMaker::new(0), tx.started)
        .into_iter()
        .filter(|copy| copy.fate == Fate::Held(Row::Filtered))
        .map(|copy| copy.address)
        .collect()
}

/// A DSN or an auto-submitted message never causes a letter.
fn causes_letters(tx: &Transaction) -> bool {
    tx.reverse_path != ReversePath::Null && !auto_submitted(&tx.message.header)
}

fn copies(tx: &Transaction, outcome: &Outcome, ids: &IdMaker, at: Timestamp) -> Vec<Copy> {
    let fates: Vec<Option<Fate>> = match outcome {
        Outcome::Accepted(dispositions) => {
            dispositions.iter().map(|d| Some(accepted(*d))).collect()
        }
        Outcome::Refused { kept, .. } => kept.iter().map(|k| kept_fate(*k)).collect(),
    };
    let pairs = tx.recipients.iter().zip(fates);
    pairs
        .filter_map(|(recipient, fate)| {
            Some(Copy {
                id: ids.next(at),
                address: recipient.forward_path.clone(),
                kind: Kind::Relayed,
                fate: fate?,
            })
        })
        .collect()
}

fn accepted(disposition: Disposition) -> Fate {
    match disposition {
        Disposition::Relay => Fate::Queued,
        Disposition::Hold(why) => held(why),
        Disposition::Discard => Fate::Discarded,
    }
}

fn kept_fate(kept: Kept) -> Option<Fate> {
    match kept {
        Kept::Nothing => None,
        Kept::Held(why) => Some(held(why)),
        Kept::Discarded => Some(Fate::Discarded),
    }
}

fn held(why: Why) -> Fate {
    Fate::Held(why.row())
}

/// The design's rule: no DSN to a null reverse-path, for spam that nobody vouches for, or after an
/// SPF fail.
fn dsn_allowed(reverse_path: &ReversePath, judgement: Option<&Judgement>) -> bool {
    let forbidden =
        |j: &Judgement| j.spf == Spf::Fail || (j.spam && j.column == Column::NotVouched);
    *reverse_path != ReversePath::Null && !judgement.is_some_and(forbidden)
}

impl Facts {
    fn of(session: &Session, tx: &Transaction, judgement: Option<&Judgement>) -> Self {
        let header = &tx.message.header;
        let (from, subject) = from_and_subject(header);
        let sender = judgement.map_or(&tx.reverse_path, |j| &j.sender);
        Self {
            identity: judgement.map(|j| j.identity).unwrap_or_default(),
            sender: sender.address().to_ascii_lowercase(),
            origin: judgement.map(|j| j.origin.to_string()).unwrap_or_default(),
            from,
            subject,
            date: header
                .first("Date")
                .map(|f| short(&f.text()))
                .unwrap_or_default(),
            judgement: json(&judgement),
            trail: json(&session.trail),
            letters: causes_letters(tx),
        }
    }

    fn insert(&self, db: &Connection, message: Id) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO facts (message, identity, sender, origin, from_text, subject, date,
             judgement, trail, letters) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            message.0,
            self.identity,
            self.sender,
            self.origin,
            self.from,
            self.subject,
            self.date,
            self.judgement,
            self.trail,
            self.letters,
        ])?;
        Ok(())
    }
}

/// Our own types always have a JSON form.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// RFC 3834 §5: any value but `no` marks an automatic message.
fn auto_submitted(header: &Arc<Header>) -> bool {
    header.first("Auto-Submitted").is_some_and(|field| {
        let text = field.text().to_ascii_lowercase();
        text.split([';', ' ', '(']).next() != Some("no")
    })
}

/// Header From and Subject, decoded (RFC 2047) and shortened for display.
fn from_and_subject(header: &Header) -> (String, String) {
    let parsed = MessageParser::default().parse_headers(header.raw().as_ref());
    let Some(message) = parsed else {
        return (String::new(), String::new());
    };
    let from = message.from().and_then(|from| from.first()).map(|addr| {
        let name = addr.name().unwrap_or_default();
        let address = addr.address().unwrap_or_default();
        format!("{name} <{address}>").trim_start().to_owned()
    });
    let subject = message.subject().unwrap_or_default();
    (short(&from.unwrap_or_default()), short(subject))
}

fn short(text: &str) -> String {
    clean(&text.chars().take(MAX_TEXT).collect::<String>())
}

/// The bytes of a message that is small enough for a row, without a copy.
pub(crate) fn in_row(content: &Content, threshold: usize) -> Option<Bytes> {
    match content {
        Content::Memory(bytes) if bytes.len() <= threshold => Some(bytes.clone()),
        _ => None,
    }
}
