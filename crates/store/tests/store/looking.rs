//! What is kept to be looked at later: written with the message, gone with its time.

use std::sync::Arc;

use posthouse_hook::facts::{Looked, Scans};
use posthouse_hook::{
    Column, Disposition, HookPoint, Judgement, Observation, Observed, Origin, Outcome, Row, Spf,
    Timestamp, Transaction, Would,
};
use posthouse_store::{Judged, Store};

use crate::bench::{Bench, DAY, settings};

const NOBODY: Timestamp = Timestamp(0);

fn judgement(tx: &Transaction) -> Judgement {
    Judgement {
        sender: tx.reverse_path.clone(),
        origin: Origin::Unknown,
        spf: Spf::None,
        ours: false,
        column: Column::NotVouched,
        rows: vec![Row::Other; tx.recipients.len()],
        scans: Scans::default(),
        identity: None,
        spam: false,
    }
}

/// A clean message that was judged, to that many recipients, of which a chain would have held all.
async fn commit(bench: &Bench, copies: usize) {
    let to: Vec<_> = (0..copies).map(|n| format!("b{n}@x.example")).collect();
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    let mut tx = bench.tx("a@isp.example", &to, "Subject: s\r\n\r\n");
    tx.notes.put(judgement(&tx));
    tx.notes.put(Looked::No);
    let recipients = tx.recipients.iter().map(|r| r.forward_path.clone());
    tx.notes.put(Observed(vec![Observation {
        chain: "outbound".to_owned(),
        plugin: "quarantine".to_owned(),
        point: HookPoint::Data,
        would: Would::Hold,
        recipients: recipients.collect(),
    }]));
    let outcome = Outcome::Accepted(vec![Disposition::Relay; copies]);
    bench.commit(&tx, &outcome).await;
}

async fn judged(store: &Store) -> Vec<Judged> {
    let read = store.judged(NOBODY, 0, 100).await.expect("reads");
    read.into_iter().map(|(_, judged)| judged).collect()
}

async fn observed(store: &Store) -> usize {
    let report = store.observed(NOBODY, 100).await.expect("reads");
    report.cases.len()
}

#[tokio::test]
async fn each_outlives_its_message_and_goes_with_its_own_time() {
    let bench = Bench::new();
    commit(&bench, 1).await;
    bench.pass(6 * DAY);
    commit(&bench, 1).await;
    let counts = || async {
        (
            judged(&bench.store).await.len(),
            observed(&bench.store).await,
        )
    };
    for (days, want) in [
        (0, (2, 2)),
        (2, (1, 2)),
        (6, (0, 2)),
        (17, (0, 1)),
        (6, (0, 0)),
    ] {
        bench.pass(days * DAY);
        bench.store.tidy().await.expect("tidied");
        assert_eq!(counts().await, want);
    }
}

#[tokio::test]
async fn a_report_looks_back_so_far_and_lists_so_many() {
    let bench = Bench::new();
    commit(&bench, 12).await;
    bench.pass(DAY);
    commit(&bench, 1).await;
    let since = Timestamp(
        bench.store.judged(NOBODY, 0, 9).await.expect("reads")[1]
            .1
            .at
            .0,
    );
    let all = bench.store.observed(NOBODY, 1).await.expect("reads");
    assert_eq!((all.counts[0].messages, all.counts[0].copies), (2, 13));
    assert_eq!(all.cases.len(), 1);
    assert_eq!(all.cases[0].copies, 1, "the newest");
    let late = bench.store.observed(since, 9).await.expect("reads");
    assert_eq!((late.counts[0].messages, late.cases.len()), (1, 1));
    let first = bench
        .store
        .observed(NOBODY, 2)
        .await
        .expect("reads")
        .cases
        .remove(1);
    assert_eq!((first.copies, first.to.len()), (12, 10), "ten are named");
    let status = bench.store.counts().await.expect("reads");
    assert_eq!(status.observed, 1, "within a day");
}

#[tokio::test]
async fn judged_facts_are_paged_in_order() {
    let bench = Bench::new();
    for copies in 1..=5 {
        commit(&bench, copies).await;
    }
    let page = bench.store.judged(NOBODY, 0, 3).await.expect("reads");
    let last = page.last().expect("three").0;
    let rest = bench.store.judged(NOBODY, last, 3).await.expect("reads");
    let copies: Vec<_> = page.iter().chain(&rest).map(|(_, j)| j.to.len()).collect();
    assert_eq!(copies, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn nothing_is_kept_of_what_is_judged_if_the_operator_says_so() {
    let Bench {
        dir,
        clock,
        store,
        ids,
    } = Bench::new();
    drop(store);
    let settings = posthouse_store::Settings {
        judged_kept: std::time::Duration::ZERO,
        ..settings(dir.path())
    };
    let store = Store::open(settings, Arc::clone(&clock) as _).expect("opens");
    let bench = Bench {
        dir,
        clock,
        store,
        ids,
    };
    commit(&bench, 1).await;
    assert_eq!(judged(&bench.store).await, []);
    assert_eq!(observed(&bench.store).await, 1);
}
