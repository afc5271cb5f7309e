//! Routes of their own: mail of each kind leaves from the address of its route, over connections
//! that no other kind uses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use posthouse_tests::sink::{Delivery, Script, Sink};

use crate::relay_site::{Site, Zone, mail};

const HELLO: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";
const KINDS: [&str; 4] = ["released", "redirected", "letter", "relayed"];
const ROUNDS: usize = 3;

fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// A route for each kind to one next hop: from 127.0.0.2 and upwards, in the order of [`KINDS`].
fn routes(sink: &Sink) -> String {
    let lines = KINDS.iter().zip(2..).map(|(kind, last)| {
        let helo = match *kind {
            "released" => ", helo = \"released.isp.example\"",
            _ => "",
        };
        let hop = sink.addr();
        format!(
            "{{ domain = \"*\", kind = \"{kind}\", next_hop = \"smtp://{hop}\", source = [\"127.0.0.{last}\", \"::1\"]{helo} }}"
        )
    });
    format!("route = [{}]", lines.collect::<Vec<_>>().join(", "))
}

fn kind_of(took: &Delivery) -> &'static str {
    match took.rcpt[0].as_str() {
        "RCPT TO:<rel@big.example>" => "released",
        "RCPT TO:<red@else.example>" => "redirected",
        "RCPT TO:<let@big.example>" => "letter",
        "RCPT TO:<bob@b.example>" => "relayed",
        other => panic!("{other}"),
    }
}

/// Without its source as a part of a target, a kept connection would take the next message of
/// whatever kind.
#[test]
fn mail_of_each_kind_leaves_from_its_own_address() {
    let sink = Sink::start(Script::friendly());
    let site = Site::start(
        &format!(
            "{}\nidle = \"1h\"\nconnections_per_next_hop = 1",
            routes(&sink)
        ),
        Zone::default(),
    );
    site.redirect("red@big.example", Some("red@else.example"));
    site.hold("let@big.example", "waits");
    assert_eq!(site.block_on(site.letters().round()).expect("works"), 1);
    for round in 0..ROUNDS {
        let held = site.hold("rel@big.example", &format!("{round}"));
        assert_eq!(site.release(held), 1);
        site.submit(&mail(&["red@big.example", "bob@b.example"], HELLO));
        sink.wait_for(1 + 3 * (round + 1));
    }
    let took = sink.deliveries();
    let seen: BTreeSet<_> = took
        .iter()
        .map(|t| (kind_of(t), t.from, t.connection))
        .collect();
    let ways: BTreeSet<_> = seen.iter().map(|(kind, from, _)| (*kind, *from)).collect();
    let want: BTreeSet<_> = KINDS.into_iter().zip((2..).map(host)).collect();
    assert_eq!(ways, want);
    assert_eq!(
        seen.len(),
        KINDS.len(),
        "each kept one connection: {seen:?}"
    );
    let said = |ehlo: &str| sink.commands().iter().filter(|line| *line == ehlo).count();
    let names = ["EHLO released.isp.example", "EHLO out.isp.example"];
    assert_eq!(names.map(said), [1, 3]);
}

#[test]
fn a_source_that_this_machine_does_not_have() {
    let sink = Sink::start(Script::friendly());
    let route = format!(
        "route = [{{ domain = \"*\", next_hop = \"smtp://{}\", source = \"192.0.2.77\" }}]\nretry = [\"1h\"]",
        sink.addr()
    );
    let site = Site::start(&route, Zone::default());
    let id = site.submit(&mail(&["bob@b.example"], HELLO));
    let said = site.said(id, "defer");
    let want = "4.4.1 this machine does not have 192.0.2.77, the route's source";
    assert!(said.contains(want), "{said}");
    assert_eq!(sink.connections(), 0);
}

#[test]
fn next_hops_of_another_family_are_passed_over() {
    let sink = Sink::start(Script::friendly());
    let port = sink.addr().port();
    let route = format!(
        "route = [{{ domain = \"*\", next_hop = \"mx\", source = [\"127.0.0.9\"] }}]\nmx_port = {port}\nretry = [\"1h\"]"
    );
    let zone = Zone::of(&[
        (
            "mx both.example",
            "10 six.both.example, 20 four.both.example",
        ),
        ("a six.both.example", "::1"),
        ("a four.both.example", "127.0.0.1"),
        ("a six.example", "::1"),
    ]);
    let site = Site::start(&route, zone);
    site.submit(&mail(&["bob@both.example"], HELLO));
    assert_eq!(sink.wait_for(1)[0].from, host(9));
    for to in ["bob@six.example", "bob@[IPv6:::1]"] {
        let id = site.submit(&mail(&[to], HELLO));
        let said = site.said(id, "defer");
        let want = "no address of the family of the route's source 127.0.0.9";
        assert!(said.contains("4.3.5 ") && said.contains(want), "{said}");
    }
}
