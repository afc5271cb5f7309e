//! What the recipient's form asks for, and what came of it.

use posthouse_hook::{Id, Language};
use posthouse_store::Objection;
use serde::{Deserialize, Serialize};

use crate::form::{self, Fields};

/// Messages that are discarded together, and that one form may name.
pub(super) const BATCH: usize = 100;
/// Longest time between two letters that a form may ask for, in days.
const MAX_INTERVAL: u16 = 365;

/// What the form asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Deed {
    /// Discard these.
    Discard(Vec<Id>),
    /// Discard everything up to the newest message that the visitor saw.
    DiscardUpTo(Id),
    /// Send all mail to the address of this text, once its owner has agreed.
    Redirect(String),
    /// Discard such mail in future, once that is confirmed.
    DiscardFuture,
    /// Hold such mail again, as if nothing had been chosen.
    Undo,
    /// Take back what waits to be confirmed.
    Withdraw,
    /// Write no more letters.
    StopLetters,
    /// Write letters again.
    StartLetters,
    /// Write so often, and in this language; none is as configured.
    Correspond(Option<u16>, Option<Language>),
}

impl Deed {
    /// Reads the fields; `None` if they are not those of a form of ours.
    pub(super) fn read(fields: &Fields) -> Option<Self> {
        if let Some(one) = form::value(fields, "one") {
            return Some(Self::Discard(vec![one.parse().ok()?]));
        }
        match form::value(fields, "do")? {
            "discard" => {
                let ids = form::values(fields, "item").map(|id| id.parse().ok());
                ids.take(BATCH).collect::<Option<_>>().map(Self::Discard)
            }
            "discard_all" => {
                let newest = form::value(fields, "newest")?.parse().ok()?;
                Some(Self::DiscardUpTo(newest))
            }
            "redirect" => Some(Self::Redirect(form::value(fields, "to")?.to_owned())),
            "discard_future" => Some(Self::DiscardFuture),
            "undo" => Some(Self::Undo),
            "withdraw" => Some(Self::Withdraw),
            "stop_letters" => Some(Self::StopLetters),
            "start_letters" => Some(Self::StartLetters),
            "correspond" => correspond(fields),
            _ => None,
        }
    }
}

/// An empty value means as configured.
fn correspond(fields: &Fields) -> Option<Deed> {
    let days = match form::value(fields, "interval")? {
        "" => None,
        days => Some(
            days.parse()
                .ok()
                .filter(|d| (1..=MAX_INTERVAL).contains(d))?,
        ),
    };
    let language = match form::value(fields, "language")? {
        "" => None,
        tag => Some(tag.parse().ok()?),
    };
    Some(Deed::Correspond(days, language))
}

/// What a deed came to, told on the page behind the redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Done {
    /// Messages were discarded.
    Discarded,
    /// No message was selected, or none of them was held any more.
    Nothing,
    /// Letters end.
    Stopped,
    /// Letters begin again.
    Started,
    /// How often and in which language is kept.
    Saved,
    /// The confirm link of a choice is on its way.
    Asked,
    /// The choice is over, or was taken back.
    Undone,
    /// No address that mail could be sent on to.
    NoAddress,
    /// The target is the address itself.
    Itself,
    /// The target redirects its own mail, or mail is redirected to this address.
    Chain,
    /// The target is behind a filter of the same kind.
    Filtered,
    /// Whether it is, could not be found out.
    Unknown,
    /// This owner has asked for too many confirm links today.
    OwnerCap,
    /// This target was written to within a week.
    TargetCap,
    /// All together have asked for too many.
    TotalCap,
}

impl Done {
    /// Every word, with its name in the query of the page behind the redirect.
    pub(crate) const ALL: [(Self, &'static str); 15] = [
        (Self::Discarded, "discarded"),
        (Self::Nothing, "nothing"),
        (Self::Stopped, "stopped"),
        (Self::Started, "started"),
        (Self::Saved, "saved"),
        (Self::Asked, "asked"),
        (Self::Undone, "undone"),
        (Self::NoAddress, "no_address"),
        (Self::Itself, "itself"),
        (Self::Chain, "chain"),
        (Self::Filtered, "filtered"),
        (Self::Unknown, "unknown"),
        (Self::OwnerCap, "owner_cap"),
        (Self::TargetCap, "target_cap"),
        (Self::TotalCap, "total_cap"),
    ];

    /// The name in the query of the page behind the redirect.
    pub(super) fn word(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|(done, _)| *done == self);
        named.map_or("nothing", |(_, word)| word)
    }
}

impl From<Objection> for Done {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Itself => Self::Itself,
            Objection::Chain => Self::Chain,
            Objection::Filtered => Self::Filtered,
            Objection::OwnerCap => Self::OwnerCap,
            Objection::TargetCap => Self::TargetCap,
            Objection::TotalCap => Self::TotalCap,
            Objection::NoAddress => Self::NoAddress,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let own = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn words_are_read_back() {
        for (done, word) in Done::ALL {
            assert_eq!(done.word(), word);
            let read = serde_json::from_str::<Done>(&format!("\"{word}\""));
            assert_eq!(read.expect("a word of ours"), done);
        }
    }

    #[test]
    fn forms_are_read_strictly() {
        for (pairs, want) in [
            (&[("one", "7")][..], Some(Deed::Discard(vec![Id(7)]))),
            (&[("do", "discard")], Some(Deed::Discard(vec![]))),
            (
                &[("do", "discard"), ("item", "1"), ("item", "2")],
                Some(Deed::Discard(vec![Id(1), Id(2)])),
            ),
            (&[("do", "discard"), ("item", "x")], None),
            (&[("do", "discard_all")], None),
            (
                &[("do", "discard_all"), ("newest", "9")],
                Some(Deed::DiscardUpTo(Id(9))),
            ),
            (&[("do", "stop_letters")], Some(Deed::StopLetters)),
            (&[("do", "redirect")], None),
            (&[("do", "undo")], Some(Deed::Undo)),
            (&[("do", "release")], None),
            (&[("one", "99999999999999999999")], None),
            (&[], None),
        ] {
            assert_eq!(Deed::read(&fields(pairs)), want, "{pairs:?}");
        }
    }

    #[test]
    fn letters_come_as_often_as_a_form_may_ask() {
        let read = |days: &str, tag: &str| {
            Deed::read(&fields(&[
                ("do", "correspond"),
                ("interval", days),
                ("language", tag),
            ]))
        };
        let want = |days, language| Some(Deed::Correspond(days, language));
        assert_eq!(read("", ""), want(None, None));
        assert_eq!(read("3", "de"), want(Some(3), Some(Language::De)));
        assert_eq!(read("365", ""), want(Some(365), None));
        for (days, tag) in [
            ("0", ""),
            ("366", ""),
            ("-1", ""),
            ("x", ""),
            ("1", "fr"),
            ("1", "<b>"),
        ] {
            assert_eq!(read(days, tag), None, "{days} {tag}");
        }
        assert_eq!(
            Deed::read(&fields(&[("do", "correspond"), ("interval", "")])),
            None
        );
    }
}
