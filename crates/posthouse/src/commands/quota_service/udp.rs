//! The UDP side: a datagram with a user's name, one back with the line about it.
//!
//! What is no name, and what comes from where nobody may ask, is not answered; nor is what comes
//! while too many wait, for the sender of a datagram asks again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Line, Service};

/// Longest datagram that is a name, in octets.
const MAX_NAME: usize = 512;
/// Questions that are worked on at the same time.
const MOST: usize = 256;
/// Pause after a failed receive, so that a fault that lasts does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until `stop` says true.
pub(super) async fn run(socket: UdpSocket, service: Service, mut stop: watch::Receiver<bool>) {
    let room = Room {
        socket: Arc::new(socket),
        service,
        slots: Arc::new(Semaphore::new(MOST)),
    };
    // One octet more than a name may have, to tell one that is longer.
    let mut buffer = [0; MAX_NAME + 1];
    loop {
        let received = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            received = room.socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((len, from)) => room.take(&buffer[..len], from),
            Err(error) => {
                tracing::warn!(%error, "cannot receive a datagram");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

struct Room {
    socket: Arc<UdpSocket>,
    service: Service,
    slots: Arc<Semaphore>,
}

impl Room {
    fn take(&self, datagram: &[u8], from: SocketAddr) {
        if datagram.len() > MAX_NAME || !self.service.allows(from.ip()) {
            return;
        }
        let Ok(user) = std::str::from_utf8(datagram) else {
            return;
        };
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            tracing::debug!(%from, "too many questions at the same time: one is dropped");
            return;
        };
        let user = user.trim_end_matches(['\r', '\n']).to_owned();
        let (socket, service) = (Arc::clone(&self.socket), self.service.clone());
        tokio::spawn(answer(socket, service, user, from, slot));
    }
}

async fn answer(
    socket: Arc<UdpSocket>,
    service: Service,
    user: String,
    from: SocketAddr,
    _slot: OwnedSemaphorePermit,
) {
    let line = match service.line(&user, None).await {
        Some(Line::Known(line) | Line::Unknown(line) | Line::CannotTell(line)) => line,
        None => return,
    };
    if let Err(error) = socket.send_to(line.as_bytes(), from).await {
        tracing::debug!(%from, %error, "an answer was not sent");
    }
}
