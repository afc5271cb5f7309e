//! `verify_recipient` by callout: a real Postfix as the mailbox server, one that says other things, and
//! nobody who is not named in a route.

use std::time::{Duration, Instant};

use posthouse_tests::postfix::{Postfix, Role};
use posthouse_tests::posthouse::{Posthouse, config_dir};
use posthouse_tests::sink::{Act, Script, Sink};

use super::verify::{Guard, heard, logged};

const LATER: &str = "451 4.4.3 Address cannot be verified now, try again later";

fn steps(options: &str) -> String {
    format!(
        "
[[chain.outbound]]
plugin  = \"verify_recipient\"
source  = \"callout\"
ask_timeout = \"2s\"
rest    = \"0s\"
{options}
"
    )
}

fn rcpt(server: &Posthouse, to: &str) -> String {
    heard(server, "stranger@elsewhere.test", to)
}

#[test]
fn postfix_says_who_has_a_mailbox() {
    let known = "virtual_mailbox_maps = inline:{ann@ours.test=box/}";
    let postfix = Postfix::start(&Role::Mailbox, known);
    let server = Guard::serve(config_dir(), &steps(""), postfix.addr());
    assert_eq!(rcpt(&server, "ann@ours.test"), "250 2.1.5 Recipient OK");
    let missing = "550 5.1.1 Recipient bob@ours.test does not exist";
    assert_eq!(rcpt(&server, "bob@ours.test"), missing);
    logged(&server, "User unknown in virtual mailbox table");
    assert_eq!(
        rcpt(&server, "postmaster@ours.test"),
        "250 2.1.5 Recipient OK"
    );
    drop(postfix);
    assert_eq!(
        rcpt(&server, "ann@ours.test"),
        "250 2.1.5 Recipient OK",
        "kept"
    );
    assert_eq!(rcpt(&server, "carol@ours.test"), LATER);
}

#[test]
fn nothing_but_a_refusal_of_the_recipient_is_a_no() {
    let hang = |at: &str| Script::friendly().act(at, Act::Hang);
    for (script, want) in [
        (Script::friendly(), "250"),
        (Script::friendly().on("RCPT", "550 5.1.1 Who?"), "550 5.1.1"),
        (Script::friendly().on("RCPT", "451 4.7.1 Greylisted"), LATER),
        (Script::friendly().on("MAIL", "550 5.7.1 Not you"), LATER),
        (Script::friendly().on("CONNECT", "554 No"), LATER),
        (
            Script::friendly().on("EHLO", "550 No").on("HELO", "550 No"),
            LATER,
        ),
        (Script::friendly().on("RCPT", "what?"), LATER),
        (Script::friendly().act("RCPT", Act::Die), LATER),
        (hang("CONNECT"), LATER),
        (hang("RCPT"), LATER),
    ] {
        let sink = Sink::start(script);
        let server = Guard::serve(config_dir(), &steps(""), sink.addr());
        let begun = Instant::now();
        let heard = rcpt(&server, "ann@ours.test");
        assert!(heard.starts_with(want), "{heard}: {:?}", sink.commands());
        assert!(begun.elapsed() < Duration::from_secs(14), "{heard}");
        let commands = sink.commands();
        assert!(
            !commands.iter().any(|c| c.starts_with("DATA")),
            "{commands:?}"
        );
    }
}

#[test]
fn only_named_next_hops_are_asked_and_only_once() {
    let sink = Sink::start(Script::friendly());
    let options = "probe_sender = \"probe@ours.test\"\ncatch_all_check = true\ndomains = [\"ours.test\", \"by-mx.test\"]";
    let server = Guard::serve(config_dir(), &steps(options), sink.addr());
    let config = std::fs::read_to_string(server.config()).expect("a file");
    let route = "{ domain = \"*\", next_hop";
    let mx = "{ domain = \"by-mx.test\", next_hop = \"mx\" }, ";
    let server = server.restart(&config.replace(route, &format!("{mx}{route}")));
    for _ in 0..3 {
        assert_eq!(rcpt(&server, "ann@ours.test"), "250 2.1.5 Recipient OK");
        assert_eq!(
            rcpt(&server, "ann@elsewhere.test"),
            "550 5.7.1 Relaying denied"
        );
        assert_eq!(rcpt(&server, "ann@by-mx.test"), "550 5.7.1 Relaying denied");
    }
    let commands = sink.commands();
    let asked: Vec<_> = commands.iter().filter(|c| c.starts_with("RCPT")).collect();
    assert_eq!(asked.len(), 2, "{commands:?}");
    assert_eq!(asked[0], "RCPT TO:<ann@ours.test>");
    assert!(
        asked[1].starts_with("RCPT TO:<posthouse-nobody-"),
        "{asked:?}"
    );
    assert!(
        commands.iter().any(|c| c == "MAIL FROM:<probe@ours.test>"),
        "{commands:?}"
    );
    logged(&server, "takes any recipient");
}
