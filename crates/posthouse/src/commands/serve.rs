//! `posthouse serve`: runs until SIGTERM or SIGINT; SIGHUP reads the configuration again.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, Outcome, block_on, load};
use crate::log;
use crate::server::{Server, real_ports};

/// Serves. Fails at once on a fault of the configuration, later only if a room ends by itself.
pub(crate) fn run(config: Option<&Path>) -> Outcome {
    let loaded = load(config)?;
    log::start(&loaded.config.log);
    block_on(async {
        let mut signals = Signals::new()?;
        let ports = real_ports(&loaded)?;
        let mut server = Server::start(loaded, ports).await?;
        tracing::info!("ready");
        let result = loop {
            tokio::select! {
                told = signals.next() => match told {
                    Told::Reload => server.reload(),
                    Told::Stop => break Ok(()),
                },
                () = server.failed() => break Err(Failure::Told),
            }
        };
        tracing::info!("stopping");
        server.stop().await;
        result
    })
}

/// What a signal asks for.
pub(super) enum Told {
    Reload,
    Stop,
}

/// The signals that a server listens to.
pub(super) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
        }
    }
}
