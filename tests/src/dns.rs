//! A DNS server inside the test process: zones as text, on a loopback port, over UDP and TCP.
//!
//! Names below one that exists get NOERROR without records, others NXDOMAIN. It can be told to
//! answer SERVFAIL for a name, or not at all. It never asks anybody else.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr as _;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Header, HeaderCounts, Metadata, ResponseCode};
use hickory_server::proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_server::proto::serialize::txt::Parser;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::oneshot;

/// Most CNAME records that are followed for one question.
const MAX_ALIASES: usize = 12;

/// What a server knows.
#[derive(Default, Clone)]
pub struct Zone {
    records: HashMap<LowerName, Vec<Record>>,
    failing: HashSet<LowerName>,
    silent: HashSet<LowerName>,
}

impl Zone {
    /// Reads records in the form of a zone file (RFC 1035 §5): absolute names, no TTL needed.
    pub fn parse(text: &str) -> Self {
        let mut zone = Self::default();
        let text = format!("$TTL 60\n{text}\n");
        let (_, sets) = Parser::new(text.as_str(), None, Some(Name::root()))
            .parse()
            .unwrap_or_else(|error| panic!("a zone of the test is wrong: {error}\n{text}"));
        for set in sets.into_values() {
            for record in set.records_without_rrsigs() {
                zone.add(record.clone());
            }
        }
        zone
    }

    /// Adds one record.
    pub fn add(&mut self, record: Record) {
        let name = LowerName::from(&record.name);
        self.records.entry(name).or_default().push(record);
    }

    /// Answers SERVFAIL for this name, whatever the type.
    pub fn failing(mut self, name: &str) -> Self {
        self.failing.insert(lower(name));
        self
    }

    /// Never answers for this name.
    pub fn silent(mut self, name: &str) -> Self {
        self.silent.insert(lower(name));
        self
    }

    /// Adds what [`Zone::silent`] adds, to a zone that is being built in a loop.
    pub fn silence(&mut self, name: &str) {
        self.silent.insert(lower(name));
    }

    fn answer(&self, name: &LowerName, kind: RecordType) -> (ResponseCode, Vec<Record>) {
        if self.failing.contains(name) {
            return (ResponseCode::ServFail, Vec::new());
        }
        let found = self.follow(name, kind);
        let code = match found.is_empty() && !self.exists(name) {
            true => ResponseCode::NXDomain,
            false => ResponseCode::NoError,
        };
        (code, found)
    }

    /// The records, with the aliases that lead to them in front.
    fn follow(&self, name: &LowerName, kind: RecordType) -> Vec<Record> {
        let mut found = Vec::new();
        let mut name = name.clone();
        for _ in 0..MAX_ALIASES {
            let here = self.records.get(&name).map_or(&[][..], Vec::as_slice);
            found.extend(here.iter().filter(|r| r.record_type() == kind).cloned());
            let alias = here.iter().find(|r| r.record_type() == RecordType::CNAME);
            let Some((alias, RData::CNAME(target))) = alias.map(|r| (r, &r.data)) else {
                break;
            };
            if kind == RecordType::CNAME {
                break;
            }
            found.push(alias.clone());
            name = LowerName::from(&target.0);
        }
        found
    }

    /// A name exists if it or anything below it has records (RFC 8020).
    fn exists(&self, name: &LowerName) -> bool {
        self.records.keys().any(|known| name.zone_of(known))
    }
}

fn lower(name: &str) -> LowerName {
    let mut name = Name::from_str(name).expect("a domain name in a test");
    name.set_fqdn(true);
    LowerName::from(&name)
}

/// A running server; it ends when dropped.
pub struct Dns {
    addr: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Dns {
    /// Serves these records.
    pub fn start(zone: &str) -> Self {
        Self::serve(Zone::parse(zone))
    }

    /// Serves a zone, on a thread of its own, so that a test may block its own.
    pub fn serve(zone: Zone) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, bound) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let (udp, tcp) = sockets().await;
                let addr = udp.local_addr().expect("a bound socket");
                let mut server = Server::new(Handler(zone));
                server.register_socket(udp);
                server.register_listener(tcp, Duration::from_secs(5), 64);
                ready.send(addr).expect("the test waits");
                let _ = stopped.await;
                drop(server);
            });
        });
        Self {
            addr: bound.recv().expect("the server binds a loopback port"),
            _stop: stop,
        }
    }

    /// Where it answers.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// How many ports are tried: another run of the tests may take one that was found free.
const TRIES: usize = 100;

/// One port for both transports.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..TRIES {
        let addr: SocketAddr = (Ipv4Addr::LOCALHOST, crate::ports::free()).into();
        let udp = UdpSocket::bind(addr).await;
        let tcp = TcpListener::bind(addr).await;
        if let (Ok(udp), Ok(tcp)) = (udp, tcp) {
            return (udp, tcp);
        }
    }
    panic!("none of {TRIES} ports stayed free");
}

/// A server that is not one; it ends when dropped.
pub struct NoDns {
    addr: SocketAddr,
    _stop: std::sync::mpsc::Sender<()>,
}

impl NoDns {
    /// Takes questions and never answers.
    pub fn hung() -> Self {
        Self::answering(None)
    }

    /// Answers every question with octets that are no answer.
    pub fn garbage() -> Self {
        Self::answering(Some(b"\xff\x00 these are no answers \x00\xc0\x0c\xc0\x0c"))
    }

    fn answering(octets: Option<&'static [u8]>) -> Self {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let addr = socket.local_addr().expect("a bound socket");
        let look = Duration::from_millis(50);
        socket
            .set_read_timeout(Some(look))
            .expect("a socket of ours");
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            use std::sync::mpsc::TryRecvError::Disconnected;
            let mut question = [0; 512];
            while stopped.try_recv() != Err(Disconnected) {
                if let (Ok((_, client)), Some(octets)) = (socket.recv_from(&mut question), octets) {
                    // The id is right, so that it is looked at.
                    let answer = [&question[..2], octets].concat();
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        Self { addr, _stop: stop }
    }

    /// Where it takes questions.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

struct Handler(Zone);

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.recursion_available = true;
        let mut answers = Vec::new();
        match request.request_info() {
            Err(_) => metadata.response_code = ResponseCode::FormErr,
            Ok(info) if self.0.silent.contains(info.query.name()) => {
                return std::future::pending().await;
            }
            Ok(info) => {
                (metadata.response_code, answers) =
                    self.0.answer(info.query.name(), info.query.query_type());
            }
        }
        let reply = MessageResponseBuilder::from_message_request(request).build(
            metadata,
            &answers,
            [],
            [],
            [],
        );
        let counts = HeaderCounts::default();
        match response.send_response(reply).await {
            Ok(info) => info,
            Err(_gone) => Header { metadata, counts }.into(),
        }
    }
}
