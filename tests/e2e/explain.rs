//! `posthouse explain`: the trail of a message, without a server and without a queue.

use std::fs;

use posthouse_tests::dns::Dns;
use posthouse_tests::ports;
use posthouse_tests::posthouse::{Outbound, command, config_dir};
use posthouse_tests::proc::run;
use serde_json::Value;

const SPAM: &str =
    "Subject: x\n\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n";

#[test]
fn it_tells_cell_reply_dispositions_and_letter() {
    let dns = Dns::start("pass.test. TXT \"v=spf1 ip4:198.51.100.7 -all\"");
    let dir = config_dir();
    let outbound = Outbound::new(ports::free_addr(), dns.addr());
    let config = dir.path().join("posthouse.toml");
    fs::write(
        &config,
        outbound
            .toml()
            .replace("\"127.0.0.0/8\"", "\"198.51.100.0/24\""),
    )
    .expect("written");
    let message = dir.path().join("message.eml");
    fs::write(&message, SPAM).expect("written");
    let explain = |more: &[&str]| {
        let mut command = command(&config);
        command
            .arg("explain")
            .arg(&message)
            .args(["--client", "198.51.100.7", "--helo", "c.test"]);
        run(command.args(more))
    };

    let json = explain(&[
        "--from",
        "a@pass.test",
        "--to",
        "b@filtered.test",
        "--to",
        "c@other.test",
        "--json",
    ]);
    let told: Value = serde_json::from_str(&json).expect("JSON");
    let told = &told[0];
    assert!(
        told["reply"]
            .as_str()
            .expect("text")
            .starts_with("552 5.7.1"),
        "{json}"
    );
    assert_eq!(told["judgement"]["spf"], "pass");
    assert_eq!(told["recipients"].as_array().map(Vec::len), Some(2));
    assert_eq!(told["letters"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(told["letters"][0]["to"], "b@filtered.test");
    let trail = told["trail"]["entries"].as_array().expect("entries");
    let quarantine = trail
        .iter()
        .find(|e| e["plugin"] == "quarantine")
        .expect("asked");
    assert_eq!(quarantine["aside"]["entries"][0]["plugin"], "gtube");

    let text = explain(&["--from", "<>", "--to", "c@other.test"]);
    assert!(
        text.contains("250 2.6.0") && text.contains("c@other.test>: relay"),
        "{text}"
    );
    assert!(!dir.path().join("state").exists(), "nothing is made");
}

#[test]
fn a_stranger_is_refused_at_rcpt() {
    let dns = Dns::start("");
    let dir = config_dir();
    let outbound = Outbound::new(ports::free_addr(), dns.addr());
    let config = dir.path().join("posthouse.toml");
    fs::write(&config, outbound.toml()).expect("written");
    let message = dir.path().join("message.eml");
    fs::write(&message, SPAM).expect("written");
    let text = run(command(&config).arg("explain").arg(&message).args([
        "--client",
        "203.0.113.9",
        "--from",
        "a@x.test",
        "--to",
        "b@y.test",
    ]));
    assert!(text.contains("reply: 550 5.7.1 Relaying denied"), "{text}");
}
