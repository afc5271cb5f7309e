//! The listener of a dialogue: a chain of three small plugins, and a commit that keeps messages in
//! memory.
//!
//! The plugins act on what the dialogue says: recipients at `here.example`, at literals and the bare
//! postmaster are taken; `unknown@here.example`, `refused.example` and a client at 127.0.0.9 are
//! refused, one at 127.0.0.8 for now; header fields `X-Refuse`, `X-Fail` and `X-Hold` tell what
//! happens to a message. The commit fails for the senders `full@…` and `failing@…`.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use posthouse_front::{Front, FrontConfig, Limits};
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{
    Chain, Commit, CommitError, Disposition, Domain, ForwardPath, HookPoint, Id, IdMaker, Kept,
    LinkKey, LinkKind, Live, OnError, Outcome, Plugin, PluginError, Receipt, Recipient, Refusal,
    Row, Session, Step, SystemClock, Transaction, Verdict, Why,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A listener that serves one dialogue.
pub(super) struct House {
    pub(super) address: SocketAddr,
    memory: Arc<Memory>,
    stop: watch::Sender<bool>,
    running: JoinHandle<std::io::Result<()>>,
    _spool: TempDir,
}

/// What was committed of one message.
#[derive(Clone)]
pub(super) struct Committed {
    pub(super) envelope: String,
    pub(super) message: Vec<u8>,
    pub(super) received: String,
}

impl House {
    /// Begins to listen on a free port.
    pub(super) async fn open(limits: &Limits) -> Result<Self, String> {
        let spool = tempfile::tempdir().map_err(|e| e.to_string())?;
        let config = FrontConfig {
            hostname: Domain::parse("front.example").map_err(|e| e.to_string())?,
            addresses: vec![([127, 0, 0, 1], 0).into()],
            limits: limits.clone(),
            spool_dir: spool.path().to_owned(),
        };
        let front = Front::bind(config).map_err(|e| e.to_string())?;
        let address = front.local_addrs().map_err(|e| e.to_string())?[0];
        let memory = Arc::new(Memory::default());
        let commit = Arc::clone(&memory) as Arc<dyn Commit>;
        let (stop, stopped) = watch::channel(false);
        let ids = Arc::new(IdMaker::new(1));
        let run = front.run(
            Live::new(chain()),
            commit,
            Arc::new(SystemClock),
            ids,
            stopped,
        );
        let running = tokio::spawn(run);
        Ok(Self {
            address,
            memory,
            stop,
            running,
            _spool: spool,
        })
    }

    /// What was committed so far.
    pub(super) fn kept(&self) -> Vec<Committed> {
        self.memory.lock().clone()
    }

    pub(super) async fn close(self) {
        self.stop.send_replace(true);
        self.running.await.expect("no panic").expect("it ran");
    }
}

#[derive(Default)]
struct Memory(Mutex<Vec<Committed>>);

impl Memory {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Committed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Commit for Memory {
    async fn commit(
        &self,
        _session: &Session,
        tx: &Transaction,
        outcome: &Outcome,
    ) -> Result<Receipt, CommitError> {
        match tx.reverse_path.mailbox().map(|mailbox| mailbox.local()) {
            Some("full") => return Err(CommitError::Full("a test".to_owned())),
            Some("failing") => return Err(CommitError::Failing("a test".to_owned())),
            _ => {}
        }
        self.lock()
            .push(committed(tx).map_err(|e| CommitError::Failing(e.to_string()))?);
        let link = is_held(outcome).then(|| key().mint(LinkKind::Item, Id(17), "sender", 0));
        Ok(Receipt { id: Id(17), link })
    }

    fn room(&self, size: u64) -> Result<(), CommitError> {
        if size > 40_000_000 {
            return Err(CommitError::Full("a test".to_owned()));
        }
        Ok(())
    }
}

fn is_held(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Accepted(_) => false,
        Outcome::Refused { kept, .. } => kept.iter().any(|kept| matches!(kept, Kept::Held(_))),
    }
}

fn key() -> LinkKey {
    LinkKey::new([7; 32], "https://front.example")
}

fn committed(tx: &Transaction) -> std::io::Result<Committed> {
    let mut message = Vec::new();
    tx.message.content.reader()?.read_to_end(&mut message)?;
    let recipients = tx.recipients.iter().map(|r| r.forward_path.to_string());
    let envelope: Vec<String> = std::iter::once(tx.reverse_path.to_string())
        .chain(recipients)
        .collect();
    Ok(Committed {
        envelope: envelope.join(" "),
        message,
        received: tx.received.clone(),
    })
}

fn chain() -> Chain {
    let step = |name: &str, plugin: Arc<dyn Plugin>| Step {
        name: name.to_owned(),
        plugin,
        timeout: Duration::from_secs(5),
        on_error: OnError::Defer,
    };
    let steps = vec![
        step("gate", Arc::new(Gate)),
        step("doorman", Arc::new(Doorman)),
        step("holder", Arc::new(Holder)),
    ];
    Chain::new("dialogues", steps)
}

/// Says no.
struct Gate;

#[async_trait]
impl Plugin for Gate {
    fn points(&self) -> &[HookPoint] {
        use HookPoint::{Connect, Data, Headers, Helo, Mail, Rcpt};
        &[Connect, Helo, Mail, Rcpt, Headers, Data]
    }

    fn nature(&self) -> Nature {
        Nature::Refuses
    }

    async fn connect(&self, session: &mut Session) -> Answer {
        Ok(match session.client_ip().to_string().as_str() {
            "127.0.0.9" => Verdict::Refuse(Refusal::policy("Not you")),
            "127.0.0.8" => Verdict::Refuse(Refusal::local_error()),
            _ => Verdict::Pass,
        })
    }

    async fn helo(&self, session: &mut Session) -> Answer {
        refuse_if(session.helo.as_deref() == Some("refused.example"))
    }

    async fn mail(&self, _: &mut Session, tx: &mut Transaction) -> Answer {
        refuse_if(
            tx.reverse_path
                .domain()
                .is_some_and(|d| d.as_str() == "refused.example"),
        )
    }

    async fn rcpt(&self, _: &mut Session, _: &mut Transaction, to: &Recipient) -> Answer {
        refuse_if(to.forward_path.address() == "unknown@here.example")
    }

    async fn headers(&self, _: &mut Session, tx: &mut Transaction) -> Answer {
        refuse_if(told(tx, "X-Refuse", "headers"))
    }

    async fn data(&self, _: &mut Session, tx: &mut Transaction) -> Answer {
        if told(tx, "X-Fail", "data") {
            return Err(PluginError("a test".to_owned()));
        }
        refuse_if(told(tx, "X-Refuse", "data"))
    }
}

/// Says yes to recipients.
struct Doorman;

#[async_trait]
impl Plugin for Doorman {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Rcpt]
    }

    fn nature(&self) -> Nature {
        Nature::Admits
    }

    async fn rcpt(&self, _: &mut Session, _: &mut Transaction, to: &Recipient) -> Answer {
        let ours = match &to.forward_path {
            ForwardPath::Postmaster => true,
            ForwardPath::Mailbox(mailbox) => mailbox
                .domain()
                .is_none_or(|domain| domain.as_str() == "here.example"),
        };
        Ok(if ours { Verdict::Accept } else { Verdict::Pass })
    }
}

/// Holds, and then refuses with a link or accepts.
struct Holder;

#[async_trait]
impl Plugin for Holder {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Disposes
    }

    async fn data(&self, _: &mut Session, tx: &mut Transaction) -> Answer {
        let (refuse, silent) = (told(tx, "X-Hold", "refuse"), told(tx, "X-Hold", "silent"));
        if refuse || silent {
            for recipient in &mut tx.recipients {
                recipient.disposition = Disposition::Hold(Why::Spam(Row::Other));
            }
        }
        if !refuse {
            return Ok(Verdict::Pass);
        }
        let text = "Held, it may be spam\n{link}";
        let refusal = Refusal::from_config("552 5.7.1", text, key().link_len());
        refusal.map(Verdict::Refuse).map_err(PluginError::new)
    }
}

fn refuse_if(refuse: bool) -> Answer {
    Ok(if refuse {
        Verdict::Refuse(Refusal::policy("Refused"))
    } else {
        Verdict::Pass
    })
}

fn told(tx: &Transaction, field: &str, value: &str) -> bool {
    tx.message
        .header
        .first(field)
        .is_some_and(|field| field.text() == value)
}
