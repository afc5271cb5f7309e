//! Replay against a real ledger: the same configuration shows no difference, another one shows just
//! what it changes.

use std::sync::Arc;

use posthouse_hook::{Chain, Mode, Outcome, Scanned, Session, Timestamp};
use posthouse_store::{Became, Judged, Store};

use super::dsn::store;
use super::{Bench, MESSAGE, STRANGER};
use crate::replay::{Hears, Placement, Replay, Side, Standing, was};
use crate::testing::{Scanner, session, step, transaction};

/// Quarantine and scanner as the program names them, in front of a ledger.
fn bench(says: Scanned, store: &Store) -> Bench {
    let scanner = Scanner::says(says);
    let mut bench = Bench::new(Arc::clone(&scanner));
    let steps = vec![step("scanner", scanner)];
    let spam = Arc::new(Chain::new("spam", steps));
    bench.parts.chains.insert("spam".to_owned(), spam);
    bench.parts.common.store = Some(store.clone());
    bench
}

impl Bench {
    fn chain(&mut self) -> Chain {
        let admits = self.parts.build("relay_clients", ADMITS).expect("valid");
        let plugin = self.parts.build("quarantine", &self.options);
        let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
        let steps = vec![step("clients", admits), step("quarantine", plugin)];
        Chain::new("outbound", steps)
    }
}

const ADMITS: &str = "networks = [\"192.0.2.0/24\", \"198.51.100.0/24\"]";

/// Sends a message through the chain and commits it, if it is accepted or held.
async fn send(chain: &Chain, store: &Store, mut session: Session, from: &str, to: &[&str]) {
    use posthouse_hook::Commit as _;
    let mut tx = transaction(from, to, MESSAGE);
    tx.id = store.ids().next(Timestamp(1_790_000_000_000));
    let verdict = chain.data(&mut session, &mut tx).await;
    let outcome = Outcome::decide(verdict, tx.dispositions());
    if outcome.keeps_something() {
        let committed = store.commit(&session, &tx, &outcome).await;
        committed.expect("committed");
    }
}

async fn judged(store: &Store) -> Vec<Judged> {
    let all = store.judged(Timestamp(0), 0, 10_000).await.expect("reads");
    all.into_iter().map(|(_, judged)| judged).collect()
}

/// Every copy that would stand elsewhere, as it is and as it would be.
async fn moved(chain: &Chain, store: &Store) -> Vec<(Standing, Standing)> {
    let replay = Replay::of(chain);
    let mut moved = Vec::new();
    for judged in judged(store).await {
        let again = replay.judge(&judged).await;
        assert_eq!(again.len(), judged.to.len());
        let pairs = judged.to.iter().zip(again);
        moved.extend(pairs.map(|(copy, new)| (was(&judged, copy), new)));
    }
    moved.retain(|(old, new)| old != new);
    moved
}

const FROM: [&str; 6] = [
    "<a@pass.example>",
    "<a@fail.example>",
    "<a@isp.example>",
    "<a@nothing.example>",
    "<>",
    "<SRS0=aa=AA=pass.example=a@isp.example>",
];
const TO: [&[&str]; 5] = [
    &["<b@big.example>"],
    &["<b@behind.example>", "<c@free.example>"],
    &["<b@free.example>"],
    &["<postmaster>", "<b@[192.0.2.1]>"],
    &["<b@big.example>", "<c@behind.example>", "<d@free.example>"],
];

/// Everybody who may send something, to everybody, all at once: one sync serves many.
async fn send_all(chain: &Chain, store: &Store) {
    let mut user = session(STRANGER);
    user.auth = Some("ann".to_owned());
    let mut sending = Vec::new();
    for client in [session(STRANGER), session("192.0.2.7"), user] {
        let pairs = FROM.iter().flat_map(|from| TO.map(|to| (*from, to)));
        sending.extend(pairs.map(|(from, to)| send(chain, store, client.clone(), from, to)));
    }
    futures_util::future::join_all(sending).await;
}

fn found() -> [Scanned; 3] {
    let down = Scanned::Unscanned("down".to_owned());
    [Scanned::Spam, Scanned::Clean, down]
}

#[tokio::test]
async fn the_same_configuration_shows_no_difference() {
    let options = [
        "",
        "unscanned = \"hold\"",
        "scan_vouched = false",
        "scan_when = \"all\"",
        "scan_one_in = 2",
        "spam_when = \"all\"\nrefusal = \"550 5.7.1\"",
    ];
    for mode in [Mode::Enforce, Mode::Observe] {
        for (option, says) in options.iter().flat_map(|o| found().map(|says| (*o, says))) {
            let dir = tempfile::tempdir().expect("a directory");
            let store = store(dir.path());
            let mut bench = bench(says.clone(), &store).with(option);
            let chain = bench.chain().in_mode(mode);
            send_all(&chain, &store).await;
            assert!(!judged(&store).await.is_empty());
            let moved = moved(&chain, &store).await;
            assert_eq!(moved, [], "{option} {says:?} {mode}");
        }
    }
}

