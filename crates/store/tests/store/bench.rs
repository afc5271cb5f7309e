//! A store in a directory of its own, with a clock that only the test moves.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use posthouse_hook::facts::Scans;
use posthouse_hook::{
    Clock, Column, Commit, Content, Disposition, ForwardPath, Header, Id, IdMaker, Judgement, Kept,
    Message, Origin, Outcome, Receipt, Recipient, Refusal, ReversePath, Row, Session, Spf,
    Timestamp, Transaction, Vouched, Why,
};
use posthouse_store::{
    Actor, AttemptResult, Attempted, Claimed, CopyId, Kind, LetterCaps, LetterSent, OwnMessage,
    Selection, Settings, State, Store, Who,
};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a claim lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(600);

/// A clock that only the test moves.
pub(crate) struct TestClock(pub(crate) AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) store: Store,
    pub(crate) ids: IdMaker,
}

pub(crate) fn settings(state: &Path) -> Settings {
    Settings {
        state: state.to_owned(),
        node: 1,
        link_base: "https://out.isp.example".to_owned(),
        min_free: 0,
        spool_threshold: 1000,
        handoff_bytes: 1 << 20,
        retention: 30 * DAY,
        bounds: posthouse_store::Bounds::default(),
        audit_kept: 60 * DAY,
        observed_kept: 30 * DAY,
        judged_kept: 7 * DAY,
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(TestClock(AtomicI64::new(1_790_000_000_000)));
        let mut settings = settings(dir.path());
        change(&mut settings);
        let store = Store::open(settings, clock.clone()).expect("opens");
        Self {
            dir,
            clock,
            store,
            ids: IdMaker::new(2),
        }
    }

    /// Closes and opens again, as after a crash.
    pub(crate) fn reopen(self) -> Self {
        let Self {
            dir,
            clock,
            store,
            ids,
        } = self;
        drop(store);
        let store = Store::open(settings(dir.path()), clock.clone()).expect("opens again");
        Self {
            dir,
            clock,
            store,
            ids,
        }
    }

    pub(crate) fn pass(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).expect("fits");
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) fn tx(&self, from: &str, to: &[&str], bytes: &str) -> Transaction {
        let now = self.clock.now();
        let reverse_path = ReversePath::from_address(from).expect("valid");
        let mut tx = Transaction::new(self.ids.next(now), now, reverse_path);
        let forward = |to: &&str| Recipient::new(ForwardPath::from_address(to).expect("valid"));
        tx.recipients = to.iter().map(forward).collect();
        let raw = Bytes::from(bytes.to_owned());
        let head = bytes.find("\r\n\r\n").map_or(raw.len(), |at| at + 4);
        tx.message = Message {
            header: Arc::new(Header::parse(raw.slice(..head))),
            content: Content::Memory(raw),
        };
        tx
    }

    pub(crate) async fn commit(&self, tx: &Transaction, outcome: &Outcome) -> Receipt {
        let session = session(self.clock.now());
        self.store
            .commit(&session, tx, outcome)
            .await
            .expect("committed")
    }

    pub(crate) async fn relay(&self, to: &[&str], bytes: &str) -> Id {
        let tx = self.tx("a@isp.example", to, bytes);
        let outcome = Outcome::Accepted(vec![Disposition::Relay; to.len()]);
        self.commit(&tx, &outcome).await.id
    }

    /// Spam from a vouched-for sender to filtered domains: held, refused with a link.
    pub(crate) async fn hold(&self, from: &str, to: &[&str], bytes: &str) -> Receipt {
        self.hold_as(from, from, to, bytes).await
    }

    /// The same, from a reverse-path that wraps the sender.
    pub(crate) async fn hold_as(
        &self,
        path: &str,
        from: &str,
        to: &[&str],
        bytes: &str,
    ) -> Receipt {
        let tx = self.tx(path, to, bytes);
        self.hold_tx(tx, from, bytes).await
    }

    /// The same, of a transaction that has begun already.
    pub(crate) async fn hold_tx(&self, tx: Transaction, from: &str, bytes: &str) -> Receipt {
        let judgement = judgement(from, tx.recipients.len(), bytes);
        self.hold_judged(tx, judgement).await
    }

    /// The same, judged so.
    pub(crate) async fn hold_judged(&self, mut tx: Transaction, judgement: Judgement) -> Receipt {
        let count = tx.recipients.len();
        tx.notes.put(judgement);
        let kept = Kept::Held(Why::Spam(Row::Filtered));
        let outcome = Outcome::Refused {
            refusal: Refusal::policy("held {link}"),
            kept: vec![kept; count],
        };
        self.commit(&tx, &outcome).await
    }

    pub(crate) async fn states(&self, id: Id) -> Vec<State> {
        let item = self.store.item(id).await.expect("reads");
        item.map(|item| item.recipients.iter().map(|r| r.state).collect())
            .unwrap_or_default()
    }

    /// Claims everything that is due.
    pub(crate) async fn claim(&self) -> Vec<Claimed> {
        self.store.claim(100, LEASE).await.expect("claims")
    }

    /// Claims everything that is due, and says how many copies came to this.
    pub(crate) async fn settle_all(&self, result: AttemptResult) -> usize {
        let claimed = self.claim().await;
        let attempts: Vec<_> = claimed
            .iter()
            .flat_map(|message| &message.recipients)
            .map(|recipient| attempt(recipient.id, result))
            .collect();
        let count = attempts.len();
        self.store
            .settle(attempts, Vec::new())
            .await
            .expect("settled");
        count
    }

    /// Sends every letter that is due and that these caps let out.
    pub(crate) async fn send_letters(&self, caps: &LetterCaps) -> Vec<LetterSent> {
        let due = self.store.letters_due(7 * DAY, 100).await.expect("reads");
        let mut sent = Vec::new();
        for due in due {
            let letter = OwnMessage {
                kind: Kind::Letter,
                to: due.to.clone(),
                bytes: b"Subject: held\r\n\r\n".to_vec(),
            };
            let one = self.store.send_letter(&due, letter, 7 * DAY, caps.clone());
            sent.push(one.await.expect("booked"));
        }
        sent
    }
}

pub(crate) fn session(now: Timestamp) -> Session {
    let client: SocketAddr = "192.0.2.7:40000".parse().expect("valid");
    let local: SocketAddr = "127.0.0.1:25".parse().expect("valid");
    Session::new(Id(1), client, local, now)
}

pub(crate) fn judgement(from: &str, rows: usize, bytes: &str) -> Judgement {
    let mut identity = [0; 32];
    for (at, byte) in from.bytes().chain(bytes.bytes()).enumerate() {
        identity[at % 32] ^= byte.rotate_left(u32::try_from(at % 7).expect("small"));
    }
    Judgement {
        ours: false,
        sender: ReversePath::from_address(from).expect("valid"),
        origin: Origin::Address("198.51.100.9".parse().expect("valid")),
        spf: Spf::Pass,
        column: Column::Vouched(Vouched::Spf),
        rows: vec![Row::Filtered; rows],
        scans: Scans::default(),
        identity: Some(identity),
        spam: true,
    }
}

pub(crate) fn attempt(copy: CopyId, result: AttemptResult) -> Attempted {
    Attempted {
        copy,
        result,
        said: "250 2.0.0 taken\r\nevil".to_owned(),
        next_hop: "127.0.0.1:25".to_owned(),
    }
}

pub(crate) fn all(item: Id) -> Selection {
    Selection {
        item,
        addresses: Vec::new(),
    }
}

pub(crate) fn operator() -> Actor {
    Actor::local(Who::Operator)
}
