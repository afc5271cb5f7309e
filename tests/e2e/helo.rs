//! `helo` in the whole program, with a DNS that answers and one that does not.

use posthouse_tests::dns::{Dns, NoDns};

use crate::gate::Gate;

const STRICT: &str = "[[chain.inbound]]\nplugin = \"helo\"\nsyntax = \"refuse\"\nliteral = \"refuse\"\n\
    own_name = \"refuse\"\nresolves = \"refuse\"\ndeadline = \"2s\"";

#[test]
fn names_that_cannot_be_the_client_s_are_refused() {
    let dns = Dns::start("client.test. A 192.0.2.2\nmx-only.test. MX 10 client.test.");
    let gate = Gate::open(dns.addr(), STRICT);
    for (name, want) in [
        ("client.test", 250),
        ("mx-only.test", 250),
        ("[127.0.0.2]", 250),
        ("[127.0.0.3]", 550),
        ("[127.0.0.1]", 550),
        ("mx.ours.test", 550),
        ("gone.test", 550),
        ("localhost", 501),
    ] {
        let (_, heard) = gate.hello(2, name);
        assert_eq!(heard.code, want, "{name}: {heard:?}");
    }
    let (mut client, _) = gate.hello(2, "gone.test");
    let again = client.command("EHLO client.test").expect("a reply");
    assert_eq!(again.code, 250, "a client may think again");
    assert_eq!(gate.hello(1, "localhost").1.code, 250);
    let log = gate.server.proc.log_with("refused for its HELO name");
    assert!(log.contains("refused for its HELO name"), "{log}");
}

#[test]
fn a_dns_that_gives_no_answer_defers_or_passes() {
    let (hung, garbage) = (NoDns::hung(), NoDns::garbage());
    for dns in [
        hung.addr(),
        garbage.addr(),
        posthouse_tests::ports::free_addr(),
    ] {
        let gate = Gate::open(dns, STRICT);
        let (_, heard) = gate.hello(2, "client.test");
        assert_eq!(heard.code, 451, "{heard:?}");
    }
    let lenient = format!("{STRICT}\non_temperror = \"pass\"");
    let gate = Gate::open(hung.addr(), &lenient);
    assert_eq!(gate.hello(2, "client.test").1.code, 250);
}
