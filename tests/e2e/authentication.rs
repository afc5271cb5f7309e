//! What is found out about a sender, through the whole program: the field above the message, and
//! the policies. Not one other byte of a message changes.

mod arc;
mod crafted;
mod dkim;
mod dmarc;
mod peer;

use std::net::SocketAddr;

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, config_dir};
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::{Heard, Smtp};

const TO: &str = "b@isp.test";

/// A server with a chain for mail that comes in, and all around it.
pub(crate) struct Inbound {
    pub(crate) server: Posthouse,
    sink: Sink,
    _dns: Dns,
}

impl Inbound {
    /// With these tables of the chain, and these records of DNS.
    pub(crate) fn with(plugins: &str, zone: posthouse_tests::dns::Zone) -> Self {
        let (dns, sink) = (Dns::serve(zone), Sink::start(Script::friendly()));
        let mut outbound = Outbound::new(sink.addr(), dns.addr());
        outbound.store = "min_free = 0".to_owned();
        outbound.more = format!(
            "[[chain.inbound]]\nplugin = \"relay_domains\"\ndomains = [\"isp.test\"]\n{plugins}"
        );
        let config = outbound
            .toml()
            .replace("chain   = \"outbound\"", "chain   = \"inbound\"")
            .replace("[dns]\n", "[dns]\ntimeout = \"1s\"\nattempts = 1\n");
        Self {
            server: Posthouse::start(config_dir(), &config, outbound.smtp),
            sink,
            _dns: dns,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// Sends one message in a session of its own.
    pub(crate) fn send(&self, from: &str, message: &[u8]) -> Heard {
        let mut client = Smtp::hello(self.addr()).expect("greets");
        client.send(from, &[TO], message).expect("answers")
    }

    /// The clauses above the message that arrived as the `nth`, which is otherwise what was sent.
    pub(crate) fn clauses(&self, nth: usize, sent: &[u8]) -> Vec<String> {
        let arrived = self.sink.wait_for(nth)[nth - 1].message.clone();
        let above = arrived.strip_suffix(sent).expect("every byte of it");
        let above = String::from_utf8(above.to_vec()).expect("ASCII");
        let (field, received) = above.split_once("\r\nReceived: ").expect("our Received");
        assert!(!received.contains("Authentication-Results"), "{above}");
        let value = field.strip_prefix("Authentication-Results: out.test;");
        let value = value.unwrap_or_else(|| panic!("{above}"));
        value
            .split(";\r\n\t")
            .map(|c| c.trim().to_owned())
            .collect()
    }
}

const ALL: &str =
    "[[chain.inbound]]\nplugin = \"spf\"\n[[chain.inbound]]\nplugin = \"authentication_results\"\n";

#[test]
fn the_field_stands_above_an_unchanged_message() {
    let zone = posthouse_tests::dns::Zone::parse("pass.test. TXT \"v=spf1 ip4:127.0.0.0/8 -all\"")
        .failing("down.test");
    let inbound = Inbound::with(ALL, zone);
    let message =
        b"Authentication-Results: out.test; spf=fail\r\nSubject : x\r\n\r\nbody  \r\n\r\n";
    for (nth, (from, want)) in [
        ("a@pass.test", "spf=pass smtp.mailfrom=pass.test"),
        ("a@none.test", "spf=none smtp.mailfrom=none.test"),
        ("a@down.test", "spf=temperror smtp.mailfrom=down.test"),
        ("", "spf=none smtp.helo=client.test"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(inbound.send(from, message).code, 250);
        assert_eq!(inbound.clauses(nth + 1, message), [want], "{from}");
    }
    let log = std::fs::read_to_string(inbound.server.dir.path().join("posthouse.log"));
    let log = log.expect("a log");
    assert!(log.contains("authentication results in our name"), "{log}");
}

#[test]
fn spf_refuses_what_the_operator_lists() {
    let zone = posthouse_tests::dns::Zone::parse("fail.test. TXT \"v=spf1 -all\"")
        .failing("down.test")
        .silent("hung.test");
    let plugins = "[[chain.inbound]]\nplugin = \"spf\"\nrefuse = [\"fail\"]\non_temperror = \"defer\"\n\
        [[chain.inbound]]\nplugin = \"authentication_results\"\nforged = \"refuse\"\n";
    let inbound = Inbound::with(plugins, zone);
    for (from, message, want) in [
        ("a@fail.test", "\r\n", "550 5.7.23"),
        ("a@down.test", "\r\n", "451 4.7.24"),
        ("a@hung.test", "\r\n", "451 4.7.24"),
        (
            "a@x.test",
            "Authentication-Results: out.test; spf=pass\r\n\r\n",
            "550 5.7.1",
        ),
        (
            "a@x.test",
            "Authentication-Results: in.test; spf=pass\r\n\r\n",
            "250 2.6.0",
        ),
    ] {
        let heard = inbound.send(from, message.as_bytes());
        let told = format!("{} {}", heard.code, heard.text);
        assert!(told.starts_with(want), "{from}: {told}");
    }
}
