//! The options of `rate_limit`.

use std::fmt;
use std::sync::atomic::AtomicU64;

use posthouse_hook::Span;
use serde::Deserialize;

use super::buckets::Buckets;
use super::keys::{By, Masks};
use crate::exempt::Exempt;
use crate::options::{BadValue, BuildError};

/// Keys of one limit, unless the configuration says otherwise, and at most.
const KEYS: usize = 65_536;
const MOST_KEYS: usize = 4_194_304;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    limits: Vec<Entry>,
    #[serde(default = "network_v4")]
    network_v4: u8,
    #[serde(default = "network_v6")]
    network_v6: u8,
    #[serde(default = "keys")]
    keys: usize,
    #[serde(default)]
    exempt: Vec<Exempt>,
}

fn network_v4() -> u8 {
    24
}

fn network_v6() -> u8 {
    64
}

fn keys() -> usize {
    KEYS
}

/// One limit, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    by: By,
    count: Count,
    most: u32,
    #[serde(deserialize_with = "posthouse_hook::time::patience")]
    per: Span,
    #[serde(default)]
    action: Action,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Count {
    /// Messages that came in whole.
    Messages,
    /// Recipients that were named.
    Recipients,
    /// Messages that the quarantine held as spam.
    SpamHolds,
}

/// What is done with what is over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// A note, a remark and the log.
    Note,
    /// 451 4.7.1.
    #[default]
    Defer,
    /// What would be relayed is held for the operator.
    Hold,
}

/// One limit at work.
pub(super) struct Limit {
    pub(super) by: By,
    pub(super) count: Count,
    pub(super) action: Action,
    most: u32,
    per: Span,
    pub(super) buckets: Buckets,
    /// How often it was met since the start.
    pub(super) over: AtomicU64,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { most, per, .. } = self;
        let count = match self.count {
            Count::Messages => "messages",
            Count::Recipients => "recipients",
            Count::SpamHolds => "spam holds",
        };
        write!(f, "{most} {count} per {per} by {}", self.by.word())
    }
}

/// The options, checked.
pub(super) struct Settings {
    pub(super) limits: Vec<Limit>,
    pub(super) masks: Masks,
    pub(super) exempt: Vec<Exempt>,
}

impl Config {
    pub(super) fn load(self) -> Result<Settings, BuildError> {
        let masks = Masks {
            v4: bits("network_v4", self.network_v4, 32)?,
            v6: bits("network_v6", self.network_v6, 128)?,
        };
        if !(1..=MOST_KEYS).contains(&self.keys) {
            let way_out = format!("write 1 to {MOST_KEYS}");
            return Err(BadValue::new("keys", self.keys, "out of range", way_out).into());
        }
        if self.limits.is_empty() {
            let way_out = "write one limit at least, or leave the plugin out";
            return Err(BadValue::new("limits", "[]", "limits nothing", way_out).into());
        }
        let limits = self.limits.into_iter();
        let limits = limits.map(|entry| entry.load(self.keys));
        Ok(Settings {
            limits: limits.collect::<Result<_, _>>()?,
            masks,
            exempt: self.exempt,
        })
    }
}

fn bits(key: &str, bits: u8, all: u8) -> Result<u8, BuildError> {
    if (1..=all).contains(&bits) {
        return Ok(bits);
    }
    let problem = "no length of a network";
    Err(BadValue::new(key, bits, problem, format!("write 1 to {all}")).into())
}

impl Entry {
    fn load(self, keys: usize) -> Result<Limit, BuildError> {
        let Self { most, per, .. } = self;
        if most == 0 {
            let way_out = "write most = 1 or more, or refuse by a list (plugin access)";
            return Err(
                BadValue::new("limits", "most = 0", "lets nothing through", way_out).into(),
            );
        }
        Ok(Limit {
            by: self.by,
            count: self.count,
            action: self.action,
            most,
            per,
            buckets: Buckets::new(most, per.0, keys),
            over: AtomicU64::new(0),
        })
    }
}
