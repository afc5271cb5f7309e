//! Mail waits for a letter and none goes out: the log and `posthouse status` say so. The ledger was
//! filled days ago, by a clock that the test has set back.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::{Clock, SystemClock, Timestamp};
use posthouse_store::Store;
use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::wait;
use serde_json::Value;
use tempfile::TempDir;

use crate::relay_notices::hold_in;
use crate::relay_site::settings;

const LIMIT: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

struct DaysAgo(u32);

impl Clock for DaysAgo {
    fn now(&self) -> Timestamp {
        SystemClock.now().before(DAY * self.0)
    }
}

/// A state directory in which a message has been held for three days.
fn held_three_days_ago() -> TempDir {
    let dir = config_dir();
    let clock = Arc::new(DaysAgo(3));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(settings(&dir), clock.clone()).expect("a new store");
        hold_in(&store, clock.now(), "old").await;
    });
    dir
}

struct Parts {
    server: Posthouse,
    sink: Sink,
    _dns: Dns,
}

fn start(letters: &str) -> Parts {
    let (dns, sink) = (Dns::start(""), Sink::start(Script::friendly()));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let config = outbound.toml();
    let config = config.replace("[letters]\n", &format!("[letters]\n{letters}\n"));
    let server = Posthouse::start(held_three_days_ago(), &config, outbound.smtp);
    Parts {
        server,
        sink,
        _dns: dns,
    }
}

fn status(server: &Posthouse) -> (Value, String) {
    let command = || -> Command { command(&server.config()) };
    let json: Value =
        serde_json::from_str(&run(command().args(["status", "--json"]))).expect("JSON");
    (json[0].clone(), run(command().arg("status")))
}

fn logged(server: &Posthouse, what: &str) -> String {
    wait::until(what, LIMIT, || {
        let log = server.proc.log();
        log.lines()
            .find(|line| line.contains(what))
            .map(str::to_owned)
    })
}

#[test]
fn an_alarm_says_that_mail_waits_and_no_letter_goes_out() {
    let parts = start("caps = { total_hourly = 0 }");
    let line = logged(
        &parts.server,
        "mail waits for a letter, and none went out for a day",
    );
    assert!(line.contains("ERROR"), "{line}");
    let (json, text) = status(&parts.server);
    assert_eq!(json["letters"], "on", "{json}");
    let since = json["letters_overdue_since"].as_i64().expect("a time");
    let age = SystemClock.now().0 - since;
    assert!(
        age > 3 * 86_400_000 - 60_000 && age < 3 * 86_400_000 + 600_000,
        "{age}"
    );
    assert!(text.contains("ALARM: a letter is due since 20"), "{text}");
}

#[test]
fn stopped_letters_are_told_of_without_alarm() {
    let parts = start("send = false");
    let line = logged(
        &parts.server,
        "mail waits for a letter, and letters are stopped",
    );
    assert!(line.contains("WARN") && line.contains("off"), "{line}");
    assert!(!parts.server.proc.log().contains("none went out for a day"));
    let (json, text) = status(&parts.server);
    assert_eq!(json["letters"], "off", "{json}");
    assert!(json["letters_overdue_since"].is_i64(), "{json}");
    assert!(
        text.contains("letters are off") && text.contains("is due since"),
        "{text}"
    );
    assert_eq!(parts.sink.deliveries().len(), 0);
}

#[test]
fn letters_that_go_out_are_no_alarm() {
    let parts = start("check = \"1s\"");
    assert_eq!(
        parts.sink.wait_for(1)[0].rcpt,
        ["RCPT TO:<bob@big.example>"]
    );
    let (json, text) = status(&parts.server);
    assert!(json["letters_overdue_since"].is_null(), "{json}");
    assert!(
        text.contains("letters go out") && !text.contains("ALARM"),
        "{text}"
    );
    assert!(!parts.server.proc.log().contains("none went out"));
}
