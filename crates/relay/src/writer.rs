//! The writer of letters: which facts a letter tells, in which language, under which subject. It
//! knows of no ledger.

use std::path::Path;
use std::sync::Arc;

use posthouse_hook::trail::visible;
use posthouse_hook::{Clock, Domain, ForwardPath, Id, Language, Timestamp};
use posthouse_store::{Item, Kind, LetterDue, OwnMessage};
use serde::Serialize;

use crate::config::LettersConfig;
use crate::dates;
use crate::desk::{Desk, MailError, Page};
use crate::dsn;
use crate::texts::Text;

/// Characters of a From or Subject that a letter shows.
const MAX_SHOWN: usize = 70;

/// Writes letters, and knows of no ledger.
pub struct LetterWriter {
    pub(crate) config: LettersConfig,
    pub(crate) desk: Arc<Desk>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a letter says: the facts that the template is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LetterFacts {
    /// The address that it is about.
    pub address: String,
    /// The domain behind its `@`.
    pub domain: String,
    /// Messages held.
    pub held: usize,
    /// The newest of them.
    pub newest: Vec<HeldLine>,
    /// How many are not among the newest.
    pub more: usize,
    /// The URL of the page of the address.
    pub link: String,
    /// The URL of the page that stops letters.
    pub stop_link: String,
    /// Days between two letters.
    pub days: u16,
    /// Our own host name.
    pub hostname: String,
}

/// One held message in a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldLine {
    /// The day of its arrival, `20 November 2026`, as the letter's language writes it.
    pub day: String,
    /// Its From, shortened.
    pub from: String,
    /// Its Subject, shortened.
    pub subject: String,
    /// Its size, `12 KB`.
    pub size: String,
}

/// A held message as a letter lists it.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// When it arrived.
    pub at: Timestamp,
    /// Its From; the envelope's sender if it has none.
    pub from: &'a str,
    /// Its Subject.
    pub subject: &'a str,
    /// Its octets.
    pub size: u64,
}

