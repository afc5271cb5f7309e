//! Verdict, disposition, outcome: what the client hears, what becomes of each recipient's copy,
//! and what a whole transaction comes to.

use serde::{Deserialize, Serialize};

use crate::facts::Row;
use crate::reply::Refusal;

/// A plugin's answer at a hook point.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing to say: the next plugin is asked.
    Pass,
    /// Yes, and nobody else is asked at this hook point.
    Accept,
    /// No, and nobody else is asked.
    Refuse(Refusal),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Accept => f.write_str("accept"),
            Self::Refuse(refusal) => write!(f, "refuse {refusal}"),
        }
    }
}

/// Why a copy is held. The row decides whether the recipient gets a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The scan called it spam.
    Spam(Row),
    /// The scan did not come to an answer, and the configuration says to hold.
    Unscanned(Row),
    /// Another rule than the matrix says so; nobody but the operator is told.
    Policy,
}

impl Why {
    /// The recipient's row in the matrix.
    pub fn row(self) -> Row {
        match self {
            Self::Spam(row) | Self::Unscanned(row) => row,
            Self::Policy => Row::Other,
        }
    }
}

/// What becomes of one recipient's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Disposition {
    /// Queue it for the next hop.
    #[default]
    Relay,
    /// Keep it in the quarantine.
    Hold(Why),
    /// Drop it; counted and logged.
    Discard,
}

/// What is kept of one recipient's copy after a refusal. Relaying is not among the choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The client was refused and keeps the message itself.
    Nothing,
    /// The copy is in the quarantine.
    Held(Why),
    /// Dropped by the recipient's own standing choice.
    Discarded,
}

/// What a transaction comes to. A refusal with a relayed recipient cannot be constructed.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// 250 after the commit; a disposition for each recipient, in order.
    Accepted(Vec<Disposition>),
    /// The refusal, after the commit of whatever is kept; in the order of the recipients.
    Refused {
        /// What the client hears.
        refusal: Refusal,
        /// For each recipient.
        kept: Vec<Kept>,
    },
}

impl Outcome {
    /// Joins the last verdict and the dispositions.
    ///
    /// A refusal relays nothing, because the client keeps the message and tells its sender so; and a
    /// transient one keeps nothing: the client will come again with the same message.
    pub fn decide(verdict: Verdict, dispositions: impl Iterator<Item = Disposition>) -> Self {
        match verdict {
            Verdict::Pass | Verdict::Accept => Self::Accepted(dispositions.collect()),
            Verdict::Refuse(refusal) => {
                let keeps = !refusal.is_transient();
                let kept = dispositions.map(|d| if keeps { kept(d) } else { Kept::Nothing });
                Self::Refused {
                    kept: kept.collect(),
                    refusal,
                }
            }
        }
    }

    /// Whether there is anything to commit.
    pub fn keeps_something(&self) -> bool {
        match self {
            Self::Accepted(_) => true,
            Self::Refused { kept, .. } => kept.iter().any(|k| *k != Kept::Nothing),
        }
    }
}

fn kept(disposition: Disposition) -> Kept {
    match disposition {
        Disposition::Relay => Kept::Nothing,
        Disposition::Hold(why) => Kept::Held(why),
        Disposition::Discard => Kept::Discarded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: [Disposition; 3] = [
        Disposition::Relay,
        Disposition::Hold(Why::Spam(Row::Filtered)),
        Disposition::Discard,
    ];

    #[test]
    fn a_refusal_relays_nothing() {
        let outcome = Outcome::decide(Verdict::Refuse(Refusal::policy("no")), MIXED.into_iter());
        let Outcome::Refused { kept, .. } = outcome else {
            panic!("refused");
        };
        let held = Kept::Held(Why::Spam(Row::Filtered));
        assert_eq!(kept, [Kept::Nothing, held, Kept::Discarded]);
    }

    #[test]
    fn a_transient_refusal_keeps_nothing() {
        let verdict = Verdict::Refuse(Refusal::local_error());
        assert!(!Outcome::decide(verdict, MIXED.into_iter()).keeps_something());
    }
}
