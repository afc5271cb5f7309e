//! The options of `quota`, checked when they are read.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use posthouse_hook::time::patience;
use posthouse_hook::{DomainList, ForwardPath, Live, Refusal, ReplyError, Span};
use serde::Deserialize;

use super::answer::Limits;
use super::names::Rules;
use super::source::{Local, Source};
use super::{Keep, Quota};
use crate::backend::{Backend, Keeping};
use crate::options::{BadValue, BuildError, ListSpec};
use crate::surroundings::{Surroundings, domains};

/// Where a text has the recipient's address.
const ADDRESS: &str = "{address}";
/// Octets of an address that are shown (RFC 5321 §4.5.3.1.3).
const MAX_SHOWN: usize = 254;
/// The text of a refusal after which the client tries again, and of one after which it does not.
const LATER: &str = "Quota exceeded for {address}, try again later";
const NEVER: &str = "Quota exceeded for {address}";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Who knows: `http://…`, `udp://…`, `dovecot:…`, `maildir:…`, `mbox:…`.
    source: String,
    /// The domains whose mailboxes are asked about; `our_domains` without the key.
    domains: Option<ListSpec>,
    /// Code and enhanced code of the refusal.
    #[serde(default = "default_reply")]
    reply: String,
    /// Its text.
    text: Option<String>,
    /// What becomes of a recipient about whom nothing can be learned.
    #[serde(default)]
    on_dead: OnDead,
    /// How long one question may take.
    #[serde(default = "default_ask_timeout", deserialize_with = "patience")]
    ask_timeout: Span,
    /// How long it is remembered that a mailbox has room, or is unknown.
    #[serde(default = "default_keep")]
    keep: Span,
    /// How long it is remembered that a mailbox is full.
    #[serde(default = "default_keep_over")]
    keep_over: Span,
    /// How many answers are remembered.
    #[serde(default = "default_keep_entries")]
    keep_entries: usize,
    /// How long a dead source is left alone.
    #[serde(default = "default_rest", deserialize_with = "patience")]
    rest: Span,
    /// Characters that begin an address extension.
    #[serde(default = "default_delimiter")]
    recipient_delimiter: String,
    /// Whether users are asked about in lower case.
    #[serde(default = "default_lowercase")]
    lowercase: bool,
    /// Local sources: the quota of those of whom no other is known.
    quota: Option<String>,
    /// Local sources: a file of `user,octets[,messages]`.
    quotas: Option<PathBuf>,
}

/// What becomes of a recipient about whom nothing can be learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnDead {
    /// As if the mailbox had room: the mailbox server has the last word anyway.
    #[default]
    Pass,
    /// 451.
    Defer,
}

impl fmt::Display for OnDead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "passed",
            Self::Defer => "deferred",
        })
    }
}

fn default_reply() -> String {
    "452 4.2.2".to_owned()
}

fn default_ask_timeout() -> Span {
    Span(Duration::from_secs(2))
}

fn default_keep() -> Span {
    Span(Duration::from_secs(120))
}

fn default_keep_over() -> Span {
    Span(Duration::from_secs(60))
}

fn default_keep_entries() -> usize {
    100_000
}

fn default_rest() -> Span {
    Span(Duration::from_secs(30))
}

fn default_delimiter() -> String {
    "+".to_owned()
}

fn default_lowercase() -> bool {
    true
}

pub(super) fn quota(config: Config, parts: &mut dyn Surroundings) -> Result<Quota, BuildError> {
    let source = source(&config, parts)?;
    let domains = whose(&config, parts)?;
    let reply = Words::new(config.reply, config.text)?;
    let keeping = Keeping {
        entries: config.keep_entries,
        rest: config.rest.0,
    };
    let clock = parts.common().clock.clone();
    Ok(Quota {
        source,
        domains,
        rules: Rules {
            delimiters: config.recipient_delimiter,
            lowercase: config.lowercase,
        },
        answers: Backend::new(keeping, clock),
        keep: Keep {
            room: config.keep.0,
            over: config.keep_over.0,
        },
        limit: config.ask_timeout.0,
        reply,
        on_dead: config.on_dead,
        unanswered: AtomicU64::new(0),
    })
}

