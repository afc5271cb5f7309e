//! Routes, MX records, TLS: which next hop, which of its addresses, and how.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use posthouse_tests::sink::{Act, Script, Sink};
use posthouse_tests::{dir, ports};

use crate::relay_site::{Mail, Site, Zone, mail};

const HELLO: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";
const ONCE: &str = "retry = [\"1h\"]";

/// 127.0.0.LAST: as many hosts as a test wants, on one port.
fn host(last: u8, port: u16) -> SocketAddr {
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), port).into()
}

fn by_mx(port: u16, zone: &[(&str, &str)]) -> Site {
    Site::start(&format!("mx_port = {port}\n{ONCE}"), Zone::of(zone))
}

#[test]
fn the_best_mail_host_that_answers() {
    let port = ports::free();
    let broken = Sink::start_at(
        host(3, port),
        Script::friendly().on("CONNECT", "554 5.3.2 No"),
    );
    let good = Sink::start_at(host(4, port), Script::friendly());
    let worse = Sink::start_at(host(5, port), Script::friendly());
    // Nobody listens on 127.0.0.2; the second host has two addresses, the first of them broken.
    let site = by_mx(
        port,
        &[
            (
                "mx b.example",
                "30 d.b.example, 10 a.b.example, 20 c.b.example",
            ),
            ("a a.b.example", "127.0.0.2"),
            ("a c.b.example", "127.0.0.3, 127.0.0.4"),
            ("a d.b.example", "127.0.0.5"),
        ],
    );
    let id = site.submit(&mail(&["bob@b.example"], HELLO));
    good.wait_for(1);
    let said = site.said(id, "deliver");
    assert!(
        said.starts_with(&format!("c.b.example[127.0.0.4]:{port} 250")),
        "{said}"
    );
    assert_eq!((broken.connections(), worse.connections()), (1, 0));
}

#[test]
fn without_mx_to_the_domain_itself_and_to_address_literals() {
    let port = ports::free();
    let sink = Sink::start_at(host(2, port), Script::friendly());
    let site = by_mx(port, &[("a b.example", "127.0.0.2")]);
    site.submit(&mail(&["bob@b.example", "cid@[127.0.0.2]"], HELLO));
    let mut rcpt: Vec<_> = sink
        .wait_for(2)
        .into_iter()
        .flat_map(|took| took.rcpt)
        .collect();
    rcpt.sort();
    assert_eq!(
        rcpt,
        ["RCPT TO:<bob@b.example>", "RCPT TO:<cid@[127.0.0.2]>"]
    );
}

#[test]
fn domains_that_no_mail_can_reach() {
    let port = ports::free();
    let ourselves = Script::friendly().on("CONNECT", "220 out.isp.example ESMTP");
    let _loop = Sink::start_at(host(2, port), ourselves);
    let zone = [
        ("mx null.example", "0 ."),
        ("mx loop.example", "10 out.isp.example, 20 b.loop.example"),
        ("mx alias.example", "10 alias.loop.example"),
        ("a alias.loop.example", "127.0.0.2"),
        ("mx servfail.example", "!"),
        ("mx dead.example", "10 a.dead.example"),
        ("a a.dead.example", "127.0.0.9"),
    ];
    let site = by_mx(port, &zone);
    for (domain, event, said) in [
        (
            "null.example",
            "fail",
            "5.1.10 556 null.example takes no mail",
        ),
        (
            "nowhere.example",
            "fail",
            "5.1.2 nowhere.example has no mail host",
        ),
        (
            "loop.example",
            "fail",
            "5.4.6 mail for loop.example loops back",
        ),
        ("alias.example", "fail", "5.4.6 greets with our own name"),
        (
            "servfail.example",
            "defer",
            "4.4.3 servfail.example: DNS did not answer",
        ),
        ("dead.example", "defer", "4.4.1 no connection"),
    ] {
        let to = format!("bob@{domain}");
        let id = site.submit(&Mail {
            from: "",
            ..mail(&[&to], HELLO)
        });
        let got = site.said(id, event);
        assert!(got.contains(said), "{domain}: {got}");
    }
}

