//! The `[web]` section: where the pages are served, and what one visitor may cost.
//!
//! Everything is checked here, at the door: a value that cannot work is an error that names it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use posthouse_hook::NetworkList;
use posthouse_hook::bounds::{at_least, span};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio::sync::Semaphore;

use crate::url::SiteUrl;

/// Where the pages are served.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen; default 127.0.0.1:8025. The pages are plain HTTP: TLS is for a proxy in
    /// front.
    #[serde(default = "default_address")]
    pub address: SocketAddr,
    /// The start of every link, as people reach it.
    pub url: SiteUrl,
    /// How people reach the operator: shown where a page says that the operator decides.
    #[serde(default)]
    pub contact: Option<String>,
    /// From whom `X-Forwarded-For` is believed; default the machine itself.
    #[serde(default = "loopback", deserialize_with = "networks")]
    pub trusted_proxies: NetworkList,
    /// What one visitor, and all together, may cost.
    #[serde(default)]
    pub limits: Limits,
}

/// `[web.limits]`. Every key bounds memory or time that a visitor could otherwise choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at one time, at least 1; more wait in the kernel's backlog. Default 256.
    #[serde(deserialize_with = "connections")]
    pub connections: usize,
    /// Octets of a request's body, at least 1024: forms are small. Default 16384.
    #[serde(deserialize_with = "at_least::<1_024, _, _>")]
    pub request_octets: usize,
    /// Octets of a message that are read to show it as text, at least 1024. Default 65536.
    #[serde(deserialize_with = "at_least::<1_024, _, _>")]
    pub preview_octets: u64,
    /// Within which a request's header must be here, at least a second. Default 10s.
    #[serde(deserialize_with = "span::<1, _>")]
    pub header_timeout: Duration,
    /// Within which a request must be read and answered, the bytes of a download apart; at least a
    /// second. Default 30s.
    #[serde(deserialize_with = "span::<1, _>")]
    pub request_timeout: Duration,
    /// After which a connection ends, a download included; at least a second. Default 5m.
    #[serde(deserialize_with = "span::<1, _>")]
    pub connection_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            request_octets: 16 * 1024,
            preview_octets: 64 * 1024,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            connection_timeout: Duration::from_secs(300),
        }
    }
}

impl Config {
    /// The defaults, served at `address` and reached under `url`.
    pub fn new(address: SocketAddr, url: SiteUrl) -> Self {
        Self {
            address,
            url,
            contact: None,
            trusted_proxies: loopback(),
            limits: Limits::default(),
        }
    }
}

fn default_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 8025))
}

fn loopback() -> NetworkList {
    let mut list = NetworkList::default();
    for entry in ["127.0.0.0/8", "::1"] {
        list.add(entry).expect("a network");
    }
    list
}

fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<NetworkList, D::Error> {
    let mut list = NetworkList::default();
    for entry in Vec::<String>::deserialize(from)? {
        list.add(&entry).map_err(D::Error::custom)?;
    }
    Ok(list)
}

/// At least one, and not more than can be counted while they run.
fn connections<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let count = at_least::<1, usize, D>(from)?;
    if count > Semaphore::MAX_PERMITS {
        return Err(D::Error::custom(format!("{count} is too large")));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_read_strictly() {
        let read = |text: &str| serde_json::from_str::<Config>(text);
        let config = read(r#"{"url": "https://out.isp.example"}"#).expect("defaults");
        assert_eq!(config.address.port(), 8025);
        assert!(config.trusted_proxies.contains(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(config.limits, Limits::default());
        let limited = |limits: &str| format!(r#"{{"url": "http://a", "limits": {{{limits}}}}}"#);
        let config = read(&limited(r#""header_timeout": "3s""#)).expect("valid");
        assert_eq!(config.limits.header_timeout, Duration::from_secs(3));
        for (text, want) in [
            (r#"{"url": "out.isp.example"}"#, "cannot start a link"),
            (
                r#"{"url": "http://a", "trusted_proxies": ["x"]}"#,
                "neither",
            ),
            (r#"{"url": "http://a", "colour": 1}"#, "unknown field"),
            (r"{}", "missing field `url`"),
            (&limited(r#""connections": 0"#), "write 1 or more"),
            (&limited(r#""request_timeout": "0s""#), "write 1s or more"),
            (&limited(r#""colour": 1"#), "unknown field"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
