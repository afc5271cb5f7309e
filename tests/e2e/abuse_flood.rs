//! Floods through the whole program: many sessions at once, many forged recipients, restarts and
//! crashes in between.

use posthouse_tests::smtp::Smtp;

use crate::scene::{LIMIT, Scene, spam};

const BOB: &str = "bob@filtered.test";
const SESSIONS: usize = 300;
const THREADS: usize = 30;
/// Memory that a flood of forged recipients may take besides what the program has at rest.
const MEMORY: u64 = 64 << 20;

#[test]
fn three_hundred_sessions_at_once_a_restart_and_a_crash_cause_one_letter() {
    let mut scene = Scene::open();
    let addr = scene.server.addr;
    std::thread::scope(|threads| {
        for thread in 0..THREADS {
            threads.spawn(move || {
                for n in 0..SESSIONS / THREADS {
                    let mut client = Smtp::hello(addr).expect("greets");
                    let from = format!("x{thread}@stranger.test");
                    let spam = spam(&format!("m{thread}-{n}"));
                    let heard = client.send(&from, &[BOB], &spam).expect("answers");
                    assert_eq!(heard.code, 250, "{heard:?}");
                }
            });
        }
    });
    scene.settle();
    scene = scene.after("");
    scene.held(BOB, "after a restart");
    scene = scene.crash();
    scene.held(BOB, "after a crash");
    scene.settle();
    assert_eq!(scene.so_far(BOB).len(), 1);
    let held = scene.items(&["held", "list", "--recipient", BOB, "--limit", "1000"]);
    assert_eq!(held.len(), SESSIONS + 2, "all of it is held");
}

#[test]
fn ten_thousand_forged_recipients_stay_within_the_caps_and_the_memory() {
    let caps = |config: String| config.replace("per_origin_daily = 1000", "per_origin_daily = 7");
    let scene = Scene::with(posthouse_tests::sink::Script::friendly(), caps);
    let before = memory(&scene);
    let mut client = Smtp::hello(scene.server.addr).expect("greets");
    for n in 0..100 {
        let to: Vec<_> = (0..100)
            .map(|k| format!("u{n}-{k}@filtered.test"))
            .collect();
        let to: Vec<_> = to.iter().map(String::as_str).collect();
        let from = format!("x{n}@stranger.test");
        let heard = client
            .send(&from, &to, &spam(&format!("m{n}")))
            .expect("answers");
        assert_eq!(heard.code, 250, "{heard:?}");
    }
    let letters = || {
        let sent = scene.sink.deliveries();
        sent.iter()
            .filter(|mail| mail.mail.starts_with("MAIL FROM:<>"))
            .count()
    };
    // Far more were tried than may go; the others' turn comes, with the same answer.
    posthouse_tests::wait::until("letters kept back", LIMIT, || {
        let status = scene.command(&["status"]);
        let line = status
            .lines()
            .find(|l| l.ends_with("letters kept back by a cap"))?;
        let kept_back: u64 = line.split_whitespace().next()?.parse().ok()?;
        (kept_back > 500).then_some(())
    });
    assert_eq!(letters(), 7, "per_origin_daily");
    assert_eq!(
        scene.items(&["queue", "list"]).len(),
        0,
        "nothing waits behind them"
    );
    let grown = memory(&scene).saturating_sub(before);
    assert!(grown < MEMORY, "{grown} octets more than at rest");
}

/// Octets of memory that the server uses.
fn memory(scene: &Scene) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", scene.server.proc.pid()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.expect("a peak").trim().trim_end_matches(" kB");
    kib.parse::<u64>().expect("a number") << 10
}
