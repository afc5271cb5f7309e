//! `posthouse replay`: what a server judged is judged again under another configuration, beside the
//! server, from the facts in its ledger.

use std::path::Path;

use posthouse_tests::dir;
use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::Smtp;
use serde_json::{Value, json};

const SPAM: &[u8] =
    b"Subject: x\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
const CLEAN: &[u8] = b"Subject: hi\r\n\r\nSee you at noon.\r\n";
const ZONE: &str = "hosted.test. MX 10 mx1.provider.test.\nother.test. MX 10 mx.other.test.";
const FILTERED: &str = "filtered_domains = [\"filtered.test\"]";

struct Parts {
    server: Posthouse,
    config: String,
    _sink: Sink,
    _dns: Dns,
}

/// A server that has judged six messages: four of them spam, of which three are held.
fn start() -> Parts {
    let (dns, sink) = (Dns::start(ZONE), Sink::start(Script::friendly()));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let config = outbound.toml();
    let server = Posthouse::start(config_dir(), &config, outbound.smtp);
    let filtered = &["b@filtered.test"][..];
    for (from, to, message, code) in [
        ("ann@ours.test", filtered, SPAM, 552),
        (
            "x@stranger.test",
            &["b@filtered.test", "c@hosted.test"],
            SPAM,
            250,
        ),
        ("ann@ours.test", &["c@hosted.test"], SPAM, 552),
        ("x@stranger.test", &["d@other.test"], SPAM, 250),
        ("ann@ours.test", &["d@other.test"], CLEAN, 250),
        ("x@stranger.test", filtered, CLEAN, 250),
    ] {
        let mut client = Smtp::hello(server.addr).expect("greets");
        let heard = client.send(from, to, message).expect("answers");
        assert_eq!(heard.code, code, "{from} {to:?}: {heard:?}");
    }
    Parts {
        server,
        config,
        _sink: sink,
        _dns: dns,
    }
}

fn replay(config: &Path, more: &[&str]) -> Value {
    let mut command = command(config);
    command.args(["replay", "--json"]).args(more);
    let text = run(&mut command);
    let all: Value = serde_json::from_str(&text).expect("JSON");
    all[0].clone()
}

/// The parts' configuration with another list of filtered domains, beside it.
fn with_filtered(parts: &Parts, list: &str) -> std::path::PathBuf {
    let new = parts.config.replace(FILTERED, list);
    assert_ne!(new, parts.config);
    dir::write(&parts.server.dir.path().join("new.toml"), &new)
}

#[test]
fn the_same_configuration_shows_no_difference() {
    let parts = start();
    let report = replay(&parts.server.config(), &[]);
    let none = json!({"judged": 6, "differing": 0, "unknown": 0, "counts": [], "cases": []});
    assert_eq!(report, none);
    let text = run(command(&parts.server.config()).arg("replay"));
    assert_eq!(text, "6 messages judged again, 0 would differ\n");
}

#[test]
fn other_filtered_domains_show_exactly_the_cells_that_differ() {
    let parts = start();
    let new = with_filtered(&parts, "filtered_domains = [\"mx:provider.test\"]");
    let report = replay(&new, &[]);
    let standing = |row: &str, column: &str, reply: &str, copy: &str| json!({"row": row, "column": column, "reply": reply, "copy": copy});
    let held = |row: &str| standing(row, "vouched", "552", "held");
    let count = |old, new| json!({"old": old, "new": new, "copies": 1});
    let want = [
        // The sender is vouched for: held and refused either way, but another is written to.
        count(held("filtered"), held("other")),
        count(held("other"), held("filtered")),
        // Nobody vouches for the sender: the two copies of one message change places.
        count(
            standing("filtered", "not_vouched", "250", "held"),
            standing("other", "not_vouched", "250", "relayed"),
        ),
        count(
            standing("other", "not_vouched", "250", "relayed"),
            standing("filtered", "not_vouched", "250", "held"),
        ),
        // Clean, and it would not even be scanned.
        count(
            standing("filtered", "not_vouched", "250", "relayed"),
            standing("other", "not_vouched", "250", "relayed"),
        ),
    ];
    let got = report["counts"].as_array().expect("an array");
    assert_eq!(got.len(), want.len(), "{report:#}");
    for want in &want {
        assert!(got.contains(want), "{want}\n{report:#}");
    }
    assert_eq!(
        (&report["judged"], &report["differing"]),
        (&json!(6), &json!(4))
    );
    let newest = replay(&new, &["--limit", "1"]);
    assert_eq!(newest["cases"].as_array().map(Vec::len), Some(1));
    assert_eq!(newest["cases"][0]["from"], "x@stranger.test");
    assert_eq!(newest["cases"][0]["copies"][0]["to"], "b@filtered.test");
    let text = run(command(&new).arg("replay"));
    assert!(
        text.contains("6 messages judged again, 4 would differ"),
        "{text}"
    );
    assert!(text.contains("filtered, not vouched: 250, held"), "{text}");
}

#[test]
fn what_would_be_scanned_is_said_to_be_unknown() {
    let parts = start();
    let new = with_filtered(
        &parts,
        "filtered_domains = [\"other.test\", \"filtered.test\"]",
    );
    let report = replay(&new, &[]);
    assert_eq!(
        (&report["differing"], &report["unknown"]),
        (&json!(2), &json!(1))
    );
    let of_stranger = &report["cases"][1]["copies"][0]["new"];
    assert_eq!(of_stranger["reply"], "would be scanned: unknown");
    assert_eq!(of_stranger["copy"], Value::Null);
}

/// Another configuration may have a state of its own: `--state` names the ledger that is read.
#[test]
fn the_ledger_of_another_state_directory_is_read_and_not_changed() {
    let parts = start();
    let away = parts.config.replace("\"state\"", "\"nowhere\"");
    let new = dir::write(&parts.server.dir.path().join("new.toml"), &away);
    let lost = command(&new).arg("replay").output().expect("it starts");
    assert_eq!(lost.status.code(), Some(1), "{lost:?}");
    let state = parts.server.dir.path().join("state");
    let report = replay(&new, &["--state", state.to_str().expect("UTF-8")]);
    assert_eq!(
        (&report["judged"], &report["differing"]),
        (&json!(6), &json!(0))
    );
    assert!(!parts.server.dir.path().join("nowhere").exists());
    let later = replay(&parts.server.config(), &["--since", "0s"]);
    assert_eq!(later["judged"], 0);
}
