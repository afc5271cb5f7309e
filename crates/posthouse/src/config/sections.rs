//! The sections of the configuration: every key, its type and its default.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use posthouse_front::Limits;
use posthouse_hook::{Domain, Span};
use posthouse_plugins::ListSpec;
use posthouse_relay::{LettersConfig, RelayConfig};
use posthouse_store::{Bounds, ReleaseCaps, Settings};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tracing_subscriber::EnvFilter;

/// Every section but the chains, whose tables are the plugins' own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Our name: in the greeting, in EHLO, in Received fields.
    pub(crate) hostname: Domain,
    /// Ledger, spool, keys, control socket.
    pub(crate) state: PathBuf,
    /// Whose domains are ours.
    #[serde(default)]
    pub(crate) our_domains: Option<toml::Spanned<ListSpec>>,
    /// Our customers and hosts.
    #[serde(default)]
    pub(crate) our_networks: Option<toml::Spanned<ListSpec>>,
    /// The hosts whose Received fields we believe.
    #[serde(default)]
    pub(crate) our_servers: Option<toml::Spanned<ListSpec>>,
    /// A directory with templates that replace the built-in ones of the same name.
    #[serde(default)]
    pub(crate) templates: Option<PathBuf>,
    /// Where clients connect.
    #[serde(default)]
    pub(crate) listener: Vec<Listener>,
    /// What a client may take of us.
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) quarantine: Quarantine,
    #[serde(default)]
    pub(crate) letters: LettersConfig,
    #[serde(default)]
    pub(crate) relay: RelayConfig,
    pub(crate) web: posthouse_web::Config,
    #[serde(default)]
    pub(crate) dns: Dns,
    #[serde(default)]
    pub(crate) store: StoreSection,
    #[serde(default)]
    pub(crate) log: Log,
}

/// One `[[listener]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// The addresses to listen on, at least one.
    #[serde(deserialize_with = "some_addresses")]
    pub(crate) address: Vec<SocketAddr>,
    /// The chain that is run over every session.
    pub(crate) chain: toml::Spanned<String>,
}

/// `[quarantine]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Quarantine {
    /// How long held copies are kept.
    pub(crate) retention_days: NonZeroU16,
    /// Octets that held messages and samples may take.
    pub(crate) max_size: NonZeroU64,
    /// The part of it that one sender's held mail may take.
    pub(crate) sender_share: Share,
    /// Whose senders may release their own mail, under caps.
    pub(crate) self_release: Vec<posthouse_web::SelfRelease>,
    /// How much they may release within a day.
    pub(crate) caps: ReleaseCaps,
    /// Whether recipients may release single messages to the filtered address itself.
    pub(crate) recipient_release: bool,
    /// How many messages one recipient may release so within a day.
    pub(crate) recipient_releases_daily: NonZeroU32,
}

impl Quarantine {
    /// How many messages one recipient may release within a day; none if recipients may not.
    pub(crate) fn recipient_releases(&self) -> Option<NonZeroU32> {
        self.recipient_release
            .then_some(self.recipient_releases_daily)
    }
}

impl Default for Quarantine {
    fn default() -> Self {
        use posthouse_web::SelfRelease::{Ours, Spf};
        Self {
            retention_days: const { NonZeroU16::new(30).expect("not zero") },
            max_size: const { NonZeroU64::new(4 << 30).expect("not zero") },
            sender_share: Share(0.2),
            self_release: vec![Ours, Spf],
            caps: ReleaseCaps::default(),
            recipient_release: false,
            recipient_releases_daily: const { NonZeroU32::new(3).expect("not zero") },
        }
    }
}

/// A part of a whole: above 0, at most 1.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Share(f64);

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(part: f64) -> Result<Self, String> {
        match part > 0.0 && part <= 1.0 {
            true => Ok(Self(part)),
            false => Err(format!(
                "{part} is no share; write a number above 0, at most 1, such as 0.2"
            )),
        }
    }
}

