//! The texts of our own mail: which there are, in which languages, their files and subjects.
//!
//! Subjects stand here and not in the templates: no header field is made from a template.

use posthouse_hook::Language;

/// A mail that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Text {
    /// "We are holding mail for you."
    Letter,
    /// Asks a sender to confirm what becomes of spam from it.
    ConfirmChoice,
    /// Asks a recipient to confirm what becomes of spam to it.
    ConfirmDiscard,
    /// Asks the target of a redirect to accept it.
    ConfirmRedirect,
    /// Tells the owner of a redirect that it is in force.
    Redirected,
    /// The link to a recipient's page.
    Link,
    /// The link to all that is held from a sender.
    Manage,
    /// The part of a DSN that is for people: English in every language.
    Dsn,
}

impl Text {
    /// Every text.
    pub(crate) const ALL: [Self; 8] = [
        Self::Letter,
        Self::ConfirmChoice,
        Self::ConfirmDiscard,
        Self::ConfirmRedirect,
        Self::Redirected,
        Self::Link,
        Self::Manage,
        Self::Dsn,
    ];

    /// The name of its template: `letter.txt`, `letter.de.txt`.
    pub(crate) fn file(self, language: Language) -> String {
        let stem = self.stem();
        match (self, language) {
            (Self::Dsn, _) | (_, Language::En) => format!("{stem}.txt"),
            (_, other) => format!("{stem}.{other}.txt"),
        }
    }

    fn stem(self) -> &'static str {
        match self {
            Self::Letter => "letter",
            Self::ConfirmChoice => "confirm-choice",
            Self::ConfirmDiscard => "confirm-discard",
            Self::ConfirmRedirect => "confirm-redirect",
            Self::Redirected => "redirected",
            Self::Link => "link",
            Self::Manage => "manage",
            Self::Dsn => "dsn",
        }
    }

    /// The Subject field, unless the operator has another one.
    pub(crate) fn subject(self, language: Language) -> &'static str {
        use Language::{De, En};
        match (self, language) {
            (Self::Letter, En) => "We are holding mail for you",
            (Self::Letter, De) => "Wir halten Post für Sie zurück",
            (Self::ConfirmChoice, En) => "Please confirm what becomes of spam from you",
            (Self::ConfirmChoice, De) => "Bitte bestätigen: was mit Spam von Ihnen geschieht",
            (Self::ConfirmDiscard, En) => "Please confirm what becomes of spam to you",
            (Self::ConfirmDiscard, De) => "Bitte bestätigen: was mit Spam an Sie geschieht",
            (Self::ConfirmRedirect, En) => "May the mail of another address be sent to you?",
            (Self::ConfirmRedirect, De) => "Darf Post einer anderen Adresse an Sie gehen?",
            (Self::Redirected, En) => "Your mail is redirected",
            (Self::Redirected, De) => "Ihre Post wird umgeleitet",
            (Self::Link, En) => "The link to the mail that we hold for you",
            (Self::Link, De) => "Der Link zu der Post, die wir für Sie zurückhalten",
            (Self::Manage, En) => "The link to your messages that we hold",
            (Self::Manage, De) => "Der Link zu Ihren Nachrichten, die wir zurückhalten",
            (Self::Dsn, _) => "Undelivered mail returned to sender",
        }
    }
}

macro_rules! text {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../templates/mail/", $name)),
        )
    };
}

/// The built-in templates by file name: what a file of the same name in the operator's directory
/// replaces.
pub const BUILT_IN: [(&str, &str); 15] = [
    text!("letter.txt"),
    text!("letter.de.txt"),
    text!("confirm-choice.txt"),
    text!("confirm-choice.de.txt"),
    text!("confirm-discard.txt"),
    text!("confirm-discard.de.txt"),
    text!("confirm-redirect.txt"),
    text!("confirm-redirect.de.txt"),
    text!("redirected.txt"),
    text!("redirected.de.txt"),
    text!("link.txt"),
    text!("link.de.txt"),
    text!("manage.txt"),
    text!("manage.de.txt"),
    text!("dsn.txt"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_text_has_a_template_in_every_language_and_every_template_a_text() {
        let wanted: BTreeSet<_> = Text::ALL
            .into_iter()
            .flat_map(|text| Language::ALL.map(|language| text.file(language)))
            .collect();
        let built_in: BTreeSet<_> = BUILT_IN.map(|(name, _)| name.to_owned()).into();
        assert_eq!(wanted, built_in);
        assert!(wanted.contains("letter.de.txt") && !wanted.contains("dsn.de.txt"));
    }
}
