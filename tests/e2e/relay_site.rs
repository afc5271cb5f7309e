//! A relay over a real store, with DNS from a table: for the tests of the way out. Messages are
//! committed as the listener would; what became of them is read from the audit.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use posthouse_hook::proofs::RelayClient;
use posthouse_hook::{
    Clock, Commit as _, Content, Disposition, Domain, ForwardPath, Header, Id, Judgement,
    LookupError, Message, Mx, Outcome, Recipient, Resolver, ReversePath, Session, Spooled,
    SystemClock, Transaction,
};
use posthouse_relay::{Letters, LettersConfig, Relay, RelayConfig, Surroundings};
use posthouse_store::{Audited, Settings, Store};
use posthouse_tests::wait;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::relay_people::RowTable;

/// The Received field that the listener would have written.
pub(crate) const RECEIVED: &str = "Received: from client.test ([192.0.2.1])\r\n\tby out.isp.example (Posthouse) with ESMTP id 1;\r\n\tFri, 20 Nov 2026 06:48:00 +0000\r\n";
/// How long a test waits for an event.
const LIMIT: Duration = Duration::from_secs(30);
/// Steps are short, so that a next hop that hangs costs a test a second.
const TIMEOUTS: &str = "timeout = { connect = \"2s\", greeting = \"1s\", helo = \"1s\", mail = \"1s\", rcpt = \"1s\", data = \"1s\", block = \"2s\", dot = \"1s\" }";

/// A running relay.
pub(crate) struct Site {
    pub(crate) store: Store,
    /// Which targets of redirects are filtered.
    pub(crate) rows: RowTable,
    runtime: Runtime,
    stop: watch::Sender<bool>,
    relay: Arc<Relay>,
    running: Option<JoinHandle<()>>,
    state: TempDir,
}

/// A message to be relayed.
#[derive(Default)]
pub(crate) struct Mail<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a [&'a str],
    pub(crate) message: &'a [u8],
    /// The client said BODY=8BITMIME.
    pub(crate) eight_bit: bool,
    pub(crate) judgement: Option<Judgement>,
}

/// DNS as a table: `mx domain` → `10 host, 20 host`, `a host` → addresses, `!` is no answer,
/// `panic` a panic.
#[derive(Default, Clone)]
pub(crate) struct Zone(HashMap<String, String>);

impl Site {
    /// A relay that sends everything to one address; `more` are further lines of `[relay]`.
    pub(crate) fn to(next_hop: SocketAddr, more: &str) -> Self {
        let route = format!("route = [{{ domain = \"*\", next_hop = \"smtp://{next_hop}\" }}]");
        Self::start(&format!("{route}\n{more}"), Zone::default())
    }

    /// A relay with these lines of `[relay]`.
    pub(crate) fn start(relay: &str, zone: Zone) -> Self {
        let mut relay = relay.to_owned();
        for (key, line) in [
            ("timeout", TIMEOUTS),
            ("rest", "rest = \"0s\""),
            ("retry", "retry = [\"1s\"]"),
        ] {
            if !relay.lines().any(|l| l.starts_with(key)) {
                relay.push_str(&format!("\n{line}"));
            }
        }
        let config: RelayConfig = toml::from_str(&relay).expect("the test's configuration");
        let state = tempfile::tempdir().expect("a temporary directory");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(settings(&state), Arc::clone(&clock)).expect("a new store");
        let rows = RowTable::default();
        let around = Surroundings {
            hostname: Domain::parse("out.isp.example").expect("valid"),
            store: store.clone(),
            rows: Arc::new(rows.clone()),
            resolver: Arc::new(zone),
            clock,
            reach: Default::default(),
        };
        // The test says when letters are written.
        let letters = LettersConfig {
            send: false,
            ..LettersConfig::default()
        };
        let relay = Relay::new(config, letters, around, None);
        let relay = Arc::new(relay.expect("good templates"));
        let (stop, stopped) = watch::channel(false);
        let run = Arc::clone(&relay);
        let running = runtime.spawn(async move { run.run(stopped).await });
        Self {
            store,
            rows,
            runtime,
            stop,
            relay,
            running: Some(running),
            state,
        }
    }

    /// Commits a message to be relayed to all.
    pub(crate) fn submit(&self, mail: &Mail<'_>) -> Id {
        let bytes = Bytes::copy_from_slice(mail.message);
        self.submit_content(mail, Content::Memory(bytes))
    }

    /// The same with a message in a file.
    pub(crate) fn submit_spooled(&self, mail: &Mail<'_>) -> Id {
        let path = self.state.path().join("incoming");
        std::fs::write(&path, mail.message).expect("a file");
        let len = mail.message.len() as u64;
        self.submit_content(mail, Content::Spooled(Arc::new(Incoming { path, len })))
    }

