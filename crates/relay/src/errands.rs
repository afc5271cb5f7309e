//! The mails that choices need: a link to confirm one, a notice that one is in force, a link that
//! somebody asked for. Each carries one link, of the one kind that its purpose takes.

use posthouse_hook::trail::visible;
use posthouse_hook::{ForwardPath, Id, Language, Timestamp};
use serde::Serialize;

use crate::desk::{MailError, Page};
use crate::texts::Text;
use crate::writer::LetterWriter;

/// What such a mail says: the facts that its template is told. Empty is what does not concern it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ErrandFacts {
    /// The address whose mail it is about.
    pub address: String,
    /// Where that mail goes, for a redirect.
    pub target: String,
    /// What was chosen: `hold`, `refuse`, `discard`, `redirect`.
    pub choice: String,
    /// From which network address it was asked for, if from any.
    pub asked_by: String,
    /// The day since which it is so.
    pub since: String,
    /// The day until which the link works.
    pub until: String,
    /// The URL.
    pub link: String,
    /// Our own host name.
    pub hostname: String,
}

impl ErrandFacts {
    /// The same with every value on one line, and nothing in it that hides or turns text.
    fn cleaned(&self) -> Self {
        Self {
            address: visible(&self.address),
            target: visible(&self.target),
            choice: visible(&self.choice),
            asked_by: visible(&self.asked_by),
            since: visible(&self.since),
            until: visible(&self.until),
            link: visible(&self.link),
            hostname: visible(&self.hostname),
        }
    }
}

impl LetterWriter {
    /// One such mail, to `to`.
    pub(crate) fn errand(
        &self,
        text: Text,
        language: Language,
        to: &ForwardPath,
        facts: &ErrandFacts,
        id: Id,
    ) -> Result<Vec<u8>, MailError> {
        let page = Page {
            text,
            language,
            from: self.author(),
            to,
            subject: text.subject(language),
            stop: None,
            id,
            date: self.clock.now(),
        };
        self.desk.compose(&page, &facts.cleaned())
    }

    /// Renders the text with made-up facts, for each of the choices that it may be about.
    pub(crate) fn check_errand(&self, text: Text, language: Language) -> Result<(), MailError> {
        for choice in ["hold", "refuse", "discard", "redirect"] {
            let facts = ErrandFacts {
                address: "bob@big.example".to_owned(),
                target: "bob@small.example".to_owned(),
                choice: choice.to_owned(),
                asked_by: "192.0.2.1".to_owned(),
                since: crate::dates::day(Timestamp(0), language),
                until: crate::dates::day(Timestamp(0), language),
                link: "http://localhost/c/(link)".to_owned(),
                hostname: self.desk.ours.to_string(),
            };
            self.errand(text, language, &ForwardPath::Postmaster, &facts, Id(0))?;
        }
        Ok(())
    }
}
