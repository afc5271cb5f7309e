//! The store through its public face: what is committed survives, what is judged is kept, and
//! nothing happens twice.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use posthouse_hook::facts::Scans;
use posthouse_hook::{
    Clock, Column, Commit, Content, Disposition, ForwardPath, Header, Id, IdMaker, Judgement, Kept,
    LinkClaim, LinkKey, LinkKind, Message, Origin, Outcome, Receipt, Recipient, Refusal,
    ReversePath, Row, Session, Spf, Timestamp, Transaction, Vouched, Why,
};
use posthouse_store::{
    Actor, AttemptResult, Attempted, CopyId, Filter, Kind, LetterCaps, LetterSent, OwnMessage,
    Proven, ReleaseCaps, Released, Selection, Settings, State, Store, StoreError, Who,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const LEASE: Duration = Duration::from_secs(600);

/// A clock that only the test moves.
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<TestClock>,
    store: Store,
    ids: IdMaker,
}

fn settings(state: &Path) -> Settings {
    Settings {
        state: state.to_owned(),
        node: 1,
        link_base: "https://out.isp.example".to_owned(),
        min_free: 0,
        spool_threshold: 1000,
        handoff_bytes: 1 << 20,
        retention: 30 * DAY,
        audit_kept: 60 * DAY,
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(TestClock(AtomicI64::new(1_790_000_000_000)));
        let store = Store::open(settings(dir.path()), clock.clone()).expect("opens");
        Self {
            dir,
            clock,
            store,
            ids: IdMaker::new(2),
        }
    }

    /// Closes and opens again, as after a crash.
    fn reopen(self) -> Self {
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

    fn pass(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).expect("fits");
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn tx(&self, from: &str, to: &[&str], bytes: &str) -> Transaction {
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

    async fn commit(&self, tx: &Transaction, outcome: &Outcome) -> Receipt {
        let session = session(self.clock.now());
        self.store
            .commit(&session, tx, outcome)
            .await
            .expect("committed")
    }

    async fn relay(&self, to: &[&str], bytes: &str) -> Id {
        let tx = self.tx("a@isp.example", to, bytes);
        let outcome = Outcome::Accepted(vec![Disposition::Relay; to.len()]);
        self.commit(&tx, &outcome).await.id
    }

    /// Spam from a vouched-for sender to filtered domains: held, refused with a link.
    async fn hold(&self, from: &str, to: &[&str], bytes: &str) -> Receipt {
        self.hold_as(from, from, to, bytes).await
    }

    /// The same, from a reverse-path that wraps the sender.
    async fn hold_as(&self, path: &str, from: &str, to: &[&str], bytes: &str) -> Receipt {
        let mut tx = self.tx(path, to, bytes);
        tx.notes.put(judgement(from, to.len(), bytes));
        let kept = Kept::Held(Why::Spam(Row::Filtered));
        let outcome = Outcome::Refused {
            refusal: Refusal::policy("held {link}"),
            kept: vec![kept; to.len()],
        };
        self.commit(&tx, &outcome).await
    }

    async fn states(&self, id: Id) -> Vec<State> {
        let item = self.store.item(id).await.expect("reads");
        item.map(|item| item.recipients.iter().map(|r| r.state).collect())
            .unwrap_or_default()
    }

    async fn settle_all(&self, result: AttemptResult) -> usize {
        let claimed = self.store.claim(100, LEASE).await.expect("claims");
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

    async fn send_letters(&self, caps: &LetterCaps) -> Vec<LetterSent> {
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

fn session(now: Timestamp) -> Session {
    let client: SocketAddr = "192.0.2.7:40000".parse().expect("valid");
    let local: SocketAddr = "127.0.0.1:25".parse().expect("valid");
    Session::new(Id(1), client, local, now)
}

fn judgement(from: &str, rows: usize, bytes: &str) -> Judgement {
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

fn attempt(copy: CopyId, result: AttemptResult) -> Attempted {
    Attempted {
        copy,
        result,
        said: "250 2.0.0 taken\r\nevil".to_owned(),
        next_hop: "127.0.0.1:25".to_owned(),
    }
}

fn all(item: Id) -> Selection {
    Selection {
        item,
        addresses: Vec::new(),
    }
}

fn operator() -> Actor {
    Actor::local(Who::Operator)
}

#[tokio::test]
async fn a_relayed_message_is_claimed_once_delivered_and_forgotten() {
    let bench = Bench::new();
    let id = bench
        .relay(
            &["b@x.example", "c@x.example"],
            "Subject: hi\r\n\r\nbody\r\n",
        )
        .await;
    let claimed = bench.store.claim(10, LEASE).await.expect("claims");
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].recipients.len(), 2);
    assert!(
        bench
            .store
            .claim(10, LEASE)
            .await
            .expect("claims")
            .is_empty()
    );
    let [first, second] = [0, 1].map(|n| claimed[0].recipients[n].id);
    let deferred = AttemptResult::Deferred(bench.clock.now().after(LEASE));
    let results = vec![
        attempt(first, AttemptResult::Delivered),
        attempt(second, deferred),
    ];
    bench
        .store
        .settle(results, Vec::new())
        .await
        .expect("settled");
    assert_eq!(bench.states(id).await, [State::Delivered, State::Deferred]);
    bench.pass(LEASE);
    assert_eq!(bench.settle_all(AttemptResult::Delivered).await, 1);
    assert_eq!(bench.states(id).await, []);
    assert!(bench.store.content(id).await.expect("reads").is_none());
    let audit = bench.store.audit(id).await.expect("reads");
    assert!(audit.iter().all(|line| !line.detail.contains('\n')));
    assert_eq!(audit.iter().filter(|l| l.event == "deliver").count(), 2);
}

#[tokio::test]
async fn a_lease_ends_with_the_process_or_with_its_time() {
    let bench = Bench::new();
    let mut fresh = bench.store.take_fresh().expect("once");
    assert!(bench.store.take_fresh().is_none());
    bench.relay(&["b@x.example"], "\r\n").await;
    let handed = fresh.try_recv().expect("handed over");
    assert!(
        bench
            .store
            .claim(10, LEASE)
            .await
            .expect("claims")
            .is_empty()
    );
    drop(handed);
    let bench = bench.reopen();
    assert_eq!(bench.store.claim(10, LEASE).await.expect("claims").len(), 1);
    bench.pass(LEASE);
    assert_eq!(bench.store.claim(10, LEASE).await.expect("claims").len(), 1);
}

#[tokio::test]
async fn a_hand_over_that_is_full_leaves_the_message_in_the_queue() {
    let bench = Bench::new();
    let _fresh = bench.store.take_fresh().expect("once");
    for _ in 0..2000 {
        bench.relay(&["b@x.example"], "\r\n").await;
    }
    let waiting = bench.store.claim(2000, LEASE).await.expect("claims");
    assert!(
        !waiting.is_empty() && waiting.len() < 2000,
        "{}",
        waiting.len()
    );
}

#[tokio::test]
async fn big_bodies_are_files_and_orphans_are_swept() {
    let bench = Bench::new();
    let body = format!("Subject: big\r\n\r\n{}\r\n", "x".repeat(5000));
    let id = bench.relay(&["b@x.example"], &body).await;
    let spool = bench.dir.path().join("spool");
    let files = || {
        let names = std::fs::read_dir(&spool).expect("there");
        names
            .map(|entry| entry.expect("readable").file_name())
            .collect::<HashSet<_>>()
    };
    assert_eq!(files(), HashSet::from([id.to_string().into()]));
    std::fs::write(spool.join("12345"), b"orphan").expect("written");
    let bench = bench.reopen();
    assert_eq!(files(), HashSet::from([id.to_string().into()]));
    let content = bench.store.content(id).await.expect("reads").expect("kept");
    assert_eq!(content.head(u64::MAX).await.expect("read"), body.as_bytes());
    assert_eq!(bench.settle_all(AttemptResult::Delivered).await, 1);
    assert_eq!(files(), HashSet::new());
}

#[tokio::test]
async fn a_message_without_its_bytes_is_suspended_not_sent_empty() {
    let bench = Bench::new();
    let id = bench.relay(&["b@x.example"], &"x".repeat(5000)).await;
    std::fs::remove_file(bench.dir.path().join("spool").join(id.to_string())).expect("removed");
    assert!(
        bench
            .store
            .claim(10, LEASE)
            .await
            .expect("claims")
            .is_empty()
    );
    assert_eq!(bench.states(id).await, [State::Suspended]);
}

#[tokio::test]
async fn two_processes_cannot_share_a_state_directory() {
    let bench = Bench::new();
    let second = Store::open(settings(bench.dir.path()), bench.clock.clone());
    assert!(matches!(second, Err(StoreError::InUse(_))));
    let reader = Store::open_read_only(settings(bench.dir.path()), bench.clock.clone());
    let reader = reader.expect("opens");
    let id = bench.relay(&["b@x.example"], "\r\n").await;
    assert!(reader.item(id).await.expect("reads").is_some());
    assert!(reader.retry(all(id), operator()).await.is_err());
}

#[tokio::test]
async fn the_same_message_again_finds_the_same_item() {
    let bench = Bench::new();
    let first = bench
        .hold("a@isp.example", &["b@f.example"], "Subject: x\r\n\r\n")
        .await;
    let again = bench
        .hold("a@isp.example", &["b@f.example"], "Subject: x\r\n\r\n")
        .await;
    assert_eq!(again.id, first.id);
    let url = |receipt: &Receipt| receipt.link.as_ref().expect("a link").reveal();
    assert_eq!(url(&again), url(&first));
    let released = bench.store.release(all(first.id), None, operator()).await;
    assert!(matches!(released, Ok(Released::Done(done)) if done.changed == 1));
    let third = bench
        .hold("a@isp.example", &["b@f.example"], "Subject: x\r\n\r\n")
        .await;
    assert_ne!(third.id, first.id);
}

/// A forwarder's SRS address is another one every day.
#[tokio::test]
async fn a_retry_through_srs_gets_the_link_that_lives() {
    let bench = Bench::new();
    let (ann, bob) = ("ann@isp.example", &["b@f.example"][..]);
    bench
        .hold_as("SRS0=aa=AA=isp.example=ann@f.example", ann, bob, "x")
        .await;
    let again = bench
        .hold_as("SRS0=bb=BB=isp.example=ann@f.example", ann, bob, "x")
        .await;
    let token = again.link.expect("a link").token();
    let claim = LinkClaim::parse(LinkKind::Item, &token).expect("a token");
    assert!(bench.store.prove(&claim).await.expect("reads").is_some());
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_is_not_made() {
    let bench = Bench::new();
    let body = "x".repeat(5000);
    let tx = bench.tx("a@isp.example", &["b@x.example"], &body);
    let outcome = Outcome::Accepted(vec![Disposition::Relay]);
    let session = session(bench.clock.now());
    tokio::select! {
        biased;
        _ = bench.store.commit(&session, &tx, &outcome) => panic!("it cannot be done at once"),
        () = std::future::ready(()) => {}
    }
    // The next commit is made after the abandoned one was passed over.
    let next = bench.relay(&["b@x.example"], &body).await;
    let all = bench.store.items(Filter::default()).await.expect("reads");
    assert_eq!(all.iter().map(|item| item.id).collect::<Vec<_>>(), [next]);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_what_is_held() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let clock = Arc::new(TestClock(AtomicI64::new(1_790_000_000_000)));
    let _store = Store::open(settings(&state), clock).expect("opens");
    for name in ["", "spool", "ledger.db", "ledger.db-wal", "link.key"] {
        let mode = std::fs::metadata(state.join(name))
            .expect(name)
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name} is {mode:o}");
    }
}

#[tokio::test]
async fn a_release_happens_once_and_within_the_caps() {
    let bench = Bench::new();
    let caps = ReleaseCaps {
        per_sender: 1,
        ..ReleaseCaps::default()
    };
    let first = bench.hold("a@isp.example", &["b@f.example"], "1").await.id;
    let second = bench.hold("A@isp.example", &["b@f.example"], "2").await.id;
    let release = |id| bench.store.release(all(id), Some(caps.clone()), operator());
    let (one, two) = tokio::join!(release(first), release(first));
    let changed = [one, two].map(|released| match released {
        Ok(Released::Done(done)) => done.changed,
        other => panic!("{other:?}"),
    });
    assert_eq!(changed.iter().sum::<usize>(), 1);
    let capped = release(second).await.expect("answered");
    assert_eq!(capped, Released::Capped("per_sender"));
    assert_eq!(bench.states(second).await, [State::Held]);
    bench.pass(DAY + Duration::from_secs(3600));
    let later = release(second).await.expect("answered");
    assert!(matches!(later, Released::Done(done) if done.changed == 1));
    let claimed = bench.store.claim(10, LEASE).await.expect("claims");
    assert!(
        claimed
            .iter()
            .all(|m| m.recipients[0].kind == Kind::Released)
    );
}

#[tokio::test]
async fn each_cap_on_releases_binds() {
    let none = ReleaseCaps {
        per_sender: 9,
        per_sender_domain: 9,
        per_origin_network: 9,
        per_destination_domain: 9,
        total: 9,
    };
    type Set = fn(&mut ReleaseCaps);
    let caps: [(&str, Set); 5] = [
        ("per_sender", |caps| caps.per_sender = 1),
        ("per_sender_domain", |caps| caps.per_sender_domain = 1),
        ("per_origin_network", |caps| caps.per_origin_network = 1),
        ("per_destination_domain", |caps| {
            caps.per_destination_domain = 1
        }),
        ("total", |caps| caps.total = 1),
    ];
    for (name, set) in caps {
        let bench = Bench::new();
        let mut caps = none.clone();
        set(&mut caps);
        let first = bench.hold("a@isp.example", &["b@f.example"], "1").await.id;
        let second = bench.hold("a@isp.example", &["c@f.example"], "2").await.id;
        let release = |id| bench.store.release(all(id), Some(caps.clone()), operator());
        assert!(
            matches!(release(first).await, Ok(Released::Done(_))),
            "{name}"
        );
        let capped = release(second).await.expect("answered");
        assert_eq!(capped, Released::Capped(name));
    }
}

#[tokio::test]
async fn each_cap_on_letters_binds() {
    type Set = fn(&mut LetterCaps);
    let caps: [(&str, Set); 4] = [
        ("per_sender_daily", |caps| caps.per_sender_daily = 1),
        ("per_origin_daily", |caps| caps.per_origin_daily = 1),
        ("per_domain_hourly", |caps| caps.per_domain_hourly = 1),
        ("total_hourly", |caps| caps.total_hourly = 1),
    ];
    for (name, set) in caps {
        let bench = Bench::new();
        let mut caps = LetterCaps::default();
        set(&mut caps);
        for to in ["b@f.example", "c@f.example"] {
            bench.hold("a@isp.example", &[to], to).await;
        }
        let sent = bench.send_letters(&caps).await;
        assert_eq!(sent[1], LetterSent::Capped(name), "{sent:?}");
        assert_eq!(bench.send_letters(&caps).await, [], "it rests for an hour");
        let counts = bench.store.counts().await.expect("reads");
        assert_eq!(counts.letters_kept_back, ["c@f.example"]);
        bench.pass(DAY + DAY);
        assert!(matches!(
            bench.send_letters(&caps).await[..],
            [LetterSent::Queued(_)]
        ));
    }
}

#[tokio::test]
async fn one_sender_s_cap_does_not_keep_back_what_others_sent() {
    let bench = Bench::new();
    let caps = LetterCaps {
        per_origin_daily: 1000,
        ..LetterCaps::default()
    };
    for n in 0..7 {
        let to = format!("v{n}@f.example");
        bench
            .hold("spammer@isp.example", &[&to], &format!("s{n}"))
            .await;
        bench
            .hold(&format!("friend{n}@isp.example"), &[&to], &format!("f{n}"))
            .await;
    }
    let sent = bench.send_letters(&caps).await;
    assert!(
        sent.iter().all(|s| matches!(s, LetterSent::Queued(_))),
        "{sent:?}"
    );
    assert_eq!(sent.len(), 7);
}

#[tokio::test]
async fn addresses_without_anything_held_do_not_stand_in_the_way() {
    let bench = Bench::new();
    for n in 0..5 {
        let id = bench
            .hold(
                "a@isp.example",
                &[&format!("b{n}@f.example")],
                &n.to_string(),
            )
            .await
            .id;
        bench
            .store
            .discard_held(all(id), operator())
            .await
            .expect("discarded");
    }
    bench.hold("c@isp.example", &["fresh@f.example"], "x").await;
    let due = bench.store.letters_due(7 * DAY, 2).await.expect("reads");
    let names: Vec<_> = due.iter().map(|d| d.address.address.as_str()).collect();
    assert_eq!(names, ["fresh@f.example"]);
}

#[tokio::test]
async fn links_open_what_they_were_made_for() {
    let bench = Bench::new();
    let receipt = bench.hold("a@isp.example", &["b@f.example"], "x").await;
    let token = receipt.link.expect("a link").token();
    let claim = |kind| LinkClaim::parse(kind, &token).expect("a token");
    let item = bench
        .store
        .prove(&claim(LinkKind::Item))
        .await
        .expect("reads");
    assert!(matches!(item, Some(Proven::Item(item)) if item.id == receipt.id));
    for kind in [LinkKind::Address, LinkKind::Stop, LinkKind::Confirm] {
        assert!(
            bench
                .store
                .prove(&claim(kind))
                .await
                .expect("reads")
                .is_none()
        );
    }
    let forged = LinkKey::new([0; 32], "https://x").mint(LinkKind::Item, receipt.id, "a", 0);
    let forged = LinkClaim::parse(LinkKind::Item, &forged.token()).expect("a token");
    assert!(bench.store.prove(&forged).await.expect("reads").is_none());
}

#[tokio::test]
async fn one_letter_an_interval_whatever_comes() {
    let bench = Bench::new();
    let caps = LetterCaps::default();
    for n in 0..20 {
        bench
            .hold("a@isp.example", &["b@f.example"], &n.to_string())
            .await;
    }
    let due = bench.store.letters_due(7 * DAY, 10).await.expect("reads");
    assert_eq!((due.len(), due[0].held, due[0].newest.len()), (1, 20, 10));
    assert_eq!(bench.send_letters(&caps).await.len(), 1);
    bench.hold("a@isp.example", &["B@f.example"], "more").await;
    assert_eq!(bench.send_letters(&caps).await, []);
    let bench = bench.reopen();
    assert_eq!(bench.send_letters(&caps).await, []);
    bench.pass(8 * DAY);
    assert_eq!(bench.send_letters(&caps).await.len(), 1);
    bench.pass(8 * DAY);
    assert_eq!(
        bench.send_letters(&caps).await,
        [],
        "nothing new was held since"
    );
}

#[tokio::test]
async fn automatic_messages_cause_no_letter() {
    let bench = Bench::new();
    bench
        .hold("", &["b@f.example"], "Subject: dsn\r\n\r\n")
        .await;
    let auto = "Auto-Submitted: auto-replied\r\n\r\n";
    bench.hold("a@isp.example", &["c@f.example"], auto).await;
    let not = "Auto-Submitted: no (really)\r\n\r\n";
    bench.hold("a@isp.example", &["d@f.example"], not).await;
    let due = bench.store.letters_due(7 * DAY, 10).await.expect("reads");
    let names: Vec<_> = due.iter().map(|d| d.address.address.as_str()).collect();
    assert_eq!(names, ["d@f.example"]);
}

#[tokio::test]
async fn letters_stop_by_caps_by_wish_and_by_failure() {
    let bench = Bench::new();
    for n in 0..6 {
        bench
            .hold(
                "a@isp.example",
                &[&format!("b{n}@f.example")],
                &n.to_string(),
            )
            .await;
    }
    let sent = bench.send_letters(&LetterCaps::default()).await;
    assert_eq!(sent[5], LetterSent::Capped("per_sender_daily"));
    assert_eq!(bench.store.counts().await.expect("reads").letters_capped, 1);

    let stopped = bench
        .store
        .address("B5@f.example")
        .await
        .expect("reads")
        .expect("a row");
    bench
        .store
        .stop_letters(stopped.id, operator())
        .await
        .expect("stopped");
    bench.settle_all(AttemptResult::Failed).await;
    bench.pass(8 * DAY);
    for n in 0..6 {
        bench
            .hold(
                "c@isp.example",
                &[&format!("b{n}@f.example")],
                &n.to_string(),
            )
            .await;
    }
    assert_eq!(bench.send_letters(&LetterCaps::default()).await, []);
}

#[tokio::test]
async fn retention_expires_what_is_held_and_nothing_else() {
    let bench = Bench::new();
    let held = bench.hold("a@isp.example", &["b@f.example"], "1").await.id;
    let released = bench.hold("a@isp.example", &["b@f.example"], "2").await.id;
    bench
        .store
        .release(all(released), None, operator())
        .await
        .expect("released");
    bench.pass(31 * DAY);
    bench.store.tidy().await.expect("tidied");
    assert_eq!(bench.states(held).await, []);
    assert_eq!(bench.states(released).await, [State::Queued]);
    let audit = bench.store.audit(held).await.expect("reads");
    assert_eq!(audit.last().map(|l| l.state.as_str()), Some("expired"));
}

#[tokio::test]
async fn an_operator_suspends_retries_and_discards() {
    let bench = Bench::new();
    let id = bench.relay(&["b@x.example"], "\r\n").await;
    bench
        .store
        .suspend(all(id), operator())
        .await
        .expect("suspended");
    assert!(
        bench
            .store
            .claim(10, LEASE)
            .await
            .expect("claims")
            .is_empty()
    );
    bench
        .store
        .retry(all(id), operator())
        .await
        .expect("retried");
    assert_eq!(
        bench.store.next_due().await.expect("reads"),
        Some(bench.clock.now())
    );
    let done = bench
        .store
        .discard_held(all(id), operator())
        .await
        .expect("answered");
    assert_eq!((done.changed, done.untouched), (0, 1));
    bench
        .store
        .discard_queued(all(id), operator())
        .await
        .expect("discarded");
    assert!(bench.store.item(id).await.expect("reads").is_none());
}

#[tokio::test]
async fn lists_filter_and_page() {
    let bench = Bench::new();
    for n in 0..5 {
        bench
            .hold(
                "a@isp.example",
                &["b@f.example", "c@f.example"],
                &n.to_string(),
            )
            .await;
    }
    let filter = Filter {
        recipient: Some("C@f.example".to_owned()),
        states: vec![State::Held],
        limit: 3,
        ..Filter::default()
    };
    let page = bench.store.items(filter.clone()).await.expect("reads");
    assert_eq!(page.len(), 3);
    let next = Filter {
        before: page.last().map(|item| item.id),
        ..filter
    };
    assert_eq!(bench.store.items(next).await.expect("reads").len(), 2);
    let owner = bench
        .store
        .address("b@f.example")
        .await
        .expect("reads")
        .expect("a row");
    let own = bench
        .store
        .items_of(&owner, Filter::default())
        .await
        .expect("reads");
    assert_eq!(own.len(), 5);
    assert!(own.iter().all(|item| item.recipients.len() == 1));
}

#[tokio::test]
async fn a_disk_below_min_free_is_full() {
    let bench = Bench::new();
    let mut tight = settings(bench.dir.path());
    tight.state = bench.dir.path().join("other");
    tight.min_free = u64::MAX;
    let store = Store::open(tight, bench.clock.clone()).expect("opens");
    assert!(store.room(1).is_err());
    let tx = bench.tx("a@isp.example", &["b@x.example"], "\r\n");
    let outcome = Outcome::Accepted(vec![Disposition::Relay]);
    let refused = store
        .commit(&session(bench.clock.now()), &tx, &outcome)
        .await;
    assert!(matches!(refused, Err(posthouse_hook::CommitError::Full(_))));
}

#[tokio::test]
async fn what_was_held_without_a_judgement_is_no_retry_of_anything() {
    let bench = Bench::new();
    let outcome = Outcome::Accepted(vec![Disposition::Hold(Why::Spam(Row::Other))]);
    let mut ids = HashSet::new();
    for body in ["1", "2"] {
        let tx = bench.tx("a@isp.example", &["b@x.example"], body);
        ids.insert(bench.commit(&tx, &outcome).await.id);
    }
    assert_eq!(ids.len(), 2);
    let listed = bench.store.items(Filter::default()).await.expect("reads");
    assert!(listed.iter().all(|item| item.judgement.is_none()));
}

#[tokio::test]
async fn a_subject_that_is_cut_gives_no_secret_away() {
    let bench = Bench::new();
    let receipt = bench.hold("a@isp.example", &["b@f.example"], "x").await;
    let token = receipt.link.expect("a link").token();
    let subject = format!("Subject: {}/i/{token}\r\n\r\n", "x".repeat(168));
    let quoting = bench
        .hold("a@isp.example", &["b@f.example"], &subject)
        .await;
    let item = bench.store.item(quoting.id).await.expect("reads");
    let subject = item.expect("kept").subject;
    assert!(!subject.contains(&token[..20]), "{subject}");
}

#[tokio::test]
async fn the_audit_is_trimmed_although_old_items_are_kept() {
    let bench = Bench::new();
    let kept = bench.hold("a@isp.example", &["b@f.example"], "x").await.id;
    let (store, what) = (&bench.store, all(kept));
    let released = store.release(what.clone(), None, operator()).await;
    assert!(matches!(released, Ok(Released::Done(_))));
    store.suspend(what, operator()).await.expect("suspended");
    let looks = (0..5000).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.viewed(kept, operator()).await })
    });
    for look in looks.collect::<Vec<_>>() {
        look.await.expect("runs").expect("written");
    }
    let gone = bench.relay(&["b@x.example"], "x").await;
    bench.settle_all(AttemptResult::Delivered).await;
    bench.pass(61 * DAY);
    store.tidy().await.expect("tidied");
    assert_eq!(store.audit(gone).await.expect("reads"), []);
    assert!(store.audit(kept).await.expect("reads").len() > 5000);
}

