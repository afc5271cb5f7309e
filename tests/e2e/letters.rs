//! Letters of the running program: to whom they go, and that the list of those is live.

use std::fs;
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, config_dir};
use posthouse_tests::sink::{Delivery, Script, Sink};
use posthouse_tests::smtp::Smtp;
use posthouse_tests::wait;
use rustix::process::Signal;

const SPAM: &[u8] =
    b"Subject: x\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
const LIMIT: Duration = Duration::from_secs(30);

fn hold(server: &Posthouse, to: &str) {
    let mut client = Smtp::hello(server.addr).expect("greets");
    let heard = client.send("x@stranger.test", &[to], SPAM);
    assert_eq!(heard.expect("answers").code, 250, "held: {to}");
}

fn recipients(sent: &[Delivery]) -> Vec<String> {
    sent.iter().flat_map(|letter| letter.rcpt.clone()).collect()
}

#[test]
fn letters_go_to_those_who_are_listed_and_the_list_is_live() {
    let (dns, sink) = (Dns::start(""), Sink::start(Script::friendly()));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let dir = config_dir();
    let list = dir.path().join("targets.txt");
    fs::write(&list, "known@filtered.test\n").expect("written");
    let keys = "[letters]\ncheck = \"1s\"\nonly_to = \"file:targets.txt\"\n";
    let config = outbound.toml().replace("[letters]\n", keys);
    let server = Posthouse::start(dir, &config, outbound.smtp);

    // The unlisted address has waited longer, and yet only the listed one is written to.
    for to in [
        "other@filtered.test",
        "third@filtered.test",
        "known@filtered.test",
    ] {
        hold(&server, to);
    }
    let sent = sink.wait_for(1);
    assert_eq!(recipients(&sent), ["RCPT TO:<known@filtered.test>"]);

    fs::write(&list, "known@filtered.test\nother@filtered.test\n").expect("written");
    let sent = recipients(&sink.wait_for(2));
    assert_eq!(sent[1], "RCPT TO:<other@filtered.test>");

    // A broken list is refused, and the old one kept.
    fs::write(&list, "a@b@c\n").expect("written");
    wait::until("the refusal", LIMIT, || {
        server
            .proc
            .log()
            .contains("the old one is kept")
            .then_some(())
    });
    assert_eq!(sink.deliveries().len(), 2);

    // Without the key, by SIGHUP, everybody is written to.
    fs::write(server.config(), config.replace("only_to", "# only_to")).expect("written");
    server.proc.signal(Signal::HUP);
    let sent = recipients(&sink.wait_for(3));
    assert_eq!(sent[2], "RCPT TO:<third@filtered.test>");
}
