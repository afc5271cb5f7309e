//! Tests of the plugin `greylist`, with a real ledger and a clock that is moved by hand.

use posthouse_hook::proofs::RelayClient;
use posthouse_hook::{Chain, Clock};
use posthouse_store::{Settings, StoreError};

use super::*;
use crate::testing::{Parts, Zone, session, step, transaction};

struct Hand(Mutex<i64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.lock().expect("whole"))
    }
}

struct House {
    clock: Arc<Hand>,
    chain: Chain,
    _dir: tempfile::TempDir,
}

/// Whether the ledger can be written.
#[derive(Clone, Copy, PartialEq)]
enum Ledger {
    Works,
    ReadOnly,
    None,
}

impl House {
    fn new(options: &str) -> Self {
        Self::with(options, Ledger::Works)
    }

    fn with(options: &str, ledger: Ledger) -> Self {
        let clock = Arc::new(Hand(Mutex::new(1_800_000_000_000)));
        let dir = tempfile::tempdir().expect("a directory");
        let mut parts = Parts::new(Zone::default());
        parts.common.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        parts.common.store = store(dir.path(), &clock, ledger);
        let mut plugin = |kind: &str, options: &str| parts.build(kind, options).expect("valid");
        let steps = vec![
            step(
                "access",
                plugin("access", "allow = [\"to:postmaster@b.example\"]"),
            ),
            step("greylist", plugin("greylist", options)),
            step(
                "relay_domains",
                plugin("relay_domains", "domains = \"b.example\""),
            ),
        ];
        Self {
            clock,
            chain: Chain::new("c", steps),
            _dir: dir,
        }
    }

    fn pass(&self, seconds: i64) {
        *self.clock.0.lock().expect("whole") += seconds * 1000;
    }

    async fn send(&self, client: &str, from: &str, to: &[&str]) -> String {
        self.send_in(session(client), from, to).await
    }

    async fn send_in(&self, mut session: Session, from: &str, to: &[&str]) -> String {
        let mut tx = transaction(from, to, "Subject: x\n\nx\n");
        let recipients = std::mem::take(&mut tx.recipients);
        for recipient in recipients {
            match self.chain.rcpt(&mut session, &mut tx, &recipient).await {
                Ok(()) => tx.recipients.push(recipient),
                Err(refusal) => return format!("rcpt {refusal}"),
            }
        }
        match self.chain.data(&mut session, &mut tx).await {
            Verdict::Refuse(refusal) => format!("data {refusal}"),
            _ => "taken".to_owned(),
        }
    }
}

fn store(dir: &std::path::Path, clock: &Arc<Hand>, ledger: Ledger) -> Option<Store> {
    let open = |open: fn(Settings, Arc<dyn Clock>) -> Result<Store, StoreError>| {
        let opened = open(settings(dir), Arc::clone(clock) as Arc<dyn Clock>);
        opened.expect("a store")
    };
    let writable = (ledger != Ledger::None).then(|| open(Store::open))?;
    if ledger == Ledger::Works {
        return Some(writable);
    }
    drop(writable);
    Some(open(Store::open_read_only))
}

fn settings(dir: &std::path::Path) -> Settings {
    let day = Duration::from_secs(86_400);
    Settings {
        state: dir.to_owned(),
        node: 1,
        link_base: "https://out.isp.example".to_owned(),
        min_free: 0,
        spool_threshold: 128 * 1024,
        handoff_bytes: 0,
        retention: day,
        bounds: posthouse_store::Bounds::default(),
        audit_kept: day,
        observed_kept: day,
        judged_kept: day,
    }
}

const WAIT: &str = "451 4.7.1 Greylisted, try again later";
const A: &str = "<a@a.example>";
const B: &str = "<b@b.example>";
const C: &str = "<c@b.example>";

#[tokio::test]
async fn a_stranger_passes_when_it_comes_again_in_time() {
    let house = House::new("");
    let wait = format!("rcpt {WAIT}");
    assert_eq!(house.send("192.0.2.200", A, &[B]).await, wait);
    house.pass(299);
    assert_eq!(house.send("192.0.2.200", A, &[B]).await, wait);
    house.pass(1);
    assert_eq!(
        house.send("192.0.2.99", A, &[B]).await,
        "taken",
        "a neighbour"
    );
    assert_eq!(
        house.send("192.0.2.200", A, &[C]).await,
        wait,
        "another recipient"
    );
    assert_eq!(house.send("192.0.2.200", "<x@a.example>", &[B]).await, wait);
    assert_eq!(house.send("198.51.100.1", A, &[B]).await, wait);
    house.pass(34 * 86_400);
    assert_eq!(
        house.send("192.0.2.200", A, &[B]).await,
        "taken",
        "known, and kept known"
    );
    house.pass(34 * 86_400);
    assert_eq!(house.send("192.0.2.200", A, &[B]).await, "taken");
    house.pass(35 * 86_400);
    assert_eq!(house.send("192.0.2.200", A, &[B]).await, wait, "forgotten");
}

