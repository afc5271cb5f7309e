//! Where a scanner's server is, and a connection to it. Nothing here knows a protocol.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// The address of a scanner's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `host:port`; a name is looked up at each connection.
    Tcp(String),
    /// The path of a socket; starts with a slash.
    Unix(PathBuf),
}

/// A connection, whatever it runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Address {
    /// Reads `host:port` or the path of a socket.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.starts_with('/') {
            return Some(Self::Unix(text.into()));
        }
        let (host, port) = text.rsplit_once(':')?;
        let whole = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0);
        whole.then(|| Self::Tcp(text.to_owned()))
    }

    /// Connects within `limit`; every address of a name is tried. The error is for the operator.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<Box<dyn Stream>, String> {
        match tokio::time::timeout(limit, self.open()).await {
            Err(_) => Err(format!("no connection to {self} within {limit:?}")),
            Ok(Err(error)) => Err(format!("no connection to {self}: {error}")),
            Ok(Ok(stream)) => Ok(stream),
        }
    }

    async fn open(&self) -> std::io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no address; write host:port, [ipv6]:port or /path/of/a/socket"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port_or_a_path() {
        let tcp = |text: &str| Some(Address::Tcp(text.to_owned()));
        assert_eq!(Address::parse("127.0.0.1:783"), tcp("127.0.0.1:783"));
        assert_eq!(Address::parse("[::1]:783"), tcp("[::1]:783"));
        let path = Address::Unix("/run/spamd.sock".into());
        assert_eq!(Address::parse("/run/spamd.sock"), Some(path));
        for text in [
            "",
            "localhost",
            ":783",
            "localhost:",
            "localhost:0",
            "a:99999",
            "a:spamd",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_closed_door_is_named() {
        let path = "/nowhere/at/all.sock";
        let address = Address::parse(path).expect("a path");
        let error = address.connect(Duration::from_secs(5)).await.err();
        assert!(error.is_some_and(|error| error.contains(path)));
    }
}