#[tokio::test]
async fn only_letters_that_a_cap_alone_keeps_back_are_listed() {
    let bench = Bench::new();
    let caps = LetterCaps {
        total_hourly: 0,
        ..LetterCaps::default()
    };
    let mut items = Vec::new();
    for to in ["b@f.example", "c@f.example", "d@f.example"] {
        items.push(bench.hold("a@isp.example", &[to], to).await.id);
    }
    bench.send_letters(&caps).await;
    let store = &bench.store;
    let stopped = store.address("b@f.example").await.expect("reads");
    let id = stopped.expect("a row").id;
    store.stop_letters(id, operator()).await.expect("stopped");
    store
        .discard_held(all(items[1]), operator())
        .await
        .expect("discarded");
    let listed = store.counts().await.expect("reads").letters_kept_back;
    assert_eq!(listed, ["d@f.example"]);
}

#[tokio::test]
async fn errors_name_the_file_that_they_are_about() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(TestClock(AtomicI64::new(0)));
    let told = |opened: Result<Store, StoreError>| match opened {
        Ok(_) => panic!("it cannot open"),
        Err(error) => error.to_string(),
    };
    let unserved = Store::open_read_only(settings(dir.path()), clock.clone());
    assert!(
        told(unserved).ends_with("ledger.db is not there; was this configuration ever served?")
    );
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("there").count(),
        0,
        "nothing is made"
    );
    let file = dir.path().join("a-file");
    std::fs::write(&file, b"x").expect("written");
    let error = told(Store::open(settings(&file.join("state")), clock));
    assert!(error.contains("a-file/state: Not a directory"), "{error}");
}
