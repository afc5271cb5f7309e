//! The chain through its public face: order, verdicts, failures of every kind, asides.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{
    Chain, Disposition, ForwardPath, HookPoint, Id, OnError, Plugin, PluginError, Recipient,
    Refusal, ReversePath, Row, Session, Step, Timestamp, Transaction, Verdict, Why,
};

const POINTS: [HookPoint; 10] = [
    HookPoint::Connect,
    HookPoint::Helo,
    HookPoint::Auth,
    HookPoint::Mail,
    HookPoint::Rcpt,
    HookPoint::Headers,
    HookPoint::Data,
    HookPoint::Queue,
    HookPoint::Reset,
    HookPoint::Disconnect,
];

/// What a test plugin does wherever it is asked.
#[derive(Clone, Copy)]
enum Does {
    Pass,
    Accept,
    Refuse,
    Err,
    Panic,
    Hang,
    /// Holds the first recipient's copy, then fails.
    HoldAndErr,
    /// Leaves a note and a remark.
    Note(u32),
}

struct Probe {
    does: Does,
    nature: Nature,
    points: Vec<HookPoint>,
    asked: Arc<Mutex<Vec<HookPoint>>>,
}

impl Probe {
    async fn act(
        &self,
        point: HookPoint,
        session: &mut Session,
        tx: Option<&mut Transaction>,
    ) -> Answer {
        self.asked.lock().expect("whole").push(point);
        match self.does {
            Does::Pass => Ok(Verdict::Pass),
            Does::Accept => Ok(Verdict::Accept),
            Does::Refuse => Ok(Verdict::Refuse(Refusal::policy("no"))),
            Does::Err => Err(PluginError("broken\r\nforged line".to_owned())),
            Does::Panic => panic!("a plugin panics"),
            Does::Hang => std::future::pending().await,
            Does::HoldAndErr => {
                if let Some(tx) = tx {
                    tx.recipients[0].disposition = Disposition::Hold(Why::Spam(Row::Other));
                }
                Err(PluginError("half done".to_owned()))
            }
            Does::Note(value) => {
                session.remark(format!("left {value}"));
                if let Some(tx) = tx {
                    tx.notes.put(value);
                }
                Ok(Verdict::Pass)
            }
        }
    }
}

#[async_trait]
impl Plugin for Probe {
    fn points(&self) -> &[HookPoint] {
        &self.points
    }
    fn nature(&self) -> Nature {
        self.nature
    }
    async fn connect(&self, session: &mut Session) -> Answer {
        self.act(HookPoint::Connect, session, None).await
    }
    async fn helo(&self, session: &mut Session) -> Answer {
        self.act(HookPoint::Helo, session, None).await
    }
    async fn auth(&self, session: &mut Session) -> Answer {
        self.act(HookPoint::Auth, session, None).await
    }
    async fn mail(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        self.act(HookPoint::Mail, session, Some(tx)).await
    }
    async fn rcpt(&self, session: &mut Session, tx: &mut Transaction, _: &Recipient) -> Answer {
        self.act(HookPoint::Rcpt, session, Some(tx)).await
    }
    async fn headers(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        self.act(HookPoint::Headers, session, Some(tx)).await
    }
    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        self.act(HookPoint::Data, session, Some(tx)).await
    }
    async fn queue(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        self.act(HookPoint::Queue, session, Some(tx)).await
    }
    fn reset(&self, _: &Session) {
        assert!(!matches!(self.does, Does::Panic), "a told plugin panics");
        self.asked.lock().expect("whole").push(HookPoint::Reset);
    }
    fn disconnect(&self, _: &Session) {
        self.asked
            .lock()
            .expect("whole")
            .push(HookPoint::Disconnect);
    }
}

type Asked = Arc<Mutex<Vec<HookPoint>>>;

fn probe(does: Does, nature: Nature, on_error: OnError) -> (Step, Asked) {
    let asked = Asked::default();
    let plugin = Probe {
        does,
        nature,
        points: POINTS.to_vec(),
        asked: Arc::clone(&asked),
    };
    let step = Step {
        name: format!("{nature:?}").to_lowercase(),
        plugin: Arc::new(plugin),
        timeout: Duration::from_millis(20),
        on_error,
    };
    (step, asked)
}

fn chain(does: impl IntoIterator<Item = Does>) -> (Chain, Vec<Asked>) {
    let (steps, asked) = does
        .into_iter()
        .map(|does| probe(does, Nature::Refuses, OnError::Defer))
        .unzip();
    (Chain::new("test", steps), asked)
}

fn session() -> Session {
    let client: SocketAddr = "[::ffff:192.0.2.1]:4000".parse().expect("valid");
    let local: SocketAddr = "127.0.0.1:25".parse().expect("valid");
    Session::new(Id(1), client, local, Timestamp(0))
}

fn tx() -> Transaction {
    let mut tx = Transaction::new(Id(2), Timestamp(0), ReversePath::Null);
    tx.recipients.push(recipient());
    tx
}

fn recipient() -> Recipient {
    Recipient::new(ForwardPath::parse("<b@x.example>").expect("valid"))
}

fn said(session: &Session) -> Vec<String> {
    session
        .trail
        .entries
        .iter()
        .map(|e| e.said.clone())
        .collect()
}

