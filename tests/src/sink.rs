//! A next hop that counts every octet: it records envelopes and raw messages, and answers as a
//! script tells it, command by command, well or badly, with or without PIPELINING, 8BITMIME and
//! STARTTLS. It ends when dropped.

mod session;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::wait;

/// How long a test waits for deliveries.
const LIMIT: Duration = Duration::from_secs(30);

/// One message that the sink took, or took in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The MAIL command without its line end.
    pub mail: String,
    /// The RCPT commands that were answered with 2xx.
    pub rcpt: Vec<String>,
    /// The message as it came, dots included, up to the final dot.
    pub raw: Vec<u8>,
    /// The message with dot-stuffing undone.
    pub message: Vec<u8>,
    /// Whether it came through TLS.
    pub tls: bool,
    /// On which connection, counted from 0.
    pub connection: usize,
    /// The client's address.
    pub from: IpAddr,
}

/// What the sink does instead of its friendly default.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends these octets, CRLF included, whatever they are.
    Say(Vec<u8>),
    /// Sends these octets and closes.
    SayAndClose(Vec<u8>),
    /// Answers nothing more, and keeps the connection open.
    Hang,
    /// Resets the connection.
    Die,
}

/// An act for commands that begin so. `CONNECT` stands for the greeting, `BODY` for the first octets
/// of a message, `.` for its end.
#[derive(Debug)]
struct Rule {
    command: String,
    act: Act,
    left: AtomicUsize,
}

/// How a sink behaves.
pub struct Script {
    offers: Vec<String>,
    rules: Vec<Rule>,
    certificate: Option<CertifiedKey<KeyPair>>,
}

impl Script {
    /// Takes everything and offers PIPELINING, SIZE and 8BITMIME.
    pub fn friendly() -> Self {
        Self::offering(&["PIPELINING", "SIZE 0", "8BITMIME", "ENHANCEDSTATUSCODES"])
    }

    /// Takes everything and offers these keywords.
    pub fn offering(offers: &[&str]) -> Self {
        Self {
            offers: offers.iter().map(|&offer| offer.to_owned()).collect(),
            rules: Vec::new(),
            certificate: None,
        }
    }

    /// Answers commands that begin with `command` (any case) so, instead of with a yes.
    pub fn on(self, command: &str, reply: &str) -> Self {
        self.act(command, Act::Say(format!("{reply}\r\n").into_bytes()))
    }

    /// Does something else at commands that begin so.
    pub fn act(self, command: &str, act: Act) -> Self {
        self.act_times(command, act, usize::MAX)
    }

    /// Does so only the first few times.
    pub fn act_times(mut self, command: &str, act: Act, times: usize) -> Self {
        self.rules.push(Rule {
            command: command.to_ascii_uppercase(),
            act,
            left: AtomicUsize::new(times),
        });
        self
    }

    /// Offers STARTTLS with a certificate of its own making for these names.
    pub fn with_tls(mut self, names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let certified = rcgen::generate_simple_self_signed(names);
        self.certificate = Some(certified.expect("names of a certificate"));
        self.offers.push("STARTTLS".to_owned());
        self
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        let certified = self.certificate.as_ref().expect("with_tls was called");
        certified.cert.pem()
    }

    fn acceptor(&self) -> Option<TlsAcceptor> {
        let certified = self.certificate.as_ref()?;
        let key = certified.signing_key.serialize_der();
        let key = key.try_into().expect("a key that rcgen made");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .expect("a certificate that rcgen made");
        Some(TlsAcceptor::from(Arc::new(config)))
    }

    /// The first act that fits and is not used up.
    fn act_for(&self, command: &str) -> Option<Act> {
        let command = command.to_ascii_uppercase();
        let fits = self
            .rules
            .iter()
            .filter(|rule| command.starts_with(&rule.command));
        let take = |left: usize| left.checked_sub(1);
        fits.into_iter()
            .find(|rule| {
                let left = &rule.left;
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                    .is_ok()
            })
            .map(|rule| rule.act.clone())
    }
}

/// What a sink has seen.
#[derive(Debug, Default)]
struct Seen {
    deliveries: Vec<Delivery>,
    commands: Vec<String>,
    reads: Vec<Vec<u8>>,
    connections: usize,
}

/// A running sink.
pub struct Sink {
    addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _stop: oneshot::Sender<()>,
}

impl Sink {
    /// Starts one on a port of its own.
    pub fn start(script: Script) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), script)
    }

    /// Starts one at an address, on a thread of its own, so that a test may block its own.
    pub fn start_at(addr: SocketAddr, script: Script) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, bound) = std::sync::mpsc::channel();
        let seen = Arc::<Mutex<Seen>>::default();
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind(addr).await.expect("a loopback address");
                ready.send(listener.local_addr()).expect("the test waits");
                tokio::select! {
                    () = serve(listener, Arc::new(script), shared) => {}
                    _ = stopped => {}
                }
            });
        });
        let addr = bound.recv().expect("the sink binds").expect("bound");
        Self {
            addr,
            seen,
            _stop: stop,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The messages that it took so far, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.clone()
    }

    /// Waits until it took so many.
    pub fn wait_for(&self, count: usize) -> Vec<Delivery> {
        wait::until("deliveries", LIMIT, || {
            Some(self.deliveries()).filter(|found| found.len() >= count)
        })
    }

    /// Every command line so far.
    pub fn commands(&self) -> Vec<String> {
        self.lock().commands.clone()
    }

    /// What each read brought, as far as the client's writes were not joined on the way.
    pub fn reads(&self) -> Vec<Vec<u8>> {
        self.lock().reads.clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, script: Arc<Script>, seen: Arc<Mutex<Seen>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let number = {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.connections += 1;
            seen.connections - 1
        };
        let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
        tokio::spawn(async move {
            // The end of a connection, however it comes, is the client's to notice.
            let _ = session::run(socket, number, &script, &seen).await;
        });
    }
}
