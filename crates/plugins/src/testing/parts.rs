//! Surroundings without a program: lists inline, chains by hand.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthouse_hook::{
    AddressList, Chain, Content, DomainList, ForwardPath, Header, Id, Live, Message, NetworkList,
    OnError, Plugin, Recipient, ReversePath, Session, Step, SystemClock, Timestamp, Transaction,
};

use super::{Zone, ip};
use crate::filtered::Filtered;
use crate::options::{BuildError, ListSpec};
use crate::sources::{Renew, Sources};
use crate::surroundings::{AsideError, Common, Surroundings};

/// Ours are `isp.example`, 192.0.2.0/24, and the server 192.0.2.10.
pub(crate) struct Parts {
    pub(crate) common: Common,
    pub(crate) chains: HashMap<String, Arc<Chain>>,
    /// What was made of files, with the files: to be renewed by hand.
    pub(crate) kept: Vec<(Box<dyn Renew>, Sources)>,
}

impl Parts {
    pub(crate) fn new(zone: Zone) -> Self {
        let mut domains = DomainList::default();
        domains.add("isp.example").expect("a domain");
        let mut networks = NetworkList::default();
        networks.add("192.0.2.0/24").expect("a network");
        let mut servers = NetworkList::default();
        servers.add("192.0.2.10").expect("an address");
        let common = Common {
            hostname: "out.isp.example".to_owned(),
            our_domains: Live::new(domains),
            our_networks: Live::new(networks),
            our_servers: Live::new(servers),
            resolver: Arc::new(zone),
            next_hop: None,
            clock: Arc::new(SystemClock),
            store: None,
            link_len: 80,
            filtered: Filtered::default(),
            templates: None,
            base: PathBuf::new(),
        };
        Self {
            common,
            chains: HashMap::new(),
            kept: Vec::new(),
        }
    }

    /// Adds a chain of one plugin.
    pub(crate) fn chain(mut self, name: &str, plugin: Arc<dyn Plugin>) -> Self {
        let chain = Chain::new(name, vec![step(name, plugin)]);
        self.chains.insert(name.to_owned(), Arc::new(chain));
        self
    }

    /// Builds one plugin from the text of its options.
    pub(crate) fn build(
        &mut self,
        kind: &str,
        options: &str,
    ) -> Result<Arc<dyn Plugin>, BuildError> {
        let table = toml::de::DeTable::parse(options).expect("TOML");
        crate::registry::build(kind, kind, table, self)
    }
}

impl Surroundings for Parts {
    fn common(&self) -> &Common {
        &self.common
    }

    fn domains(&mut self, spec: &ListSpec) -> Result<Live<DomainList>, String> {
        let mut list = DomainList::default();
        spec.entries()
            .iter()
            .try_for_each(|entry| list.add(entry))?;
        Ok(Live::new(list))
    }

    fn networks(&mut self, spec: &ListSpec) -> Result<Live<NetworkList>, String> {
        let mut list = NetworkList::default();
        spec.entries()
            .iter()
            .try_for_each(|entry| list.add(entry))?;
        Ok(Live::new(list))
    }

    fn addresses(&mut self, spec: &ListSpec) -> Result<Live<AddressList>, String> {
        let mut list = AddressList::default();
        spec.entries()
            .iter()
            .try_for_each(|entry| list.add(entry))?;
        Ok(Live::new(list))
    }

    fn keep(&mut self, mut made: Box<dyn Renew>) -> Result<(), String> {
        let mut sources = Sources::default();
        made.renew(&mut sources)?;
        self.kept.push((made, sources));
        Ok(())
    }

    fn chain(&mut self, name: &str) -> Result<Arc<Chain>, AsideError> {
        self.chains.get(name).cloned().ok_or(AsideError::Name {
            problem: "no chain of that name".to_owned(),
            way_out: "define it".to_owned(),
        })
    }
}

/// A step with a time limit that no test reaches.
pub(crate) fn step(name: &str, plugin: Arc<dyn Plugin>) -> Step {
    Step {
        name: name.to_owned(),
        plugin,
        timeout: Duration::from_secs(60),
        on_error: OnError::Defer,
    }
}

/// A session of the client at that address.
pub(crate) fn session(client: &str) -> Session {
    let client = SocketAddr::new(ip(client), 40_000);
    let mut session = Session::new(Id(1), client, client, Timestamp(0));
    session.helo = Some("client.example".to_owned());
    session
}

/// A transaction with its whole message.
pub(crate) fn transaction(from: &str, to: &[&str], message: &str) -> Transaction {
    let sender = ReversePath::parse(from).expect("a path");
    let mut tx = Transaction::new(Id(2), Timestamp(0), sender);
    let recipient = |to: &&str| Recipient::new(ForwardPath::parse(to).expect("a path"));
    tx.recipients = to.iter().map(recipient).collect();
    let bytes = Bytes::from(message.replace('\n', "\r\n"));
    let end = memchr::memmem::find(&bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    tx.message = Message {
        header: Arc::new(Header::parse(bytes.slice(..end))),
        content: Content::Memory(bytes),
    };
    tx
}
