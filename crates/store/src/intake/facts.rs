//! What is known of a message that is held: for its pages, its letters, and its retries.

use mail_parser::{Message, MessageParser};
use posthouse_hook::facts::Judgement;
use posthouse_hook::{Header, Id, ReversePath, Session, Transaction};
use rusqlite::{Connection, params};

use crate::audit::clean;

/// Longest display text of a header field in characters.
const MAX_TEXT: usize = 200;

/// What is known of a held message.
pub(crate) struct Facts {
    /// By which a retry is found; none if nothing judged the message, or found it clean.
    pub(crate) identity: Option<[u8; 32]>,
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

impl Facts {
    pub(super) fn of(session: &Session, tx: &Transaction, judgement: Option<&Judgement>) -> Self {
        let header = &tx.message.header;
        let parsed = MessageParser::default()
            .parse_headers(header.raw().as_ref())
            .unwrap_or_default();
        let sender = judgement.map_or(&tx.reverse_path, |j| &j.sender);
        Self {
            identity: judgement.and_then(|j| j.identity),
            sender: sender.address().to_ascii_lowercase(),
            origin: judgement.map(|j| j.origin.to_string()).unwrap_or_default(),
            from: short(&first_author(&parsed)),
            subject: short(parsed.subject().unwrap_or_default()),
            date: header
                .first("Date")
                .map(|f| short(&f.text()))
                .unwrap_or_default(),
            judgement: json(&judgement),
            trail: json(&session.trail),
            letters: causes_letters(tx),
        }
    }

    pub(super) fn insert(&self, db: &Connection, message: Id) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO facts (message, identity, sender, origin, from_text, subject, date,
             judgement, trail, letters) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            message.0,
            self.identity.as_ref().map_or(&[][..], |identity| identity),
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

/// A DSN or an auto-submitted message never causes a letter.
pub(super) fn causes_letters(tx: &Transaction) -> bool {
    tx.reverse_path != ReversePath::Null && !auto_submitted(&tx.message.header)
}

/// Our own types always have a JSON form.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// RFC 3834 §5: any value but `no` marks an automatic message.
fn auto_submitted(header: &Header) -> bool {
    header.first("Auto-Submitted").is_some_and(|field| {
        let text = field.text().to_ascii_lowercase();
        text.split([';', ' ', '(']).next() != Some("no")
    })
}

/// The first address of header From, decoded (RFC 2047).
fn first_author(message: &Message<'_>) -> String {
    let Some(author) = message.from().and_then(|from| from.first()) else {
        return String::new();
    };
    let (name, address) = (author.name(), author.address());
    format!(
        "{} <{}>",
        name.unwrap_or_default(),
        address.unwrap_or_default()
    )
    .trim_start()
    .to_owned()
}

/// Cleaned before it is cut: half a link would not be known for one.
fn short(text: &str) -> String {
    clean(text).chars().take(MAX_TEXT).collect()
}
