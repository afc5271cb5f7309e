//! Tests of the plugin `rate_limit`, on a clock that is moved by hand.

use std::sync::Mutex;

use posthouse_hook::{Chain, Clock, Row, Timestamp};

use super::*;
use crate::testing::{Parts, Zone, session, step, transaction};

struct Hand(Mutex<i64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.lock().expect("whole"))
    }
}

/// Says at data that everything is spam, and refuses it: as the quarantine does for the vouched.
struct Quarantine;

#[async_trait]
impl Plugin for Quarantine {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Disposes
    }

    async fn data(&self, _session: &mut Session, tx: &mut Transaction) -> Answer {
        for recipient in &mut tx.recipients {
            recipient.disposition = Disposition::Hold(Why::Spam(Row::Other));
        }
        Ok(Verdict::Refuse(Refusal::policy("spam")))
    }
}

struct House {
    clock: Arc<Hand>,
    chain: Chain,
}

impl House {
    fn new(limits: &str, more: Option<Arc<dyn Plugin>>) -> Self {
        let clock = Arc::new(Hand(Mutex::new(1_800_000_000_000)));
        let mut parts = Parts::new(Zone::default());
        parts.common.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let mut plugin = |kind: &str, options: &str| parts.build(kind, options).expect("valid");
        let limits = step("rate_limit", plugin("rate_limit", limits));
        let all = plugin("relay_domains", "domains = [\"b.example\", \"c.example\"]");
        let mut steps = vec![limits, step("relay_domains", all)];
        steps.extend(more.map(|plugin| step("quarantine", plugin)));
        let chain = Chain::new("c", steps);
        Self { clock, chain }
    }

    fn pass(&self, seconds: i64) {
        *self.clock.0.lock().expect("whole") += seconds * 1000;
    }

    /// The first refusal and its hook point, or what becomes of the copies.
    async fn send(&self, client: &str, from: &str, to: &[&str]) -> String {
        let mut session = session(client);
        let mut tx = transaction(from, to, "Subject: x\n\nx\n");
        let recipients = std::mem::take(&mut tx.recipients);
        if let Err(refusal) = self.chain.mail(&mut session, &mut tx).await {
            return format!("mail {refusal}");
        }
        for recipient in recipients {
            match self.chain.rcpt(&mut session, &mut tx, &recipient).await {
                Ok(()) => tx.recipients.push(recipient),
                Err(refusal) => return format!("rcpt {refusal}"),
            }
        }
        let verdict = self.chain.data(&mut session, &mut tx).await;
        if let Verdict::Refuse(refusal) = verdict {
            return format!("data {refusal}");
        }
        let over = tx.notes.get::<OverLimit>();
        let over = over.map_or(String::new(), |over| over.0.join(", "));
        format!("{:?} {over}", tx.dispositions().collect::<Vec<_>>())
    }
}

const LATER: &str = "451 4.7.1 Too much mail, try again later";
const A: &str = "<a@a.example>";
const B: &str = "<b@b.example>";
const C: &str = "<c@c.example>";

#[tokio::test]
async fn messages_are_put_off_at_mail_once_the_limit_is_reached() {
    let limits = "limits = [{ by = \"client\", count = \"messages\", most = 2, per = \"1h\" }]";
    let house = House::new(limits, None);
    for _ in 0..2 {
        assert_eq!(house.send("192.0.2.1", A, &[B]).await, "[Relay] ");
    }
    assert_eq!(
        house.send("192.0.2.1", A, &[B]).await,
        format!("mail {LATER}")
    );
    assert_eq!(house.send("192.0.2.2", A, &[B]).await, "[Relay] ");
    house.pass(1799);
    assert_eq!(
        house.send("192.0.2.1", A, &[B]).await,
        format!("mail {LATER}")
    );
    house.pass(1);
    assert_eq!(house.send("192.0.2.1", A, &[B]).await, "[Relay] ");
}

#[tokio::test]
async fn recipients_count_each_even_those_that_are_refused_below() {
    let limits =
        "limits = [{ by = \"sender_domain\", count = \"recipients\", most = 3, per = \"1h\" }]";
    let house = House::new(limits, None);
    let unknown = house.send("192.0.2.1", A, &["<x@nowhere.example>"]).await;
    assert_eq!(unknown, "rcpt 550 5.7.1 Relaying denied");
    assert_eq!(house.send("192.0.2.1", A, &[B, C]).await, "[Relay, Relay] ");
    assert_eq!(
        house.send("192.0.2.9", A, &[B]).await,
        format!("mail {LATER}")
    );
    assert_eq!(house.send("192.0.2.9", "<>", &[B]).await, "[Relay] ");
}

#[tokio::test]
async fn a_recipient_domain_that_is_full_is_put_off_alone() {
    let limits =
        "limits = [{ by = \"recipient_domain\", count = \"messages\", most = 1, per = \"1h\" }]";
    let house = House::new(limits, None);
    assert_eq!(
        house.send("192.0.2.1", A, &[B, "<b2@b.example>"]).await,
        "[Relay, Relay] "
    );
    assert_eq!(
        house.send("192.0.2.1", A, &[B]).await,
        format!("rcpt {LATER}")
    );
    assert_eq!(house.send("192.0.2.1", A, &[C]).await, "[Relay] ");
}