impl LetterWriter {
    /// A writer whose templates have proved that they can be rendered, and whose key has been read.
    ///
    /// `templates` is a directory whose files replace the built-in texts of the same name.
    pub fn new(
        config: LettersConfig,
        ours: Domain,
        templates: Option<&Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, MailError> {
        let desk = Desk::new(ours, templates, config.dkim.as_ref())?;
        let desk = Arc::new(desk);
        let writer = Self {
            config,
            desk,
            clock,
        };
        writer.check()?;
        Ok(writer)
    }

    pub(crate) fn write(&self, due: &LetterDue, id: Id) -> Result<OwnMessage, MailError> {
        let language = self.language(due);
        let facts = LetterFacts {
            held: due.held,
            newest: due.newest.iter().map(|item| line(item, language)).collect(),
            more: due.held.saturating_sub(due.newest.len()),
            link: due.link.reveal(),
            stop_link: due.stop_link.reveal(),
            days: due
                .address
                .interval_days
                .unwrap_or(self.config.renotify_days.get()),
            ..self.facts(&due.to)
        };
        let bytes = self.compose(&due.to, language, &facts, id, self.clock.now())?;
        Ok(OwnMessage {
            kind: Kind::Letter,
            to: due.to.clone(),
            bytes,
        })
    }

    /// The letter that would go out about one message, with links that lead nowhere: for `explain`.
    /// `base` is the start of every link.
    pub fn preview(
        &self,
        base: &str,
        to: &ForwardPath,
        listed: Listed<'_>,
    ) -> Result<Vec<u8>, MailError> {
        let language = self.config.language_of(to);
        let facts = LetterFacts {
            held: 1,
            newest: vec![HeldLine::new(listed, language)],
            link: format!("{base}/a/(link)"),
            stop_link: format!("{base}/s/(link)"),
            ..self.facts(to)
        };
        self.compose(to, language, &facts, Id(0), self.clock.now())
    }

    /// Renders every text in every language with made-up facts, so that a broken template is found
    /// at the start.
    pub(crate) fn check(&self) -> Result<(), MailError> {
        for text in Text::ALL {
            for language in Language::ALL {
                match text {
                    Text::Letter => self.check_letter(language)?,
                    Text::Dsn => dsn::check(&self.desk.templates)?,
                    errand => self.check_errand(errand, language)?,
                }
            }
        }
        Ok(())
    }

    fn check_letter(&self, language: Language) -> Result<(), MailError> {
        let to = ForwardPath::Postmaster;
        for (held, days) in [(1, 1), (12, 7)] {
            let facts = self.made_up(&to, language, held, days);
            self.compose(&to, language, &facts, Id(0), Timestamp(0))?;
        }
        Ok(())
    }

    fn made_up(&self, to: &ForwardPath, language: Language, held: usize, days: u16) -> LetterFacts {
        let listed = Listed {
            at: Timestamp(0),
            from: "a@b.example",
            subject: "Hello",
            size: 1234,
        };
        LetterFacts {
            held,
            newest: vec![HeldLine::new(listed, language)],
            more: held - 1,
            link: "http://localhost/a/(link)".to_owned(),
            stop_link: "http://localhost/s/(link)".to_owned(),
            days,
            ..self.facts(to)
        }
    }

    /// The recipient's own, as the ledger knows it, or else as configured for its domain.
    fn language(&self, due: &LetterDue) -> Language {
        let own = due.address.language;
        own.unwrap_or_else(|| self.config.language_of(&due.to))
    }

    fn facts(&self, to: &ForwardPath) -> LetterFacts {
        let domain = to.mailbox().map(|mailbox| mailbox.host().to_string());
        LetterFacts {
            address: to.address(),
            domain: domain.unwrap_or_else(|| self.desk.ours.to_string()),
            held: 0,
            newest: Vec::new(),
            more: 0,
            link: String::new(),
            stop_link: String::new(),
            days: self.config.renotify_days.get(),
            hostname: self.desk.ours.to_string(),
        }
    }

    fn compose(
        &self,
        to: &ForwardPath,
        language: Language,
        facts: &LetterFacts,
        id: Id,
        date: Timestamp,
    ) -> Result<Vec<u8>, MailError> {
        let built_in = Text::Letter.subject(language);
        let page = Page {
            text: Text::Letter,
            language,
            from: self.author(),
            to,
            subject: &visible(self.config.subject.of(language).unwrap_or(built_in)),
            stop: Some(&facts.stop_link),
            id,
            date,
        };
        self.desk.compose(&page, facts)
    }

    /// The From field.
    pub(crate) fn author(&self) -> String {
        match &self.config.from {
            Some(sender) => sender.0.to_string(),
            None => format!("postmaster@{}", self.desk.ours),
        }
    }
}

fn line(item: &Item, language: Language) -> HeldLine {
    let sender = item.reverse_path.address();
    let from = if item.from.is_empty() {
        &sender
    } else {
        &item.from
    };
    let listed = Listed {
        at: item.received_at,
        from,
        subject: &item.subject,
        size: item.size,
    };
    HeldLine::new(listed, language)
}

impl HeldLine {
    fn new(listed: Listed<'_>, language: Language) -> Self {
        let (nobody, nothing) = match language {
            Language::En => ("(nobody)", "(no subject)"),
            Language::De => ("(niemand)", "(kein Betreff)"),
        };
        Self {
            day: dates::day(listed.at, language),
            from: shown(listed.from, nobody),
            subject: shown(listed.subject, nothing),
            size: dates::size(listed.size, language),
        }
    }
}

/// One short line of a hostile text.
fn shown(text: &str, empty: &str) -> String {
    let text = visible(text.trim());
    if text.is_empty() {
        return empty.to_owned();
    }
    let mut short: String = text.chars().take(MAX_SHOWN).collect();
    if short.len() < text.len() {
        short.push('\u{2026}');
    }
    short
}

#[cfg(test)]
mod tests;
