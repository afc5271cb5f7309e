//! Letters: "we are holding mail for you". To whom and how many, the store decides; here they are
//! written, from a template for the text and typed fields for the header section.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::SinglePart;
use posthouse_hook::trail::visible;
use posthouse_hook::{Clock, Domain, ForwardPath, Id, Live, Timestamp};
use posthouse_store::{Item, Kind, LetterDue, LetterSent, OwnMessage, Store, StoreError};
use serde::Serialize;
use tokio::sync::watch;

use crate::config::LettersConfig;
use crate::dates;
use crate::own::{Auto, Sheet};
use crate::reach::Reach;
use crate::templates::{LETTER, TemplateError, Templates};

/// The shortest pause between two looks, whatever the configuration says.
const LEAST: Duration = Duration::from_secs(1);
/// Letters that are written in one round.
const ROUND: usize = 200;
/// Characters of a From or Subject that a letter shows.
const MAX_SHOWN: usize = 70;

/// Sends letters.
pub struct Letters {
    pub(crate) writer: LetterWriter,
    pub(crate) store: Store,
    pub(crate) reach: Live<Reach>,
}

/// Writes letters, and knows of no ledger.
pub struct LetterWriter {
    pub(crate) config: LettersConfig,
    pub(crate) ours: Domain,
    pub(crate) templates: Arc<Templates>,
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
    /// The day of its arrival, `20 November 2026`.
    pub day: String,
    /// Its From, shortened.
    pub from: String,
    /// Its Subject, shortened.
    pub subject: String,
}

impl Letters {
    /// Sends what is due, looking now and then, until told to stop.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        if !self.writer.config.send {
            return;
        }
        loop {
            if let Err(error) = self.round().await {
                tracing::error!(%error, "letters wait");
            }
            tokio::select! {
                () = tokio::time::sleep(self.writer.config.check.0.max(LEAST)) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Sends what is due now; returns how many letters went into the queue. A template that fails
    /// is logged, and the letters stay due.
    ///
    /// While an operator has stopped our mail to people, nothing goes out and all stays due.
    pub async fn round(&self) -> Result<usize, StoreError> {
        if self.store.letters_stopped().await? {
            return Ok(0);
        }
        let interval = self.writer.config.interval();
        let mut sent = 0;
        let reach = self.reach.load();
        let wanted = move |address: &str| reach.takes(address);
        let due = self.store.letters_due_among(interval, ROUND, wanted);
        for due in due.await? {
            let letter = match self
                .writer
                .write(&due, self.store.ids().next(self.writer.clock.now()))
            {
                Ok(letter) => letter,
                Err(error) => {
                    tracing::error!(%error, "no letter can be written");
                    break;
                }
            };
            let caps = self.writer.config.caps.clone();
            match self.store.send_letter(&due, letter, interval, caps).await? {
                LetterSent::Queued(id) => {
                    sent += 1;
                    tracing::info!(message = %id, to = %due.to, held = due.held, "letter");
                }
                LetterSent::Capped(cap) => tracing::info!(to = %due.to, cap, "letter kept back"),
                LetterSent::NotDue => {}
            }
        }
        Ok(sent)
    }
}

impl LetterWriter {
    /// A writer whose template has proved that it can be rendered.
    ///
    /// `templates` is a directory whose `letter.txt` and `dsn.txt` replace the built-in texts.
    pub fn new(
        config: LettersConfig,
        ours: Domain,
        templates: Option<&Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TemplateError> {
        let templates = Arc::new(Templates::load(templates)?);
        let writer = Self {
            config,
            ours,
            templates,
            clock,
        };
        writer.check()?;
        Ok(writer)
    }

    fn write(&self, due: &LetterDue, id: Id) -> Result<OwnMessage, TemplateError> {
        let facts = LetterFacts {
            held: due.held,
            newest: due.newest.iter().map(HeldLine::of).collect(),
            more: due.held.saturating_sub(due.newest.len()),
            link: due.link.reveal(),
            stop_link: due.stop_link.reveal(),
            ..self.facts(&due.to)
        };
        let bytes = self.compose(&due.to, &facts, id, self.clock.now())?;
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
        from: &str,
        subject: &str,
    ) -> Result<Vec<u8>, TemplateError> {
        let now = self.clock.now();
        let facts = LetterFacts {
            held: 1,
            newest: vec![HeldLine::new(now, from, subject)],
            link: format!("{base}/a/(link)"),
            stop_link: format!("{base}/s/(link)"),
            ..self.facts(to)
        };
        self.compose(to, &facts, Id(0), now)
    }

    /// Renders a letter with made-up facts, so that a broken template is found at the start.
    pub(crate) fn check(&self) -> Result<(), TemplateError> {
        self.preview(
            "http://localhost",
            &ForwardPath::Postmaster,
            "a@b.example",
            "Hello",
        )
        .map(|_| ())
    }

    fn facts(&self, to: &ForwardPath) -> LetterFacts {
        let domain = to.mailbox().map(|mailbox| mailbox.host().to_string());
        LetterFacts {
            address: to.address(),
            domain: domain.unwrap_or_else(|| self.ours.to_string()),
            held: 0,
            newest: Vec::new(),
            more: 0,
            link: String::new(),
            stop_link: String::new(),
            days: self.config.renotify_days.get(),
            hostname: self.ours.to_string(),
        }
    }

    fn compose(
        &self,
        to: &ForwardPath,
        facts: &LetterFacts,
        id: Id,
        now: Timestamp,
    ) -> Result<Vec<u8>, TemplateError> {
        let text = self.templates.render(LETTER, facts)?;
        let from = match &self.config.from {
            Some(sender) => sender.0.to_string(),
            None => format!("postmaster@{}", self.ours),
        };
        let sheet = Sheet {
            from,
            to,
            subject: &visible(&self.config.subject),
            date: now,
            id,
            auto: Auto::Generated,
            ours: &self.ours,
        };
        Ok(sheet.over(&SinglePart::plain(text).formatted()))
    }
}

impl HeldLine {
    fn of(item: &Item) -> Self {
        let sender = item.reverse_path.address();
        let from = if item.from.is_empty() {
            &sender
        } else {
            &item.from
        };
        Self::new(item.received_at, from, &item.subject)
    }

    fn new(at: Timestamp, from: &str, subject: &str) -> Self {
        Self {
            day: dates::day(at),
            from: shown(from, "(nobody)"),
            subject: shown(subject, "(no subject)"),
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
