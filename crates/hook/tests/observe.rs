//! A chain that observes: from the message on it notes what plugins would have done, and lets the
//! message go on; before it, and aside, it is a chain like any other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{
    Chain, Disposition, ForwardPath, HookPoint, Id, Mode, Observed, OnError, Plugin, PluginError,
    Recipient, Refusal, ReversePath, Row, Session, Step, Timestamp, Transaction, Verdict, Why,
    Would,
};

const REFUSED: Would = Would::Refuse(550);
const FAILED: Would = Would::Refuse(451);

/// What a test plugin does wherever it is asked.
#[derive(Clone, Copy)]
enum Does {
    Accept,
    Refuse,
    Fail,
    /// Disposes of the first copy and passes.
    Dispose(Disposition),
    /// Holds the first copy and refuses, as the quarantine does.
    HoldAndRefuse,
}

const HOLD: Disposition = Disposition::Hold(Why::Spam(Row::Filtered));

impl Does {
    fn act(self, tx: Option<&mut Transaction>) -> Answer {
        let dispose = |disposition| {
            if let Some(tx) = tx {
                tx.recipients[0].disposition = disposition;
            }
        };
        match self {
            Self::Accept => Ok(Verdict::Accept),
            Self::Refuse => Ok(Verdict::Refuse(Refusal::policy("no"))),
            Self::Fail => Err(PluginError("broken".to_owned())),
            Self::Dispose(disposition) => {
                dispose(disposition);
                Ok(Verdict::Pass)
            }
            Self::HoldAndRefuse => {
                dispose(HOLD);
                Ok(Verdict::Refuse(Refusal::policy("held")))
            }
        }
    }
}

#[async_trait]
impl Plugin for Does {
    fn points(&self) -> &[HookPoint] {
        use HookPoint::{Auth, Connect, Data, Headers, Helo, Mail, Queue, Rcpt};
        &[Connect, Helo, Auth, Mail, Rcpt, Headers, Data, Queue]
    }
    fn nature(&self) -> Nature {
        Nature::Disposes
    }
    async fn connect(&self, _: &mut Session) -> Answer {
        self.act(None)
    }
    async fn helo(&self, _: &mut Session) -> Answer {
        self.act(None)
    }
    async fn auth(&self, _: &mut Session) -> Answer {
        self.act(None)
    }
    async fn mail(&self, _: &mut Session, _: &mut Transaction) -> Answer {
        self.act(None)
    }
    async fn rcpt(&self, _: &mut Session, _: &mut Transaction, _: &Recipient) -> Answer {
        self.act(None)
    }
    async fn headers(&self, _: &mut Session, tx: &mut Transaction) -> Answer {
        self.act(Some(tx))
    }
    async fn data(&self, _: &mut Session, tx: &mut Transaction) -> Answer {
        self.act(Some(tx))
    }
    async fn queue(&self, _: &mut Session, tx: &mut Transaction) -> Answer {
        self.act(Some(tx))
    }
}

fn observing(does: &[Does]) -> Chain {
    let step = |does: &Does| Step {
        name: "probe".to_owned(),
        plugin: Arc::new(*does),
        timeout: Duration::from_secs(5),
        on_error: OnError::Defer,
    };
    Chain::new("test", does.iter().map(step).collect()).in_mode(Mode::Observe)
}

fn session() -> Session {
    let here = "192.0.2.1:25".parse().expect("valid");
    Session::new(Id(1), here, here, Timestamp(0))
}

fn recipient(text: &str) -> Recipient {
    Recipient::new(ForwardPath::parse(text).expect("valid"))
}

fn tx() -> Transaction {
    let mut tx = Transaction::new(Id(2), Timestamp(0), ReversePath::Null);
    tx.recipients = vec![recipient("<b@x.example>"), recipient("<c@x.example>")];
    tx
}

/// What was noted: where, what, and of how many copies.
fn noted(tx: &Transaction) -> Vec<(HookPoint, Would, usize)> {
    let Observed(observed) = tx.notes.get().cloned().unwrap_or_default();
    let short = |o: &posthouse_hook::Observation| (o.point, o.would, o.recipients.len());
    observed.iter().map(short).collect()
}