#[test]
fn the_first_route_that_matches() {
    let (box_, rest) = (
        Sink::start(Script::friendly()),
        Sink::start(Script::friendly()),
    );
    let routes = format!(
        "route = [{{ domain = \".b.example\", next_hop = \"smtp://{}\" }}, {{ domain = \"*\", next_hop = \"smtp://{}\" }}]",
        box_.addr(),
        rest.addr()
    );
    let site = Site::start(&routes, Zone::default());
    site.submit(&mail(
        &["a@x.b.example", "b@b.example", "c@x.b.example"],
        HELLO,
    ));
    assert_eq!(
        box_.wait_for(1)[0].rcpt,
        ["RCPT TO:<a@x.b.example>", "RCPT TO:<c@x.b.example>"]
    );
    assert_eq!(rest.wait_for(1)[0].rcpt, ["RCPT TO:<b@b.example>"]);
}

#[test]
fn without_a_route_the_message_waits() {
    let routes = "route = [{ domain = \"a.example\", next_hop = \"mx\" }]\nretry = [\"1h\"]";
    let site = Site::start(routes, Zone::default());
    let id = site.submit(&mail(&["bob@b.example"], HELLO));
    assert!(site.said(id, "defer").contains("4.4.4 no route matches"));
}

#[test]
fn a_next_hop_that_cannot_be_reached_is_left_alone_for_a_while() {
    let closed = Act::Say(b"421 4.3.2 Not now\r\n".to_vec());
    let sink = Sink::start(Script::friendly().act_times("CONNECT", closed, 1));
    let site = Site::to(sink.addr(), &format!("rest = \"3s\"\n{ONCE}"));
    let first = site.submit(&mail(&["bob@b.example"], HELLO));
    assert!(site.said(first, "defer").contains("421 4.3.2 Not now"));
    let second = site.submit(&mail(&["bob@b.example"], HELLO));
    assert!(site.said(second, "defer").contains("421 4.3.2 Not now"));
    assert_eq!(sink.connections(), 1, "no attempt was made for the second");
    site.said(second, "deliver");
    assert!(
        site.audited(first, "deliver").is_empty(),
        "it was attempted, and waits for its time"
    );
}

/// Else a queue full of messages for it would hold up all others, one deadline after the other.
#[test]
fn a_next_hop_that_gives_no_answer_puts_off_all_that_waits_for_it() {
    let sink = Sink::start(Script::friendly().act("MAIL", Act::Hang));
    let site = Site::to(
        sink.addr(),
        &format!("connections_per_next_hop = 1\n{ONCE}"),
    );
    let ids: Vec<_> = (0..20)
        .map(|_| site.submit(&mail(&["bob@b.example"], HELLO)))
        .collect();
    for id in ids {
        assert!(
            site.said(id, "defer")
                .contains("no reply within 1s, at MAIL")
        );
    }
    assert!(sink.connections() < 5);
}

#[test]
fn an_idle_connection_makes_room_for_a_busy_target() {
    let (first, second) = (
        Sink::start(Script::friendly()),
        Sink::start(Script::friendly()),
    );
    let config = format!(
        "route = [{{ domain = \"b.example\", next_hop = \"smtp://{}\" }}, {{ domain = \"*\", next_hop = \"smtp://{}\" }}]\nconnections = 1\nidle = \"1h\"",
        first.addr(),
        second.addr()
    );
    let site = Site::start(&config, Zone::default());
    site.submit(&mail(&["bob@b.example"], HELLO));
    first.wait_for(1);
    site.submit(&mail(&["cid@c.example"], HELLO));
    second.wait_for(1);
    assert!(first.commands().contains(&"QUIT".to_owned()));
}

#[test]
fn a_panic_costs_neither_the_worker_nor_the_message() {
    let port = ports::free();
    let sink = Sink::start_at(host(2, port), Script::friendly());
    let site = by_mx(
        port,
        &[("mx broken.example", "panic"), ("a b.example", "127.0.0.2")],
    );
    for _ in 0..2 {
        let id = site.submit(&mail(&["bob@broken.example", "cid@b.example"], HELLO));
        assert!(site.said(id, "defer").contains("internal error"));
        site.said(id, "deliver");
    }
    assert_eq!(sink.deliveries().len(), 2);
}