#[tokio::test]
async fn over_a_limit_may_mean_a_note_or_a_hold() {
    let limits = r#"limits = [
        { by = "network", count = "messages", most = 1, per = "1h", action = "note" },
        { by = "network", count = "recipients", most = 3, per = "1h", action = "hold" },
    ]"#;
    let house = House::new(limits, None);
    assert_eq!(house.send("192.0.2.1", A, &[B]).await, "[Relay] ");
    let noted = house.send("192.0.2.2", A, &[B]).await;
    assert_eq!(noted, "[Relay] 1 messages per 1h by network");
    let held = house.send("192.0.2.3", A, &[B, C]).await;
    let over = "3 recipients per 1h by network, 1 messages per 1h by network";
    assert_eq!(held, format!("[Hold(Policy), Hold(Policy)] {over}"));
}

/// The quarantine's own refusal, after which no plugin below it is asked, counts too.
#[tokio::test]
async fn spam_that_is_held_counts_against_its_forwarder() {
    let limits = r#"limits = [{ by = "forwarder", count = "spam_holds", most = 2, per = "1h" }]"#;
    let house = House::new(limits, Some(Arc::new(Quarantine)));
    let srs = "<SRS0=h=t=x.example=bob@isp.example>";
    for _ in 0..2 {
        assert_eq!(
            house.send("192.0.2.1", srs, &[B]).await,
            "data 550 5.7.1 spam"
        );
    }
    let other = "<SRS0=h=t=y.example=eve@isp.example>";
    assert_eq!(
        house.send("192.0.2.7", other, &[B]).await,
        format!("rcpt {LATER}")
    );
    assert_eq!(
        house.send("192.0.2.1", srs, &[C]).await,
        "data 550 5.7.1 spam"
    );
    house.pass(3600);
    assert_eq!(
        house.send("192.0.2.1", srs, &[B]).await,
        "data 550 5.7.1 spam"
    );
}

/// A plugin that stands below the one that takes recipients is not asked at rcpt, and counts them
/// at data.
#[tokio::test]
async fn recipients_that_were_taken_above_are_counted_at_data() {
    let limits = "limits = [{ by = \"client\", count = \"recipients\", most = 2, per = \"1h\" }]";
    let mut parts = Parts::new(Zone::default());
    let mut plugin = |kind: &str, options: &str| parts.build(kind, options).expect("valid");
    let taking = step(
        "relay_domains",
        plugin("relay_domains", "domains = \"b.example\""),
    );
    let limits = step("rate_limit", plugin("rate_limit", limits));
    let house = House {
        clock: Arc::new(Hand(Mutex::new(0))),
        chain: Chain::new("c", vec![taking, limits]),
    };
    let two = ["<a@b.example>", "<b@b.example>"];
    assert_eq!(house.send("192.0.2.1", A, &two).await, "[Relay, Relay] ");
    assert_eq!(
        house.send("192.0.2.1", A, &two[..1]).await,
        format!("mail {LATER}")
    );
    let three = ["<a@b.example>", "<b@b.example>", "<c@b.example>"];
    assert_eq!(
        house.send("192.0.2.2", A, &three).await,
        format!("data {LATER}")
    );
}

#[tokio::test]
async fn whoever_is_exempt_is_neither_counted_nor_put_off() {
    let limits = "exempt = [\"access\"]\nlimits = [{ by = \"sender\", count = \"messages\", most = 1, per = \"1h\" }]";
    let mut parts = Parts::new(Zone::default());
    let mut plugin = |kind: &str, options: &str| parts.build(kind, options).expect("valid");
    let steps = vec![
        step(
            "access",
            plugin("access", "allow = [\"from:good.example\"]"),
        ),
        step("rate_limit", plugin("rate_limit", limits)),
        step(
            "relay_domains",
            plugin("relay_domains", "domains = \"b.example\""),
        ),
    ];
    let house = House {
        clock: Arc::new(Hand(Mutex::new(0))),
        chain: Chain::new("c", steps),
    };
    for _ in 0..3 {
        assert_eq!(
            house.send("192.0.2.1", "<a@good.example>", &[B]).await,
            "[Relay] "
        );
    }
    assert_eq!(house.send("192.0.2.1", A, &[B]).await, "[Relay] ");
    assert_eq!(
        house.send("192.0.2.1", A, &[B]).await,
        format!("mail {LATER}")
    );
}

#[test]
fn bad_options_name_themselves() {
    let limit = "by = \"client\", count = \"messages\"";
    for (options, want) in [
        ("limits = []".to_owned(), "limits nothing"),
        (
            format!("limits = [{{ {limit}, most = 0, per = \"1h\" }}]"),
            "most = 0",
        ),
        (
            format!("limits = [{{ {limit}, most = 1, per = \"0s\" }}]"),
            "no time at all",
        ),
        (format!("limits = [{{ {limit}, most = 1 }}]"), "per"),
        (
            format!("limits = [{{ {limit}, most = 1, per = \"1h\", action = \"refuse\" }}]"),
            "refuse",
        ),
        (
            "limits = [{ by = \"moon\", count = \"messages\", most = 1, per = \"1h\" }]".to_owned(),
            "moon",
        ),
        (
            format!("network_v4 = 33\nlimits = [{{ {limit}, most = 1, per = \"1h\" }}]"),
            "write 1 to 32",
        ),
        (
            format!("keys = 0\nlimits = [{{ {limit}, most = 1, per = \"1h\" }}]"),
            "keys = `0`",
        ),
    ] {
        let error = Parts::new(Zone::default())
            .build("rate_limit", &options)
            .err();
        let error = error.expect(&options).to_string();
        assert!(error.contains(want), "{options}: {error}");
    }
}
