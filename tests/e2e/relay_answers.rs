//! What a next hop may answer, well or badly, and what becomes of each recipient.

use std::time::Duration;

use posthouse_tests::sink::{Act, Script, Sink};

use crate::relay_site::{Mail, Site, mail};

const HELLO: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

/// Nothing is tried a second time within the test.
const ONCE: &str = "retry = [\"1h\"]";

#[test]
fn the_envelope_leaves_in_one_segment() {
    let sink = Sink::start(Script::friendly());
    let site = Site::to(sink.addr(), "");
    site.submit(&mail(&["bob@b.example", "cid@b.example"], HELLO));
    sink.wait_for(1);
    let size = HELLO.len() + crate::relay_site::RECEIVED.len();
    let batch = format!(
        "MAIL FROM:<ann@a.example> SIZE={size}\r\nRCPT TO:<bob@b.example>\r\nRCPT TO:<cid@b.example>\r\nDATA\r\n"
    );
    assert_eq!(sink.reads()[1], batch.as_bytes());
    assert_eq!(
        sink.reads().len(),
        3,
        "EHLO, the envelope, the message with its dot"
    );
}

#[test]
fn without_pipelining_one_command_at_a_time() {
    let sink = Sink::start(Script::offering(&[]));
    let site = Site::to(sink.addr(), "");
    site.submit(&mail(&["bob@b.example"], HELLO));
    assert_eq!(sink.wait_for(1)[0].mail, "MAIL FROM:<ann@a.example>");
    let reads: Vec<_> = sink.reads()[1..4].iter().map(|read| read.len()).collect();
    assert_eq!(
        reads,
        [
            "MAIL FROM:<ann@a.example>\r\n".len(),
            "RCPT TO:<bob@b.example>\r\n".len(),
            6
        ]
    );
}

#[test]
fn each_recipient_has_its_own_answer() {
    for offers in [&["PIPELINING"][..], &[]] {
        let script = Script::offering(offers)
            .on("RCPT TO:<no@", "550 5.1.1 Nobody here")
            .on(
                "RCPT TO:<later@",
                "450-4.2.0 Greylisted\r\n450 4.2.0 come back",
            )
            .on("RCPT TO:<full@", "552 5.5.3 Too many recipients");
        let sink = Sink::start(script);
        let site = Site::to(sink.addr(), ONCE);
        let to = [
            "yes@b.example",
            "no@b.example",
            "later@b.example",
            "full@b.example",
        ];
        let id = site.submit(&mail(&to, HELLO));
        assert_eq!(sink.wait_for(1)[0].rcpt, ["RCPT TO:<yes@b.example>"]);
        assert!(site.said(id, "fail").ends_with("550 5.1.1 Nobody here"));
        assert!(site.said(id, "deliver").ends_with("250 2.0.0 Taken"));
        let deferred = site.events(id, "defer", 2);
        assert!(
            deferred[0].detail.contains("450 4.2.0 Greylisted"),
            "{deferred:?}"
        );
        assert!(
            deferred[1].detail.contains("552 5.5.3 Too many"),
            "{deferred:?}"
        );
    }
}

/// RFC 2920 §3.1: 354 although every recipient was refused.
#[test]
fn data_that_is_taken_for_nobody_is_ended_with_a_dot() {
    let script = Script::friendly()
        .on("RCPT", "550 5.1.1 Nobody here")
        .act_times("DATA", Act::Say(b"354 Go on\r\n".to_vec()), 1)
        .act_times(
            ".",
            Act::Say(b"554 5.5.1 No valid recipients\r\n".to_vec()),
            1,
        );
    let sink = Sink::start(script);
    let site = Site::to(sink.addr(), "connections_per_next_hop = 1");
    for _ in 0..2 {
        let id = site.submit(&Mail {
            from: "",
            ..mail(&["no@b.example"], HELLO)
        });
        assert!(site.said(id, "fail").contains("5.1.1"));
    }
    assert_eq!(sink.connections(), 1);
}

#[test]
fn refusals_of_the_message_are_for_all_recipients() {
    for (at, reply, event) in [
        ("MAIL", "550 5.7.1 Go away", "fail"),
        ("MAIL", "451 4.3.0 Later", "defer"),
        ("DATA", "554 5.3.2 No", "fail"),
        ("DATA", "421 4.3.2 Closing", "defer"),
        (".", "550 5.7.1 Spam", "fail"),
        (".", "452 4.3.1 Full", "defer"),
    ] {
        let sink = Sink::start(Script::friendly().on(at, reply));
        let site = Site::to(sink.addr(), ONCE);
        let id = site.submit(&Mail {
            from: "",
            ..mail(&["bob@b.example", "cid@b.example"], HELLO)
        });
        for line in site.events(id, event, 2) {
            assert!(line.detail.ends_with(reply), "{at}: {}", line.detail);
        }
    }
}

