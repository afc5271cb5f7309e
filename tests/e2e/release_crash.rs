//! A release and kill -9 at about the same time, before its commit or after it: the copy is then held
//! or queued, never both or neither, and in the end each message is delivered exactly once.

use std::collections::BTreeMap;
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::ports;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::Smtp;
use posthouse_tests::wait;
use serde_json::Value;

const ROUNDS: u64 = 8;
const LIMIT: Duration = Duration::from_secs(60);

fn list(house: &Posthouse, what: &str) -> Vec<Value> {
    let json = run(command(&house.config()).args([what, "list", "--limit", "1000", "--json"]));
    serde_json::from_str(&json).expect("an array")
}

fn hold(house: &Posthouse, round: u64) -> String {
    let mail = format!(
        "Subject: round {round}.\r\n\r\n\
         XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
    );
    let mut client = Smtp::hello(house.addr).expect("greets");
    let heard = client.send("ann@ours.test", &["bob@far.test"], mail.as_bytes());
    assert_eq!(heard.expect("answers").code, 552);
    let newest = &list(house, "held")[0]["id"];
    newest.as_str().expect("an id").to_owned()
}

#[test]
fn a_release_that_a_crash_meets_is_made_or_not_and_delivered_once() {
    let nowhere = ports::free_addr();
    let dns = Dns::start("");
    let outbound = Outbound::new(nowhere, dns.addr());
    let config = outbound.toml();
    let mut house = Posthouse::start(config_dir(), &config, outbound.smtp);
    let mut made = 0;
    for round in 0..ROUNDS {
        let id = hold(&house, round);
        let path = house.config();
        let name = id.clone();
        let release = std::thread::spawn(move || {
            let output = command(&path).args(["held", "release", &name]).output();
            output.expect("it starts").status.success()
        });
        // From a kill before the command has started to one after its answer.
        std::thread::sleep(Duration::from_millis(round * 4));
        house = house.crash(&config);
        let told = release.join().expect("ends");
        let of = |what: &str| {
            list(&house, what)
                .iter()
                .filter(|i| i["id"] == id.as_str())
                .count()
        };
        let (held, queued) = (of("held"), of("queue"));
        assert_eq!(
            held + queued,
            1,
            "round {round}: held {held}, queued {queued}"
        );
        assert!(!told || queued == 1, "what was told to be released is");
        made += queued;
        let again = command(&house.config())
            .args(["held", "release", &id])
            .output();
        let changed = again.expect("it starts").status.success();
        assert_eq!(changed, held == 1, "round {round}");
    }
    println!("{made} of {ROUNDS} releases came before their kill");
    assert_eq!(list(&house, "held").len(), 0);
    let sink = Sink::start_at(nowhere, Script::friendly());
    wait::until("an empty queue", LIMIT, || {
        for item in list(&house, "queue") {
            let id = item["id"].as_str().expect("an id");
            let _ = command(&house.config())
                .args(["queue", "retry", id])
                .output();
        }
        list(&house, "queue").is_empty().then_some(())
    });
    let mut seen = BTreeMap::new();
    for taken in sink.wait_for(ROUNDS as usize) {
        let text = String::from_utf8_lossy(&taken.message).into_owned();
        let subject = text.lines().find(|line| line.starts_with("Subject: "));
        *seen
            .entry(subject.expect("a subject").to_owned())
            .or_insert(0) += 1;
    }
    assert_eq!(seen.len() as u64, ROUNDS);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
}
