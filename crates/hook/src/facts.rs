//! The facts that plugins leave as notes and that the ledger keeps: scans, SPF, origin, the cell.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address::ReversePath;

/// What one scanner found. A scanner leaves this note and never changes the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// The scanner's name in the configuration.
    pub scanner: String,
    /// Its answer.
    pub found: Scanned,
    /// Its score, in its own units.
    pub score: Option<f64>,
    /// The score from which on it says spam.
    pub limit: Option<f64>,
    /// What it would have done itself, in its own words, if it has any: rspamd's action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The names of the tests that fired; bounded by the scanner plugin.
    pub tests: Vec<String>,
}

/// A scanner's answer. What was not scanned is never called clean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scanned {
    /// Spam.
    Spam,
    /// Not spam.
    Clean,
    /// No answer, and why.
    Unscanned(String),
}

/// Left on a transaction that is relayed although it should have been scanned and was not: the
/// store counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayedUnscanned;

/// Whether a message was scanned, and why: left on a transaction by the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Looked {
    /// Some cell of the matrix could act on it.
    Needed,
    /// Only the options asked for it: all, one in N, or a listed sender.
    Asked,
    /// Nothing could come of it.
    No,
    /// It quotes a live link of ours, and passes for that.
    QuotesLink,
}

/// Left on a transaction of which a sample is to be kept if it is spam and not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepSample;

/// All scans of a transaction, in the order in which the scanners ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scans(pub Vec<Scan>);

/// An SPF result (RFC 7208 §2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spf {
    /// No domain to check, or no record.
    None,
    /// `?`
    Neutral,
    /// `+`
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// DNS did not answer.
    TempError,
    /// The record is broken.
    PermError,
}

impl fmt::Display for Spf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// Where the message entered our realm: the address at which SPF is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The first address outside our servers.
    Address(IpAddr),
    /// A Received field that should have told could not be parsed: SPF is none.
    Unknown,
}

impl Origin {
    /// The address, if it is known.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(ip) => Some(ip),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// The matrix's row: one for each recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Row {
    /// The recipient's domain is listed, or its MX belongs to a listed provider.
    Filtered,
    /// Any other domain.
    Other,
}

/// The matrix's column: one for the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The sender is vouched for, and by what.
    Vouched(Vouched),
    /// Nobody vouches for the sender.
    NotVouched,
}

/// What vouches for a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vouched {
    /// SPF passes at the origin.
    Spf,
    /// The sender's domain is ours and the client authenticated.
    OursAuthenticated,
    /// The sender's domain is ours and the origin is in `our_networks`.
    OursNetwork,
    /// The sender's domain is ours and SPF at the origin is not a fail.
    OursSpfNotFail,
}

/// All that the quarantine found out about a transaction: left as a note, kept with what is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The sender after SRS was unwrapped.
    pub sender: ReversePath,
    /// Where the message entered.
    pub origin: Origin,
    /// SPF of the unwrapped sender at the origin.
    pub spf: Spf,
    /// Whether the sender's domain is ours.
    pub ours: bool,
    /// The matrix's column.
    pub column: Column,
    /// The matrix's row for each recipient, in order.
    pub rows: Vec<Row>,
    /// Whether, and with what result, the message was scanned.
    pub scans: Scans,
    /// The retry identity (SHA-256), by which the same message sent again is found. Clean mail has
    /// none: to read every message once more for it would be dear.
    pub identity: Option<[u8; 32]>,
    /// Whether the scan's answer is spam.
    pub spam: bool,
}
