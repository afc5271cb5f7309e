//! The mails that choices need: a link to confirm one, a notice that one is in force, a link that
//! somebody asked for. Each carries one link, of the one kind that its purpose takes.

use posthouse_hook::trail::visible;
use posthouse_hook::{ForwardPath, Id, Language, Link, Timestamp};
use posthouse_store::{Errand, ErrandKind, Kind, OwnMessage, Owner, Pending, RecipientChoice};
use serde::Serialize;

use crate::dates;
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

/// The text that asks for this choice to be confirmed.
fn asks(pending: &Pending) -> Text {
    match &pending.owner {
        Owner::Sender(..) => Text::ConfirmChoice,
        Owner::Recipient(_, RecipientChoice::Redirect(_)) => Text::ConfirmRedirect,
        Owner::Recipient(..) => Text::ConfirmDiscard,
    }
}

/// The language that the ledger knows of somebody.
fn language_of(owner: &Owner) -> Option<Language> {
    match owner {
        Owner::Sender(..) => None,
        Owner::Recipient(address, _) => address.language,
    }
}

fn chosen(pending: &Pending, link: &Link, language: Language) -> ErrandFacts {
    let (address, choice, target) = match &pending.owner {
        Owner::Sender(sender, choice) => (&sender.address, choice.name(), None),
        Owner::Recipient(address, choice) => (&address.address, choice.name(), choice.target()),
    };
    ErrandFacts {
        choice: choice.to_owned(),
        target: target.map(ForwardPath::address).unwrap_or_default(),
        until: dates::day(pending.ends_at, language),
        ..plain(address, link)
    }
}

/// What a notice tells: the pending choice is the one that its link would make, the one in force
/// is the address's.
fn in_force(pending: &Pending, link: &Link, language: Language) -> ErrandFacts {
    let facts = chosen(pending, link, language);
    let Owner::Recipient(address, _) = &pending.owner else {
        return facts;
    };
    let target = address.choice.target().map(ForwardPath::address);
    ErrandFacts {
        choice: address.choice.name().to_owned(),
        target: target.unwrap_or_default(),
        since: dates::day(address.chosen_at.unwrap_or(pending.made_at), language),
        ..facts
    }
}

fn plain(address: &str, link: &Link) -> ErrandFacts {
    ErrandFacts {
        address: address.to_owned(),
        link: link.reveal(),
        ..ErrandFacts::default()
    }
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
    /// The mail that an errand asks for.
    pub(crate) fn run_errand(&self, errand: &Errand, id: Id) -> Result<OwnMessage, MailError> {
        let language = self.errand_language(errand);
        let (text, mut facts) = match &errand.what {
            ErrandKind::Confirm(pending, link) => (asks(pending), chosen(pending, link, language)),
            ErrandKind::Redirected(pending, link) => {
                (Text::Redirected, in_force(pending, link, language))
            }
            ErrandKind::Address(address, link) => (Text::Link, plain(&address.address, link)),
            ErrandKind::Manage(sender, link) => (Text::Manage, plain(&sender.address, link)),
        };
        facts.hostname = self.desk.ours.to_string();
        // Whoever is asked to take another's mail does not learn where the other sits.
        if text != Text::ConfirmRedirect {
            facts.asked_by.clone_from(&errand.asked_by);
        }
        Ok(OwnMessage {
            kind: Kind::Letter,
            bytes: self.errand(text, language, &errand.to, &facts, id)?,
            to: errand.to.clone(),
        })
    }

    /// The recipient's own, as the ledger knows it, or that of the page on which it was asked for.
    /// The target of a redirect is somebody else: for it, what is configured for its domain beats
    /// the language of the page.
    fn errand_language(&self, errand: &Errand) -> Language {
        let own = match &errand.what {
            ErrandKind::Confirm(pending, _) if asks(pending) == Text::ConfirmRedirect => {
                self.config.language_named(&errand.to)
            }
            ErrandKind::Confirm(pending, _) | ErrandKind::Redirected(pending, _) => {
                language_of(&pending.owner)
            }
            ErrandKind::Address(address, _) => address.language,
            ErrandKind::Manage(..) => None,
        };
        own.or(errand.language)
            .unwrap_or_else(|| self.config.language_of(&errand.to))
    }

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
                since: dates::day(Timestamp(0), language),
                until: dates::day(Timestamp(0), language),
                link: "http://localhost/c/(link)".to_owned(),
                hostname: self.desk.ours.to_string(),
            };
            self.errand(text, language, &ForwardPath::Postmaster, &facts, Id(0))?;
        }
        Ok(())
    }
}
