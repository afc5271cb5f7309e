//! What the recipient's form asks for, and what came of it.

use posthouse_hook::Id;
use serde::{Deserialize, Serialize};

use crate::form::{self, Fields};

/// Messages that are discarded together, and that one form may name.
pub(super) const BATCH: usize = 100;

/// What the form asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Deed {
    /// Discard these.
    Discard(Vec<Id>),
    /// Discard everything up to the newest message that the visitor saw.
    DiscardUpTo(Id),
    /// Write no more letters.
    StopLetters,
    /// Write letters again.
    StartLetters,
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
            "stop_letters" => Some(Self::StopLetters),
            "start_letters" => Some(Self::StartLetters),
            _ => None,
        }
    }
}

/// What a deed came to, told on the page behind the redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Done {
    /// Messages were discarded.
    Discarded,
    /// No message was selected, or none of them was held any more.
    Nothing,
    /// Letters end.
    Stopped,
    /// Letters begin again.
    Started,
}

impl Done {
    /// The name in the query of the page behind the redirect.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Discarded => "discarded",
            Self::Nothing => "nothing",
            Self::Stopped => "stopped",
            Self::Started => "started",
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
        use Done::{Discarded, Nothing, Started, Stopped};
        for done in [Discarded, Nothing, Stopped, Started] {
            let json = format!("\"{}\"", done.word());
            let read = serde_json::from_str::<Done>(&json);
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
            (&[("do", "release")], None),
            (&[("one", "99999999999999999999")], None),
            (&[], None),
        ] {
            assert_eq!(Deed::read(&fields(pairs)), want, "{pairs:?}");
        }
    }
}