/// How much was held before is taken as it was, not as it is now.
#[tokio::test]
async fn the_threshold_is_taken_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let mut bench = bench(Scanned::Spam, &store).with("tell_recipient_past = 2");
    let chain = bench.chain();
    for to in ["<a@big.example>", "<b@big.example>", "<c@big.example>"] {
        send(&chain, &store, session(STRANGER), "<a@pass.example>", &[to]).await;
    }
    let codes: Vec<_> = judged(&store).await.iter().map(|j| j.code).collect();
    assert_eq!(codes, [552, 552, 250]);
    assert_eq!(moved(&chain, &store).await, []);
    let chain = self::bench(Scanned::Spam, &store).chain();
    let moved = moved(&chain, &store).await;
    let old = standing(Filtered, Vouched, 250, Held);
    assert_eq!(moved, [(old, standing(Filtered, Vouched, 552, Held))]);
}

/// A rule before the quarantine is not asked again; what it held stays held, and a chain without a
/// quarantine changes only what the quarantine did.
#[tokio::test]
async fn what_another_rule_held_stays_held() {
    use posthouse_hook::{Commit as _, Disposition, Why};
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let chain = bench(Scanned::Spam, &store).chain();
    let to = &["<b@big.example>", "<c@big.example>"];
    let mut tx = transaction("<a@fail.example>", to, MESSAGE);
    tx.recipients[0].disposition = Disposition::Hold(Why::Policy);
    let mut session = session(STRANGER);
    let verdict = chain.data(&mut session, &mut tx).await;
    let outcome = Outcome::decide(verdict, tx.dispositions());
    store
        .commit(&session, &tx, &outcome)
        .await
        .expect("committed");
    let kept = judged(&store).await.remove(0);
    assert_eq!(
        kept.to.iter().map(|c| c.became).collect::<Vec<_>>(),
        [Became::HeldByPolicy, Held]
    );
    assert_eq!(moved(&chain, &store).await, []);
    let bare = Chain::new("outbound", chain.steps()[..1].to_vec());
    let old = standing(Filtered, NotVouched, 250, Held);
    let new = standing(Filtered, NotVouched, 250, Relayed);
    assert_eq!(moved(&bare, &store).await, [(old, new)]);
}

/// A DSN that passed for a link of ours passes again: its text, which tells, is not kept.
#[tokio::test]
async fn a_quoted_link_is_taken_as_it_was() {
    use posthouse_hook::Commit as _;
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let chain = bench(Scanned::Spam, &store).chain();
    let mut tx = transaction("<a@pass.example>", &["<b@big.example>"], MESSAGE);
    let mut session = session(STRANGER);
    let verdict = chain.data(&mut session, &mut tx).await;
    let outcome = Outcome::decide(verdict, tx.dispositions());
    let receipt = store.commit(&session, &tx, &outcome).await;
    let link = receipt.expect("committed").link.expect("a link").reveal();
    let quoting = format!("Subject: failure\n\n{link}\n");
    let mut dsn = transaction("<>", &["<a@big.example>"], &quoting);
    dsn.id = store.ids().next(Timestamp(1_790_000_000_000));
    let verdict = chain.data(&mut session, &mut dsn).await;
    let outcome = Outcome::decide(verdict, dsn.dispositions());
    store
        .commit(&session, &dsn, &outcome)
        .await
        .expect("committed");
    assert_eq!(judged(&store).await[1].to[0].became, Relayed);
    assert_eq!(moved(&chain, &store).await, []);
}

fn standing(row: Placement, column: Side, code: u16, copy: Became) -> Standing {
    Standing {
        row,
        column,
        reply: Hears::AtTheEnd(code),
        copy: Some(copy),
    }
}

use Became::{Held, Relayed};
use Placement::{Filtered, Other};
use Side::{NotVouched, Vouched};

/// One message under the old options, and where its copies go under the new ones.
async fn change(
    says: Scanned,
    (from, to): (&str, &[&str]),
    new: impl FnOnce(Bench) -> Bench,
) -> Vec<(Standing, Standing)> {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let old = bench(says.clone(), &store).chain();
    send(&old, &store, session(STRANGER), from, to).await;
    assert_eq!(judged(&store).await.len(), 1);
    let mut bench = new(bench(says, &store));
    moved(&bench.chain(), &store).await
}

