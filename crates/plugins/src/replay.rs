//! Replay: what was judged by one configuration is judged by another, from the facts that the ledger
//! keeps. Origin, SPF and scores are taken as they were found; everything else is asked again of
//! the plugins themselves, so that nothing here decides. No scanner is asked, and nothing is done.

use std::any::Any;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use posthouse_hook::plugin::Nature;
use posthouse_hook::{
    Chain, Column, Disposition, ForwardPath, Mode, Outcome, Recipient, Refusal, Row, Session, Step,
    Transaction, Why,
};
use posthouse_store::{Became, Judged, JudgedCopy};
use serde::{Serialize, Serializer};

use crate::quarantine::Quarantine;
use crate::quarantine::replay::Again;

/// A chain under which messages are judged again.
pub struct Replay<'a> {
    /// The plugins that take recipients.
    admits: Chain,
    quarantine: Option<&'a Quarantine>,
    mode: Mode,
}

/// A recipient's row, if DNS tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// The matrix's first row.
    Filtered,
    /// The other one.
    Other,
    /// DNS did not answer.
    Unknown,
}

/// The matrix's column, whatever vouches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Somebody vouches for the sender.
    Vouched,
    /// Nobody does.
    NotVouched,
}

/// What the client hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hears {
    /// This code at the end of DATA.
    AtTheEnd(u16),
    /// This code at RCPT.
    AtRcpt(u16),
    /// The message would be scanned, and was not.
    Unknown,
}

/// Where one recipient's copy stands: its cell, the reply, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Standing {
    /// The row.
    pub row: Placement,
    /// The column.
    pub column: Side,
    /// The reply.
    pub reply: Hears,
    /// What becomes of the copy; none where it is not known.
    pub copy: Option<Became>,
}

impl<'a> Replay<'a> {
    /// Judges by this chain: by the plugins in it that take recipients, its first quarantine, and its
    /// mode.
    pub fn of(chain: &'a Chain) -> Self {
        let steps = chain.steps();
        let admits = steps.iter().filter(|s| s.plugin.nature() == Nature::Admits);
        Self {
            admits: Chain::new(chain.name(), admits.cloned().collect()),
            quarantine: steps.iter().find_map(quarantine),
            mode: chain.mode(),
        }
    }

    /// Where each recipient's copy would stand, in order.
    pub async fn judge(&self, judged: &Judged) -> Vec<Standing> {
        let mut session = session(judged);
        let mut tx = Transaction::new(judged.id, judged.at, judged.from.clone());
        let mut taken = Vec::new();
        for copy in &judged.to {
            let mut recipient = Recipient::new(copy.address.clone());
            recipient.disposition = disposed_before(copy);
            let asked = self.admits.rcpt(&mut session, &mut tx, &recipient).await;
            if asked.is_ok() {
                tx.recipients.push(recipient);
            }
            taken.push(asked.err());
        }
        let mut ends = self.end(&mut session, &mut tx, judged).await.into_iter();
        let pairs = judged.to.iter().zip(taken);
        let standing = |(copy, refused): (&JudgedCopy, Option<Refusal>)| match refused {
            Some(refusal) => at_rcpt(judged, copy, &refusal),
            None => ends.next().unwrap_or_else(|| was(judged, copy)),
        };
        pairs.map(standing).collect()
    }

    /// What the end of DATA comes to for those who were taken.
    async fn end(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        judged: &Judged,
    ) -> Vec<Standing> {
        if tx.recipients.is_empty() {
            return Vec::new();
        }
        let to: Vec<ForwardPath> = tx
            .recipients
            .iter()
            .map(|r| r.forward_path.clone())
            .collect();
        let Some(quarantine) = self.quarantine else {
            return self.unjudged(judged, &to);
        };
        let mut again = quarantine.again(session, tx, judged).await;
        if self.mode == Mode::Observe {
            again.outcome = again.outcome.map(|_| relayed(to.len()));
        }
        standings(&again)
    }

