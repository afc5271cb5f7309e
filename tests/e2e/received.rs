//! The origin behind a real Postfix, whatever its client says in HELO: `explain` walks back through
//! the Received field that Postfix wrote. The client sits on 127.0.0.1 and would like to be
//! 203.0.113.9.

use std::fs;
use std::path::Path;

use posthouse_tests::dns::Dns;
use posthouse_tests::postfix::Postfix;
use posthouse_tests::posthouse::{Outbound, command, config_dir};
use posthouse_tests::smtp::Smtp;
use posthouse_tests::{ports, proc};
use serde_json::Value;

const HELOS: [&str; 12] = [
    "EHLO client.test",
    "HELO [203.0.113.9]",
    "HELO 203.0.113.9",
    "HELO x ([203.0.113.9]) by y",
    "HELO x([203.0.113.9])",
    "HELO x) ([203.0.113.9]",
    "HELO [203.0.113.9] by mx (Exim 4.96)",
    "EHLO helo=[203.0.113.9]",
    "HELO x;y",
    "HELO x\\",
    "HELO \"a b\"",
    "HELO by",
];

/// Postfix, where HELO may be anything.
fn received_by_postfix() -> Vec<Vec<u8>> {
    let postfix = Postfix::mailbox();
    for helo in HELOS {
        let mut client = Smtp::connect(postfix.addr()).expect("a greeting");
        let heard = client.command(helo).expect("a reply");
        assert_eq!(heard.code, 250, "{helo}: {}", heard.text);
        let message = format!("Subject: {helo}\r\n\r\nHello.\r\n");
        let heard = client.send("a@a.test", &["b@b.test"], message.as_bytes());
        assert_eq!(heard.expect("a reply").code, 250, "{helo}");
    }
    postfix.wait_for(HELOS.len())
}

/// The origin of a message that Postfix, at 192.0.2.10, would bring.
fn origin(config: &Path, message: &Path) -> Value {
    let mut command = command(config);
    command.arg("explain").arg(message);
    command.args(["--client", "192.0.2.10", "--helo", "mail.ours.test"]);
    command.args(["--from", "a@a.test", "--to", "b@other.test", "--json"]);
    let json = proc::run(&mut command);
    let told: Value = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {json}"));
    told[0]["judgement"]["origin"].clone()
}

#[test]
fn no_helo_name_moves_the_origin() {
    let dns = Dns::start("");
    let dir = config_dir();
    let config = dir.path().join("posthouse.toml");
    let outbound = Outbound::new(ports::free_addr(), dns.addr()).toml();
    let outbound = outbound.replace("\"127.0.0.0/8\"", "\"192.0.2.0/24\"");
    fs::write(
        &config,
        format!("our_servers = [\"192.0.2.10\"]\n{outbound}"),
    )
    .expect("written");
    let mut understood = 0;
    for octets in received_by_postfix() {
        let message = dir.path().join("message.eml");
        fs::write(&message, &octets).expect("written");
        let text = String::from_utf8_lossy(&octets);
        match origin(&config, &message) {
            Value::String(unknown) => assert_eq!(unknown, "Unknown", "{text}"),
            known => {
                assert_eq!(known["Address"], "127.0.0.1", "{text}");
                understood += 1;
            }
        }
    }
    assert!(understood > HELOS.len() / 2, "only {understood} understood");
}
