//! Addresses, their letters, and what links lead to.

use posthouse_hook::{ForwardPath, Id, Language, Link, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Item, Pending, RecipientChoice, Sender};

/// How many letters may go out; the surplus is counted and listed, not sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LetterCaps {
    /// In a day, caused by one sender.
    pub per_sender_daily: u32,
    /// In a day, caused by one origin.
    pub per_origin_daily: u32,
    /// In an hour, to one domain.
    pub per_domain_hourly: u32,
    /// In an hour, in all.
    pub total_hourly: u32,
}

impl Default for LetterCaps {
    fn default() -> Self {
        Self {
            per_sender_daily: 5,
            per_origin_daily: 5,
            per_domain_hourly: 100,
            total_hourly: 500,
        }
    }
}

/// Whether letters go to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Letters {
    /// They do.
    On,
    /// Its owner stopped them.
    Stopped,
    /// One failed for good.
    Failed,
}

impl Letters {
    const ALL: [Self; 3] = [Self::On, Self::Stopped, Self::Failed];

    /// The name in the ledger and in the audit.
    pub fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|letters| letters.name() == name)
    }
}

/// A recipient address for which something is or was held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Address {
    /// The row's id: what address and stop links are about.
    pub id: Id,
    /// The address, lower case.
    pub address: String,
    /// Whether letters go to it.
    pub letters: Letters,
    /// When the last letter went out.
    pub last_letter: Option<Timestamp>,
    /// What becomes of mail to it.
    pub choice: RecipientChoice,
    /// When that was chosen; none for the default.
    pub chosen_at: Option<Timestamp>,
    /// Days between two letters, if its owner chose; otherwise as configured.
    pub interval_days: Option<u16>,
    /// In which language its owner wants to be written to, if that is known.
    pub language: Option<Language>,
}

/// An address that is to be written to.
#[derive(Debug)]
pub struct LetterDue {
    /// The address.
    pub address: Address,
    /// To whom the letter goes.
    pub to: ForwardPath,
    /// How many messages are held for it, those that may not cause a letter included.
    pub held: usize,
    /// The newest of them, at most ten.
    pub newest: Vec<Item>,
    /// The link to the page of the address.
    pub link: Link,
    /// The link that stops letters.
    pub stop_link: Link,
}

/// What came of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetterSent {
    /// It is queued, and the address counts as written to.
    Queued(Id),
    /// This cap is reached (its key in the configuration): counted, not sent.
    Capped(&'static str),
    /// Somebody stopped letters, another letter went out meanwhile, or what caused it is gone.
    NotDue,
}

/// What a proven link leads to.
#[derive(Debug, Clone)]
pub enum Proven {
    /// One held message, for its sender.
    Item(Box<Item>),
    /// All that is held for one address.
    Address(Address),
    /// Letters to one address.
    Stop(Address),
    /// One choice that waits to be confirmed, or was.
    Confirm(Box<Pending>),
    /// All that is held from one sender.
    Manage(Sender),
}
