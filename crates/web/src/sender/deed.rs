//! What a sender's form asks for, and the words that tell what came of it.

use posthouse_store::SenderChoice;
use serde::{Deserialize, Serialize};

use crate::form::{self, Fields};

/// Longest comment for the operator, in characters; the page's form says the same.
pub(crate) const MAX_COMMENT: usize = 400;

/// What the form about one message asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Deed {
    /// Send it anyway.
    Release,
    /// The same, without the tick that says so.
    Unsure,
    /// Drop it.
    Discard,
    /// Ask the operator to release it, in these words.
    Ask(String),
    /// Have the confirm link of a standing choice mailed.
    Choose(SenderChoice),
    /// Have the link to all that is held of this sender mailed.
    MailLink,
}

impl Deed {
    /// Reads the fields; `None` if they are not those of a form of ours.
    pub(super) fn read(fields: &Fields) -> Option<Self> {
        Some(match form::value(fields, "do")? {
            "release" if is_sure(fields) => Self::Release,
            "release" => Self::Unsure,
            "discard" => Self::Discard,
            "ask" => Self::Ask(comment(fields)),
            "choose" => Self::Choose(choice(fields)?),
            "mail_link" => Self::MailLink,
            _ => return None,
        })
    }
}

/// Whether "I mean to send this" is ticked.
pub(crate) fn is_sure(fields: &Fields) -> bool {
    form::value(fields, "sure") == Some("yes")
}

/// The choice that is marked.
pub(crate) fn choice(fields: &Fields) -> Option<SenderChoice> {
    SenderChoice::parse(form::value(fields, "choice")?)
}

/// The comment on one line, cut to its bound.
fn comment(fields: &Fields) -> String {
    let text = form::value(fields, "comment").unwrap_or("");
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_COMMENT).collect()
}

/// What came of a form, told on the page behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// The tick was missing.
    Unsure,
    /// The operator has been asked.
    Asked,
    /// A confirm link is on its way.
    Mailed,
    /// That was in force already.
    InForce,
    /// It is as it was in the beginning again.
    Default,
    /// If anything is held, a link to it is on its way.
    LinkMailed,
    /// All that was selected was released.
    Released,
    /// Some of it; about the rest the operator decides.
    ReleasedSome,
    /// None of it: the operator decides.
    Withheld,
    /// Messages were discarded.
    Discarded,
    /// Nothing was selected, or nothing of it is held any more.
    Nothing,
}

impl Word {
    /// Every word.
    pub(crate) const ALL: [Self; 11] = [
        Self::Unsure,
        Self::Asked,
        Self::Mailed,
        Self::InForce,
        Self::Default,
        Self::LinkMailed,
        Self::Released,
        Self::ReleasedSome,
        Self::Withheld,
        Self::Discarded,
        Self::Nothing,
    ];

    /// The word in the query of the page behind a redirect.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unsure => "unsure",
            Self::Asked => "asked",
            Self::Mailed => "mailed",
            Self::InForce => "in_force",
            Self::Default => "default",
            Self::LinkMailed => "link_mailed",
            Self::Released => "released",
            Self::ReleasedSome => "released_some",
            Self::Withheld => "withheld",
            Self::Discarded => "discarded",
            Self::Nothing => "nothing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Option<Deed> {
        let own = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
        Deed::read(&pairs.iter().map(own).collect())
    }

    #[test]
    fn words_are_read_back() {
        for word in Word::ALL {
            let json = format!("\"{}\"", word.name());
            let read = serde_json::from_str::<Word>(&json);
            assert_eq!(read.expect("a word of ours"), word);
        }
    }

    #[test]
    fn forms_are_read_strictly() {
        for (pairs, want) in [
            (
                &[("do", "release"), ("sure", "yes")][..],
                Some(Deed::Release),
            ),
            (&[("do", "release")], Some(Deed::Unsure)),
            (&[("do", "release"), ("sure", "")], Some(Deed::Unsure)),
            (&[("do", "discard")], Some(Deed::Discard)),
            (&[("do", "ask")], Some(Deed::Ask(String::new()))),
            (
                &[("do", "ask"), ("comment", " a\r\n\r\nb ")],
                Some(Deed::Ask("a b".to_owned())),
            ),
            (
                &[("do", "choose"), ("choice", "refuse")],
                Some(Deed::Choose(SenderChoice::Refuse)),
            ),
            (&[("do", "choose"), ("choice", "redirect")], None),
            (&[("do", "choose")], None),
            (&[("do", "mail_link")], Some(Deed::MailLink)),
            (&[("do", "stop_letters")], None),
            (&[("sure", "yes")], None),
        ] {
            assert_eq!(read(pairs), want, "{pairs:?}");
        }
    }

    #[test]
    fn a_comment_is_bounded() {
        let long = "x".repeat(10_000);
        let Some(Deed::Ask(comment)) = read(&[("do", "ask"), ("comment", &long)]) else {
            panic!("no question");
        };
        assert_eq!(comment.len(), MAX_COMMENT);
    }
}
