//! Plugins by themselves: built as the program builds them, asked through a chain.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::facts::Scans;
use posthouse_hook::{
    AddressList, Chain, Domain, DomainList, ForwardPath, Header, Id, Live, LookupError, Message,
    Mx, NetworkList, OnError, Recipient, Resolver, ReversePath, Session, Step, SystemClock,
    Timestamp, Transaction, Verdict,
};
use posthouse_plugins::{
    AsideError, BuildError, Common, ListSpec, Renew, Sources, Surroundings, build,
};

/// The client of [`ask`].
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const CLIENT_NAME: &str = "client.test";

/// A chain of one plugin, with these options in TOML.
pub fn chain_of(kind: &str, options: &str) -> Result<Chain, BuildError> {
    let table = toml::de::DeTable::parse(options).expect("the test's options are TOML");
    let plugin = build(kind, kind, table, &mut Alone::new())?;
    let step = Step {
        name: kind.to_owned(),
        plugin,
        timeout: Duration::from_secs(60),
        on_error: OnError::Defer,
    };
    Ok(Chain::new("test", vec![step]))
}

/// What a chain came to at the end of DATA.
#[derive(Debug)]
pub struct Asked {
    /// Its last word.
    pub verdict: Verdict,
    /// What scanners left.
    pub scans: Scans,
    /// The transaction as it is afterwards.
    pub tx: Transaction,
}

/// Asks the chain about a message from a@a.test to b@b.test, from client.test [192.0.2.1].
pub fn ask(chain: &Chain, message: Message) -> Asked {
    let client = (CLIENT, 4711).into();
    let mut session = Session::new(Id(1), client, client, Timestamp(0));
    session.helo = Some(CLIENT_NAME.to_owned());
    let from = ReversePath::from_address("a@a.test").expect("an address");
    let to = ForwardPath::from_address("b@b.test").expect("an address");
    let mut tx = Transaction::new(Id(2), Timestamp(0), from);
    tx.recipients.push(Recipient::new(to));
    tx.message = message;
    let verdict = runtime().block_on(chain.data(&mut session, &mut tx));
    let scans = tx.notes.get::<Scans>().cloned().unwrap_or_default();
    Asked { verdict, scans, tx }
}

/// A message in memory.
pub fn message(octets: &[u8]) -> Message {
    let octets = bytes::Bytes::copy_from_slice(octets);
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n");
    let header = octets.slice(..end.map_or(octets.len(), |end| end + 4));
    Message {
        header: Arc::new(Header::parse(header)),
        content: posthouse_hook::Content::Memory(octets),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Surroundings with nothing in them: no files, no other chain, nearly no DNS, no store.
struct Alone(Common);

impl Alone {
    fn new() -> Self {
        Self(Common {
            hostname: "out.test".to_owned(),
            our_domains: Live::default(),
            our_networks: Live::default(),
            our_servers: Live::default(),
            resolver: Arc::new(OneClient),
            next_hop: None,
            clock: Arc::new(SystemClock),
            store: None,
            link_len: 57,
            filtered: posthouse_plugins::Filtered::default(),
            templates: None,
            base: std::path::PathBuf::new(),
        })
    }
}

impl Surroundings for Alone {
    fn common(&self) -> &Common {
        &self.0
    }

    fn domains(&mut self, _spec: &ListSpec) -> Result<Live<DomainList>, String> {
        Ok(Live::default())
    }

    fn networks(&mut self, _spec: &ListSpec) -> Result<Live<NetworkList>, String> {
        Ok(Live::default())
    }

    fn addresses(&mut self, _spec: &ListSpec) -> Result<Live<AddressList>, String> {
        Ok(Live::default())
    }

    fn keep(&mut self, mut made: Box<dyn Renew>) -> Result<(), String> {
        made.renew(&mut Sources::default())
    }

    fn chain(&mut self, name: &str) -> Result<Arc<Chain>, AsideError> {
        Err(AsideError::Name {
            problem: format!("there is no chain {name} here"),
            way_out: "test it where there is".to_owned(),
        })
    }
}

/// DNS that knows the name of the client of [`ask`], and nothing else.
struct OneClient;

#[async_trait]
impl Resolver for OneClient {
    async fn mx(&self, _domain: &Domain) -> Result<Vec<Mx>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn addresses(&self, domain: &Domain) -> Result<Vec<IpAddr>, LookupError> {
        let known = domain.as_str() == CLIENT_NAME;
        known.then(|| vec![CLIENT]).ok_or(LookupError::NotFound)
    }

    async fn txt(&self, _domain: &Domain) -> Result<Vec<Vec<u8>>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn names(&self, ip: IpAddr) -> Result<Vec<Domain>, LookupError> {
        let name = Domain::parse(CLIENT_NAME).expect("a domain");
        (ip == CLIENT)
            .then(|| vec![name])
            .ok_or(LookupError::NotFound)
    }
}
