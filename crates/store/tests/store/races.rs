//! Two deeds at once on one message: one of them happens, once, and what is released is delivered
//! once and never held again.

use posthouse_store::{AttemptResult, Released, State};

use crate::bench::{Bench, all, operator};

const TO: [&str; 3] = ["b@f.example", "c@f.example", "d@f.example"];
const ROUNDS: usize = 20;

fn changed(released: &Released) -> usize {
    match released {
        Released::Done(done) => done.changed,
        Released::Capped(cap) => panic!("{cap}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_releases_at_once_deliver_once() {
    let bench = Bench::new();
    let item = bench.hold("a@isp.example", &TO, "x").await.id;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let store = bench.store.clone();
            tokio::spawn(async move { store.release(all(item), None, operator()).await })
        })
        .collect();
    let mut released = 0;
    for task in tasks {
        released += changed(&task.await.expect("runs").expect("answered"));
    }
    assert_eq!(released, TO.len());
    assert_eq!(bench.settle_all(AttemptResult::Delivered).await, TO.len());
    assert_eq!(
        bench.settle_all(AttemptResult::Delivered).await,
        0,
        "not twice"
    );
    let audit = bench.store.audit(item).await.expect("reads");
    let count = |event: &str| audit.iter().filter(|line| line.event == event).count();
    assert_eq!((count("release"), count("deliver")), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_and_a_discard_at_once_are_one_of_them() {
    let bench = Bench::new();
    for round in 0..ROUNDS {
        let item = bench
            .hold("a@isp.example", &TO, &round.to_string())
            .await
            .id;
        let (one, two) = (bench.store.clone(), bench.store.clone());
        let release = tokio::spawn(async move { one.release(all(item), None, operator()).await });
        let discard = tokio::spawn(async move { two.discard_held(all(item), operator()).await });
        let released = changed(&release.await.expect("runs").expect("answered"));
        let discarded = discard.await.expect("runs").expect("answered").changed;
        assert!(
            matches!((released, discarded), (3, 0) | (0, 3)),
            "{released} {discarded}"
        );
        let delivered = bench.settle_all(AttemptResult::Delivered).await;
        assert_eq!(delivered, released);
        let want = if released > 0 {
            State::Delivered
        } else {
            State::Discarded
        };
        assert_eq!(bench.states(item).await, [want; 3]);
        assert!(bench.store.content(item).await.expect("reads").is_none());
    }
}

/// An eviction that was planned before a release finds nothing to evict.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_beside_an_eviction_is_delivered_or_expired_once() {
    for round in 0..ROUNDS {
        let bench = Bench::with(|settings| settings.bounds.max_size = 1);
        let item = bench
            .hold("a@isp.example", &TO, &format!("x{round}"))
            .await
            .id;
        let (one, two) = (bench.store.clone(), bench.store.clone());
        let release = tokio::spawn(async move { one.release(all(item), None, operator()).await });
        let evict = tokio::spawn(async move { two.make_room().await });
        let released = changed(&release.await.expect("runs").expect("answered"));
        evict.await.expect("runs").expect("made");
        let expired = bench.store.counts().await.expect("reads").expired;
        let gone = (expired.size + expired.share) as usize;
        assert_eq!(released + gone, TO.len());
        assert_eq!(bench.settle_all(AttemptResult::Delivered).await, released);
    }
}

/// What is on its way after a crash is what was released before it, and it is not held again.
#[tokio::test]
async fn a_released_message_is_never_held_again() {
    let bench = Bench::new();
    let item = bench.hold("a@isp.example", &TO, "x").await.id;
    bench
        .store
        .release(all(item), None, operator())
        .await
        .expect("released");
    assert_eq!(bench.claim().await.len(), 1);
    let bench = bench.reopen();
    assert_eq!(bench.states(item).await, [State::Queued; 3]);
    bench.store.make_room().await.expect("made");
    let again = bench.store.release(all(item), None, operator()).await;
    assert_eq!(changed(&again.expect("answered")), 0);
    assert_eq!(bench.settle_all(AttemptResult::Delivered).await, 3);
    assert_eq!(bench.states(item).await, [State::Delivered; 3]);
}
