//! How connections are opened, kept, given up and closed, and what that means for messages.

use std::time::Duration;

use posthouse_tests::sink::{Act, Script, Sink};

use crate::relay_site::{Mail, Site, mail};

const HELLO: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

/// Nothing is tried a second time within the test.
const ONCE: &str = "retry = [\"1h\"]";

#[test]
fn a_connection_survives_a_transaction_that_nobody_wanted() {
    for offers in [&["PIPELINING"][..], &[]] {
        let script = Script::offering(offers).on("RCPT TO:<no@", "550 5.1.1 Nobody here");
        let sink = Sink::start(script);
        let site = Site::to(sink.addr(), "connections_per_next_hop = 1");
        let id = site.submit(&Mail {
            from: "",
            ..mail(&["no@b.example"], HELLO)
        });
        site.said(id, "fail");
        site.submit(&mail(&["yes@b.example"], HELLO));
        sink.wait_for(1);
        assert!(
            sink.commands().contains(&"RSET".to_owned()),
            "{:?}",
            sink.commands()
        );
        assert_eq!(sink.connections(), 1);
    }
}

#[test]
fn a_kept_connection_that_was_closed_is_replaced_at_once() {
    for act in [
        Act::SayAndClose(b"250 2.0.0 Taken\r\n".to_vec()),
        Act::SayAndClose(b"250 2.0.0 Taken\r\n421 4.4.2 Idle\r\n".to_vec()),
    ] {
        let late = matches!(&act, Act::SayAndClose(text) if text.ends_with(b"Idle\r\n"));
        let sink = Sink::start(Script::friendly().act_times(".", act, 1));
        let site = Site::to(sink.addr(), ONCE);
        let first = site.submit(&mail(&["bob@b.example"], HELLO));
        let event = if late { "defer" } else { "deliver" };
        site.said(first, event);
        let second = site.submit(&mail(&["bob@b.example"], HELLO));
        site.said(second, "deliver");
        assert!(site.audited(second, "defer").is_empty());
        assert_eq!(sink.connections(), 2);
    }
}

#[test]
fn a_next_hop_that_closes_at_the_next_message_gets_it_on_a_new_connection() {
    let enough = Act::SayAndClose(b"421 4.7.0 Enough for one connection\r\n".to_vec());
    for act in [enough, Act::Die] {
        let script = Script::friendly()
            .act_times("MAIL", Act::Say(b"250 2.1.0 Ok\r\n".to_vec()), 1)
            .act_times("MAIL", act, 1);
        let sink = Sink::start(script);
        let site = Site::to(
            sink.addr(),
            &format!("connections_per_next_hop = 1\n{ONCE}"),
        );
        for _ in 0..2 {
            let id = site.submit(&mail(&["bob@b.example"], HELLO));
            site.said(id, "deliver");
            assert!(site.audited(id, "defer").is_empty());
        }
        assert_eq!(sink.connections(), 2);
    }
}

#[test]
fn helo_for_who_knows_no_ehlo() {
    let sink = Sink::start(Script::friendly().on("EHLO", "502 5.5.1 What?"));
    let site = Site::to(sink.addr(), "helo = \"mail.isp.example\"");
    site.submit(&mail(&["bob@b.example"], HELLO));
    assert_eq!(sink.wait_for(1)[0].mail, "MAIL FROM:<ann@a.example>");
    assert_eq!(
        sink.commands()[..2],
        ["EHLO mail.isp.example", "HELO mail.isp.example"]
    );
}

#[test]
fn many_recipients_go_in_transactions_of_a_hundred() {
    let sink = Sink::start(Script::friendly());
    let site = Site::to(sink.addr(), "");
    let to: Vec<_> = (0..230).map(|n| format!("r{n}@b.example")).collect();
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    let id = site.submit(&mail(&to, HELLO));
    let counts: Vec<_> = sink
        .wait_for(3)
        .iter()
        .map(|took| took.rcpt.len())
        .collect();
    assert_eq!(counts, [100, 100, 30]);
    assert_eq!(site.events(id, "deliver", 230).len(), 230);
}

#[test]
fn what_is_running_at_shutdown_ends_and_the_rest_is_given_back() {
    let sink = Sink::start(Script::friendly().act("RCPT TO:<slow@", Act::Hang));
    let more = "shutdown_grace = \"5s\"\nconnections_per_next_hop = 1\nretry = [\"1h\"]";
    let mut site = Site::to(sink.addr(), more);
    let slow = site.submit(&mail(&["slow@b.example"], HELLO));
    posthouse_tests::wait::until("RCPT", Duration::from_secs(10), || {
        let commands = sink.commands();
        commands
            .iter()
            .any(|line| line.starts_with("RCPT"))
            .then_some(())
    });
    let waits = site.submit(&mail(&["bob@b.example"], HELLO));
    site.stop();
    assert_eq!(site.audited(slow, "defer").len(), 1);
    assert_eq!(site.audited(waits, "give back").len(), 1);
    assert!(sink.deliveries().is_empty());
}