/// Whatever these next hops do, the message waits, and the reason tells what they did.
#[test]
fn next_hops_that_misbehave_cost_an_attempt_and_no_more() {
    let say = |text: &str| Act::Say(text.as_bytes().to_vec());
    let huge = "250-".to_owned() + &"x".repeat(100_000) + "\r\n250 ok\r\n";
    let many = "250-more\r\n".repeat(10_000) + "250 ok\r\n";
    for (at, act, reason) in [
        ("CONNECT", say("554 5.7.1 Blocked\r\n"), "greeted with 554"),
        ("CONNECT", say("SSH-2.0-OpenSSH\r\n"), "no reply"),
        (
            "CONNECT",
            Act::Hang,
            "said nothing as its greeting within 1s",
        ),
        ("CONNECT", Act::Die, ""),
        ("EHLO", say("421 4.3.2 Not now\r\n"), "said 421"),
        ("EHLO", say(&huge), "too long"),
        ("EHLO", say(&many), "too long"),
        ("MAIL", Act::Hang, "no reply within 1s, at MAIL"),
        ("MAIL", say("354 what\r\n"), "said 354 what, at MAIL"),
        (
            "MAIL",
            say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 more\r\n"),
            "behind a complete reply",
        ),
        ("RCPT", say(&huge), "too long"),
        ("RCPT", Act::Die, "at RCPT"),
        ("DATA", say("250 done\r\n"), "said 250 done, at DATA"),
        ("BODY", Act::Die, ""),
        (
            ".",
            Act::Hang,
            "no reply within 1s, at the end of the message",
        ),
        (".", Act::Die, "at the end of the message"),
        (
            ".",
            say("250 ok\r\n250 again\r\n"),
            "behind a complete reply",
        ),
        (".", say("999 \x1b[2J\r\n"), ""),
    ] {
        let told = format!("{at} {act:?}").chars().take(60).collect::<String>();
        let sink = Sink::start(Script::friendly().act(at, act));
        let site = Site::to(sink.addr(), ONCE);
        let id = site.submit(&mail(&["bob@b.example"], HELLO));
        let said = site.said(id, "defer");
        assert!(
            said.contains(reason) && said.contains(" 4.4."),
            "{told}: {said}"
        );
    }
}

#[test]
fn a_refusal_in_the_middle_of_a_message_is_heard() {
    let act = Act::SayAndClose(b"552 5.3.4 Too big for me\r\n".to_vec());
    let sink = Sink::start(Script::friendly().act("BODY", act));
    let site = Site::to(sink.addr(), ONCE);
    let message = [HELLO, &b"0123456789abcdef\r\n".repeat(1_000_000)].concat();
    let id = site.submit_spooled(&Mail {
        from: "",
        ..mail(&["bob@b.example"], &message)
    });
    let heard = |event| site.audited(id, event).pop().map(|line| line.detail);
    let said = posthouse_tests::wait::until("an answer", Duration::from_secs(30), || {
        heard("fail").or_else(|| heard("defer"))
    });
    // The next hop's reset may overtake its words: then the message waits, which is as right.
    assert!(
        said.contains("Too big for me") || said.contains(" 4.4.2 "),
        "{said}"
    );
}

#[test]
fn what_was_put_off_is_tried_again() {
    let greylisted = Act::Say(b"450 4.2.0 Greylisted\r\n".to_vec());
    let sink = Sink::start(Script::friendly().act_times("RCPT", greylisted, 2));
    let site = Site::to(sink.addr(), "");
    let id = site.submit(&mail(&["bob@b.example"], HELLO));
    sink.wait_for(1);
    site.said(id, "deliver");
    assert_eq!(site.audited(id, "defer").len(), 2);
}

#[test]
fn eight_bit_mail_by_the_route_s_word() {
    let eight: &[u8] = b"Subject: x\r\n\r\n\xe4\r\n";
    let sink = Sink::start(Script::offering(&["PIPELINING"]));
    let route = format!(
        "route = [{{ domain = \"*\", next_hop = \"smtp://{}\", eight_bit = \"fail\" }}]",
        sink.addr()
    );
    let site = Site::start(&route, crate::relay_site::Zone::default());
    let id = site.submit(&Mail {
        from: "",
        eight_bit: true,
        ..mail(&["bob@b.example"], eight)
    });
    assert!(site.said(id, "fail").contains("5.6.3"));
    let id = site.submit(&Mail {
        eight_bit: true,
        ..mail(&["bob@b.example"], HELLO)
    });
    site.said(id, "deliver");

    let sink = Sink::start(Script::friendly());
    let site = Site::to(sink.addr(), "");
    site.submit(&mail(&["bob@b.example"], eight));
    assert!(sink.wait_for(1)[0].mail.ends_with(" BODY=8BITMIME"));
}

#[test]
fn a_message_over_the_next_hop_s_limit_is_not_sent() {
    let sink = Sink::start(Script::offering(&["SIZE 100"]));
    let site = Site::to(sink.addr(), "");
    let id = site.submit(&Mail {
        from: "",
        ..mail(&["bob@b.example"], HELLO)
    });
    assert!(site.said(id, "fail").contains("5.3.4"));
    assert!(!sink.commands().iter().any(|line| line.starts_with("MAIL")));
}
