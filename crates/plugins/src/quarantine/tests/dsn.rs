//! The DSN rule against a real ledger: a live link passes three times, a dead one never.

use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::{
    Commit as _, Disposition, Id, LinkKey, LinkKind, Outcome, Row, SystemClock, Why,
};
use posthouse_store::{Settings, Store};

use super::{Bench, MESSAGE, STRANGER};
use crate::testing::{session, transaction};

const BASE: &str = "https://out.isp.example";

pub(super) fn store(dir: &std::path::Path) -> Store {
    let settings = Settings {
        state: dir.to_owned(),
        node: 1,
        link_base: BASE.to_owned(),
        min_free: 0,
        spool_threshold: 128 * 1024,
        handoff_bytes: 0,
        retention: Duration::from_secs(86_400),
        bounds: posthouse_store::Bounds::default(),
        audit_kept: Duration::from_secs(86_400),
        observed_kept: Duration::from_secs(86_400),
        judged_kept: Duration::from_secs(86_400),
    };
    Store::open(settings, Arc::new(SystemClock)).expect("a ledger")
}

/// A message that the plugin refused and holds, committed: its id and its link.
async fn held(bench: &mut Bench, store: &Store) -> (Id, String) {
    let came = bench.send("<a@pass.example>", &["<b@any.example>"]).await;
    let outcome = Outcome::decide(came.verdict, came.tx.dispositions());
    let receipt = store.commit(&came.session, &came.tx, &outcome).await;
    let receipt = receipt.expect("committed");
    (receipt.id, receipt.link.expect("a link").reveal())
}

/// How a null reverse-path message to a filtered domain that quotes this fares.
async fn bounce(bench: &mut Bench, quoted: &str) -> Vec<Disposition> {
    let message = format!("Subject: failure\n\nYour server said: 552 5.7.1 {quoted}\n");
    let tx = transaction("<>", &["<a@big.example>"], &message);
    bench.run(session(STRANGER), tx).await.dispositions()
}

const HELD: [Disposition; 1] = [Disposition::Hold(Why::Spam(Row::Filtered))];
const PASSED: [Disposition; 1] = [Disposition::Relay];

#[tokio::test]
async fn a_live_link_passes_three_times() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let mut bench = Bench::spam();
    bench.parts.common.store = Some(store.clone());
    let (_, link) = held(&mut bench, &store).await;
    let scanned = bench.scanner.asked();
    for _ in 0..3 {
        assert_eq!(bounce(&mut bench, &link).await, PASSED);
    }
    assert_eq!(bench.scanner.asked(), scanned, "unscanned");
    assert_eq!(bounce(&mut bench, &link).await, HELD);
}

#[tokio::test]
async fn other_links_and_other_senders_do_not_pass() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let mut bench = Bench::spam();
    bench.parts.common.store = Some(store.clone());
    let (id, link) = held(&mut bench, &store).await;
    let forged = LinkKey::new([9; 32], BASE).mint(LinkKind::Item, id, "a@pass.example", 0);
    assert_eq!(bounce(&mut bench, &forged.reveal()).await, HELD);
    let text = format!("{MESSAGE}{link}\n");
    let tx = transaction("<a@fail.example>", &["<b@big.example>"], &text);
    assert_eq!(bench.run(session(STRANGER), tx).await.dispositions(), HELD);
}

#[tokio::test]
async fn a_bounce_that_no_cell_could_touch_uses_nothing_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let mut bench = Bench::spam();
    bench.parts.common.store = Some(store.clone());
    let (_, link) = held(&mut bench, &store).await;
    for _ in 0..5 {
        let tx = transaction("<>", &["<a@any.example>"], &format!("S: s\n\n{link}\n"));
        assert!(bench.run(session(STRANGER), tx).await.relays_all());
    }
    assert_eq!(bounce(&mut bench, &link).await, PASSED);
}
