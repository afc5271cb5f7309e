//! The queue: what is committed is claimed once, attempted, settled and forgotten.

use std::time::Duration;

use posthouse_hook::{Clock as _, Commit as _, Disposition, Outcome};
use posthouse_store::{AttemptResult, Filter, State};

use crate::bench::{Bench, LEASE, all, attempt, operator, session};

#[tokio::test]
async fn a_relayed_message_is_claimed_once_delivered_and_forgotten() {
    let bench = Bench::new();
    let id = bench
        .relay(
            &["b@x.example", "c@x.example"],
            "Subject: hi\r\n\r\nbody\r\n",
        )
        .await;
    let claimed = bench.claim().await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].recipients.len(), 2);
    assert!(bench.claim().await.is_empty());
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
    assert!(bench.claim().await.is_empty());
    drop(handed);
    let bench = bench.reopen();
    assert_eq!(bench.claim().await.len(), 1);
    bench.pass(LEASE);
    assert_eq!(bench.claim().await.len(), 1);
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
async fn a_message_without_its_bytes_is_suspended_not_sent_empty() {
    let bench = Bench::new();
    let id = bench.relay(&["b@x.example"], &"x".repeat(5000)).await;
    std::fs::remove_file(bench.dir.path().join("spool").join(id.to_string())).expect("removed");
    assert!(bench.claim().await.is_empty());
    assert_eq!(bench.states(id).await, [State::Suspended]);
}

#[tokio::test]
async fn a_message_whose_file_changed_its_length_is_suspended_not_sent() {
    let bench = Bench::new();
    for (length, what) in [(100, "cut"), (9000, "grown")] {
        let id = bench.relay(&["b@x.example"], &"x".repeat(5000)).await;
        let path = bench.dir.path().join("spool").join(id.to_string());
        let file = std::fs::File::options().write(true).open(path);
        file.expect("there").set_len(length).expect("changed");
        assert!(bench.claim().await.is_empty(), "{what}");
        assert_eq!(bench.states(id).await, [State::Suspended], "{what}");
    }
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

#[tokio::test]
async fn an_operator_suspends_retries_and_discards() {
    let bench = Bench::new();
    let id = bench.relay(&["b@x.example"], "\r\n").await;
    bench
        .store
        .suspend(all(id), operator())
        .await
        .expect("suspended");
    assert!(bench.claim().await.is_empty());
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
async fn what_the_relay_has_lost_is_queued_again_and_the_relay_told() {
    let bench = Bench::new();
    let mut fresh = bench.store.take_fresh().expect("once");
    let id = bench.relay(&["b@x.example"], "\r\n").await;
    drop(fresh.try_recv().expect("handed over"));
    bench.pass(Duration::from_secs(5 * 3600));
    bench.store.tidy().await.expect("tidied");
    assert_eq!(bench.states(id).await, [State::Sending]);
    bench.pass(Duration::from_secs(2 * 3600));
    bench.store.tidy().await.expect("tidied");
    assert_eq!(bench.states(id).await, [State::Queued]);
    let told = tokio::time::timeout(Duration::from_secs(5), bench.store.changed());
    told.await.expect("told");
    assert_eq!(bench.claim().await.len(), 1);
}