#[tokio::test]
async fn the_list_is_the_order_and_the_first_answer_ends_it() {
    let (chain, asked) = chain([Does::Pass, Does::Accept, Does::Refuse]);
    let mut session = session();
    assert_eq!(session.client_ip().to_string(), "192.0.2.1");
    assert_eq!(chain.connect(&mut session).await, Ok(()));
    let counts: Vec<_> = asked
        .iter()
        .map(|a| a.lock().expect("whole").len())
        .collect();
    assert_eq!(counts, [1, 1, 0]);
    assert_eq!(said(&session), ["pass", "accept"]);
}

#[tokio::test]
async fn a_recipient_that_nobody_takes_is_refused() {
    for (does, want) in [
        (Does::Pass, Err(Refusal::relaying_denied())),
        (Does::Accept, Ok(())),
        (Does::Refuse, Err(Refusal::policy("no"))),
        (Does::Err, Err(Refusal::local_error())),
    ] {
        let (chain, _) = chain([does]);
        let got = chain.rcpt(&mut session(), &mut tx(), &recipient()).await;
        assert_eq!(got, want);
    }
    let empty = Chain::new("empty", Vec::new());
    let got = empty.rcpt(&mut session(), &mut tx(), &recipient()).await;
    assert_eq!(got, Err(Refusal::relaying_denied()));
}

#[tokio::test]
async fn error_panic_and_timeout_are_one_path() {
    for does in [Does::Err, Does::Panic, Does::Hang] {
        for (on_error, want) in [
            (OnError::Defer, Err(Refusal::local_error())),
            (OnError::Pass, Ok(())),
        ] {
            let (step, _) = probe(does, Nature::Refuses, on_error);
            let (after, asked) = probe(Does::Pass, Nature::Refuses, OnError::Defer);
            let chain = Chain::new("test", vec![step, after]);
            let mut session = session();
            assert_eq!(chain.mail(&mut session, &mut tx()).await, want);
            assert_eq!(
                asked.lock().expect("whole").len(),
                usize::from(on_error == OnError::Pass)
            );
            let entry = &session.trail.entries[0];
            assert!(entry.said.starts_with("failed"), "{}", entry.said);
            assert!(!entry.remarks[0].contains('\n'), "{:?}", entry.remarks);
        }
    }
}

#[tokio::test]
async fn a_measurer_that_acts_has_failed() {
    let (step, _) = probe(Does::Accept, Nature::Measures, OnError::Defer);
    let chain = Chain::new("test", vec![step]);
    let got = chain.mail(&mut session(), &mut tx()).await;
    assert_eq!(got, Err(Refusal::local_error()));
}

#[tokio::test]
async fn a_plugin_that_failed_has_disposed_of_nothing() {
    let (step, _) = probe(Does::HoldAndErr, Nature::Disposes, OnError::Pass);
    let chain = Chain::new("test", vec![step]);
    let mut tx = tx();
    assert_eq!(chain.data(&mut session(), &mut tx).await, Verdict::Accept);
    assert_eq!(tx.recipients[0].disposition, Disposition::Relay);
}

#[tokio::test]
async fn queue_is_asked_after_data_unless_that_refused() {
    let (first, asked) = chain([Does::Pass]);
    first.data(&mut session(), &mut tx()).await;
    assert_eq!(
        *asked[0].lock().expect("whole"),
        [HookPoint::Data, HookPoint::Queue]
    );
    let (second, asked) = chain([Does::Refuse]);
    let verdict = second.data(&mut session(), &mut tx()).await;
    assert!(matches!(verdict, Verdict::Refuse(_)));
    assert_eq!(*asked[0].lock().expect("whole"), [HookPoint::Data]);
}

#[tokio::test]
async fn an_aside_gives_back_its_notes_and_leaks_nothing() {
    let (chain, asked) = chain([Does::Note(7)]);
    let (mut session, tx) = (session(), tx());
    session.auth = Some("ann".to_owned());
    let aside = chain.aside(&session, &tx, HookPoint::Data).await;
    assert_eq!(aside.notes.get::<u32>(), Some(&7));
    assert_eq!(tx.notes.get::<u32>(), None);
    assert!(session.trail.is_empty());
    assert_eq!(asked[0].lock().expect("whole").as_slice(), &POINTS[..7]);
    session.trail.adopt(aside.trail);
    let (outer, _) = self::chain([Does::Pass]);
    outer.connect(&mut session).await.expect("passes");
    assert_eq!(session.trail.entries[0].aside.entries.len(), 7);
    assert_eq!(
        session.trail.entries[0].aside.entries[0].remarks,
        ["left 7"]
    );
}

#[tokio::test]
async fn an_aside_asks_at_auth_only_of_a_client_that_authenticated() {
    let (chain, asked) = chain([Does::Pass]);
    chain.aside(&session(), &tx(), HookPoint::Mail).await;
    let met = [HookPoint::Connect, HookPoint::Helo, HookPoint::Mail];
    assert_eq!(*asked[0].lock().expect("whole"), met);
}

#[tokio::test]
async fn an_aside_that_refuses_stops_there() {
    let (chain, asked) = chain([Does::Refuse]);
    let aside = chain.aside(&session(), &tx(), HookPoint::Data).await;
    assert!(matches!(aside.verdict, Verdict::Refuse(_)));
    assert_eq!(*asked[0].lock().expect("whole"), [HookPoint::Connect]);
}

#[test]
fn telling_survives_a_panic() {
    let (chain, asked) = chain([Does::Panic, Does::Pass]);
    chain.reset(&session());
    chain.disconnect(&session());
    let told = [HookPoint::Reset, HookPoint::Disconnect];
    assert_eq!(*asked[1].lock().expect("whole"), told);
}
