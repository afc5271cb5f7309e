//! The bounds on what is held: by size and by share, the oldest first, and never a copy that is
//! on its way.

use std::collections::HashMap;
use std::time::Duration;

use posthouse_hook::Id;
use posthouse_store::{Bounds, Filter, Item, Selection, State};
use proptest::prelude::*;

use crate::bench::{Bench, all, operator};

const SIZE: u64 = 10_000;
const SENDERS: [&str; 3] = ["ann@isp.example", "bob@isp.example", "eve@x.example"];

fn bench(sender_share: f64) -> Bench {
    Bench::with(|settings| {
        settings.bounds = Bounds {
            max_size: SIZE,
            sender_share,
        }
    })
}

fn octets(count: usize, salt: usize) -> String {
    format!("{salt:09}{}", "x".repeat(count - 9))
}

#[tokio::test]
async fn a_flood_of_one_sender_evicts_its_own_mail_only() {
    let bench = bench(0.5);
    let hold = async |from, n| {
        let held = bench.hold(from, &["b@f.example"], &octets(900, n)).await;
        held.id
    };
    let ann = hold("ann@isp.example", 0).await;
    let mut eve = Vec::new();
    for n in 1..=20 {
        eve.push(hold("eve@x.example", n).await);
    }
    bench.store.make_room().await.expect("made");
    assert_eq!(bench.states(ann).await, [State::Held]);
    let (old, new) = eve.split_at(15);
    for id in old {
        assert_eq!(bench.states(*id).await, [], "the oldest are gone");
        let audit = bench.store.audit(*id).await.expect("reads");
        let last = audit.last().expect("a line");
        assert_eq!(
            (last.who.as_str(), last.state.as_str()),
            ("retention", "expired")
        );
        assert!(last.detail.contains("sender_share"), "{last:?}");
    }
    for id in new {
        assert_eq!(bench.states(*id).await, [State::Held]);
    }
    let counts = bench.store.counts().await.expect("reads");
    assert_eq!((counts.expired.share, counts.expired.size), (15, 0));
    assert_eq!(counts.held_octets, 6 * 900);
}

#[tokio::test]
async fn when_all_is_full_the_oldest_go() {
    let bench = bench(1.0);
    let mut held = Vec::new();
    for n in 0..15 {
        let from = SENDERS[n % 3];
        held.push(
            bench
                .hold(from, &["b@f.example"], &octets(1000, n))
                .await
                .id,
        );
    }
    bench.store.tidy().await.expect("tidied");
    for (n, id) in held.into_iter().enumerate() {
        let want: &[State] = if n < 6 { &[] } else { &[State::Held] };
        assert_eq!(bench.states(id).await, want, "{n}");
    }
    let counts = bench.store.counts().await.expect("reads");
    assert_eq!((counts.expired.share, counts.expired.size), (0, 6));
}

/// A flood does not wait for the next round of tidying.
#[tokio::test]
async fn a_flood_asks_for_room_at_once() {
    let bench = bench(1.0);
    for n in 0..11 {
        bench
            .hold("a@isp.example", &["b@f.example"], &octets(1000, n))
            .await;
    }
    let soon = Duration::from_secs(10);
    let asked = tokio::time::timeout(soon, bench.store.crowded()).await;
    asked.expect("it asks for room");
    bench.store.make_room().await.expect("made");
    let counts = bench.store.counts().await.expect("reads");
    assert_eq!(counts.held_octets, 9000, "a twentieth is free again");
}

#[derive(Debug, Clone)]
enum Step {
    Hold {
        sender: usize,
        size: usize,
        to: usize,
    },
    Release {
        nth: usize,
        copy: usize,
    },
    Discard {
        nth: usize,
        copy: usize,
    },
    MakeRoom,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..3usize, 10..3000usize, 1..4usize)
            .prop_map(|(sender, size, to)| Step::Hold { sender, size, to }),
        3 => (any::<usize>(), 0..3usize).prop_map(|(nth, copy)| Step::Release { nth, copy }),
        1 => (any::<usize>(), 0..3usize).prop_map(|(nth, copy)| Step::Discard { nth, copy }),
        2 => Just(Step::MakeRoom),
    ];
    proptest::collection::vec(step, 1..40)
}

fn address(copy: usize) -> String {
    format!("b{copy}@f.example")
}

fn copy_of(item: Id, copy: usize) -> Selection {
    Selection {
        addresses: vec![address(copy)],
        ..all(item)
    }
}

/// Runs the steps; gives what was held, and its bytes.
async fn run(bench: &Bench, steps: &[Step]) -> HashMap<Id, String> {
    let (mut ids, mut bytes) = (Vec::new(), HashMap::new());
    for (salt, step) in steps.iter().enumerate() {
        let nth = |n: usize| ids.get(n % ids.len().max(1)).copied().unwrap_or(Id(0));
        match *step {
            Step::Hold { sender, size, to } => {
                let to: Vec<_> = (0..to).map(address).collect();
                let to: Vec<_> = to.iter().map(String::as_str).collect();
                let text = octets(size, salt);
                let id = bench.hold(SENDERS[sender], &to, &text).await.id;
                ids.push(id);
                bytes.insert(id, text);
            }
            Step::Release { nth: n, copy } => {
                let done = bench.store.release(copy_of(nth(n), copy), None, operator());
                done.await.expect("released");
            }
            Step::Discard { nth: n, copy } => {
                let done = bench.store.discard_held(copy_of(nth(n), copy), operator());
                done.await.expect("discarded");
            }
            Step::MakeRoom => bench.store.make_room().await.expect("made"),
        }
    }
    bytes
}

async fn items(bench: &Bench) -> Vec<Item> {
    let filter = Filter {
        limit: 10_000,
        ..Filter::default()
    };
    bench.store.items(filter).await.expect("reads")
}

/// The copies that wait in the queue.
async fn queued(bench: &Bench) -> Vec<(Id, Id)> {
    let all = items(bench).await;
    let pairs = all.iter().flat_map(|item| {
        let waits = item.recipients.iter().filter(|r| r.state == State::Queued);
        waits.map(|r| (item.id, r.id))
    });
    pairs.collect()
}

fn held_octets(items: &[Item], sender: Option<&str>) -> u64 {
    let holds = |item: &&Item| item.recipients.iter().any(|r| r.state == State::Held);
    let sent = |item: &&Item| sender.is_none_or(|s| item.reverse_path.address() == s);
    items
        .iter()
        .filter(holds)
        .filter(sent)
        .map(|item| item.size)
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// Whatever was held, released and evicted before: the bounds hold, and what is queued keeps
    /// its row and every byte.
    #[test]
    fn eviction_never_touches_a_queued_copy(steps in steps()) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let bench = bench(0.5);
            let bytes = run(&bench, &steps).await;
            let before = queued(&bench).await;
            bench.store.make_room().await.expect("made");
            assert_eq!(queued(&bench).await, before);
            for (id, _) in before {
                let content = bench.store.content(id).await.expect("reads").expect("kept");
                let whole = content.head(u64::MAX).await.expect("reads");
                assert_eq!(whole, bytes[&id].as_bytes());
            }
            let left = items(&bench).await;
            let counts = bench.store.counts().await.expect("reads");
            assert_eq!(counts.held_octets, held_octets(&left, None));
            assert!(counts.held_octets <= SIZE);
            for sender in SENDERS {
                assert!(held_octets(&left, Some(sender)) <= SIZE / 2, "{sender}");
            }
        });
    }
}
