//! `dnsbl` in the whole program: lists that a real rbldnsd serves, one that dies while it is asked, and
//! a DNS that is dead, hung or talks garbage. A list that cannot be believed refuses nobody.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use posthouse_tests::dns::NoDns;
use posthouse_tests::posthouse::{Posthouse, command};
use posthouse_tests::proc::run;
use posthouse_tests::rbldnsd::Rbldnsd;
use posthouse_tests::smtp::Heard;
use posthouse_tests::{ports, wait};
use serde_json::Value;

use crate::gate::{Gate, explain};

const LIMIT: Duration = Duration::from_secs(30);
const CLIENTS: &str = ":127.0.0.2:Listed, see http://bl.test/?$\n127.0.0.2\n127.0.0.66\n\
    127.0.0.68 :127.0.0.9:other";
/// What a list says after its death.
const WORLD: &str = ":127.0.0.2:The list is dead\n0.0.0.0-255.255.255.255";
const SIX: &str = ":127.0.0.2:Listed $\n::ffff:7f00:2\n2001:db8::/32";
const NAMES: &str = ":127.0.1.2:Bad domain\ntest\n.bad.test";
const MESSAGE: &[u8] = b"From: Ann <ann@good.test>\r\nSubject: hello\r\n\r\nhello\r\n";

fn step(options: &str) -> String {
    format!("[[chain.inbound]]\nplugin = \"dnsbl\"\n{options}\n")
}

fn lists() -> Rbldnsd {
    Rbldnsd::start(&[
        ("bl.test", "ip4set", CLIENTS),
        ("bl.test", "ip6trie", SIX),
        ("dbl.test", "dnset", NAMES),
        ("wl.test", "ip4set", ":127.0.10.0:\n127.0.0.2\n127.0.0.67"),
    ])
}

/// How it stands with each list and kind of subject.
fn states(gate: &Gate) -> Vec<String> {
    let told = gate.json(&["dnsbl", "status"]);
    let word = |list: &Value, key: &str| list[key].as_str().unwrap_or_default().to_owned();
    let lists = told.as_array().expect("an array").iter();
    lists
        .map(|list| {
            format!(
                "{} {} {}",
                word(list, "zone"),
                word(list, "family"),
                word(list, "state")
            )
        })
        .collect()
}

/// Waits until the first list is in that state.
fn becomes(gate: &Gate, state: &str) {
    wait::until(state, LIMIT, || {
        states(gate).first()?.ends_with(state).then_some(())
    });
}

fn refused(heard: &Heard, code: u16, text: &str) {
    assert_eq!(heard.code, code, "{heard:?}");
    assert!(heard.text.starts_with(text), "{heard:?}");
}

#[test]
fn whom_a_real_list_lists_is_refused() {
    let lists = lists();
    let zones = "zones = [\"bl.test\", { zone = \"wl.test\", kind = \"allow\", ip = \"v4\" },\n\
        { zone = \"dbl.test\", of = \"sender\" }, { zone = \"dbl.test\", of = \"from\" },\n\
        { zone = \"dbl.test\", of = \"helo\", text = \"%DOMAIN%: %TXT%\" }]";
    let gate = Gate::open(lists.addr(), &step(zones));
    becomes(&gate, "good");
    wait::until("all tested", LIMIT, || {
        let states = states(&gate);
        states
            .iter()
            .all(|state| state.ends_with("good"))
            .then_some(())
    });
    assert_eq!(states(&gate).len(), 6, "{:?}", states(&gate));
    let heard = gate.greets(66);
    let want = "5.7.1 127.0.0.66 is listed by bl.test: Listed, see http://bl.test/?127.0.0.66";
    refused(&heard, 554, want);
    assert_eq!(gate.greets(65).code, 220);
    assert_eq!(gate.send(67, "ann@good.test", MESSAGE).code, 250);
    let heard = gate.send(65, "ann@mail.bad.test", MESSAGE);
    refused(
        &heard,
        550,
        "5.7.1 mail.bad.test is listed by dbl.test: Bad domain",
    );
    let message = b"From: Ann <ann@BAD.test>\r\n\r\nhello\r\n";
    let heard = gate.send(65, "ann@good.test", message);
    refused(
        &heard,
        550,
        "5.7.1 bad.test is listed by dbl.test: Bad domain",
    );
    let (_, heard) = gate.hello(65, "bad.test");
    refused(&heard, 550, "5.7.1 bad.test: Bad domain");
    // Who may relay is not asked about.
    assert_eq!(gate.send(1, "ann@bad.test", message).code, 250);
    let counted = gate.json(&["dnsbl", "status"])[0]["listed"].clone();
    assert_eq!(counted, 1);
    let log = gate.server.proc.log_with("refused for a DNS listing");
    assert!(log.contains("refused for a DNS listing"), "{log}");
    let told = explain(lists.addr(), &step(zones), "2001:db8::9", "ann@good.test");
    assert!(told.contains("2001:db8::9 is listed by bl.test"), "{told}");
}

