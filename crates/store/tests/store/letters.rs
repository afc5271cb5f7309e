//! Letters: who is due, how often, and what keeps one back.

use std::time::Duration;

use posthouse_hook::Clock as _;
use posthouse_store::{AttemptResult, LetterCaps, LetterSent};

use crate::bench::{Bench, DAY, all, operator};

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
async fn when_what_caused_it_is_gone_no_letter_is_due_and_no_cap_is_blamed() {
    let bench = Bench::new();
    let to = &["b@f.example"];
    let cause = bench.hold("a@isp.example", to, "spam").await.id;
    bench.hold("", to, "Subject: dsn\r\n\r\n").await;
    let discarded = bench.store.discard_held(all(cause), operator()).await;
    discarded.expect("discarded");
    let caps = LetterCaps::default();
    assert_eq!(bench.send_letters(&caps).await, [LetterSent::NotDue]);
    let counts = bench.store.counts().await.expect("reads");
    assert_eq!(counts.letters_capped, 0);
    assert_eq!(bench.send_letters(&caps).await, [], "nothing waits");
    bench.hold("c@isp.example", to, "more").await;
    let sent = bench.send_letters(&caps).await;
    assert!(matches!(sent[..], [LetterSent::Queued(_)]), "{sent:?}");
}

#[tokio::test]
async fn what_was_on_its_way_while_a_letter_went_out_causes_the_next() {
    let bench = Bench::new();
    let (to, caps) = (&["b@f.example"], LetterCaps::default());
    let slow = bench.tx("c@isp.example", to, "slow");
    bench.pass(Duration::from_secs(60));
    bench.hold("a@isp.example", to, "spam").await;
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.send_letters(&caps).await.len(), 1);
    bench.pass(Duration::from_secs(60));
    bench.hold_tx(slow, "c@isp.example", "slow").await;
    bench.pass(8 * DAY);
    let sent = bench.send_letters(&caps).await;
    assert!(matches!(sent[..], [LetterSent::Queued(_)]), "{sent:?}");
}

#[tokio::test]
async fn addresses_that_are_not_listed_starve_nobody() {
    let bench = Bench::new();
    for n in 0..50 {
        let to = format!("b{n}@unlisted.example");
        bench.hold("a@isp.example", &[&to], &n.to_string()).await;
    }
    bench.hold("a@isp.example", &["c@f.example"], "x").await;
    let wanted = |address: &str| address.ends_with("@f.example");
    let due = bench.store.letters_due_among(7 * DAY, 2, wanted).await;
    let due = due.expect("reads");
    let names: Vec<_> = due.iter().map(|d| d.address.address.as_str()).collect();
    assert_eq!(names, ["c@f.example"], "the newest need of all");
    let all = bench.store.letters_due(7 * DAY, 100).await.expect("reads");
    assert_eq!(all.len(), 51, "and once they are listed, they are due");
}

#[tokio::test]
async fn letters_are_overdue_when_one_waits_a_day_and_none_goes_out() {
    let bench = Bench::new();
    let overdue = async || {
        let found = bench
            .store
            .letters_overdue(7 * DAY, |address| !address.starts_with("un"));
        found.await.expect("reads")
    };
    let caps = LetterCaps::default();
    assert_eq!(overdue().await, None, "nothing waits");
    bench
        .hold("a@isp.example", &["unlisted@f.example"], "u")
        .await;
    bench.pass(2 * DAY);
    assert_eq!(overdue().await, None, "who is not listed waits in vain");
    let held_at = bench.clock.now();
    bench.hold("a@isp.example", &["b@f.example"], "1").await;
    bench.pass(DAY / 2);
    assert_eq!(overdue().await, None, "not for a day yet");
    bench.pass(DAY / 2);
    assert_eq!(overdue().await, Some(held_at));
    assert_eq!(bench.send_letters(&caps).await.len(), 2);
    assert_eq!(overdue().await, None, "letters go out");

    // What waits for the end of the interval is not overdue before that, and a day.
    bench.hold("a@isp.example", &["b@f.example"], "2").await;
    bench.pass(7 * DAY + DAY / 2);
    assert_eq!(overdue().await, None);
    bench.pass(DAY / 2);
    assert!(overdue().await.is_some());

    // A letter to somebody else within the day says that letters do go out.
    bench
        .hold("c@isp.example", &["unknown@f.example"], "3")
        .await;
    let due = bench
        .store
        .letters_due_among(7 * DAY, 9, |address| address.starts_with("unk"));
    for due in due.await.expect("reads") {
        let letter = posthouse_store::OwnMessage {
            kind: posthouse_store::Kind::Letter,
            to: due.to.clone(),
            bytes: b"Subject: x\r\n\r\n".to_vec(),
        };
        let sent = bench.store.send_letter(&due, letter, 7 * DAY, caps.clone());
        assert!(matches!(sent.await, Ok(LetterSent::Queued(_))));
    }
    assert_eq!(overdue().await, None);
    bench.pass(DAY);
    assert!(overdue().await.is_some());
    bench
        .store
        .stop_letters(
            bench
                .store
                .address("b@f.example")
                .await
                .expect("reads")
                .expect("there")
                .id,
            operator(),
        )
        .await
        .expect("stopped");
    assert_eq!(overdue().await, None, "who wants no letter waits for none");
}
