//! The four cells with real parts: swaks and smtplib as clients, Debian's Postfix as the next hop,
//! spamd and rspamd as scanners, a DNS server for SPF and MX.

use std::path::Path;
use std::process::Command;

use posthouse_tests::clients::{Ran, smtplib, swaks};
use posthouse_tests::dns::Dns;
use posthouse_tests::postfix::Postfix;
use posthouse_tests::posthouse::{Posthouse, command, config_dir};
use posthouse_tests::rspamd::Rspamd;
use posthouse_tests::spamd::Spamd;
use posthouse_tests::{ports, wait};
use serde_json::Value;

const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// SPF: `pass.test` lets everybody on loopback send, `fail.test` nobody. The MX of `hosted.test`
/// belongs to `provider.test`.
const ZONE: &str = r#"
ours.test.     TXT "v=spf1 ip4:192.0.2.0/24 ~all"
pass.test.     TXT "v=spf1 ip4:127.0.0.0/8 ip4:198.51.100.7 -all"
fail.test.     TXT "v=spf1 -all"
hosted.test.   MX  10 mx1.provider.test.
other.test.    MX  10 mx.other.test.
"#;

struct Parts {
    server: Posthouse,
    postfix: Postfix,
    _dns: Dns,
    _spamd: Spamd,
    _rspamd: Rspamd,
}

fn start() -> Parts {
    let (dns, postfix) = (Dns::start(ZONE), Postfix::mailbox());
    let (spamd, rspamd) = (Spamd::start(), Rspamd::start(""));
    let (smtp, web) = (ports::free_addr(), ports::free_addr());
    let config = format!(
        r#"
hostname     = "out.ours.test"
state        = "state"
our_domains  = ["ours.test"]
our_networks = ["192.0.2.0/24"]
our_servers  = ["127.0.0.0/8"]

[[listener]]
address = ["{smtp}"]
chain   = "outbound"

[[chain.outbound]]
plugin   = "relay_clients"
networks = ["127.0.0.0/8"]

[[chain.outbound]]
plugin           = "quarantine"
scan             = "spam"
filtered_domains = ["filtered.test", "mx:provider.test"]

[[chain.spam]]
plugin  = "spamassassin"
address = "{}"

[[chain.spam]]
plugin  = "rspamd"
address = "{}"

[letters]
from  = "quarantine@ours.test"
check = "1s"

[relay]
route = [{{ domain = "*", next_hop = "smtp://{}" }}]

[store]
min_free = 0

[web]
address = "{web}"
url     = "http://{web}"

[dns]
servers = ["{}"]
"#,
        spamd.addr(),
        rspamd.addr(),
        postfix.addr(),
        dns.addr()
    );
    Parts {
        server: Posthouse::start(config_dir(), &config, smtp),
        postfix,
        _dns: dns,
        _spamd: spamd,
        _rspamd: rspamd,
    }
}