#[test]
fn tls_when_it_is_offered() {
    let sink = Sink::start(Script::friendly().with_tls(&["mail.b.example"]));
    let site = Site::to(sink.addr(), "connections_per_next_hop = 1");
    let large = [HELLO, &b".0123456789abcdef\r\n".repeat(20_000)].concat();
    for message in [HELLO, &large] {
        site.submit(&mail(&["bob@b.example"], message));
    }
    let took = sink.wait_for(2);
    assert!(took.iter().all(|took| took.tls));
    assert!(took[1].message.ends_with(&large));
    let asked = sink
        .commands()
        .iter()
        .filter(|line| line.starts_with("EHLO"))
        .count();
    assert_eq!(asked, 2, "EHLO again inside TLS (RFC 3207 §4.2)");
}

#[test]
fn tls_that_fails_falls_back_to_plain_text_if_the_route_lets_it() {
    let dead = Act::SayAndClose(b"220 2.0.0 Go on\r\n".to_vec());
    let refused = Act::Say(b"454 4.7.0 No TLS today\r\n".to_vec());
    for act in [dead, refused] {
        let script = Script::offering(&["PIPELINING", "STARTTLS"]).act("STARTTLS", act);
        let sink = Sink::start(script);
        let site = Site::to(sink.addr(), "");
        site.submit(&mail(&["bob@b.example"], HELLO));
        assert!(!sink.wait_for(1)[0].tls);
    }
}

/// What a listener on the wire puts behind the answer to STARTTLS must not count as said inside TLS.
#[test]
fn plain_text_behind_starttls_is_never_taken_for_tls() {
    let injected = Act::Say(b"220 2.0.0 Go on\r\n250-sink.test\r\n250 AUTH PLAIN\r\n".to_vec());
    let script = Script::friendly()
        .with_tls(&["mail.b.example"])
        .act("STARTTLS", injected);
    let sink = Sink::start(script);
    let route = |tls| {
        let addr = sink.addr();
        format!(
            "route = [{{ domain = \"*\", next_hop = \"smtp://{addr}\", tls = \"{tls}\" }}]\n{ONCE}"
        )
    };
    let site = Site::start(&route("require"), Zone::default());
    let id = site.submit(&mail(&["bob@b.example"], HELLO));
    let said = site.said(id, "defer");
    assert!(said.contains("behind a complete reply"), "{said}");
    assert!(sink.deliveries().is_empty());
}

#[test]
fn required_tls_is_verified() {
    let script = Script::friendly().with_tls(&["mail.b.example"]);
    let state = dir::scratch("ca");
    let pem = dir::write(&state.path().join("ca.pem"), &script.pem());
    let sink = Sink::start_at(host(2, 0), script);
    let zone = || {
        Zone::of(&[
            ("a mail.b.example", "127.0.0.2"),
            ("a other.b.example", "127.0.0.2"),
        ])
    };
    let config = |name, more: &str| {
        let port = sink.addr().port();
        format!(
            "route = [{{ domain = \"*\", next_hop = \"smtp://{name}:{port}\", tls = \"require\" }}]\n{ONCE}\n{more}"
        )
    };
    let ca = format!("ca_file = \"{}\"", pem.display());
    for (name, ca, said) in [
        ("mail.b.example", "", "TLS failed"),
        ("other.b.example", ca.as_str(), "TLS failed"),
        ("mail.b.example", ca.as_str(), "250 2.0.0 Taken"),
    ] {
        let site = Site::start(&config(name, ca), zone());
        let id = site.submit(&mail(&["bob@b.example"], HELLO));
        let event = if said.starts_with("250") {
            "deliver"
        } else {
            "defer"
        };
        let got = site.said(id, event);
        assert!(got.contains(said), "{name} {ca}: {got}");
    }
    let plain = Sink::start(Script::friendly());
    let route = format!(
        "route = [{{ domain = \"*\", next_hop = \"smtp://{}\", tls = \"require\" }}]\n{ONCE}",
        plain.addr()
    );
    let site = Site::start(&route, Zone::default());
    let id = site.submit(&mail(&["bob@b.example"], HELLO));
    assert!(site.said(id, "defer").contains("does not offer STARTTLS"));
}