/// `[dns]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dns {
    /// The servers to ask; the system's if there is none.
    pub(crate) servers: Vec<SocketAddr>,
    /// How long one server may take to answer one question.
    #[serde(deserialize_with = "posthouse_hook::time::patience")]
    pub(crate) timeout: Span,
    /// How often a question is asked again.
    pub(crate) attempts: usize,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Span(Duration::from_secs(3)),
            attempts: 2,
        }
    }
}

/// `[store]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreSection {
    /// Octets that must stay free on the file system of the state directory.
    pub(crate) min_free: u64,
    /// Message bodies longer than this are spool files, shorter ones are rows.
    pub(crate) spool_threshold: usize,
    /// Octets of accepted messages that may wait in memory for the relay.
    pub(crate) handoff: usize,
    /// How long audit lines are kept.
    pub(crate) audit_days: NonZeroU16,
    /// How long it is kept what chains that observe would have done.
    pub(crate) observed_days: NonZeroU16,
    /// How long it is kept what the quarantine judged by; 0 keeps nothing.
    pub(crate) judged_days: u16,
    /// This node's number, part of every id.
    pub(crate) node: u8,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            min_free: 256 << 20,
            spool_threshold: 128 << 10,
            handoff: 8 << 20,
            audit_days: const { NonZeroU16::new(60).expect("not zero") },
            observed_days: const { NonZeroU16::new(30).expect("not zero") },
            judged_days: 7,
            node: 0,
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `text` or `json`, on standard error.
    pub(crate) format: LogFormat,
    /// What is logged.
    pub(crate) filter: Option<LogFilter>,
}

/// See [`Log`].
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// A level, or directives such as `info,posthouse_relay=debug`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct LogFilter(String);

impl LogFilter {
    /// The directives as they are written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for LogFilter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match EnvFilter::try_new(&text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(format!(
                "`{text}`: {error}; write a level such as info, or info,posthouse_relay=debug"
            )),
        }
    }
}

impl Config {
    /// How the store is opened.
    pub(crate) fn store_settings(&self) -> Settings {
        Settings {
            state: self.state.clone(),
            node: self.store.node,
            link_base: self.web.url.to_string(),
            min_free: self.store.min_free,
            spool_threshold: self.store.spool_threshold,
            handoff_bytes: self.store.handoff,
            retention: self.retention(),
            bounds: self.bounds(),
            audit_kept: days(self.store.audit_days),
            observed_kept: days(self.store.observed_days),
            judged_kept: DAY * u32::from(self.store.judged_days),
        }
    }

    /// How much room held mail may take.
    fn bounds(&self) -> Bounds {
        Bounds {
            max_size: self.quarantine.max_size.get(),
            sender_share: self.quarantine.sender_share.0,
        }
    }

    /// How long held copies are kept.
    pub(crate) fn retention(&self) -> Duration {
        days(self.quarantine.retention_days)
    }
}

/// A listener without an address would end as soon as it starts.
fn some_addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SocketAddr>, D::Error> {
    let addresses = Vec::deserialize(from)?;
    if addresses.is_empty() {
        let why = "there is none; name at least one address, such as \"127.0.0.1:25\"";
        return Err(D::Error::custom(why));
    }
    Ok(addresses)
}

const DAY: Duration = Duration::from_secs(86_400);

fn days(count: NonZeroU16) -> Duration {
    DAY * u32::from(count.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn relative_paths_start_at_the_file() {
        let text = "hostname = \"a.example\"\nstate = \"s\"\n[web]\nurl = \"http://a.example\"\n";
        let loaded = parse(
            std::path::Path::new("/etc/posthouse/p.toml"),
            text.to_owned(),
        );
        let config = loaded.expect("valid").config;
        assert_eq!(config.state, PathBuf::from("/etc/posthouse/s"));
        assert_eq!(config.retention(), Duration::from_secs(30 * 86_400));
    }
}
