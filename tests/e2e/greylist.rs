//! `greylist`, through the whole program and its ledger, with a delay of a second.

use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, config_dir};
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::{Heard, Smtp};
use posthouse_tests::wait;

const LIMIT: Duration = Duration::from_secs(30);
const FIRST: &str =
    "[[chain.outbound]]\nplugin   = \"relay_clients\"\nnetworks = [\"127.0.0.0/8\"]";
const CHAIN: &str = r#"[[chain.outbound]]
plugin = "greylist"
delay  = "1s"
auto_allow = 2

[[chain.outbound]]
plugin  = "relay_domains"
domains = ["x.test"]"#;
const WAIT: &str = "4.7.1 Greylisted, try again later";
const CLEAN: &[u8] = b"Subject: hi\r\n\r\nSee you at noon.\r\n";

fn send(server: &Posthouse, from: &str, to: &str) -> Heard {
    let mut client = Smtp::hello(server.addr).expect("greets");
    client.send(from, &[to], CLEAN).expect("answers")
}

fn waits(server: &Posthouse, from: &str) -> bool {
    let heard = send(server, from, "b@x.test");
    (heard.code, &*heard.text) == (451, WAIT)
}

#[test]
fn strangers_come_again_and_are_known_after_a_restart() {
    let (dns, sink) = (Dns::start(""), Sink::start(Script::friendly()));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let config = outbound.toml().replacen(FIRST, CHAIN, 1);
    let server = Posthouse::start(config_dir(), &config, outbound.smtp);
    assert!(waits(&server, "a@y.test"), "the first try");
    let comes_again = |server: &Posthouse, from: &str| {
        wait::until("it passes", LIMIT, || (!waits(server, from)).then_some(()));
    };
    comes_again(&server, "a@y.test");

    let server = server.restart(&config);
    assert_eq!(send(&server, "a@y.test", "b@x.test").code, 250, "known");
    assert!(waits(&server, "c@y.test"), "another sender");
    comes_again(&server, "c@y.test");
    assert_eq!(
        send(&server, "new@z.test", "b@x.test").code,
        250,
        "the network is known"
    );
    assert!(sink.wait_for(4).len() >= 4);

    // Nobody is let through because of it: who may relay is another matter.
    assert_eq!(send(&server, "a@y.test", "b@else.test").code, 550);
    server.proc.log_with("greylisted");
}
