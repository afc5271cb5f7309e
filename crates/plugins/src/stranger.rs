//! What the checks of strangers have in common: whom they leave alone, how long they ask DNS, and
//! what its silence means. Nothing here asks anybody.

use std::time::Duration;

use posthouse_hook::Span;
use serde::Deserialize;

use crate::exempt::Exempt;

/// How long one check may ask DNS, unless the configuration says otherwise.
pub(crate) const DEADLINE: Span = Span(Duration::from_secs(5));
/// What a step's timeout is longer: the plugin's own limit comes first.
pub(crate) const SLACK: Duration = Duration::from_secs(5);

/// What a check comes to that DNS did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnTempError {
    /// 451 4.4.3: the client tries again.
    #[default]
    Defer,
    /// As if there were nothing to say.
    Pass,
}

/// Checks of strangers leave these alone, unless the configuration says otherwise.
pub(crate) fn exempt_default() -> Vec<Exempt> {
    vec![Exempt::Auth, Exempt::RelayClients]
}
/// What becomes of a client that fails a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// The trail and a note say so.
    #[default]
    Note,
    /// It is refused.
    Refuse,
}
