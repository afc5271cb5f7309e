//! The HTTP/1 server: takes connections, bounds them, and ends them in good order.
//!
//! One request a connection: nothing is pipelined and nothing idles, so what one peer can hold is
//! one small buffer for a limited time. TLS is the business of a proxy in front.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::client::Peer;
use crate::config::{Config, Limits};
use crate::pages::Pages;

/// Octets of a request's header section.
const MAX_HEADER: usize = 16 * 1024;
/// Pause after a failed accept: it fails again at once while file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listening socket, bound before the pages exist so that a test or a demo learns its port.
pub struct Web {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    limits: Limits,
}

impl Web {
    /// Listens at the configured address.
    pub async fn bind(config: &Config) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(config.address).await?,
            slots: Arc::new(Semaphore::new(config.limits.connections)),
            limits: config.limits,
        })
    }

    /// The address that was bound, its port included.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` says true or its sender is gone; then lets running requests end, for at
    /// most the time that one request may take.
    pub async fn run(self, pages: Arc<Pages>, mut stop: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        let router = pages.router();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok(guest) => {
                    tokio::spawn(serve(
                        guest,
                        router.clone(),
                        graceful.watcher(),
                        self.limits,
                    ));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the pages");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        let ended = tokio::time::timeout(self.limits.request_timeout, graceful.shutdown()).await;
        if ended.is_err() {
            tracing::warn!("connections to the pages were cut at the end of the time limit");
        }
    }

    /// The next connection, once there is a slot for it.
    async fn accept(&self) -> io::Result<Guest> {
        let slots = Arc::clone(&self.slots);
        let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = self.listener.accept().await?;
        Ok(Guest { stream, peer, slot })
    }
}

/// A connection in its slot.
struct Guest {
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
}

/// One connection, from its first octet to its end. Errors are the peer's: it went away, or it did
/// not speak HTTP.
async fn serve(guest: Guest, router: Router, watcher: Watcher, limits: Limits) {
    let Guest { stream, peer, slot } = guest;
    // A page in small pieces is slower, not wrong.
    let _ = stream.set_nodelay(true);
    let pages = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        pages.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEADER)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(limits.connection_timeout, watcher.watch(connection)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection to the pages failed"),
        Err(_) => tracing::debug!(%peer, "a connection to the pages took too long"),
    }
    drop(slot);
}