#[tokio::test]
async fn another_list_of_filtered_domains_moves_the_rows() {
    let filter = |bench: Bench| Bench {
        options: "scan = \"spam\"\nfiltered_domains = [\"mx:guard.example\"]".to_owned(),
        ..bench
    };
    let to = &["<b@big.example>", "<c@behind.example>"][..];
    let got = change(Scanned::Spam, ("<a@fail.example>", to), filter).await;
    let old = standing(Filtered, NotVouched, 250, Held);
    assert_eq!(got, [(old, standing(Other, NotVouched, 250, Relayed))]);
}

#[tokio::test]
async fn other_domains_of_ours_move_the_column() {
    let ours = |mut bench: Bench| {
        let mut list = posthouse_hook::DomainList::default();
        list.add("nothing.example").expect("a domain");
        bench.parts.common.our_domains = posthouse_hook::Live::new(list);
        bench
    };
    let to = &["<b@big.example>"][..];
    let got = change(Scanned::Spam, ("<a@nothing.example>", to), ours).await;
    let old = standing(Filtered, NotVouched, 250, Held);
    assert_eq!(got, [(old, standing(Filtered, Vouched, 552, Held))]);
}

#[tokio::test]
async fn what_was_not_scanned_and_would_be_is_unknown() {
    let list = |bench: Bench| Bench {
        options: "scan = \"spam\"\nfiltered_domains = [\"free.example\"]".to_owned(),
        ..bench
    };
    let to = &["<b@free.example>"][..];
    let got = change(Scanned::Spam, ("<a@fail.example>", to), list).await;
    let (_, new) = got.first().expect("it differs");
    assert_eq!(
        (new.row, new.reply, new.copy),
        (Filtered, Hears::Unknown, None)
    );
}

#[tokio::test]
async fn a_scanner_that_is_new_is_unknown_unless_the_others_decide() {
    let twice = |bench: Bench| add_scanner(bench, "");
    let to = &["<b@big.example>"][..];
    let got = change(Scanned::Clean, ("<a@pass.example>", to), twice).await;
    assert_eq!(got[0].1.reply, Hears::Unknown);
    let got = change(Scanned::Spam, ("<a@pass.example>", to), twice).await;
    assert_eq!(got, [], "one that says spam is enough");
    let all = |bench: Bench| add_scanner(bench, "spam_when = \"all\"");
    let got = change(Scanned::Clean, ("<a@pass.example>", to), all).await;
    assert_eq!(got, [], "one that says clean is enough");
}

fn add_scanner(mut bench: Bench, option: &str) -> Bench {
    let names = ["scanner", "another"];
    let steps = names.map(|name| step(name, Scanner::says(Scanned::Spam)));
    let spam = Arc::new(Chain::new("spam", steps.into()));
    bench.parts.chains.insert("spam".to_owned(), spam);
    bench.with(option)
}

#[tokio::test]
async fn who_may_not_relay_any_more_is_refused_at_rcpt() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let mut bench = bench(Scanned::Clean, &store);
    let chain = bench.chain();
    let to = &["<b@big.example>", "<c@free.example>"];
    send(&chain, &store, session(STRANGER), "<a@pass.example>", to).await;
    let options = "domains = [\"free.example\"]";
    let admits = bench.parts.build("relay_domains", options).expect("valid");
    let quarantine = chain.steps()[1].clone();
    let chain = Chain::new("outbound", vec![step("domains", admits), quarantine]);
    let moved = moved(&chain, &store).await;
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(moved[0].1.reply, Hears::AtRcpt(550));
    assert_eq!(moved[0].1.copy, Some(Became::Refused));
}

#[tokio::test]
async fn a_chain_that_would_only_observe_relays() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let mut bench = bench(Scanned::Spam, &store);
    let to = &["<b@big.example>"];
    let chain = bench.chain();
    send(&chain, &store, session(STRANGER), "<a@pass.example>", to).await;
    let moved = moved(&chain.in_mode(Mode::Observe), &store).await;
    let old = standing(Filtered, Vouched, 552, Held);
    assert_eq!(moved, [(old, standing(Filtered, Vouched, 250, Relayed))]);
}

/// Nothing of the message itself is kept.
#[tokio::test]
async fn only_facts_are_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let chain = bench(Scanned::Spam, &store).chain();
    let to = &["<b@big.example>"];
    send(&chain, &store, session(STRANGER), "<a@pass.example>", to).await;
    let kept = judged(&store).await.remove(0);
    assert!(kept.scans[0].tests.is_empty());
    let json = serde_json::to_string(&kept).expect("JSON");
    assert!(
        !json.contains("body") && !json.contains("Subject"),
        "{json}"
    );
    assert_eq!((kept.code, kept.to[0].became), (552, Held));
}