fn source(config: &Config, parts: &dyn Surroundings) -> Result<Source, BuildError> {
    let local = Local {
        default: default_quota(config.quota.as_deref())?,
        quotas: quotas(config.quotas.as_deref())?,
        clock: &parts.common().clock,
    };
    let source = Source::parse(&config.source, &local).map_err(|problem| {
        let way_out = "write http://host/path?u={user}, udp://host:port, dovecot://host:port, \
                       dovecot:/path/of/a/socket, maildir:/path/{user} or mbox:/path/{user}";
        BadValue::new("source", &config.source, problem, way_out)
    })?;
    let unused = match (&config.quota, &config.quotas) {
        (Some(quota), _) => Some(("quota", quota.clone())),
        (None, quotas) => quotas
            .as_ref()
            .map(|file| ("quotas", file.display().to_string())),
    };
    match unused.filter(|_| !source.is_local()) {
        None => Ok(source),
        Some((key, value)) => {
            let way_out = "it is for maildir: and mbox:; this source knows quotas itself";
            Err(BadValue::new(key, value, "not used", way_out).into())
        }
    }
}

fn default_quota(written: Option<&str>) -> Result<Limits, BuildError> {
    let Some(written) = written else {
        return Ok(Limits::default());
    };
    let bad = |error| BadValue::new("quota", written, error, "write what it says, in octets");
    Ok(written.parse().map_err(bad)?)
}

fn quotas(path: Option<&std::path::Path>) -> Result<Option<&std::path::Path>, BuildError> {
    match path {
        Some(path) if !path.is_absolute() => {
            let way_out = "write the absolute path of a file with user,octets[,messages] a line";
            let bad = BadValue::new("quotas", path.display(), "not an absolute path", way_out);
            Err(bad.into())
        }
        path => Ok(path),
    }
}

/// Whose mailboxes are asked about. None at all is a mistake that nobody would notice.
fn whose(config: &Config, parts: &mut dyn Surroundings) -> Result<Live<DomainList>, BuildError> {
    if let Some(list) = &config.domains {
        return domains(parts, "domains", list);
    }
    let ours = parts.common().our_domains.clone();
    if *ours.load() == DomainList::default() {
        let problem = "there are no our_domains, so nobody would be asked about";
        let way_out =
            "name the domains whose mailboxes the source knows: domains = [\"isp.example\"]";
        return Err(BadValue::new("source", &config.source, problem, way_out).into());
    }
    Ok(ours)
}

/// The refusal, with a place for the address.
pub(super) struct Words {
    codes: String,
    text: String,
    /// If ever the address spoils the text: the same without it.
    plain: Refusal,
}

impl Words {
    fn new(codes: String, text: Option<String>) -> Result<Self, BuildError> {
        let later = codes.starts_with('4');
        let default = if later { LATER } else { NEVER };
        let text = text.unwrap_or_else(|| default.to_owned());
        let bad_text = |problem: &dyn fmt::Display| {
            let way_out = "write a line or two; {address} is the recipient's address";
            BadValue::new("text", &text, problem, way_out)
        };
        if text.replace(ADDRESS, "").contains(['{', '}']) {
            return Err(bad_text(&"a place for something else than {address}").into());
        }
        let plain = match Refusal::from_config(&codes, &text.replace(ADDRESS, "you"), 0) {
            Ok(plain) => plain,
            Err(error @ ReplyError::NoText) => return Err(bad_text(&error).into()),
            Err(error) => {
                let way_out = "write 452 4.2.2 or 552 5.2.2";
                return Err(BadValue::new("reply", &codes, error, way_out).into());
            }
        };
        Ok(Self { codes, text, plain })
    }

    /// The refusal of this recipient.
    pub(super) fn about(&self, recipient: &ForwardPath) -> Refusal {
        let address = shown(&recipient.address());
        let text = self.text.replace(ADDRESS, &address);
        Refusal::from_config(&self.codes, &text, 0).unwrap_or_else(|_| self.plain.clone())
    }
}

/// An address as a client may see it again: short, on one line, and no place for a link.
fn shown(address: &str) -> String {
    let clean = |c| {
        if matches!(c, '!'..='~') && c != '{' && c != '}' {
            c
        } else {
            '?'
        }
    };
    address.chars().take(MAX_SHOWN).map(clean).collect()
}
