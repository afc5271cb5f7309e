//! What the listener takes at most: the keys, their defaults, their least values.
//!
//! Every key stands for a bound on memory or time that a peer could otherwise choose. A value below
//! what RFC 5321 §4.5.3 promises to clients is refused when the configuration is read.

use std::time::Duration;

use posthouse_hook::bounds::{at_least, span};

/// The limits of a listener. Each key has a default; an unknown key is an error.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Octets of a command line, CRLF included; at least 512 (RFC 5321 §4.5.3.1.4). A longer one
    /// closes the session. Default 1024: parameters of extensions make lines longer.
    #[serde(deserialize_with = "at_least::<512, _, _>")]
    pub command_line: usize,
    /// Recipients of a transaction; at least 100 (§4.5.3.1.8). Each further one gets 452 4.5.3.
    /// Default 100.
    #[serde(deserialize_with = "at_least::<100, _, _>")]
    pub recipients: usize,
    /// Octets of a message; at least 65536 (§4.5.3.1.7). Announced as SIZE; a larger one is refused
    /// with 552 5.3.4, and one of twice the size is cut off. Default 52428800 (50 MiB).
    #[serde(deserialize_with = "at_least::<65_536, _, _>")]
    pub message_size: u64,
    /// Octets of a header section, which stays in memory; at least 1024. A larger one is refused
    /// with 552 5.3.4. Default 131072.
    #[serde(deserialize_with = "at_least::<1_024, _, _>")]
    pub header_size: usize,
    /// Received fields of a message; at least 20. One with more is refused with 554 5.4.6 as a mail
    /// loop. Default 100, the least that §6.3 finds safe.
    #[serde(deserialize_with = "at_least::<20, _, _>")]
    pub received_hops: usize,
    /// Errors at which a session is closed with 421. Commands that were refused for good (5xx) are
    /// counted, except RCPT. Default 20.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub errors: u32,
    /// Refused recipients of a session after which each further one that is refused for good counts
    /// as an error. Default 100.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub refused_recipients: u32,
    /// Sessions of a listener at a time, all clients together. Further ones get 421. Default 1000.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub sessions: usize,
    /// Sessions of a listener at a time from one client address, an IPv6 address counting by its /64 network.
    /// Further ones get 421. Default 100.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub sessions_per_client: usize,
    /// Octets of a message kept in memory; what is longer goes to a temporary file in the spool.
    /// At least 4096. Default 262144 (256 KiB).
    #[serde(deserialize_with = "at_least::<4_096, _, _>")]
    pub memory_per_message: usize,
    /// How long the server waits for a whole command line, and for the client to take a reply; at
    /// least a second. Default 5m (§4.5.3.2.7).
    #[serde(deserialize_with = "span::<1, _>")]
    pub command_timeout: Duration,
    /// How long the server waits for a further piece of a message; at least a second. Default 3m
    /// (§4.5.3.2.5).
    #[serde(deserialize_with = "span::<1, _>")]
    pub data_timeout: Duration,
    /// How long a whole message may take to come in, however many pieces it has; at least a minute.
    /// Default 2h: 50 MiB over a line of 64 kbit/s.
    #[serde(deserialize_with = "span::<60, _>")]
    pub message_timeout: Duration,
    /// How long everything at the end of DATA may take, scans and commit together; then 451. Keep
    /// it well below the client's ten minutes (§4.5.3.2.6). At least a second. Default 120s.
    #[serde(deserialize_with = "span::<1, _>")]
    pub data_deadline: Duration,
    /// How long transactions may go on once the server was told to stop. Default 30s.
    #[serde(deserialize_with = "span::<0, _>")]
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 1_024,
            recipients: 100,
            message_size: 50 * 1_048_576,
            header_size: 131_072,
            received_hops: 100,
            errors: 20,
            refused_recipients: 100,
            sessions: 1_000,
            sessions_per_client: 100,
            memory_per_message: 262_144,
            command_timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(180),
            message_timeout: Duration::from_secs(7_200),
            data_deadline: Duration::from_secs(120),
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_default() {
        assert_eq!(
            toml::from_str::<Limits>("").expect("valid"),
            Limits::default()
        );
    }

    #[test]
    fn keys_are_read() {
        let limits: Limits =
            toml::from_str("recipients = 500\ndata_timeout = \"1m\"").expect("valid");
        assert_eq!(limits.recipients, 500);
        assert_eq!(limits.data_timeout, Duration::from_secs(60));
    }

    #[test]
    fn a_bad_value_is_named_with_the_way_out() {
        for (text, want) in [
            ("recipients = 99", "99 is too small; write 100 or more"),
            ("data_timeout = \"0s\"", "0s is too small; write 1s or more"),
            ("data_timeout = \"soon\"", "`soon` is no span of time"),
            ("errors = 5000000000", "5000000000 is too large"),
            ("recipient = 100", "unknown field `recipient`"),
        ] {
            let error = toml::from_str::<Limits>(text).expect_err(text).to_string();
            assert!(error.contains(want), "{error}");
            assert!(error.contains("line 1"), "{error}");
        }
    }
}
