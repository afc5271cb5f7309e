//! What the form of the manage page asks for.

use posthouse_hook::Id;
use posthouse_store::SenderChoice;

use crate::form::{self, Fields};
use crate::sender::{choice, is_sure};

/// Messages that one form may name.
const BATCH: usize = 100;

/// What the form asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Deed {
    /// Send these anyway.
    Release(Vec<Id>),
    /// The same, without the tick that says so.
    Unsure,
    /// Drop these.
    Discard(Vec<Id>),
    /// Treat spam from this sender so.
    Choose(SenderChoice),
}

impl Deed {
    /// Reads the fields; `None` if they are not those of a form of ours.
    pub(super) fn read(fields: &Fields) -> Option<Self> {
        Some(match form::value(fields, "do")? {
            "release" if is_sure(fields) => Self::Release(ids(fields)?),
            "release" => Self::Unsure,
            "discard" => Self::Discard(ids(fields)?),
            "choose" => Self::Choose(choice(fields)?),
            _ => return None,
        })
    }
}

fn ids(fields: &Fields) -> Option<Vec<Id>> {
    let ids = form::values(fields, "item").map(|id| id.parse().ok());
    ids.take(BATCH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_strictly() {
        for (pairs, want) in [
            (
                &[("do", "release"), ("sure", "yes"), ("item", "7")][..],
                Some(Deed::Release(vec![Id(7)])),
            ),
            (&[("do", "release"), ("item", "7")], Some(Deed::Unsure)),
            (&[("do", "discard")], Some(Deed::Discard(vec![]))),
            (&[("do", "discard"), ("item", "x")], None),
            (
                &[("do", "choose"), ("choice", "hold")],
                Some(Deed::Choose(SenderChoice::Hold)),
            ),
            (&[("do", "ask")], None),
            (&[], None),
        ] {
            let own = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
            let fields: Fields = pairs.iter().map(own).collect();
            assert_eq!(Deed::read(&fields), want, "{pairs:?}");
        }
    }
}
