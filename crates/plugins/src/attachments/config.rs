//! The options of `attachments`, and the rules that they come to.

use std::collections::HashSet;
use std::time::Duration;

use posthouse_hook::Span;
use posthouse_hook::bounds::at_least;
use posthouse_hook::time::patience;
use serde::Deserialize;

use super::cause::{Action, Cause, Kind, Limit};
use super::look::Finding;
use super::presets::Preset;
use crate::options::{BadValue, BuildError};

/// Deepest nesting of archives that may be asked for: each level needs stack.
const MAX_DEPTH: usize = 30;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// A list of extensions by name.
    preset: Option<Preset>,
    /// Further extensions.
    #[serde(default)]
    extensions: Vec<String>,
    /// Extensions of the preset that are let through.
    #[serde(default)]
    allow: Vec<String>,
    /// Kinds of content.
    #[serde(default = "default_types")]
    types: Vec<Kind>,
    /// What to do about all of these.
    #[serde(default)]
    action: OnFound,
    /// What to do about what is encrypted.
    #[serde(default = "noted")]
    encrypted: OnFound,
    /// What to do about archives that cannot be looked into.
    #[serde(default = "noted")]
    closed: OnFound,
    /// What to do when a limit is reached.
    #[serde(default)]
    on_limit: OnLimit,
    /// Octets of a message that are looked at.
    #[serde(default = "default_max_size", deserialize_with = "at_least::<1, _, _>")]
    max_size: u64,
    /// Octets that archives are unpacked to.
    #[serde(
        default = "default_max_unpacked",
        deserialize_with = "at_least::<1, _, _>"
    )]
    max_unpacked: u64,
    /// Octets unpacked for each octet of the message; counts from 8 MiB on.
    #[serde(
        default = "default_max_ratio",
        deserialize_with = "at_least::<1, _, _>"
    )]
    max_ratio: u64,
    /// Archives and encoded messages in one another.
    #[serde(
        default = "default_max_depth",
        deserialize_with = "at_least::<1, _, _>"
    )]
    max_depth: usize,
    /// Members of all archives of a message.
    #[serde(
        default = "default_max_members",
        deserialize_with = "at_least::<1, _, _>"
    )]
    max_members: usize,
    /// Parts of a message.
    #[serde(
        default = "default_max_parts",
        deserialize_with = "at_least::<1, _, _>"
    )]
    max_parts: usize,
    /// How long a look may take.
    #[serde(default = "default_look_timeout", deserialize_with = "patience")]
    look_timeout: Span,
}

/// What to do about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnFound {
    #[default]
    Refuse,
    Hold,
    Note,
}

/// What to do when a limit is reached: there is no way to call that clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnLimit {
    #[default]
    Refuse,
    Hold,
    Defer,
}

impl From<OnFound> for Action {
    fn from(word: OnFound) -> Self {
        match word {
            OnFound::Refuse => Self::Refuse,
            OnFound::Hold => Self::Hold,
            OnFound::Note => Self::Note,
        }
    }
}

impl From<OnLimit> for Action {
    fn from(word: OnLimit) -> Self {
        match word {
            OnLimit::Refuse => Self::Refuse,
            OnLimit::Hold => Self::Hold,
            OnLimit::Defer => Self::Defer,
        }
    }
}

fn default_types() -> Vec<Kind> {
    vec![Kind::Executable, Kind::Shortcut]
}

fn noted() -> OnFound {
    OnFound::Note
}

fn default_max_size() -> u64 {
    50 * 1024 * 1024
}

fn default_max_unpacked() -> u64 {
    256 * 1024 * 1024
}

fn default_max_ratio() -> u64 {
    200
}

fn default_max_depth() -> usize {
    8
}

fn default_max_members() -> usize {
    20_000
}

fn default_max_parts() -> usize {
    1000
}

fn default_look_timeout() -> Span {
    Span(Duration::from_secs(20))
}

/// What a look is held to.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) extensions: HashSet<String>,
    pub(super) kinds: Vec<Kind>,
    found: Action,
    encrypted: Action,
    closed: Action,
    on_limit: Action,
    pub(super) max_size: u64,
    pub(super) max_unpacked: u64,
    pub(super) max_ratio: u64,
    pub(super) max_depth: usize,
    pub(super) max_members: usize,
    pub(super) max_parts: usize,
    pub(super) look_timeout: Duration,
}

impl Config {
    /// Checks what the types cannot, and makes rules of it.
    pub(super) fn rules(self) -> Result<Rules, BuildError> {
        if self.preset.is_none() && self.extensions.is_empty() {
            let problem = "there is no list of extensions";
            let way_out =
                "write preset = \"classic\", \"outlook\" or \"gmail\", or extensions of your own";
            return Err(BadValue::new("preset", "none", problem, way_out).into());
        }
        if self.max_depth > MAX_DEPTH {
            let way_out = format!("write {MAX_DEPTH} or less");
            return Err(BadValue::new("max_depth", self.max_depth, "too deep", way_out).into());
        }
        let extra = plain("extensions", &self.extensions)?;
        let allow = plain("allow", &self.allow)?;
        let preset = self
            .preset
            .into_iter()
            .flat_map(Preset::extensions)
            .map(str::to_owned);
        let mut extensions: HashSet<String> = preset.filter(|one| !allow.contains(one)).collect();
        extensions.extend(extra);
        let Span(look_timeout) = self.look_timeout;
        Ok(Rules {
            extensions,
            kinds: self.types,
            found: self.action.into(),
            encrypted: self.encrypted.into(),
            closed: self.closed.into(),
            on_limit: self.on_limit.into(),
            max_size: self.max_size,
            max_unpacked: self.max_unpacked,
            max_ratio: self.max_ratio,
            max_depth: self.max_depth,
            max_members: self.max_members,
            max_parts: self.max_parts,
            look_timeout,
        })
    }
}

/// Extensions as the lists have them: in lower case, with or without a dot in front.
fn plain(key: &str, words: &[String]) -> Result<Vec<String>, BuildError> {
    let one = |word: &String| {
        let text = word.strip_prefix('.').unwrap_or(word).to_lowercase();
        let odd =
            |c: char| c.is_whitespace() || matches!(c, '.' | '*' | '?' | '/' | '\\' | ',' | ';');
        if text.is_empty() || text.contains(odd) {
            let way_out = "write what is behind the last dot of a name, such as exe";
            return Err(BadValue::new(key, word, "not an extension", way_out).into());
        }
        Ok(text)
    };
    words.iter().map(one).collect()
}

impl Rules {
    /// What to do about a cause; nothing if no rule is about it.
    pub(super) fn action(&self, cause: &Cause) -> Option<Action> {
        match cause {
            Cause::Name(_) => Some(self.found),
            Cause::Kind(kind) => self.kinds.contains(kind).then_some(self.found),
            Cause::Encrypted => Some(self.encrypted),
            Cause::Closed(_) => Some(self.closed),
            // A slow machine is no fault of the message: it may come again.
            Cause::Limit(Limit::Time) => Some(Action::Defer),
            Cause::Limit(_) => Some(self.on_limit),
        }
    }

    /// The heaviest that the findings ask for.
    pub(super) fn worst(&self, findings: &[Finding]) -> Option<Action> {
        findings
            .iter()
            .filter_map(|finding| self.action(&finding.cause))
            .max()
    }

    /// Whether some message may be held.
    pub(super) fn may_hold(&self) -> bool {
        [self.found, self.encrypted, self.closed, self.on_limit].contains(&Action::Hold)
    }
}
