//! The section `[letters]` of the configuration, parsed at the door.

use std::num::NonZeroU16;
use std::time::Duration;

use lettre::message::Mailbox;
use posthouse_hook::time::Span;
use posthouse_hook::{Domain, ForwardPath, Language, ListSpec};
use posthouse_store::LetterCaps;
use serde::Deserialize;

use super::languages::{Languages, Subject};
use super::{days, minutes};
use crate::dkim::DkimConfig;

/// The section `[letters]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LettersConfig {
    /// Whether letters are sent at all.
    pub send: bool,
    /// The address in the From field, `quarantine@isp.example` or `Quarantine <q@isp.example>`.
    /// Default: postmaster at `hostname`. The envelope's reverse-path is always null.
    pub from: Option<Sender>,
    /// The Subject field. Default: ours, in the letter's language.
    pub subject: Subject,
    /// In which language we write to whom no other is known for.
    pub language: Language,
    /// In which language we write, by recipient domain.
    pub languages: Languages,
    /// The key with which our own mail is signed. Default: none.
    pub dkim: Option<DkimConfig>,
    /// The days that pass at least between two letters to one address.
    pub renotify_days: NonZeroU16,
    /// How often we look for addresses to write to.
    pub check: Span,
    /// How many letters may go out; what is over is counted and listed, not sent.
    pub caps: LetterCaps,
    /// The addresses and domains that are written to at all. Default: everybody for whom mail is held.
    pub only_to: Option<ListSpec>,
}

impl Default for LettersConfig {
    fn default() -> Self {
        Self {
            send: true,
            from: None,
            subject: Subject::default(),
            language: Language::default(),
            languages: Languages::default(),
            dkim: None,
            renotify_days: NonZeroU16::new(7).expect("7 is not zero"),
            check: minutes(1),
            caps: LetterCaps::default(),
            only_to: None,
        }
    }
}

impl LettersConfig {
    /// The least time between two letters to one address.
    pub fn interval(&self) -> Duration {
        days(u64::from(self.renotify_days.get())).0
    }

    /// The domain in the From field; `ours` is our host name.
    pub fn author_domain(&self, ours: &Domain) -> Option<Domain> {
        match &self.from {
            Some(sender) => Domain::parse(sender.0.email.domain()).ok(),
            None => Some(ours.clone()),
        }
    }

    /// In which language we write to somebody whose own choice is not known.
    pub fn language_of(&self, to: &ForwardPath) -> Language {
        self.language_named(to).unwrap_or(self.language)
    }

    /// The language that `languages` names for a recipient's domain.
    pub(crate) fn language_named(&self, to: &ForwardPath) -> Option<Language> {
        to.domain().and_then(|domain| self.languages.of(domain))
    }
}

/// The address that letters name as their author (RFC 5322 §3.6.2).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Sender(pub(crate) Mailbox);

impl TryFrom<String> for Sender {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is no address; write quarantine@isp.example or Name <quarantine@isp.example>")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_written_by_somebody() {
        let read = |text| toml::from_str::<LettersConfig>(text).map_err(|e| e.to_string());
        let config =
            read("from = \"ISP <q@isp.example>\"\ncaps = { total_hourly = 9 }").expect("valid");
        assert_eq!(config.caps.total_hourly, 9);
        assert_eq!(config.interval(), Duration::from_secs(7 * 86_400));
        assert!(
            read("from = \"isp\"")
                .expect_err("no address")
                .contains("`isp` is no address")
        );
        assert!(read("renotify_days = 0").is_err());
    }
}