    fn submit_content(&self, mail: &Mail<'_>, content: Content) -> Id {
        let now = SystemClock.now();
        let ids = self.store.ids();
        let client: SocketAddr = ([192, 0, 2, 1], 4711).into();
        let mut session = Session::new(ids.next(now), client, client, now);
        session.notes.put(RelayClient);
        let from = ReversePath::from_address(mail.from).expect("an address");
        let mut tx = Transaction::new(ids.next(now), now, from);
        for to in mail.to {
            let path = ForwardPath::from_address(to).expect("an address");
            let redirect = self.store.choices().of_recipient(&path).target().cloned();
            tx.recipients.push(Recipient {
                redirect,
                ..Recipient::new(path)
            });
        }
        tx.received = RECEIVED.to_owned();
        if mail.eight_bit {
            tx.body_type = posthouse_hook::BodyType::EightBitMime;
        }
        if let Some(judgement) = &mail.judgement {
            tx.notes.put(judgement.clone());
        }
        tx.message = Message {
            header: Arc::new(Header::parse(Bytes::copy_from_slice(mail.message))),
            content,
        };
        let outcome = Outcome::Accepted(vec![Disposition::Relay; mail.to.len()]);
        let commit = self.store.commit(&session, &tx, &outcome);
        self.runtime.block_on(commit).expect("the store works").id
    }

    /// The audit lines of that event, once there are `count` of them.
    pub(crate) fn events(&self, id: Id, event: &str, count: usize) -> Vec<Audited> {
        wait::until(&format!("{count} × {event}"), LIMIT, || {
            Some(self.audited(id, event)).filter(|lines| lines.len() >= count)
        })
    }

    /// The audit lines of that event so far.
    pub(crate) fn audited(&self, id: Id, event: &str) -> Vec<Audited> {
        let lines = self
            .block_on(self.store.audit(id))
            .expect("the store works");
        lines
            .into_iter()
            .filter(|line| line.event == event)
            .collect()
    }

    /// What the one event of that name says.
    pub(crate) fn said(&self, id: Id, event: &str) -> String {
        self.events(id, event, 1).remove(0).detail
    }

    /// The ledger's file.
    pub(crate) fn ledger(&self) -> std::path::PathBuf {
        self.state.path().join("state/ledger.db")
    }

    /// The writer of letters.
    pub(crate) fn letters(&self) -> &Letters {
        self.relay.letters()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Tells the relay to stop, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(running) = self.running.take() {
            let ended = self.runtime.block_on(running);
            ended.expect("the relay ends without a panic");
        }
    }
}

/// One message to one recipient.
pub(crate) fn mail<'a>(to: &'a [&'a str], message: &'a [u8]) -> Mail<'a> {
    Mail {
        from: "ann@a.example",
        to,
        message,
        ..Mail::default()
    }
}

pub(crate) fn settings(state: &TempDir) -> Settings {
    Settings {
        state: state.path().join("state"),
        node: 1,
        link_base: "https://out.isp.example".to_owned(),
        min_free: 1,
        spool_threshold: 128 * 1024,
        handoff_bytes: 4 * 1024 * 1024,
        retention: Duration::from_secs(30 * 86_400),
        bounds: posthouse_store::Bounds::default(),
        audit_kept: Duration::from_secs(30 * 86_400),
        observed_kept: Duration::from_secs(30 * 86_400),
        judged_kept: Duration::from_secs(30 * 86_400),
    }
}

/// A message as the listener spools it.
struct Incoming {
    path: std::path::PathBuf,
    len: u64,
}

impl Spooled for Incoming {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self) -> std::io::Result<Box<dyn std::io::Read + Send>> {
        Ok(Box::new(std::fs::File::open(&self.path)?))
    }

    fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Zone {
    pub(crate) fn of(records: &[(&str, &str)]) -> Self {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self(records.iter().map(own).collect())
    }

    fn get(&self, kind: &str, name: &Domain) -> Result<Vec<String>, LookupError> {
        match self.0.get(&format!("{kind} {name}")).map(String::as_str) {
            None => Err(LookupError::NotFound),
            Some("panic") => panic!("a resolver of the test, as it was told"),
            Some("!") => Err(LookupError::Temporary("SERVFAIL".to_owned())),
            Some(text) => Ok(text.split(", ").map(str::to_owned).collect()),
        }
    }
}

#[async_trait]
impl Resolver for Zone {
    async fn mx(&self, domain: &Domain) -> Result<Vec<Mx>, LookupError> {
        let records = self.get("mx", domain)?;
        let parse = |record: &String| {
            let (preference, host) = record.split_once(' ').expect("two words");
            Mx {
                preference: preference.parse().expect("a number"),
                host: Domain::parse(host).ok(),
            }
        };
        Ok(records.iter().map(parse).collect())
    }

    async fn addresses(&self, domain: &Domain) -> Result<Vec<IpAddr>, LookupError> {
        let records = self.get("a", domain)?;
        let parse = |record: &String| record.parse().expect("an address");
        Ok(records.iter().map(parse).collect())
    }

    async fn txt(&self, _: &Domain) -> Result<Vec<Vec<u8>>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn names(&self, _: IpAddr) -> Result<Vec<Domain>, LookupError> {
        Err(LookupError::NotFound)
    }
}