#[tokio::test]
async fn a_refused_message_goes_on_and_the_next_plugin_is_asked() {
    let chain = observing(&[Does::Refuse, Does::Fail]);
    let (mut session, mut tx) = (session(), tx());
    assert_eq!(chain.headers(&mut session, &mut tx).await, Ok(()));
    assert_eq!(chain.data(&mut session, &mut tx).await, Verdict::Accept);
    use HookPoint::{Data, Headers, Queue};
    let each = |point| [(point, REFUSED, 2), (point, FAILED, 2)];
    assert_eq!(noted(&tx), [Headers, Data, Queue].map(each).concat());
    let said: Vec<_> = session.trail.entries.iter().map(|e| &e.said).collect();
    assert_eq!(said[0], "observed: would have said refuse 550 5.7.1 no");
    assert!(said[1].starts_with("observed: would have said failed, refuse 451"));
}

#[tokio::test]
async fn what_is_disposed_of_is_relayed() {
    for (disposition, would) in [(HOLD, Would::Hold), (Disposition::Discard, Would::Discard)] {
        let chain = observing(&[Does::Dispose(disposition), Does::Accept, Does::Refuse]);
        let (mut session, mut tx) = (session(), tx());
        assert_eq!(chain.headers(&mut session, &mut tx).await, Ok(()));
        assert!(tx.dispositions().all(|d| d == Disposition::Relay));
        assert_eq!(
            noted(&tx),
            [(HookPoint::Headers, would, 1)],
            "accept ends it"
        );
        assert_eq!(session.trail.entries[0].said, "pass");
        assert!(session.trail.entries[0].remarks[0].starts_with("observed: would"));
    }
}

#[tokio::test]
async fn holding_and_refusing_are_two_observations_of_one_plugin() {
    let chain = observing(&[Does::HoldAndRefuse]);
    let (mut session, mut tx) = (session(), tx());
    chain.headers(&mut session, &mut tx).await.expect("goes on");
    assert!(tx.dispositions().all(|d| d == Disposition::Relay));
    let at = HookPoint::Headers;
    assert_eq!(noted(&tx), [(at, REFUSED, 2), (at, Would::Hold, 1)]);
}

/// Who may connect and who may relay is decided in either mode.
#[tokio::test]
async fn everything_before_the_message_binds() {
    for (does, want) in [
        (Does::Refuse, Refusal::policy("no")),
        (Does::Fail, Refusal::local_error()),
    ] {
        let chain = observing(&[does]);
        let (mut session, mut tx) = (session(), tx());
        assert_eq!(chain.connect(&mut session).await, Err(want.clone()));
        assert_eq!(chain.helo(&mut session).await, Err(want.clone()));
        assert_eq!(chain.auth(&mut session).await, Err(want.clone()));
        assert_eq!(chain.mail(&mut session, &mut tx).await, Err(want.clone()));
        let to = recipient("<d@x.example>");
        assert_eq!(chain.rcpt(&mut session, &mut tx, &to).await, Err(want));
        assert_eq!(noted(&tx), []);
    }
    let nobody = observing(&[Does::Dispose(Disposition::Relay)]);
    let to = recipient("<d@x.example>");
    let got = nobody.rcpt(&mut session(), &mut tx(), &to).await;
    assert_eq!(got, Err(Refusal::relaying_denied()), "nobody takes it");
}

#[tokio::test]
async fn a_chain_that_is_run_aside_is_never_observed() {
    let chain = observing(&[Does::Dispose(HOLD)]);
    let aside = chain.aside(&session(), &tx(), HookPoint::Data).await;
    assert!(aside.notes.get::<Observed>().is_none());
    let refusing = observing(&[Does::Refuse]);
    let aside = refusing.aside(&session(), &tx(), HookPoint::Data).await;
    assert!(matches!(aside.verdict, Verdict::Refuse(_)));
}
