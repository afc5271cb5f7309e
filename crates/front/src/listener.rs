//! Binds addresses, lets clients in, and stops gracefully.
//!
//! Accepting survives whatever `accept` says; a client that is one too many is told so and let go
//! without a task of its own.

#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::{Chain, Clock, Commit, Domain, IdMaker, Live, Refusal};
use socket2::{Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use crate::census::{Census, Guest};
use crate::limits::Limits;
use crate::phase::Phase;
use crate::service::Service;
use crate::session::Conversation;
use crate::spool::SpoolDir;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1_024;
/// How long to wait when the process or the machine has no more descriptors.
const BREATH: Duration = Duration::from_millis(200);
/// How long sessions have for their 421 once the grace is over; then they are cut.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a listener must know.
#[derive(Debug, Clone)]
pub struct FrontConfig {
    /// The name in greeting and Received fields.
    pub hostname: Domain,
    /// Where to listen. `[::]:25` takes IPv4 clients too, unless `0.0.0.0:25` stands beside it.
    pub addresses: Vec<SocketAddr>,
    /// What it takes at most.
    pub limits: Limits,
    /// A directory of this listener's own for messages too long to be kept in memory. Best on the
    /// store's file system, so that the store can link the files.
    pub spool_dir: PathBuf,
}

/// A listener with its sockets bound.
pub struct Front {
    hostname: Domain,
    limits: Limits,
    spool: SpoolDir,
    sockets: Vec<StdListener>,
}

impl Front {
    /// Binds every address and prepares the spool directory. Clients wait in the backlog until
    /// [`Front::run`]. The error names the address or directory.
    pub fn bind(config: FrontConfig) -> io::Result<Self> {
        let dir = &config.spool_dir;
        let spool = SpoolDir::open(dir).map_err(|error| named(&dir.display(), error))?;
        let addresses = &config.addresses;
        let bind = |at: &SocketAddr| bind(*at, addresses).map_err(|error| named(at, error));
        Ok(Self {
            sockets: addresses.iter().map(bind).collect::<io::Result<_>>()?,
            hostname: config.hostname,
            limits: config.limits,
            spool,
        })
    }

    /// Where it listens, in the order of the configuration; a port 0 has become a real one.
    pub fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(StdListener::local_addr).collect()
    }

    /// Serves until `stop` becomes true (or its sender is gone), and then until the transactions
    /// under way are over, `shutdown_grace` and a few seconds at most.
    ///
    /// A chain that is swapped in serves the sessions that begin afterwards. An error is one of
    /// the runtime's, at the start.
    pub async fn run(
        self,
        chain: Live<Chain>,
        commit: Arc<dyn Commit>,
        clock: Arc<dyn Clock>,
        ids: Arc<IdMaker>,
        stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let census = Census::new(self.limits.sessions, self.limits.sessions_per_client);
        let (hostname, limits, spool) = (self.hostname, self.limits, self.spool);
        let service = Arc::new(Service {
            hostname,
            limits,
            spool,
            commit,
            clock,
            ids,
        });
        let mut doors = JoinSet::new();
        for socket in self.sockets {
            let door = Door {
                socket: TcpListener::from_std(socket)?,
                chain: chain.clone(),
                service: Arc::clone(&service),
                census: Arc::clone(&census),
                phase: watch::Sender::new(Phase::Open),
                sessions: JoinSet::new(),
            };
            doors.spawn(door.keep(stop.clone()));
        }
        while let Some(done) = doors.join_next().await {
            note_panic(done);
        }
        Ok(())
    }
}

/// One socket and the sessions that came through it.
struct Door {
    socket: TcpListener,
    chain: Live<Chain>,
    service: Arc<Service>,
    census: Arc<Census>,
    phase: watch::Sender<Phase>,
    sessions: JoinSet<()>,
}

impl Door {
    async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        let stopped = async {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, client)) => self.admit(stream, client),
                    Err(error) => survive(&error).await,
                },
                Some(done) = self.sessions.join_next() => note_panic(done),
                () = &mut stopped => break,
            }
        }
        let Self {
            socket,
            service,
            phase,
            sessions,
            ..
        } = self;
        drop(socket);
        close(phase, sessions, service.limits.shutdown_grace).await;
    }

    /// Begins a session, or says that it is one too many.
    fn admit(&mut self, stream: TcpStream, client: SocketAddr) {
        match self.census.admit(client.ip()) {
            Some(guest) => self.begin(stream, client, guest),
            None => turn_away(&stream, client),
        }
    }

    fn begin(&mut self, stream: TcpStream, client: SocketAddr, guest: Guest) {
        let (Ok(local), Ok(())) = (stream.local_addr(), stream.set_nodelay(true)) else {
            // The client is gone already.
            return;
        };
        let service = Arc::clone(&self.service);
        let phase = self.phase.subscribe();
        let chain = self.chain.load();
        let session = Box::new(Conversation::new(
            stream,
            [client, local],
            chain,
            service,
            phase,
        ));
        let id = session.session().id;
        let span = tracing::info_span!("session", %id, client = %session.session().client);
        let serve = async move {
            session.run().await;
            drop(guest);
        };
        self.sessions.spawn(serve.instrument(span));
    }
}

/// Waits for the sessions: for their transactions first, then only for their last words.
async fn close(phase: watch::Sender<Phase>, mut sessions: JoinSet<()>, grace: Duration) {
    for (next, patience) in [(Phase::Closing, grace), (Phase::Over, LAST_WORDS)] {
        phase.send_replace(next);
        let ended = async {
            while let Some(done) = sessions.join_next().await {
                note_panic(done);
            }
        };
        if timeout(patience, ended).await.is_ok() {
            return;
        }
    }
    tracing::warn!(sessions = sessions.len(), "sessions cut");
}

/// The client has said nothing yet, so its 421 fits the socket's buffer and no reset follows it.
fn turn_away(stream: &TcpStream, client: SocketAddr) {
    tracing::info!(%client, "one session too many");
    let mut reply = Vec::new();
    Refusal::too_many_sessions()
        .into_reply(None)
        .write_to(&mut reply);
    if let Err(error) = SockRef::from(stream).send(&reply) {
        tracing::debug!(%client, %error, "not told");
    }
}

/// Some errors of `accept` are the client's and pass; the others last, and a loop would spin.
async fn survive(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        return;
    }
    tracing::error!(%error, "cannot accept");
    sleep(BREATH).await;
}

fn note_panic(done: Result<(), JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "session panicked");
    }
}

/// Binds one address. On a machine without IPv6, `[::]` becomes `0.0.0.0`.
fn bind(at: SocketAddr, all: &[SocketAddr]) -> io::Result<StdListener> {
    let any4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), at.port());
    let both = at.ip() == Ipv6Addr::UNSPECIFIED && !all.contains(&any4);
    match listen(at, both) {
        Err(error) if both && lacks_ipv6(&error) => listen(any4, false),
        result => result,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, Unsupported};
    // "Address family not supported" has no kind of its own.
    let no_family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    matches!(error.kind(), AddrNotAvailable | Unsupported)
        || error.raw_os_error() == Some(no_family)
}

fn listen(at: SocketAddr, both: bool) -> io::Result<StdListener> {
    let domain = socket2::Domain::for_address(at);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        socket.set_only_v6(!both)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The same error, saying what it was about.
fn named(what: &dyn std::fmt::Display, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
