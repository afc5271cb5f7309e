//! What chains that observe would have done, as it is reported.

use posthouse_hook::{ForwardPath, Id, ReversePath, Timestamp};
use serde::Serialize;

/// What was observed since a moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ObservedReport {
    /// How often what would have been done, most often first.
    pub counts: Vec<ObservedCount>,
    /// The newest cases, newest first.
    pub cases: Vec<ObservedCase>,
}

/// How often one plugin would have done one thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObservedCount {
    /// The chain.
    pub chain: String,
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// The hook point.
    pub point: String,
    /// `refuse` and the code, `hold`, or `discard`.
    pub would: String,
    /// Messages.
    pub messages: u64,
    /// Their copies that it would have concerned.
    pub copies: u64,
}

/// One thing that would have been done to one message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObservedCase {
    /// The message.
    pub id: Id,
    /// When it was committed.
    pub at: Timestamp,
    /// The reverse-path.
    pub from: ReversePath,
    /// The first few of the recipients that it would have concerned.
    pub to: Vec<ForwardPath>,
    /// How many there were.
    pub copies: u64,
    /// The chain.
    pub chain: String,
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// The hook point.
    pub point: String,
    /// `refuse` and the code, `hold`, or `discard`.
    pub would: String,
}