    /// Without a quarantine nobody asks for cells: they are told as they were.
    fn unjudged(&self, judged: &Judged, taken: &[ForwardPath]) -> Vec<Standing> {
        let copies = judged.to.iter().filter(|c| taken.contains(&c.address));
        let became = |copy: &JudgedCopy| match (self.mode, copy.became) {
            (Mode::Enforce, Became::HeldByPolicy) => Became::HeldByPolicy,
            _ => Became::Relayed,
        };
        let standing = |copy| Standing {
            reply: Hears::AtTheEnd(ACCEPTED),
            copy: Some(became(copy)),
            ..was(judged, copy)
        };
        copies.map(standing).collect()
    }
}

/// The quarantine in its place, if this step is one.
fn quarantine(step: &Step) -> Option<&Quarantine> {
    let plugin: &dyn Any = &*step.plugin;
    plugin.downcast_ref()
}

/// The session as plugins saw it. A name that authenticated is not kept.
fn session(judged: &Judged) -> Session {
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let client = SocketAddr::new(judged.client, 0);
    let mut session = Session::new(judged.id, client, local, judged.at);
    session.helo = Some(judged.helo.clone());
    session.auth = judged.authenticated.then(String::new);
    session
}

fn relayed(copies: usize) -> Outcome {
    Outcome::Accepted(vec![Disposition::Relay; copies])
}

/// What another rule did before the quarantine is taken as it was.
fn disposed_before(copy: &JudgedCopy) -> Disposition {
    match copy.became {
        Became::HeldByPolicy => Disposition::Hold(Why::Policy),
        Became::Relayed | Became::Held | Became::Discarded | Became::Refused => Disposition::Relay,
    }
}

const ACCEPTED: u16 = 250;

fn standings(again: &Again) -> Vec<Standing> {
    let reply = match &again.outcome {
        None => Hears::Unknown,
        Some(Outcome::Accepted(_)) => Hears::AtTheEnd(ACCEPTED),
        Some(Outcome::Refused { refusal, .. }) => Hears::AtTheEnd(refusal.code()),
    };
    let became = again.outcome.as_ref().map(Became::of).unwrap_or_default();
    let standing = |(at, row): (usize, &Result<Row, String>)| Standing {
        row: row.as_ref().map_or(Placement::Unknown, |row| (*row).into()),
        column: again.column.into(),
        reply,
        copy: became.get(at).copied(),
    };
    again.rows.iter().enumerate().map(standing).collect()
}

/// Where a recipient's copy stood.
pub fn was(judged: &Judged, copy: &JudgedCopy) -> Standing {
    Standing {
        row: copy.row.into(),
        column: judged.column.into(),
        reply: Hears::AtTheEnd(judged.code),
        copy: Some(copy.became),
    }
}

/// A recipient that would not be taken: nothing would be judged.
fn at_rcpt(judged: &Judged, copy: &JudgedCopy, refusal: &Refusal) -> Standing {
    Standing {
        reply: Hears::AtRcpt(refusal.code()),
        copy: Some(Became::Refused),
        ..was(judged, copy)
    }
}

impl From<Row> for Placement {
    fn from(row: Row) -> Self {
        match row {
            Row::Filtered => Self::Filtered,
            Row::Other => Self::Other,
        }
    }
}

impl From<Column> for Side {
    fn from(column: Column) -> Self {
        match column {
            Column::Vouched(_) => Self::Vouched,
            Column::NotVouched => Self::NotVouched,
        }
    }
}

impl fmt::Display for Hears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtTheEnd(code) => code.fmt(f),
            Self::AtRcpt(code) => write!(f, "{code} at RCPT"),
            Self::Unknown => f.write_str("would be scanned: unknown"),
        }
    }
}

impl Serialize for Hears {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Standing {
    /// The cell, the reply, and what becomes of the copy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = match self.row {
            Placement::Filtered => "filtered",
            Placement::Other => "other",
            Placement::Unknown => "row unknown",
        };
        let column = match self.column {
            Side::Vouched => "vouched",
            Side::NotVouched => "not vouched",
        };
        write!(f, "{row}, {column}: {}", self.reply)?;
        match self.copy {
            Some(became) => write!(f, ", {}", became.name()),
            None => Ok(()),
        }
    }
}
