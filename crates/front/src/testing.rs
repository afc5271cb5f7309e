//! Parts for the tests of this crate: a commit that keeps messages in memory, a chain that takes
//! everybody, and a client at the other end of a pipe.

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{
    Chain, Commit, CommitError, Content, Domain, HookPoint, IdMaker, OnError, Outcome, Plugin,
    Receipt, Recipient, Session, Step, SystemClock, Transaction, Verdict,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::limits::Limits;
use crate::phase::Phase;
use crate::service::Service;
use crate::session::Conversation;
use crate::spool::SpoolDir;

/// What was committed, in order, and how long the trail was each time.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<(Transaction, usize)>>);

impl Kept {
    /// The transactions so far.
    pub(crate) fn all(&self) -> Vec<Transaction> {
        let kept = self.0.lock().expect("no test panics with it");
        kept.iter().map(|(tx, _)| tx.clone()).collect()
    }

    /// The number of entries in the trail of each.
    pub(crate) fn trails(&self) -> Vec<usize> {
        let kept = self.0.lock().expect("no test panics with it");
        kept.iter().map(|(_, entries)| *entries).collect()
    }

    /// The bytes of every message so far.
    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        self.all()
            .iter()
            .map(|tx| octets(&tx.message.content))
            .collect()
    }
}

/// The bytes of a message.
pub(crate) fn octets(content: &Content) -> Vec<u8> {
    let mut bytes = Vec::new();
    content
        .reader()
        .expect("opens")
        .read_to_end(&mut bytes)
        .expect("reads");
    bytes
}

#[async_trait]
impl Commit for Kept {
    async fn commit(
        &self,
        session: &Session,
        tx: &Transaction,
        _outcome: &Outcome,
    ) -> Result<Receipt, CommitError> {
        let mut kept = self.0.lock().expect("no test panics with it");
        kept.push((tx.clone(), session.trail.entries.len()));
        Ok(Receipt {
            id: tx.id,
            link: None,
        })
    }

    fn room(&self, _size: u64) -> Result<(), CommitError> {
        Ok(())
    }
}

/// Takes every recipient; a message whose reverse-path is `slow@…` it never judges.
struct TakeAll;

#[async_trait]
impl Plugin for TakeAll {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Rcpt, HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Admits
    }

    async fn rcpt(&self, _: &mut Session, _: &mut Transaction, _: &Recipient) -> Answer {
        Ok(Verdict::Accept)
    }

    async fn data(&self, _: &mut Session, tx: &mut Transaction) -> Answer {
        if tx.reverse_path.address().starts_with("slow@") {
            std::future::pending::<()>().await;
        }
        Ok(Verdict::Pass)
    }
}

/// A chain of one plugin, which takes everybody.
pub(crate) fn chain() -> Chain {
    let step = Step {
        name: "take_all".to_owned(),
        plugin: Arc::new(TakeAll),
        timeout: Duration::from_secs(600),
        on_error: OnError::Defer,
    };
    Chain::new("test", vec![step])
}

/// A session over a pipe.
pub(crate) struct Dialed {
    pub(crate) client: DuplexStream,
    pub(crate) server: JoinHandle<()>,
    pub(crate) kept: Arc<Kept>,
    pub(crate) phase: watch::Sender<Phase>,
}

/// Begins a session that spools into `dir`.
pub(crate) fn dial(limits: Limits, dir: &Path) -> Dialed {
    let (session, (client, kept, phase)) = conversation(limits, dir);
    let server = tokio::spawn(Box::new(session).run());
    Dialed {
        client,
        server,
        kept,
        phase,
    }
}

/// The other ends of a session's pipe, commit and stop.
type Peer = (DuplexStream, Arc<Kept>, watch::Sender<Phase>);

/// A session that nobody serves yet.
pub(crate) fn conversation(limits: Limits, dir: &Path) -> (Conversation<DuplexStream>, Peer) {
    let (client, stream) = tokio::io::duplex(65_536);
    let (phase, watched) = watch::channel(Phase::Open);
    let kept = Arc::new(Kept::default());
    let service = Service {
        hostname: Domain::parse("front.example").expect("valid"),
        limits,
        spool: SpoolDir::open(dir).expect("a directory"),
        commit: Arc::clone(&kept) as Arc<dyn Commit>,
        clock: Arc::new(SystemClock),
        ids: Arc::new(IdMaker::new(1)),
    };
    let ends = [([192, 0, 2, 1], 1024).into(), ([192, 0, 2, 2], 25).into()];
    let session = Conversation::new(stream, ends, Arc::new(chain()), Arc::new(service), watched);
    (session, (client, kept, phase))
}

impl Dialed {
    /// Sends octets.
    pub(crate) async fn send(&mut self, octets: &[u8]) {
        self.client
            .write_all(octets)
            .await
            .expect("the server reads");
    }

    /// Reads until the text has come.
    pub(crate) async fn hear(&mut self, text: &str) {
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(text) {
            let octet = self.client.read_u8().await;
            let octet = octet.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&heard)));
            heard.push(octet);
        }
    }

    /// Closes this side and reads all that is left.
    pub(crate) async fn rest(mut self) -> String {
        self.client.shutdown().await.expect("open");
        let mut rest = Vec::new();
        self.client.read_to_end(&mut rest).await.expect("reads");
        self.server.await.expect("no panic");
        String::from_utf8(rest).expect("replies are ASCII")
    }
}
