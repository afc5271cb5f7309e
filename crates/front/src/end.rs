//! Why a session ends. One closed set, so that every way out passes the same door.

use std::fmt;
use std::io;

/// What ended a session.
#[derive(Debug)]
pub(crate) enum End {
    /// A reply that closes was said: to QUIT, or a refusal.
    Said,
    /// The client closed the connection.
    Left,
    /// The client was silent for too long.
    Silent,
    /// The server goes down.
    Stopping,
    /// The connection broke.
    Broken(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said => f.write_str("by a reply"),
            Self::Left => f.write_str("the client left"),
            Self::Silent => f.write_str("the client was silent"),
            Self::Stopping => f.write_str("the server stops"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
        }
    }
}
