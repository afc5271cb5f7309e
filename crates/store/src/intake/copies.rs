//! The recipients' copies of a new message, and how each begins.

use posthouse_hook::{
    Disposition, ForwardPath, Id, IdMaker, Kept, Outcome, Row, Timestamp, Transaction, Why,
};

use super::facts::causes_letters;
use crate::model::Kind;
use crate::state::State;

/// One recipient's copy.
pub(crate) struct NewCopy {
    pub(crate) id: Id,
    pub(crate) address: ForwardPath,
    /// Where it goes in place of the address.
    pub(crate) redirect: Option<ForwardPath>,
    pub(crate) kind: Kind,
    pub(crate) fate: Fate,
}

/// How a copy begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Queued,
    /// Handed over in memory: claimed from the start.
    HandedOver,
    Held(Row),
    Discarded,
}

impl Fate {
    pub(super) fn state(self) -> State {
        match self {
            Self::Queued => State::Queued,
            Self::HandedOver => State::Sending,
            Self::Held(_) => State::Held,
            Self::Discarded => State::Discarded,
        }
    }

    pub(super) fn due_at(self, now: Timestamp) -> Option<i64> {
        match self {
            Self::Queued => Some(now.0),
            Self::HandedOver | Self::Held(_) | Self::Discarded => None,
        }
    }

    pub(super) fn filtered(self) -> Option<bool> {
        match self {
            Self::Held(row) => Some(row == Row::Filtered),
            _ => None,
        }
    }
}

/// The recipients whose copies, held so, would wait for a letter: for `explain`.
pub fn would_cause_letters(tx: &Transaction, outcome: &Outcome) -> Vec<ForwardPath> {
    if !causes_letters(tx) {
        return Vec::new();
    }
    of(tx, outcome, &IdMaker::new(0), tx.started)
        .into_iter()
        .filter(|copy| copy.fate == Fate::Held(Row::Filtered))
        .map(|copy| copy.address)
        .collect()
}

/// A copy for each recipient of which something is kept.
pub(super) fn of(
    tx: &Transaction,
    outcome: &Outcome,
    ids: &IdMaker,
    at: Timestamp,
) -> Vec<NewCopy> {
    let fates: Vec<Option<Fate>> = match outcome {
        Outcome::Accepted(dispositions) => {
            dispositions.iter().map(|d| Some(accepted(*d))).collect()
        }
        Outcome::Refused { kept, .. } => kept.iter().map(|k| kept_fate(*k)).collect(),
    };
    let pairs = tx.recipients.iter().zip(fates);
    pairs
        .filter_map(|(recipient, fate)| {
            Some(NewCopy {
                id: ids.next(at),
                address: recipient.forward_path.clone(),
                redirect: recipient.redirect.clone(),
                kind: match recipient.redirect {
                    Some(_) => Kind::Redirected,
                    None => Kind::Relayed,
                },
                fate: fate?,
            })
        })
        .collect()
}

fn accepted(disposition: Disposition) -> Fate {
    match disposition {
        Disposition::Relay => Fate::Queued,
        Disposition::Hold(why) => held(why),
        Disposition::Discard => Fate::Discarded,
    }
}

fn kept_fate(kept: Kept) -> Option<Fate> {
    match kept {
        Kept::Nothing => None,
        Kept::Held(why) => Some(held(why)),
        Kept::Discarded => Some(Fate::Discarded),
    }
}

fn held(why: Why) -> Fate {
    Fate::Held(why.row())
}
