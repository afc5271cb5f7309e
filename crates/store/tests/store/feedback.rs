//! Lessons for scanners: noted with the deed, kept with the bytes, tried so often and no more.

use std::time::Duration;

use posthouse_hook::facts::{Judgement, Scan, Scanned, Scans};
use posthouse_hook::{Id, Lesson};
use posthouse_store::{LessonDue, State};

use crate::bench::{Bench, all, judgement, operator};

const BOB: &str = "bob@f.example";

/// Holds a message that a scanner called spam.
async fn hold_scanned(bench: &Bench, bytes: &str) -> Id {
    let scan = Scan {
        scanner: "scanner".to_owned(),
        found: Scanned::Spam,
        score: None,
        limit: None,
        action: None,
        tests: Vec::new(),
    };
    let judgement = Judgement {
        scans: Scans(vec![scan]),
        ..judgement("ann@isp.example", 1, bytes)
    };
    let tx = bench.tx("ann@isp.example", &[BOB], bytes);
    bench.hold_judged(tx, judgement).await.id
}

async fn due(bench: &Bench) -> Vec<LessonDue> {
    bench.store.lessons_due(10).await.expect("reads")
}

#[tokio::test]
async fn a_discard_is_spam_and_a_release_is_ham() {
    let bench = Bench::new();
    bench.store.note_lessons(true);
    let (spam, ham) = (
        hold_scanned(&bench, "1").await,
        hold_scanned(&bench, "2").await,
    );
    bench
        .store
        .discard_held(all(spam), operator())
        .await
        .expect("discarded");
    bench
        .store
        .release(all(ham), None, operator())
        .await
        .expect("released");
    let lessons: Vec<_> = due(&bench)
        .await
        .iter()
        .map(|l| (l.message, l.lesson))
        .collect();
    assert_eq!(lessons, [(spam, Lesson::Spam), (ham, Lesson::Ham)]);
    let bytes = bench.store.content(spam).await.expect("reads");
    assert!(bytes.is_some(), "kept for the lesson");
    let bench = bench.reopen();
    for lesson in due(&bench).await {
        bench.store.learned(lesson).await.expect("ended");
    }
    assert_eq!(due(&bench).await, []);
    assert!(bench.store.content(spam).await.expect("reads").is_none());
    assert!(
        bench.store.content(ham).await.expect("reads").is_some(),
        "on its way"
    );
    assert_eq!(bench.states(spam).await, [State::Discarded]);
    assert_eq!(
        bench.store.counts().await.expect("reads").lessons_learned,
        2
    );
}

#[tokio::test]
async fn nothing_is_noted_that_nobody_learns_or_nobody_scanned() {
    let bench = Bench::new();
    let first = hold_scanned(&bench, "1").await;
    bench
        .store
        .discard_held(all(first), operator())
        .await
        .expect("discarded");
    bench.store.note_lessons(true);
    let unscanned = bench.hold("ann@isp.example", &[BOB], "2").await.id;
    bench
        .store
        .discard_held(all(unscanned), operator())
        .await
        .expect("discarded");
    bench
        .store
        .discard_held(all(first), operator())
        .await
        .expect("done already");
    assert_eq!(due(&bench).await, []);
    assert!(
        bench
            .store
            .content(unscanned)
            .await
            .expect("reads")
            .is_none()
    );
}

#[tokio::test]
async fn a_lesson_that_nobody_takes_is_given_up_in_the_end() {
    let bench = Bench::new();
    bench.store.note_lessons(true);
    let spam = hold_scanned(&bench, "1").await;
    bench
        .store
        .discard_held(all(spam), operator())
        .await
        .expect("discarded");
    let mut tries = 0;
    while bench.store.content(spam).await.expect("reads").is_some() {
        for lesson in due(&bench).await {
            tries += 1;
            bench.store.not_learned(lesson).await.expect("put off");
            assert!(due(&bench).await.is_empty(), "not at once again");
        }
        bench.pass(Duration::from_secs(3600));
    }
    assert_eq!((tries, due(&bench).await.len()), (6, 0));
    assert_eq!(
        bench.store.counts().await.expect("reads").lessons_given_up,
        1
    );
}
