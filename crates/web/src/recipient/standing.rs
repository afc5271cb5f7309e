//! What the recipient's page says of standing choices: the one in force, the one that waits, and how
//! often letters go out.

use posthouse_hook::{Language, Timestamp};
use posthouse_store::{Address, Letters, Owner, Pending};
use serde::Serialize;

use crate::show::{self, Moment};

/// Days between two letters that the page offers.
const INTERVALS: [u16; 5] = [1, 3, 7, 14, 30];
/// Longest address that is shown, in characters.
const MAX_ADDRESS: usize = 320;

/// What an address's owner has chosen.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    /// `hold`, `discard` or `redirect`.
    choice: &'static str,
    /// Where all mail goes, for a redirect.
    target: String,
    /// Since when the choice is in force; none for `hold`.
    since: Option<Moment>,
    /// Messages that the choice to discard has dropped in the last 40 days.
    discarded: u32,
    waiting: Option<Waiting>,
    letters: Letters,
    last_letter: Option<Moment>,
    intervals: Vec<Offer<u16>>,
    languages: Vec<Offer<Language>>,
}

/// A choice that waits for its confirm link.
#[derive(Debug, Serialize)]
struct Waiting {
    /// `discard` or `redirect`.
    choice: &'static str,
    /// To whom the link was mailed.
    mailed: String,
    made: Moment,
    ends: Moment,
}

/// One of several that can be chosen.
#[derive(Debug, Serialize)]
struct Offer<T> {
    value: T,
    chosen: bool,
}

impl Standing {
    /// The choices of an address as seen from `now`.
    pub(crate) fn of(
        address: &Address,
        waiting: Option<&Pending>,
        discarded: u32,
        now: Timestamp,
    ) -> Self {
        let target = address.choice.target().map(|to| to.address());
        Self {
            choice: address.choice.name(),
            target: show::line(&target.unwrap_or_default(), MAX_ADDRESS),
            since: address.chosen_at.map(|at| show::moment(at, now)),
            discarded,
            waiting: waiting.and_then(|pending| Waiting::of(pending, now)),
            letters: address.letters,
            last_letter: address.last_letter.map(|at| show::moment(at, now)),
            intervals: intervals(address.interval_days),
            languages: languages(address.language),
        }
    }
}

impl Waiting {
    fn of(pending: &Pending, now: Timestamp) -> Option<Self> {
        let Owner::Recipient(_, choice) = &pending.owner else {
            return None;
        };
        Some(Self {
            choice: choice.name(),
            mailed: show::line(&pending.mailed, MAX_ADDRESS),
            made: show::moment(pending.made_at, now),
            ends: show::moment(pending.ends_at, now),
        })
    }
}

/// What the page offers, and what an operator may have set besides.
fn intervals(chosen: Option<u16>) -> Vec<Offer<u16>> {
    let mut days = INTERVALS.to_vec();
    days.extend(chosen.filter(|days| !INTERVALS.contains(days)));
    days.sort_unstable();
    let offer = |value| Offer {
        value,
        chosen: chosen == Some(value),
    };
    days.into_iter().map(offer).collect()
}

fn languages(chosen: Option<Language>) -> Vec<Offer<Language>> {
    let offer = |value| Offer {
        value,
        chosen: chosen == Some(value),
    };
    Language::ALL.into_iter().map(offer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_among_the_offers() {
        let chosen = |days| {
            let offers = intervals(days);
            let chosen: Vec<_> = offers
                .iter()
                .filter(|o| o.chosen)
                .map(|o| o.value)
                .collect();
            (offers.len(), chosen)
        };
        assert_eq!(chosen(None), (5, vec![]));
        assert_eq!(chosen(Some(7)), (5, vec![7]));
        assert_eq!(chosen(Some(10)), (6, vec![10]));
    }
}
