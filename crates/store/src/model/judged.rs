//! What the quarantine judged a message by: kept for a while, to be judged again under another
//! configuration.

use std::net::IpAddr;

use posthouse_hook::facts::Looked;
use posthouse_hook::{
    Column, Disposition, ForwardPath, Id, Kept, Origin, Outcome, ReversePath, Row, Scan, Spf,
    Timestamp, Why,
};
use serde::{Deserialize, Serialize};

/// The facts by which the quarantine judged a message, and what came of it. Never the message's
/// text, subject or header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The message.
    #[serde(skip, default = "no_id")]
    pub id: Id,
    /// When it was committed.
    #[serde(skip, default = "never")]
    pub at: Timestamp,
    /// The chain that decided.
    pub chain: String,
    /// The client's address.
    pub client: IpAddr,
    /// Its HELO name.
    pub helo: String,
    /// Whether it authenticated.
    pub authenticated: bool,
    /// The reverse-path.
    pub from: ReversePath,
    /// The recipients that were taken, each with its row and what became of its copy.
    pub to: Vec<JudgedCopy>,
    /// The sender after SRS was unwrapped.
    pub sender: ReversePath,
    /// Where the message entered.
    pub origin: Origin,
    /// SPF of that sender there.
    pub spf: Spf,
    /// Whether that sender's domain was ours.
    pub ours: bool,
    /// The matrix's column.
    pub column: Column,
    /// Whether it was scanned, and why.
    pub looked: Looked,
    /// What the scanners found, without the names of their tests.
    pub scans: Vec<Scan>,
    /// What the client heard: 250, or the code of the refusal.
    pub code: u16,
}

fn no_id() -> Id {
    Id(0)
}

fn never() -> Timestamp {
    Timestamp(0)
}

/// One recipient of a message that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedCopy {
    /// As the client gave it.
    pub address: ForwardPath,
    /// The matrix's row.
    pub row: Row,
    /// What became of the copy.
    pub became: Became,
}

/// What became of a copy at the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It was queued for the next hop.
    Relayed,
    /// It was held, by the matrix.
    Held,
    /// It was held by another rule ([`Why::Policy`]).
    HeldByPolicy,
    /// It was dropped.
    Discarded,
    /// The client was refused, and nothing was kept.
    Refused,
}

impl Became {
    /// The name in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relayed => "relayed",
            Self::Held => "held",
            Self::HeldByPolicy => "held by policy",
            Self::Discarded => "discarded",
            Self::Refused => "refused",
        }
    }

    /// What becomes of each copy under an outcome.
    pub fn of(outcome: &Outcome) -> Vec<Self> {
        match outcome {
            Outcome::Accepted(dispositions) => {
                dispositions.iter().map(|d| Self::accepted(*d)).collect()
            }
            Outcome::Refused { kept, .. } => kept.iter().map(|kept| Self::kept(*kept)).collect(),
        }
    }

    fn accepted(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Relay => Self::Relayed,
            Disposition::Hold(why) => Self::held(why),
            Disposition::Discard => Self::Discarded,
        }
    }

    fn held(why: Why) -> Self {
        match why {
            Why::Spam(_) | Why::Unscanned(_) => Self::Held,
            Why::Policy => Self::HeldByPolicy,
        }
    }

    fn kept(kept: Kept) -> Self {
        match kept {
            Kept::Nothing => Self::Refused,
            Kept::Held(why) => Self::held(why),
            Kept::Discarded => Self::Discarded,
        }
    }
}
