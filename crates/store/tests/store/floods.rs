//! Floods: what many messages at once, forged recipients and clocks that jump make of letters, of
//! the queue and of the ledger's size.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::{ForwardPath, Judgement, Kept, Origin, Outcome, Recipient, Refusal, Row, Why};
use posthouse_store::{AttemptResult, Kind, LetterCaps, LetterDue, LetterSent, OwnMessage};
use rusqlite::Connection;

use crate::bench::{Bench, DAY, judgement};

const BOB: &str = "bob@f.example";
const MESSAGES: usize = 100;
/// Recipients of each message of a flood.
const RECIPIENTS: usize = 100;
/// Domains that the forged recipients are spread over.
const DOMAINS: usize = 7;

/// No cap but the interval keeps a letter back.
fn no_caps() -> LetterCaps {
    LetterCaps {
        per_sender_daily: u32::MAX,
        per_origin_daily: u32::MAX,
        per_domain_hourly: u32::MAX,
        total_hourly: u32::MAX,
    }
}

fn queued(sent: &[LetterSent]) -> usize {
    let queued = |sent: &&LetterSent| matches!(sent, LetterSent::Queued(_));
    sent.iter().filter(queued).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_messages_at_once_cause_one_letter() {
    let bench = Arc::new(Bench::new());
    let clients = (0..1000).map(|n: u32| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move {
            let from = format!("s{}@isp.example", n % 50);
            bench.hold(&from, &[BOB], &n.to_string()).await;
            match n % 100 {
                // Ten writers look for letters meanwhile.
                0 => queued(&bench.send_letters(&no_caps()).await),
                _ => 0,
            }
        })
    });
    let mut letters = 0;
    for client in clients.collect::<Vec<_>>() {
        letters += client.await.expect("no panic");
    }
    letters += queued(&bench.send_letters(&no_caps()).await);
    assert_eq!(letters, 1);
    let mut bench = Arc::into_inner(bench).expect("every client is gone");
    for (n, millis) in jumps().into_iter().enumerate() {
        let clock = &bench.clock.0;
        clock.fetch_add(millis, std::sync::atomic::Ordering::SeqCst);
        bench
            .hold("late@isp.example", &[BOB], &format!("late{n}"))
            .await;
        bench = bench.reopen();
        let sent = bench.send_letters(&no_caps()).await;
        assert_eq!(queued(&sent), 0, "after the {n}th jump: {sent:?}");
    }
    bench.pass(Duration::from_secs(60));
    assert_eq!(
        queued(&bench.send_letters(&no_caps()).await),
        1,
        "a week later"
    );
}

/// Milliseconds by which the clock jumps, to and fro; in the end almost a week has passed.
fn jumps() -> [i64; 6] {
    let day = i64::try_from(DAY.as_millis()).expect("fits");
    [day, -40 * day, 400, 40 * day, -day, 7 * day - 1000]
}

/// One message of a flood: from `sender`, at `origin`, to forged recipients.
async fn forge(bench: &Bench, n: usize, sender: &str, origin: [u8; 4]) {
    let mut tx = bench.tx(sender, &[], &format!("flood {n}"));
    let forged = |k| format!("u{n}-{k}@f{}.example", k % DOMAINS);
    let to = (0..RECIPIENTS).map(forged);
    let to = to.map(|to| Recipient::new(ForwardPath::from_address(&to).expect("valid")));
    tx.recipients = to.collect();
    tx.notes.put(Judgement {
        origin: Origin::Address(origin.into()),
        ..judgement(sender, RECIPIENTS, &format!("flood {n}"))
    });
    let kept = vec![Kept::Held(Why::Spam(Row::Filtered)); RECIPIENTS];
    let refusal = Refusal::policy("held {link}");
    bench.commit(&tx, &Outcome::Refused { refusal, kept }).await;
}

/// Tries every letter that is due, as the relay does, round by round; who was written to.
async fn write_letters(bench: &Bench) -> Vec<String> {
    let (week, caps) = (7 * DAY, LetterCaps::default());
    let mut written = Vec::new();
    loop {
        let due = bench.store.letters_due(week, 200).await.expect("reads");
        if due.is_empty() {
            return written;
        }
        assert!(
            due.iter().all(|due| due.newest.len() <= 10),
            "what is named is bounded"
        );
        // Together, as one commit serves many: one by one they would only take longer.
        let send = |due: LetterDue| {
            let (store, caps) = (bench.store.clone(), caps.clone());
            tokio::spawn(async move {
                let letter = OwnMessage {
                    kind: Kind::Letter,
                    to: due.to.clone(),
                    bytes: b"Subject: held\r\n\r\n".to_vec(),
                };
                let sent = store.send_letter(&due, letter, week, caps).await;
                let queued = matches!(sent, Ok(LetterSent::Queued(_)));
                queued.then_some(due.address.address)
            })
        };
        for sending in due.into_iter().map(send).collect::<Vec<_>>() {
            written.extend(sending.await.expect("no panic"));
        }
    }
}

