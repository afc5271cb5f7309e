//! The options of `clamav`.

use std::time::Duration;

use posthouse_hook::Span;
use posthouse_hook::time::patience;
use serde::Deserialize;

use crate::scan_server::Address;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where clamd listens.
    pub(super) address: Address,
    /// Larger messages are not sent to it, in octets: its own limit, by Debian's configuration.
    #[serde(default = "default_max_size")]
    pub(super) max_size: u64,
    /// How long clamd may take from the connection to the end of its answer.
    #[serde(default = "default_scan_timeout", deserialize_with = "patience")]
    pub(super) scan_timeout: Span,
    /// How long the connection may take.
    #[serde(default = "default_connect_timeout", deserialize_with = "patience")]
    pub(super) connect_timeout: Span,
    /// How long a clamd that fails again and again is left alone.
    #[serde(default = "default_rest", deserialize_with = "patience")]
    pub(super) rest: Span,
    #[serde(default)]
    pub(super) action: Action,
    #[serde(default)]
    pub(super) on_limit: OnLimit,
    #[serde(default)]
    pub(super) on_dead: OnDead,
}

/// What becomes of a message with a virus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// 550.
    #[default]
    Refuse,
    /// Kept for the operator.
    Hold,
    /// Only a note.
    Note,
}

/// What becomes of a message that was not scanned whole, because of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnLimit {
    /// 552 or 550.
    #[default]
    Refuse,
    /// Kept for the operator.
    Hold,
    /// 451.
    Defer,
}

/// What becomes of a message that clamd says nothing about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnDead {
    /// 451.
    #[default]
    Defer,
    /// It goes on unscanned, noted and counted.
    Pass,
}

fn default_max_size() -> u64 {
    25 * 1024 * 1024
}

fn default_scan_timeout() -> Span {
    Span(Duration::from_secs(60))
}

fn default_connect_timeout() -> Span {
    Span(Duration::from_secs(3))
}

fn default_rest() -> Span {
    Span(Duration::from_secs(5))
}
