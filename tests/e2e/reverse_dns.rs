//! `reverse_dns` in the whole program: names that lead back, names that lie, and a DNS that is dead,
//! hung or talks garbage.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use posthouse_tests::dns::{Dns, NoDns};
use posthouse_tests::ports;

use crate::gate::{Gate, explain};

const ZONE: &str = "2.2.0.192.in-addr.arpa. PTR good.test.\ngood.test. A 192.0.2.2\n\
    3.2.0.192.in-addr.arpa. PTR liar.test.\nliar.test. A 192.0.2.2\n";
const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";
/// What a busy machine may take beyond the deadline of the step.
const LIMIT: Duration = Duration::from_secs(7);

fn step(options: &str) -> String {
    format!("[[chain.inbound]]\nplugin = \"reverse_dns\"\ndeadline = \"2s\"\n{options}")
}

fn reply(dns: SocketAddr, options: &str, client: &str) -> String {
    let asked = Instant::now();
    let told = explain(dns, &step(options), client, "ann@there.test");
    assert!(asked.elapsed() < LIMIT, "{:?}", asked.elapsed());
    let reply = told.lines().find_map(|line| line.strip_prefix("reply: "));
    reply.unwrap_or_else(|| panic!("{told}")).to_owned()
}

#[test]
fn clients_without_a_name_of_their_own_are_refused_if_it_is_required() {
    let dns = Dns::start(ZONE);
    let options = "require = \"confirmed\"";
    for (client, want) in [
        ("192.0.2.2", "250 2.6.0"),
        ("192.0.2.3", "550 5.7.25 Reverse DNS of your address"),
        ("192.0.2.4", "550 5.7.25 Reverse DNS of your address"),
    ] {
        let reply = reply(dns.addr(), options, client);
        assert!(reply.starts_with(want), "{client}: {reply}");
    }
    // On loopback all are called localhost, and one of them is it.
    let gate = Gate::open(dns.addr(), &step("require = \"confirmed\"\nexempt = []"));
    let heard = gate.send(1, "ann@there.test", MESSAGE);
    assert_eq!(heard.code, 250, "{heard:?}");
    let heard = gate.greets(2);
    let want = "5.7.25 Reverse DNS of your address does not lead back to it";
    assert_eq!((heard.code, heard.text.as_str()), (554, want));
    let log = gate.server.proc.log_with("refused for its reverse DNS");
    assert!(log.contains("refused for its reverse DNS"), "{log}");
    assert!(log.contains("localhost, which does not lead back"), "{log}");
}

#[test]
fn a_dns_that_gives_no_answer_defers_within_the_deadline() {
    let (hung, garbage) = (NoDns::hung(), NoDns::garbage());
    for dns in [ports::free_addr(), hung.addr(), garbage.addr()] {
        let reply = reply(dns, "require = \"ptr\"", "192.0.2.2");
        assert!(reply.starts_with("451 4.4.3"), "{dns}: {reply}");
    }
    for options in ["", "require = \"ptr\"\non_temperror = \"pass\""] {
        let reply = reply(hung.addr(), options, "192.0.2.2");
        assert!(reply.starts_with("250"), "{options}: {reply}");
    }
}
