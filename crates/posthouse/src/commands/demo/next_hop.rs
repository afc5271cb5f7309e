//! The demo's next hop: our own listener with a chain that takes everything, and a commit that
//! keeps what came in memory and tells of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use posthouse_front::{Front, FrontConfig, Limits};
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{
    Chain, Commit, CommitError, Domain, HookPoint, IdMaker, Live, OnError, Outcome, Plugin,
    Receipt, Recipient, Session, Step, SystemClock, Transaction, Verdict,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::Failure;
use crate::out::outln;

/// The next hop, serving.
pub(super) struct NextHop {
    pub(super) address: SocketAddr,
    inbox: Arc<Inbox>,
    stop: watch::Sender<bool>,
    served: JoinHandle<std::io::Result<()>>,
}

#[derive(Default)]
struct Inbox {
    messages: Mutex<Vec<Arrived>>,
    arrived: Notify,
}

struct Arrived {
    from: String,
    to: Vec<String>,
    text: String,
}

impl NextHop {
    /// Listens on a loopback port of its own.
    pub(super) async fn start(spool_dir: &Path) -> Result<Self, Failure> {
        let hostname = Domain::parse("next-hop.example")?;
        let front = Front::bind(FrontConfig {
            hostname,
            addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            limits: Limits::default(),
            spool_dir: spool_dir.to_owned(),
        })?;
        let address = front.local_addrs()?[0];
        let inbox = Arc::new(Inbox::default());
        let (stop, stopped) = watch::channel(false);
        let run = front.run(
            Live::new(takes_all()),
            Arc::clone(&inbox) as Arc<dyn Commit>,
            Arc::new(SystemClock),
            Arc::new(IdMaker::new(0)),
            stopped,
        );
        Ok(Self {
            address,
            inbox,
            stop,
            served: tokio::spawn(run),
        })
    }

    /// Waits until that many messages came, or for as long as `patience` lasts.
    pub(super) async fn wait_for(&self, count: usize, patience: Duration) {
        let enough = async {
            loop {
                let arrived = self.inbox.arrived.notified();
                if self.inbox.lock().len() >= count {
                    return;
                }
                arrived.await;
            }
        };
        let _ = tokio::time::timeout(patience, enough).await;
    }

    /// How many messages came from one address to another. The empty address is the null path.
    pub(super) fn count(&self, from: &str, to: &str) -> usize {
        let messages = self.inbox.lock();
        messages.iter().filter(|m| m.is(from, to)).count()
    }

    /// The first link in a letter to that address.
    pub(super) fn link_in_letter_to(&self, to: &str) -> Option<String> {
        let messages = self.inbox.lock();
        let letter = messages.iter().find(|m| m.is("", to))?;
        let mut words = letter.text.split_whitespace();
        words
            .find(|word| word.starts_with("http"))
            .map(str::to_owned)
    }

    /// Stops serving.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.served.await;
    }
}

impl Inbox {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arrived>> {
        self.messages.lock().unwrap_or_else(|p| p.into_inner())
    }
}

impl Arrived {
    fn of(tx: &Transaction, bytes: &[u8]) -> Self {
        let to = tx.recipients.iter().map(|r| r.forward_path.address());
        Self {
            from: tx.reverse_path.address(),
            to: to.collect(),
            text: String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    fn is(&self, from: &str, to: &str) -> bool {
        self.from == from && self.to.iter().any(|address| address == to)
    }
}

#[async_trait]
impl Commit for Inbox {
    async fn commit(
        &self,
        _session: &Session,
        tx: &Transaction,
        _outcome: &Outcome,
    ) -> Result<Receipt, CommitError> {
        let content = &tx.message.content;
        let failing = |error: std::io::Error| CommitError::Failing(error.to_string());
        let bytes = content.head(content.len()).await.map_err(failing)?;
        let arrived = Arrived::of(tx, &bytes);
        let to = arrived.to.join(", ");
        outln!("  at the next hop: from {} to {to}", tx.reverse_path);
        self.lock().push(arrived);
        self.arrived.notify_waiters();
        Ok(Receipt {
            id: tx.id,
            link: None,
        })
    }

    fn room(&self, _size: u64) -> Result<(), CommitError> {
        Ok(())
    }
}

/// A chain of one plugin, which takes every recipient.
fn takes_all() -> Chain {
    let step = Step {
        name: "takes_all".to_owned(),
        plugin: Arc::new(TakesAll),
        timeout: Duration::from_secs(1),
        on_error: OnError::Defer,
    };
    Chain::new("next_hop", vec![step])
}

struct TakesAll;

#[async_trait]
impl Plugin for TakesAll {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Rcpt]
    }

    fn nature(&self) -> Nature {
        Nature::Admits
    }

    async fn rcpt(&self, _: &mut Session, _: &mut Transaction, _: &Recipient) -> Answer {
        Ok(Verdict::Accept)
    }
}
