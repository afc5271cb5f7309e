//! Clients that speak before it is their turn (RFC 5321 §4.3.1): what the listener notices, and tells
//! plugins through session notes. Nothing that a client said is lost by it.

use bytes::Bytes;
use tokio::sync::watch;

/// Session note: an ear to the client from the connection to the greeting. Only where there is a
/// listener.
#[derive(Debug, Clone)]
pub struct EarlyTalk(watch::Receiver<Option<Bytes>>);

/// The listener's side of an [`EarlyTalk`].
#[derive(Debug)]
pub struct EarlyEar(watch::Sender<Option<Bytes>>);

/// Session note: something stood behind the client's HELO or EHLO before that was answered, though
/// these end a group of commands (RFC 2920 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlyPipelining;

impl EarlyTalk {
    /// Both sides, with a client that has said nothing yet.
    pub fn new() -> (EarlyEar, Self) {
        let (ear, talk) = watch::channel(None);
        (EarlyEar(ear), Self(talk))
    }

    /// Resolves once the client speaks before the greeting, with the first of what it says; never,
    /// if it does not.
    pub async fn heard(&self) -> Bytes {
        let mut talk = self.0.clone();
        let said = talk.wait_for(Option::is_some).await;
        let said = said.ok().and_then(|said| said.clone());
        match said {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }
}

impl EarlyEar {
    /// The client has spoken; the octets are the first of what it said.
    pub fn hears(&self, octets: &[u8]) {
        self.0.send_replace(Some(Bytes::copy_from_slice(octets)));
    }
}
