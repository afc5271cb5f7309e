//! The URL under which people reach the pages, parsed at the door.

use std::fmt;

use hyper::Uri;
use hyper::http::uri::Authority;
use serde::Deserialize;

/// `http://host` or `https://host:port`: what stands before the path of every link.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SiteUrl {
    origin: String,
    host: String,
    tls: bool,
}

/// Why a text is no [`SiteUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot start a link; write http:// or https://, a host and perhaps a port, such as https://out.isp.example, without a path"
)]
pub struct SiteUrlError(String);

impl SiteUrl {
    /// Reads the URL. A final slash is dropped; a path, a query or a user name is an error.
    pub fn parse(text: &str) -> Result<Self, SiteUrlError> {
        Self::read(text).ok_or_else(|| SiteUrlError(text.to_owned()))
    }

    fn read(text: &str) -> Option<Self> {
        let lower = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let uri: Uri = lower.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        let origin = format!("{}://{authority}", uri.scheme_str()?);
        let whole = origin == lower && has_good_port(authority);
        (whole && is_host(authority.host())).then(|| Self {
            host: authority.host().to_owned(),
            origin,
            tls,
        })
    }

    /// The URL without a final slash: what a browser sends as `Origin` from our own pages, unless
    /// the port is written although it is the scheme's own.
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// The host, for people to read.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether people reach the pages through TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

/// Nothing behind the host, or a colon and a number from 1 to 65535. Nothing before it.
fn has_good_port(authority: &Authority) -> bool {
    match authority.as_str().strip_prefix(authority.host()) {
        Some("") => true,
        Some(port) => port[1..].parse::<u16>().is_ok_and(|port| port != 0),
        None => false,
    }
}

/// Letters, digits, dots, hyphens, or an IPv6 address in brackets: links stand in SMTP replies.
fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    }
}

impl fmt::Display for SiteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

impl TryFrom<String> for SiteUrl {
    type Error = SiteUrlError;
    fn try_from(text: String) -> Result<Self, SiteUrlError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_can_start_a_link() {
        for (text, want) in [
            ("https://out.isp.example", "https://out.isp.example"),
            ("https://Out.ISP.example/", "https://out.isp.example"),
            ("http://127.0.0.1:8025", "http://127.0.0.1:8025"),
            ("http://[::1]:8025", "http://[::1]:8025"),
        ] {
            let url = SiteUrl::parse(text).expect(text);
            assert_eq!(url.as_str(), want);
            assert_eq!(url.is_tls(), want.starts_with("https"));
        }
    }

    #[test]
    fn urls_that_cannot() {
        for text in [
            "",
            "out.isp.example",
            "ftp://out.isp.example",
            "https://",
            "https:///i",
            "https://out.isp.example/quarantine",
            "https://out.isp.example?x",
            "https://out.isp.example#x",
            "https://ann@out.isp.example",
            "https://out.isp.example:0",
            "https://out.isp.example:99999",
            "https://out isp.example",
            "https://out.isp.example\r\n",
            "https://exa'mple",
        ] {
            assert!(SiteUrl::parse(text).is_err(), "{text}");
        }
    }
}
