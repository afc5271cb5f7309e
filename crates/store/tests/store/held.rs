//! The quarantine: retries, links, releases under caps, lists, retention, audit.

use std::collections::HashSet;
use std::time::Duration;

use posthouse_hook::{Disposition, LinkClaim, LinkKey, LinkKind, Outcome, Receipt, Row, Why};
use posthouse_store::{AttemptResult, Filter, Kind, Proven, ReleaseCaps, Released, State};

use crate::bench::{Bench, DAY, all, operator};

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
    let claimed = bench.claim().await;
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
