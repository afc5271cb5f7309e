//! The section `[relay]` of the configuration, parsed at the door; `[letters]` stands in a file of its own.
//!
//! Every key has a default, unknown keys are errors, and a value that cannot work is refused here,
//! with the value and the way out, so that nothing behind this file has to check again.

mod languages;
mod letters;

use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use posthouse_hook::Domain;
use posthouse_hook::time::{Span, patience};
use serde::Deserialize;

pub use self::languages::{Languages, Subject};
pub use self::letters::{LettersConfig, Sender};
use crate::route::Routes;
use crate::tls::{Connectors, TlsError};

/// The section `[relay]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// Where messages go; the first route that matches wins. Default: everything by MX.
    pub route: Routes,
    /// How long a message may wait before it fails for good. Default 4 days (RFC 5321 §4.5.4.1).
    pub expire: Span,
    /// The waits between attempts, in order; the last one repeats.
    pub retry: Retry,
    /// How long a next hop that could not be reached is left alone: what is due for it meanwhile
    /// is put off without an attempt.
    pub rest: Span,
    /// The name that we give in EHLO. Default: `hostname`.
    pub helo: Option<Domain>,
    /// A PEM file of certificates that are trusted besides the system's, for `tls = "require"`.
    pub ca_file: Option<PathBuf>,
    /// The port to which mail by MX goes: 25 for all the world.
    pub mx_port: NonZeroU16,
    /// Connections to all next hops at a time.
    pub connections: NonZeroUsize,
    /// Connections to one next hop at a time.
    pub connections_per_next_hop: NonZeroUsize,
    /// Messages after which a connection is closed and another one opened.
    pub messages_per_connection: NonZeroU32,
    /// How long a connection is kept open for the next message.
    pub idle: Span,
    /// How long running transactions may go on after we are told to stop.
    pub shutdown_grace: Span,
    /// How long each step of a transaction may take.
    pub timeout: Timeouts,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            route: Routes::default(),
            expire: days(4),
            retry: Retry::default(),
            rest: seconds(30),
            helo: None,
            ca_file: None,
            mx_port: NonZeroU16::new(25).expect("25 is not zero"),
            connections: NonZeroUsize::new(200).expect("200 is not zero"),
            connections_per_next_hop: NonZeroUsize::new(20).expect("20 is not zero"),
            messages_per_connection: NonZeroU32::new(1000).expect("1000 is not zero"),
            idle: seconds(5),
            shutdown_grace: seconds(20),
            timeout: Timeouts::default(),
        }
    }
}

impl RelayConfig {
    /// Reads what the values name: the certificates of `ca_file`.
    pub fn check(&self) -> Result<(), TlsError> {
        Connectors::new(self.ca_file.as_deref()).map(drop)
    }
}

/// The table `[relay.timeout]`: how long the next hop may take for each step. The defaults are
/// those of RFC 5321 §4.5.3.2, but for the connect, which it does not name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To accept the connection.
    #[serde(deserialize_with = "patience")]
    pub connect: Span,
    /// To send its greeting.
    #[serde(deserialize_with = "patience")]
    pub greeting: Span,
    /// To answer EHLO, HELO or STARTTLS, and for the TLS handshake.
    #[serde(deserialize_with = "patience")]
    pub helo: Span,
    /// To answer MAIL or RSET.
    #[serde(deserialize_with = "patience")]
    pub mail: Span,
    /// To answer each RCPT.
    #[serde(deserialize_with = "patience")]
    pub rcpt: Span,
    /// To answer DATA.
    #[serde(deserialize_with = "patience")]
    pub data: Span,
    /// To take a piece of the message.
    #[serde(deserialize_with = "patience")]
    pub block: Span,
    /// To answer the dot at the end of the message.
    #[serde(deserialize_with = "patience")]
    pub dot: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: seconds(30),
            greeting: minutes(5),
            helo: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            dot: minutes(10),
        }
    }
}

/// The waits between attempts: at least one, none of them zero.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<Span>")]
pub struct Retry(Vec<Duration>);

impl Retry {
    /// The wait behind attempt number `attempts`, counted from 1.
    pub(crate) fn wait(&self, attempts: u32) -> Duration {
        let at = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        self.0[at.min(self.0.len() - 1)]
    }
}

impl Default for Retry {
    fn default() -> Self {
        let waits = [
            minutes(5),
            minutes(10),
            minutes(30),
            minutes(60),
            minutes(120),
        ];
        Self(waits.map(|wait| wait.0).to_vec())
    }
}

impl TryFrom<Vec<Span>> for Retry {
    type Error = &'static str;

    fn try_from(waits: Vec<Span>) -> Result<Self, Self::Error> {
        if waits.is_empty() {
            return Err("`retry` is empty; name at least one wait, such as [\"5m\"]");
        }
        if waits.iter().any(|wait| wait.0.is_zero()) {
            return Err("`retry` has a wait of no time; the shortest is \"1s\"");
        }
        Ok(Self(waits.into_iter().map(|wait| wait.0).collect()))
    }
}

fn seconds(count: u64) -> Span {
    Span(Duration::from_secs(count))
}

fn minutes(count: u64) -> Span {
    seconds(60 * count)
}

fn days(count: u64) -> Span {
    minutes(24 * 60 * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(text: &str) -> Result<RelayConfig, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let config = relay(
            r#"
            route = [{ domain = ".example.com", kind = "released", next_hop = "smtp://[::1]:2525", eight_bit = "fail", tls = "require", source = ["192.0.2.7", "2001:db8::7"], helo = "b.example" },
                     { domain = "*", next_hop = "mx" }]
            expire = "1d"
            retry = ["1m", "1h"]
            rest = "0s"
            helo = "out.isp.example"
            mx_port = 2525
            connections = 3
            connections_per_next_hop = 2
            messages_per_connection = 1
            idle = "1s"
            shutdown_grace = "1s"
            timeout = { connect = "1s", greeting = "1s", helo = "1s", mail = "1s", rcpt = "1s", data = "1s", block = "1s", dot = "1s" }
            "#,
        )
        .expect("valid");
        assert_eq!(config.expire, days(1));
        assert_eq!(config.retry.wait(1), Duration::from_secs(60));
        assert_eq!(config.retry.wait(2), Duration::from_secs(3600));
        assert_eq!(config.retry.wait(99), Duration::from_secs(3600));
    }

    #[test]
    fn errors_name_the_value_and_the_way_out() {
        for (text, wants) in [
            ("retry = []", "name at least one wait"),
            ("retry = [\"0s\"]", "the shortest is"),
            ("connections = 0", "nonzero"),
            ("expires = \"4d\"", "unknown field `expires`"),
            ("route = []", "route is empty"),
            (
                "route = [{ domain = \"*\", next_hop = \"mx\", source = [\"::\"] }]",
                "`::` is no source",
            ),
            (
                "route = [{ domain = \"a b\", next_hop = \"mx\" }]",
                "`a b` is no domain",
            ),
            (
                "route = [{ domain = \"*\", next_hop = \"lmtp://x\" }]",
                "`lmtp://x` is no next hop",
            ),
            (
                "route = [{ domain = \"*\", next_hop = \"smtp://x:0\" }]",
                "`smtp://x:0` is no next hop",
            ),
            ("route = [{ domain = \"*\" }]", "next_hop"),
            ("timeout = { dot = \"soon\" }", "`soon` is no span of time"),
        ] {
            let error = relay(text).expect_err(text);
            assert!(error.contains(wants), "{text}: {error}");
        }
    }
}
