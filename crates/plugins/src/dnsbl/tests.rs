//! The plugin in a chain, with lists that live, die, come back, and refuse to answer, and a clock that
//! is moved by hand.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use posthouse_hook::proofs::{ListKind, RelayClient, SpfFound};
use posthouse_hook::{
    Chain, Clock, LookupError, Mx, Resolver, Session, Timestamp, Transaction, facts,
};

use super::*;
use crate::testing::{Parts, Zone, session, step, transaction};

/// DNS that changes while it is asked.
#[derive(Default)]
struct Lists {
    names: Mutex<HashMap<String, Looked>>,
    txt: Mutex<HashMap<String, String>>,
    asked: AtomicUsize,
}

#[derive(Clone)]
enum Looked {
    Says(Vec<Ipv4Addr>),
    Fails,
    Hangs,
}

impl Lists {
    fn set(&self, name: &str, answer: Looked) {
        self.names
            .lock()
            .expect("whole")
            .insert(name.to_owned(), answer);
    }

    /// Every name below the zone answers so.
    fn all(&self, zone: &str, answer: Looked) {
        self.set(&format!("*.{zone}"), answer);
    }

    fn calm(&self, zone: &str) {
        self.names
            .lock()
            .expect("whole")
            .remove(&format!("*.{zone}"));
    }

    fn list(&self, zone: &str, name: &str) {
        self.set(&format!("{name}.{zone}"), says("127.0.0.2"));
    }

    fn find(&self, name: &Domain) -> Option<Looked> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let names = self.names.lock().expect("whole");
        let wild = names.iter().find(|(key, _)| {
            let zone = key.strip_prefix("*.");
            zone.is_some_and(|zone| name.is_below(zone))
        });
        wild.map(|(_, answer)| answer)
            .or(names.get(name.as_str()))
            .cloned()
    }
}

fn says(answer: &str) -> Looked {
    Looked::Says(vec![answer.parse().expect("an address")])
}

#[async_trait]
impl Resolver for Lists {
    async fn mx(&self, _: &Domain) -> Result<Vec<Mx>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn addresses(&self, name: &Domain) -> Result<Vec<IpAddr>, LookupError> {
        match self.find(name) {
            None => Err(LookupError::NotFound),
            Some(Looked::Says(ips)) => Ok(ips.into_iter().map(IpAddr::V4).collect()),
            Some(Looked::Fails) => Err(LookupError::Temporary("SERVFAIL".to_owned())),
            Some(Looked::Hangs) => std::future::pending().await,
        }
    }

    async fn txt(&self, name: &Domain) -> Result<Vec<Vec<u8>>, LookupError> {
        let texts = self.txt.lock().expect("whole");
        let text = texts.get(name.as_str()).ok_or(LookupError::NotFound)?;
        Ok(vec![text.clone().into_bytes()])
    }

    async fn names(&self, _: IpAddr) -> Result<Vec<Domain>, LookupError> {
        Err(LookupError::NotFound)
    }
}

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A plugin with lists that are in order.
struct Bench {
    dns: Arc<Lists>,
    clock: Arc<Hand>,
    plugin: Arc<dyn Plugin>,
    chain: Chain,
}

impl Bench {
    fn new(options: &str) -> Self {
        let (dns, clock) = (
            Arc::new(Lists::default()),
            Arc::new(Hand(AtomicI64::new(0))),
        );
        for zone in ["bl.example", "second.example", "wl.example"] {
            dns.list(zone, "2.0.0.127");
            dns.list(
                zone,
                "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0",
            );
        }
        dns.list("dbl.example", "test");
        let mut parts = Parts::new(Zone::default());
        parts.common.resolver = dns.clone();
        parts.common.clock = clock.clone();
        let plugin = parts.build("dnsbl", options).expect("valid");
        let chain = Chain::new("c", vec![step("dnsbl", Arc::clone(&plugin))]);
        Self {
            dns,
            clock,
            plugin,
            chain,
        }
    }