fn rows(bench: &Bench, what: &str) -> usize {
    let db = Connection::open(bench.dir.path().join("ledger.db")).expect("opens");
    let sql = format!("SELECT count(*) FROM {what}");
    db.query_row(&sql, [], |row| row.get(0)).expect("counted")
}

#[tokio::test]
async fn ten_thousand_forged_recipients_of_one_origin_get_five_letters_a_day() {
    let bench = Bench::new();
    for n in 0..MESSAGES {
        forge(&bench, n, &format!("s{n}@x{n}.example"), [203, 0, 113, 9]).await;
    }
    assert_eq!(rows(&bench, "address"), MESSAGES * RECIPIENTS);
    let written = write_letters(&bench).await.len();
    assert_eq!(written, 5);
    assert_eq!(rows(&bench, "recipient WHERE state = 'queued'"), 5);
    let counts = bench.store.counts().await.expect("reads");
    assert_eq!(counts.letters_capped as usize, MESSAGES * RECIPIENTS - 5);
}

#[tokio::test]
async fn ten_thousand_forged_recipients_of_many_origins_meet_the_caps_on_all() {
    let bench = Bench::new();
    for n in 0..MESSAGES {
        let octet = u8::try_from(n).expect("small");
        forge(&bench, n, &format!("s{n}@x{n}.example"), [203, 0, octet, 9]).await;
    }
    let written = write_letters(&bench).await;
    assert!(written.len() <= 500, "{}", written.len());
    let mut by_domain: HashMap<_, usize> = HashMap::new();
    for address in &written {
        *by_domain.entry(address.rsplit('@').next()).or_default() += 1;
    }
    assert!(by_domain.values().all(|n| *n <= 100), "{by_domain:?}");
    assert!(
        written.len() > 300,
        "and those that may go, go: {}",
        written.len()
    );
    assert_eq!(
        rows(&bench, "recipient WHERE state = 'queued'"),
        written.len()
    );
}

#[tokio::test]
async fn when_a_flood_is_over_the_ledger_is_as_small_as_before() {
    let bench = Bench::new();
    for n in 0..20 {
        forge(&bench, n, &format!("s{n}@x{n}.example"), [203, 0, 113, 9]).await;
    }
    write_letters(&bench).await;
    bench.settle_all(AttemptResult::Failed).await;
    // A person's own wish outlives what it was about.
    let stays = bench
        .store
        .address("u19-99@f1.example")
        .await
        .expect("reads");
    let stays = stays.expect("a row").id;
    let stopped = bench
        .store
        .stop_letters(stays, crate::bench::operator())
        .await;
    stopped.expect("stopped");
    bench.pass(61 * DAY);
    bench.store.tidy().await.expect("tidied");
    assert_eq!(
        rows(&bench, "address"),
        6,
        "those with a letter, and the one that was chosen for"
    );
    bench.pass(366 * DAY);
    bench.store.tidy().await.expect("tidied");
    for table in [
        "message",
        "body",
        "facts",
        "recipient",
        "keeping",
        "errand",
        "pending",
        "audit",
    ] {
        assert_eq!(rows(&bench, table), 0, "{table}");
    }
    assert_eq!(rows(&bench, "address"), 1, "the one that was chosen for");
    assert!(rows(&bench, "tally") < 10);
}

/// The relay tries so many in a round, the oldest first: those that a cap keeps back must not be
/// those for ever.
#[tokio::test]
async fn addresses_that_a_cap_keeps_back_starve_nobody() {
    let bench = Bench::new();
    for n in 0..5 {
        forge(&bench, n, &format!("s{n}@x{n}.example"), [203, 0, 113, 9]).await;
    }
    write_letters(&bench).await;
    bench.pass(Duration::from_secs(3600));
    bench
        .hold("friend@isp.example", &["late@f.example"], "x")
        .await;
    let due = bench.store.letters_due(7 * DAY, 200).await.expect("reads");
    let names: Vec<_> = due.iter().map(|due| &*due.address.address).collect();
    assert_eq!((names.len(), names[0]), (200, "late@f.example"));
}