#[tokio::test]
async fn whoever_comes_too_late_begins_anew() {
    let house = House::new("window = \"1h\"");
    assert_eq!(
        house.send("192.0.2.200", A, &[B]).await,
        format!("rcpt {WAIT}")
    );
    house.pass(3600);
    assert_eq!(
        house.send("192.0.2.200", A, &[B]).await,
        format!("rcpt {WAIT}")
    );
    house.pass(300);
    assert_eq!(house.send("192.0.2.200", A, &[B]).await, "taken");
}

#[tokio::test]
async fn a_network_that_comes_again_is_known_after_a_while() {
    let house = House::new("auto_allow = 2");
    for n in 0..2 {
        let from = format!("<{n}x@a.example>");
        assert_eq!(
            house.send("192.0.2.200", &from, &[B]).await,
            format!("rcpt {WAIT}")
        );
        house.pass(300);
        assert_eq!(house.send("192.0.2.200", &from, &[B]).await, "taken");
        assert_eq!(
            house.send("192.0.2.200", &from, &[B]).await,
            "taken",
            "no second success"
        );
    }
    assert_eq!(
        house.send("192.0.2.9", "<new@c.example>", &[C]).await,
        "taken"
    );
    assert_eq!(
        house.send("198.51.100.1", A, &[B]).await,
        format!("rcpt {WAIT}")
    );
}

/// A server that asks whether an address exists sends nothing and hears the truth; a bounce waits.
#[tokio::test]
async fn the_null_sender_waits_at_data() {
    let house = House::new("");
    let mut asking = session("192.0.2.200");
    let mut tx = transaction("<>", &[B], "\n\n");
    let recipient = tx.recipients.remove(0);
    assert!(
        house
            .chain
            .rcpt(&mut asking, &mut tx, &recipient)
            .await
            .is_ok()
    );
    assert_eq!(
        house.send("192.0.2.200", "<>", &[B]).await,
        format!("data {WAIT}")
    );
    house.pass(300);
    assert_eq!(house.send("192.0.2.200", "<>", &[B]).await, "taken");
}

#[tokio::test]
async fn at_data_all_recipients_wait_together() {
    let house = House::new("at = \"data\"");
    assert_eq!(
        house.send("192.0.2.200", A, &[B]).await,
        format!("data {WAIT}")
    );
    house.pass(300);
    assert_eq!(
        house.send("192.0.2.200", A, &[B, C]).await,
        format!("data {WAIT}")
    );
    house.pass(300);
    assert_eq!(house.send("192.0.2.200", A, &[B, C]).await, "taken");
}

#[tokio::test]
async fn the_known_do_not_wait() {
    let house = House::new("");
    let mut user = session("192.0.2.200");
    user.auth = Some("ann".to_owned());
    assert_eq!(house.send_in(user, A, &[B]).await, "taken");
    let mut customer = session("192.0.2.200");
    customer.notes.put(RelayClient);
    assert_eq!(house.send_in(customer, A, &[B]).await, "taken");
    for from in [A, "<>"] {
        let heard = house
            .send("192.0.2.200", from, &["<postmaster@b.example>"])
            .await;
        assert_eq!(heard, "taken", "an allowed recipient");
    }
    assert_eq!(
        house.send("192.0.2.200", A, &[B]).await,
        format!("rcpt {WAIT}")
    );
}

#[tokio::test]
async fn a_failing_ledger_lets_mail_pass_or_puts_it_off() {
    for ledger in [Ledger::ReadOnly, Ledger::None] {
        let house = House::with("", ledger);
        assert_eq!(house.send("192.0.2.200", A, &[B]).await, "taken");
        let house = House::with("on_dead = \"defer\"", ledger);
        let heard = house.send("192.0.2.200", A, &[B]).await;
        assert_eq!(heard, "rcpt 451 4.3.0 Local error, try again later");
    }
}

#[test]
fn bad_options_name_themselves() {
    for (options, want) in [
        ("delay = \"1d\"", "window = `12h`"),
        ("lifetime = \"1h\"", "lifetime = `1h`"),
        ("network_v6 = 129", "write 1 to 128"),
        ("entries = 1", "entries = `1`"),
        ("at = \"mail\"", "mail"),
        ("dealy = \"5m\"", "dealy"),
    ] {
        let error = Parts::new(Zone::default()).build("greylist", options).err();
        let error = error.expect(options).to_string();
        assert!(error.contains(want), "{options}: {error}");
    }
}