/// A message that entered our realm at `origin`: our server (on loopback) says so.
fn message(origin: &str, subject: &str, body: &str) -> Vec<u8> {
    format!(
        "Received: from client.test (client.test [{origin}])\r\n\tby mail.ours.test (Postfix) \
         with ESMTP id 4F1B2;\r\n\tFri, 20 Nov 2026 09:00:00 +0000 (UTC)\r\n\
         From: Ann <ann@ours.test>\r\nTo: <bob@filtered.test>\r\nSubject: {subject}\r\n\
         Date: Fri, 20 Nov 2026 09:00:00 +0000\r\nMessage-ID: <{subject}@ours.test>\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

fn items(server: &Posthouse, args: &[&str]) -> Vec<Value> {
    let json = run(command(&server.config()).args(args).arg("--json"));
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn link(ran: &Ran) -> Option<&str> {
    let mut words = ran.said.split(|c: char| c.is_whitespace() || c == '\'');
    words.find(|word| word.starts_with("http://") && word.contains("/i/"))
}

#[test]
fn each_cell_with_real_parts() {
    let parts = start();
    let smtp = parts.server.addr;
    let held = || items(&parts.server, &["held", "list"]).len();

    // Filtered, vouched: by SPF at the origin.
    let spam = message("198.51.100.7", "one", GTUBE);
    let ran = swaks(smtp, "ann@pass.test", &["bob@filtered.test"], &spam);
    assert!(ran.said.contains("552") && ran.code != 0, "{}", ran.said);
    assert!(link(&ran).is_some(), "{}", ran.said);
    assert_eq!(held(), 1);

    // Filtered by its MX, vouched because the origin is one of our customers.
    let spam = message("192.0.2.44", "two", GTUBE);
    let ran = smtplib(smtp, "ann@ours.test", &["carol@hosted.test"], &spam);
    assert!(
        ran.said.starts_with("552") && link(&ran).is_some(),
        "{}",
        ran.said
    );

    // Filtered, not vouched: SPF fails at the origin. Accepted silently.
    let spam = message("203.0.113.5", "three", GTUBE);
    let ran = smtplib(smtp, "x@fail.test", &["dave@filtered.test"], &spam);
    assert_eq!(ran.code, 0, "{}", ran.said);
    assert!(link(&ran).is_none());
    assert_eq!(held(), 3);

    // Other, vouched: held, refused, no letter.
    let spam = message("198.51.100.7", "four", GTUBE);
    let ran = swaks(smtp, "ann@pass.test", &["erin@other.test"], &spam);
    assert!(
        ran.said.contains("552") && link(&ran).is_some(),
        "{}",
        ran.said
    );
    assert_eq!(held(), 4);

    // Other, not vouched: let through. And a clean one.
    let spam = message("203.0.113.5", "five", GTUBE);
    assert_eq!(
        swaks(smtp, "x@fail.test", &["frank@other.test"], &spam).code,
        0
    );
    let clean = message("192.0.2.44", "six", "See you at noon.");
    assert_eq!(
        smtplib(smtp, "ann@ours.test", &["bob@filtered.test"], &clean).code,
        0
    );
    assert_eq!(held(), 4);

    // Two messages and three letters reach the next hop.
    let arrived = parts.postfix.wait_for(5);
    let texts: Vec<_> = arrived
        .iter()
        .map(|m| String::from_utf8_lossy(m).into_owned())
        .collect();
    let with = |words: &str| texts.iter().filter(|text| text.contains(words)).count();
    assert_eq!(with("Subject: five"), 1, "{texts:#?}");
    assert_eq!(with("Subject: six"), 1);
    assert_eq!(with("Auto-Submitted: auto-generated"), 3);
    for address in [
        "bob@filtered.test",
        "carol@hosted.test",
        "dave@filtered.test",
    ] {
        assert_eq!(
            with(&format!("we are holding a message for {address}")),
            1,
            "{address}: {texts:#?}"
        );
    }

    mixed_recipients(&parts);
    a_retry(&parts);
    a_release_by_the_operator(&parts);
}

/// Not vouched: each recipient has a disposition of its own, and one reply serves both.
fn mixed_recipients(parts: &Parts) {
    let spam = message("203.0.113.5", "mixed", GTUBE);
    let to = ["gina@filtered.test", "hal@other.test"];
    assert_eq!(swaks(parts.server.addr, "x@fail.test", &to, &spam).code, 0);
    let held = items(
        &parts.server,
        &["held", "list", "--recipient", "gina@filtered.test"],
    );
    assert_eq!(held.len(), 1);
    let states: Vec<_> = held[0]["recipients"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|r| (r["address"].as_str().expect("text"), r["state"] == "held"))
        .collect();
    assert_eq!(states[0], ("gina@filtered.test", true));
    assert!(!states[1].1, "{states:?}");
    wait::until("the other copy", std::time::Duration::from_secs(30), || {
        let found = parts.postfix.messages();
        let is = |m: &&Vec<u8>| String::from_utf8_lossy(m).contains("Subject: mixed");
        (found.iter().filter(is).count() == 1).then_some(())
    });
}

/// The same message again, with another trace of our own servers: the same link, nothing new.
fn a_retry(parts: &Parts) {
    let before = items(&parts.server, &["held", "list"]).len();
    let spam = message("198.51.100.7", "one", GTUBE);
    let first = swaks(
        parts.server.addr,
        "ann@pass.test",
        &["bob@filtered.test"],
        &spam,
    );
    let mut again =
        b"Received: from mail.ours.test (localhost [127.0.0.1])\r\n\tby out2.ours.test \
        (Postfix) with ESMTP id 77; Fri, 20 Nov 2026 10:00:00 +0000\r\n"
            .to_vec();
    again.extend_from_slice(&spam);
    let second = swaks(
        parts.server.addr,
        "ann@pass.test",
        &["bob@filtered.test"],
        &again,
    );
    assert_eq!(link(&first), link(&second));
    assert_eq!(items(&parts.server, &["held", "list"]).len(), before);
}

fn a_release_by_the_operator(parts: &Parts) {
    let held = items(
        &parts.server,
        &["held", "list", "--recipient", "erin@other.test"],
    );
    let id = held[0]["id"].as_str().expect("an id").to_owned();
    let config = parts.server.config();
    let release = |config: &Path| command(config).args(["held", "release", &id]).output();
    let done = release(&config).expect("it starts");
    assert!(done.status.success(), "{done:?}");
    let again = release(&config).expect("it starts");
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    wait::until(
        "the released message",
        std::time::Duration::from_secs(30),
        || {
            let is = |m: &Vec<u8>| String::from_utf8_lossy(m).contains("Subject: four");
            parts.postfix.messages().iter().any(is).then_some(())
        },
    );
    let shown = items(&parts.server, &["held", "show", &id]);
    assert_eq!(shown[0]["recipients"][0]["kind"], "released");
}
