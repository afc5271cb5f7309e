//! `early_talker` before a whole listener: clients that wait, clients that do not, and a stop of the
//! server while somebody waits.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::gate::Gate;

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

fn gate(options: &str) -> Gate {
    // Nobody is asked for anything in DNS.
    let dns = ([127, 0, 0, 1], 9).into();
    let step = format!("[[chain.inbound]]\nplugin = \"early_talker\"\n{options}\n");
    Gate::open(dns, &step)
}

#[test]
fn who_does_not_wait_for_the_greeting_is_refused() {
    let gate = gate("wait = \"2s\"");
    let begun = Instant::now();
    assert_eq!(gate.send(2, "ann@there.test", MESSAGE).code, 250);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    for (said, tongue) in [
        (
            &b"EHLO spammer.test\r\nMAIL FROM:<a@b.test>\r\n"[..],
            "Smtp",
        ),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "Http"),
        (b"\x16\x03\x01\x02\x00\x01", "Tls"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", "Proxy"),
    ] {
        let mut client = gate.stranger(3);
        client.say(said).expect("it listens");
        let heard = client.hear().expect("a reply");
        let want = "5.5.1 Protocol error: you spoke before your turn";
        assert_eq!((heard.code, heard.text.as_str()), (554, want), "{tongue}");
        assert!(client.hear().is_err(), "the session is over");
        let log = gate.server.proc.log_with(tongue);
        assert!(log.contains(tongue), "{log}");
    }
    let begun = Instant::now();
    assert_eq!(gate.send(1, "ann@there.test", MESSAGE).code, 250);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "127.0.0.1 may relay"
    );
}

#[test]
fn what_was_said_early_is_not_lost_if_it_is_only_noted() {
    let gate = gate("wait = \"30s\"\naction = \"note\"\npipelining = \"refuse\"");
    let mut client = gate.stranger(2);
    client
        .say(b"NOOP\r\nEHLO client.test\r\nNOOP\r\n")
        .expect("it listens");
    let codes = [(); 4].map(|()| client.hear().expect("a reply").code);
    assert_eq!(codes, [220, 250, 550, 250]);
}

#[test]
fn a_stop_does_not_wait_for_those_that_wait() {
    let gate = gate("wait = \"60s\"");
    let mut waiting = gate.stranger(2);
    let mut gone = gate.stranger(3);
    gone.say(b"").expect("nothing");
    drop(gone);
    // The second session begins after the first: once this one is refused, both are there.
    let mut last = gate.stranger(4);
    last.say(b"x").expect("it listens");
    assert_eq!(last.hear().expect("a reply").code, 554);
    let begun = Instant::now();
    gate.server.proc.signal(Signal::TERM);
    let heard = waiting.hear().expect("last words");
    assert_eq!(heard.code, 421, "{heard:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}
