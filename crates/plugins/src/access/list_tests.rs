//! Tests of access lists.

use posthouse_hook::ForwardPath;
use proptest::prelude::*;

use super::*;
use crate::testing::ip;

fn list(entries: &[&str]) -> AccessList {
    let mut list = AccessList::default();
    for entry in entries {
        list.add(entry).unwrap_or_else(|e| panic!("{entry}: {e}"));
    }
    list
}

fn entry(line: Option<&Line>) -> &str {
    line.map_or("", |line| &line.entry)
}

#[test]
fn clients_are_found_by_address_network_prefix_and_name() {
    let list = list(&[
        "192.0.2.1",
        "198.51.100.0/24",
        "203.0.",
        "2001:db8:5:",
        "2001:db8:9::/48",
        "client:mail.x.example",
        "client:.dial.example",
    ]);
    for (client, host, want) in [
        ("192.0.2.1", None, "192.0.2.1"),
        ("::ffff:192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.2", None, ""),
        ("198.51.100.77", None, "198.51.100.0/24"),
        ("203.0.113.9", None, "203.0."),
        ("203.1.0.9", None, ""),
        ("2001:db8:5:1::1", None, "2001:db8:5:"),
        ("2001:db8:9:8::1", None, "2001:db8:9::/48"),
        ("2001:db8:50::1", None, ""),
        ("10.0.0.1", Some("mail.x.example"), "client:mail.x.example"),
        ("10.0.0.1", Some("a.dial.example"), "client:.dial.example"),
        ("10.0.0.1", Some("dial.example"), ""),
        ("10.0.0.1", Some("notdial.example"), ""),
    ] {
        let host = host.map(|host| Domain::parse(host).expect("a domain"));
        let found = list.client(ip(client), host.as_ref());
        assert_eq!(entry(found), want, "{client} {host:?}");
    }
}

#[test]
fn names_senders_and_recipients_keep_to_their_own() {
    let list = list(&[
        "helo:mail.example",
        "helo:.Dyn.example",
        "helo:[192.0.2.1]",
        "bad@x.example",
        "from:spam.example",
        "from:.spam.example",
        "<>",
        "to:@closed.example",
        "to:trap@isp.example",
    ]);
    for (name, want) in [
        ("MAIL.example", "helo:mail.example"),
        ("mail.example.", "helo:mail.example"),
        ("a.dyn.example", "helo:.Dyn.example"),
        ("[192.0.2.1]", "helo:[192.0.2.1]"),
        ("x.example", ""),
    ] {
        assert_eq!(entry(list.helo(name)), want, "{name}");
    }
    for (from, want) in [
        ("<Bad@X.example>", "bad@x.example"),
        ("<good@x.example>", ""),
        ("<a@spam.example>", "from:spam.example"),
        ("<a@b.spam.example>", "from:.spam.example"),
        ("<>", "<>"),
        ("<trap@isp.example>", ""),
    ] {
        let from_path = ReversePath::parse(from).expect("a path");
        assert_eq!(entry(list.sender(&from_path)), want, "{from}");
    }
    for (to, want) in [
        ("<a@closed.example>", "to:@closed.example"),
        ("<TRAP@isp.example>", "to:trap@isp.example"),
        ("<bad@x.example>", ""),
        ("<postmaster>", ""),
    ] {
        let path = ForwardPath::parse(to).expect("a path");
        assert_eq!(entry(list.recipient(path.mailbox())), want, "{to}");
    }
}

#[test]
fn the_first_line_counts_and_brings_its_own_reply() {
    let list = list(&[
        "192.0.2.7 450 4.7.1 Come back later",
        "192.0.2.0/24 550 5.7.1 Go away",
        "192.0.2.7 554 5.7.1 never reached",
        "192.0.2.8",
    ]);
    let reply = |client| {
        let line = list.client(ip(client), None).expect("listed");
        line.reply.as_deref().map(ToString::to_string)
    };
    let later = Some("450 4.7.1 Come back later".to_owned());
    assert_eq!(reply("192.0.2.7"), later);
    assert_eq!(reply("192.0.2.8"), Some("550 5.7.1 Go away".to_owned()));
}

#[test]
fn lines_that_are_not_understood_name_themselves() {
    for (entry, want) in [
        ("x.example", "could be a client, a HELO name"),
        (".x.example", "could be a client, a HELO name"),
        ("192.0.2.0/33", "could be a client"),
        ("client:192.0.2.0/33", "`client:192.0.2.0/33`"),
        ("client:300.", "`client:300.`"),
        ("helo:", "`helo:`"),
        ("from:a b@x", "codes"),
        ("from:-bad-", "`from:-bad-`"),
        ("a@b@c", "`a@b@c`"),
        ("192.0.2.1 250 2.0.0 fine", "starts with 4 or 5"),
        ("192.0.2.1 go away now", "starts with a code"),
        ("192.0.2.1 550 5.7.1", "needs words"),
        ("192.0.2.1 550 4.7.1 x", "same digit"),
    ] {
        let error = AccessList::default().add(entry).expect_err(entry);
        let want = if want == "codes" {
            "starts with a code"
        } else {
            want
        };
        assert!(error.contains(want), "{entry}: {error}");
    }
}

#[test]
fn a_large_list_is_found_in_as_fast_as_a_small_one() {
    let mut large = AccessList::default();
    for n in 0..100_000_u32 {
        let ip = Ipv4Addr::from(0x0a00_0000 + n);
        large.add(&ip.to_string()).expect("an address");
        large.add(&format!("from:d{n}.example")).expect("a domain");
    }
    assert!(large.networks.lengths.len() == 1, "one lookup a client");
    assert!(large.client(ip("10.1.134.159"), None).is_some());
    assert!(large.client(ip("10.1.134.160"), None).is_none());
}

proptest! {
    #[test]
    fn whatever_a_line_says_it_is_taken_or_refused(entry in "\\PC{0,60}", name in "\\PC{0,60}") {
        let mut list = AccessList::default();
        let _ = list.add(&entry);
        let _ = list.helo(&name);
    }

    /// The hash tables say what a walk over the networks says.
    #[test]
    fn networks_are_found_as_by_a_walk(
        nets in prop::collection::vec((any::<u32>(), 0_u8..=32), 1..20),
        client in any::<u32>(),
    ) {
        let nets: Vec<IpNet> = nets
            .into_iter()
            .map(|(net, len)| IpNet::new(Ipv4Addr::from(net).into(), len).expect("a network").trunc())
            .collect();
        let mut list = AccessList::default();
        for net in &nets {
            list.add(&net.to_string()).expect("a network");
        }
        let client = IpAddr::from(Ipv4Addr::from(client));
        let want = nets.iter().find(|net| net.contains(&client)).map(ToString::to_string);
        prop_assert_eq!(list.client(client, None).map(|line| line.entry.to_string()), want);
    }
}