#[test]
fn a_list_that_dies_while_it_is_asked_refuses_nobody_and_comes_back() {
    let lists = lists();
    let options = "zones = [\"bl.test\"]\nretest = \"1s\"\ndeadline = \"2s\"";
    let gate = Gate::open(lists.addr(), &step(options));
    becomes(&gate, "good");
    refused(&gate.greets(66), 554, "5.7.1 127.0.0.66 is listed");
    lists.rewrite("bl.test", "ip4set", WORLD);
    becomes(&gate, "aside");
    assert_eq!(gate.greets(65).code, 220);
    assert_eq!(gate.greets(66).code, 220);
    let told = run(command(&gate.server.config()).args(["dnsbl", "status"]));
    assert!(told.contains("it lists everybody"), "{told}");
    let log = gate.server.proc.log_with("a DNS list is set aside");
    assert!(log.contains("a DNS list is set aside"), "{log}");
    lists.rewrite("bl.test", "ip4set", CLIENTS);
    becomes(&gate, "good");
    refused(&gate.greets(66), 554, "5.7.1 127.0.0.66 is listed");
    assert_eq!(gate.greets(64).code, 220);
    lists.freeze();
    becomes(&gate, "aside");
    let asked = Instant::now();
    assert_eq!(gate.greets(63).code, 220);
    assert!(asked.elapsed() < Duration::from_secs(2), "it is not asked");
    lists.thaw();
    becomes(&gate, "good");
    refused(&gate.greets(66), 554, "5.7.1 127.0.0.66 is listed");
    let counted = gate.json(&["dnsbl", "status"])[0]["set_aside"].clone();
    assert_eq!(counted, 2);
}

#[test]
fn without_an_answer_nobody_is_refused_and_mail_goes_on() {
    let (hung, garbage) = (NoDns::hung(), NoDns::garbage());
    for dns in [ports::free_addr(), hung.addr(), garbage.addr()] {
        goes_on(dns);
    }
}

fn goes_on(dns: SocketAddr) {
    let options =
        "zones = [\"bl.test\", { zone = \"dbl.test\", of = \"sender\" }]\ndeadline = \"1s\"";
    let gate = Gate::open(dns, &step(options));
    becomes(&gate, "aside");
    assert_eq!(gate.send(66, "ann@bad.test", MESSAGE).code, 250, "{dns}");
    let why = gate.json(&["dnsbl", "status"])[0]["why"].clone();
    assert!(
        why.as_str().is_some_and(|why| why.starts_with("no answer")),
        "{why}"
    );
}

#[test]
fn without_a_server_the_lists_are_tested_now() {
    let lists = lists();
    let gate = Gate::open(
        lists.addr(),
        &step("zones = [\"bl.test\", \"nowhere.test\"]"),
    );
    let Posthouse { proc, dir, .. } = gate.server;
    proc.stop();
    let config = dir.path().join("posthouse.toml");
    let told = run(command(&config).args(["dnsbl", "status"]));
    assert!(
        told.contains("good") && told.contains("nowhere.test"),
        "{told}"
    );
}