    async fn tested(options: &str) -> Self {
        let bench = Self::new(options);
        bench.plugin.tick().await;
        bench
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// What a client hears instead of a greeting; nothing if it is not refused.
    async fn connects(&self, client: &str) -> Option<String> {
        self.connect(&mut session(client)).await
    }

    async fn connect(&self, session: &mut Session) -> Option<String> {
        let refused = self.chain.connect(session).await.err();
        refused.map(|refusal| refusal.to_string())
    }

    fn told(&self, at: usize, key: &str) -> serde_json::Value {
        self.plugin.report().expect("a report").parts[at][key].clone()
    }
}

const ONE: &str = "zones = [\"bl.example\"]";

#[tokio::test]
async fn whom_a_list_lists_is_refused_in_its_words() {
    let bench = Bench::tested(ONE).await;
    bench.dns.list("bl.example", "66.2.0.192");
    bench.dns.list(
        "bl.example",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2",
    );
    let told = bench.connects("192.0.2.66").await;
    let want = "550 5.7.1 192.0.2.66 is listed by bl.example";
    assert_eq!(told.as_deref(), Some(want));
    assert!(bench.connects("2001:db8::1").await.is_some());
    assert_eq!(bench.connects("192.0.2.67").await, None);
    let hostile = format!("see http://bl.example/\r\n250 ok{}", "x".repeat(9_000));
    let name = "66.2.0.192.bl.example".to_owned();
    bench.dns.txt.lock().expect("whole").insert(name, hostile);
    let told = bench.connects("192.0.2.66").await.expect("refused");
    let want = format!("{want}: see http://bl.example/??250 ok");
    assert!(told.starts_with(&want) && told.len() < 300, "{told}");
}

#[tokio::test]
async fn no_list_is_believed_before_its_first_test() {
    let bench = Bench::new(ONE);
    bench.dns.list("bl.example", "66.2.0.192");
    assert_eq!(bench.connects("192.0.2.66").await, None);
    assert_eq!(bench.told(0, "state"), "untested");
    assert_eq!(bench.dns.asked.load(Ordering::SeqCst), 0);
    bench.plugin.tick().await;
    assert!(bench.connects("192.0.2.66").await.is_some());
    assert_eq!(bench.told(0, "state"), "good");
}

#[tokio::test]
async fn a_list_that_dies_is_set_aside_and_comes_back() {
    for (death, why) in [
        (says("127.0.0.2"), "it lists everybody"),
        (Looked::Says(Vec::new()), "it lists nobody"),
        (Looked::Fails, "no answer: SERVFAIL"),
        (Looked::Hangs, "no answer: not within"),
        (says("203.0.113.80"), "it answers with 203.0.113.80"),
        (says("127.255.255.254"), "it does not answer us"),
    ] {
        let bench = Bench::tested(&format!("{ONE}\ndeadline = 1")).await;
        bench.dns.list("bl.example", "66.2.0.192");
        bench.dns.all("bl.example", death);
        bench.pass(30 * 60);
        bench.plugin.tick().await;
        assert_eq!(bench.told(0, "state"), "aside", "{why}");
        let told = bench.told(0, "why").to_string();
        assert!(told.contains(why), "{told}");
        assert_eq!(bench.connects("192.0.2.67").await, None);
        bench.dns.calm("bl.example");
        assert_eq!(bench.connects("192.0.2.66").await, None, "not yet believed");
        bench.pass(5 * 60);
        bench.plugin.tick().await;
        assert_eq!(bench.told(0, "state"), "good", "{why}");
        assert!(bench.connects("192.0.2.66").await.is_some());
        assert_eq!(bench.told(0, "set_aside"), 1);
    }
}

#[tokio::test]
async fn a_list_that_died_since_its_last_test_refuses_nobody() {
    let bench = Bench::tested(ONE).await;
    bench.dns.all("bl.example", says("127.0.0.2"));
    bench.pass(61);
    assert_eq!(bench.connects("192.0.2.67").await, None);
    assert_eq!(bench.told(0, "state"), "aside");
}

#[tokio::test]
async fn an_answer_that_no_list_gives_sets_it_aside_at_once() {
    let bench = Bench::tested(ONE).await;
    bench.dns.set("66.2.0.192.bl.example", says("192.0.2.80"));
    bench.dns.list("bl.example", "67.2.0.192");
    assert!(bench.connects("192.0.2.67").await.is_some());
    assert_eq!(bench.connects("192.0.2.66").await, None);
    assert_eq!(bench.connects("192.0.2.67").await, None);
    assert_eq!(bench.told(0, "state"), "aside");
}

#[tokio::test]
async fn error_answers_are_never_listings() {
    let bench = Bench::tested(ONE).await;
    for error in ["127.255.255.252", "127.0.0.1", "127.0.1.255", "127.0.0.255"] {
        bench.dns.set("66.2.0.192.bl.example", says(error));
        assert_eq!(bench.connects("192.0.2.66").await, None, "{error}");
    }
    assert_eq!(bench.told(0, "error_answers"), 4);
    // It says so at its test points too, which are looked at before their time.
    bench.dns.all("bl.example", says("127.255.255.254"));
    bench.pass(1);
    bench.plugin.tick().await;
    assert_eq!(bench.told(0, "state"), "aside");
}

#[tokio::test(start_paused = true)]
async fn lists_that_hang_hold_nobody_up_beyond_the_deadline() {
    let bench = Bench::tested("zones = [\"bl.example\", \"second.example\"]\ndeadline = 3").await;
    bench.dns.all("bl.example", Looked::Hangs);
    bench.dns.list("second.example", "66.2.0.192");
    let begun = tokio::time::Instant::now();
    for _ in 0..SILENT {
        assert!(bench.connects("192.0.2.66").await.is_some());
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(3 * u64::from(SILENT)));
    assert_eq!(bench.told(0, "unanswered"), SILENT);
    bench.plugin.tick().await;
    assert_eq!(bench.told(0, "state"), "aside");
    let begun = tokio::time::Instant::now();
    assert!(bench.connects("192.0.2.66").await.is_some());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// As [`health`] has it.
const SILENT: u32 = 3;

#[tokio::test]
async fn a_list_without_ipv6_is_not_asked_about_it_and_is_not_broken() {
    let bench = Bench::tested("zones = [\"v4.example\"]").await;
    assert_eq!(bench.told(0, "state"), "aside");
    bench.dns.list("v4.example", "2.0.0.127");
    bench.pass(300);
    bench.plugin.tick().await;
    assert_eq!(bench.told(0, "state"), "good");
    assert_eq!(bench.told(1, "state"), "absent");
    let before = bench.dns.asked.load(Ordering::SeqCst);
    assert_eq!(bench.connects("2001:db8::1").await, None);
    assert_eq!(bench.dns.asked.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn allow_lists_and_exemptions_win() {
    let zones = "zones = [\"bl.example\", { zone = \"wl.example\", kind = \"allow\" }]";
    let bench = Bench::tested(zones).await;
    bench.dns.list("bl.example", "66.2.0.192");
    assert!(bench.connects("192.0.2.66").await.is_some());
    bench.dns.list("wl.example", "66.2.0.192");
    let mut client = session("192.0.2.66");
    assert_eq!(bench.connect(&mut client).await, None);
    let listings = client.notes.get::<Listings>().expect("a note");
    assert!(listings.allow_client() && listings.weight() == 0);
    let kinds: Vec<_> = listings.0.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [ListKind::Deny, ListKind::Allow]);

    let bench = Bench::tested(ONE).await;
    bench.dns.list("bl.example", "66.2.0.192");
    let before = bench.dns.asked.load(Ordering::SeqCst);
    for note in [true, false] {
        let mut client = session("192.0.2.66");
        match note {
            true => client.notes.put(RelayClient),
            false => client.auth = Some("ann".to_owned()),
        }
        assert_eq!(bench.connect(&mut client).await, None);
    }
    assert_eq!(
        bench.dns.asked.load(Ordering::SeqCst),
        before,
        "not even asked"
    );
}

#[tokio::test]
async fn weights_add_up_over_the_session() {
    let options = "reject_at = 3\nzones = [{ zone = \"bl.example\", action = \"note\", weight = 2 },\n\
        { zone = \"dbl.example\", of = \"sender\", action = \"note\" }]";
    let bench = Bench::tested(options).await;
    bench.dns.list("bl.example", "66.2.0.192");
    bench.dns.list("dbl.example", "bad.example");
    for (client, from, refused) in [
        ("192.0.2.66", "<a@bad.example>", true),
        ("192.0.2.66", "<a@good.example>", false),
        ("192.0.2.67", "<a@bad.example>", false),
        ("192.0.2.66", "<>", false),
        ("192.0.2.66", "<a@isp.example>", false),
    ] {
        let mut session = session(client);
        assert_eq!(bench.connect(&mut session).await, None);
        let mut tx = transaction(from, &["<b@isp.example>"], "\n");
        let heard = bench.chain.mail(&mut session, &mut tx).await;
        assert_eq!(heard.is_err(), refused, "{client} {from}");
    }
}

fn from_domain(domain: &str) -> Transaction {
    let message = format!("From: Ann <ann@{domain}>\n\nhello\n");
    transaction("<a@good.example>", &["<b@isp.example>"], &message)
}

#[tokio::test]
async fn names_are_looked_up_where_they_are_named() {
    let options = "zones = [{ zone = \"dbl.example\", of = \"helo\" }, { zone = \"dbl.example\", of = \"from\", \
        text = \"%DOMAIN% of %IP%: no\", answers = [\"127.0.0.2-9\"] }]\nexempt = [\"spf\"]";
    let bench = Bench::tested(options).await;
    bench.dns.list("dbl.example", "bad.example");
    bench
        .dns
        .set("other.example.dbl.example", says("127.0.0.10"));
    let mut client = session("192.0.2.66");
    for (name, refused) in [
        ("bad.example", true),
        ("good.example", false),
        ("[192.0.2.66]", false),
        ("bad.example", true),
    ] {
        client.helo = Some(name.to_owned());
        let heard = bench.chain.helo(&mut client).await;
        assert_eq!(heard.is_err(), refused, "{name}");
    }
    let listed = client.notes.get::<Listings>().map(|l| l.0.len());
    assert_eq!(listed, Some(1), "the last HELO counts");
    let heard = bench
        .chain
        .headers(&mut client, &mut from_domain("BAD.example"))
        .await;
    let told = heard.expect_err("refused").to_string();
    assert_eq!(told, "550 5.7.1 bad.example of 192.0.2.66: no");
    let heard = bench
        .chain
        .headers(&mut client, &mut from_domain("other.example"))
        .await;
    assert!(heard.is_ok(), "an answer that does not count");
    let mut proven = from_domain("bad.example");
    proven.notes.put(SpfFound {
        result: facts::Spf::Pass,
        domain: Some(Domain::parse("bad.example").expect("a domain")),
        of_helo: false,
    });
    assert!(bench.chain.headers(&mut client, &mut proven).await.is_ok());
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let mut parts = Parts::new(Zone::default());
    for (options, want) in [
        ("zones = []", "no list is named"),
        ("zones = [\"exa mple\"]", "is no domain"),
        (
            "zones = [{ zone = \"x.example\", off = \"client\" }]",
            "off",
        ),
        ("zones = [{ zone = \"x.example\", of = \"body\" }]", "body"),
        (
            "zones = [{ zone = \"x.example\", answers = [\"10.0.0.1\"] }]",
            "10.0.0.1",
        ),
        (
            "zones = [{ zone = \"x.example\", test = { listed = \"::1\" } }]",
            "an IPv4 address",
        ),
        ("zones = [\"x.example\"]\nretest = 0", "no time at all"),
    ] {
        let error = parts.build("dnsbl", options).err().expect("refused");
        assert!(error.to_string().contains(want), "{options}: {error}");
        assert!(error.span().is_some(), "{options}");
    }
}
