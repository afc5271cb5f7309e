//! `rate_limit`, through the whole program: limits on recipients and messages, and forwarders of
//! spam, whose refusals by the quarantine count too.

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::Smtp;
use serde_json::Value;

const FIRST: &str = "[[chain.outbound]]\nplugin   = \"relay_clients\"";
const LATER: &str = "4.7.1 Too much mail, try again later";
const CLEAN: &[u8] = b"Subject: hi\r\n\r\nSee you at noon.\r\n";
const SPAM: &[u8] =
    b"Subject: x\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";

struct Parts {
    server: Posthouse,
    sink: Sink,
    _dns: Dns,
}

fn start(limits: &str) -> Parts {
    let (dns, sink) = (Dns::start(""), Sink::start(Script::friendly()));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let plugin =
        format!("[[chain.outbound]]\nplugin = \"rate_limit\"\nlimits = [{limits}]\n\n{FIRST}");
    let config = outbound.toml().replacen(FIRST, &plugin, 1);
    Parts {
        server: Posthouse::start(config_dir(), &config, outbound.smtp),
        sink,
        _dns: dns,
    }
}

impl Parts {
    /// The code and text of the last reply.
    fn send(&self, from: &str, to: &[&str], message: &[u8]) -> (u16, String) {
        let mut client = Smtp::hello(self.server.addr).expect("greets");
        let heard = client.send(from, to, message).expect("answers");
        (heard.code, heard.text)
    }
}

#[test]
fn a_client_that_names_too_many_recipients_is_put_off_in_the_middle() {
    let limit = "{ by = \"client\", count = \"recipients\", most = 3, per = \"1d\" }";
    let parts = start(limit);
    let mut client = Smtp::hello(parts.server.addr).expect("greets");
    client.command("MAIL FROM:<a@ours.test>").expect("answers");
    let mut rcpt = |n: u32| {
        client
            .command(&format!("RCPT TO:<r{n}@x.test>"))
            .expect("answers")
    };
    assert!((1..=3).all(|n| rcpt(n).code == 250));
    let over = rcpt(4);
    assert_eq!((over.code, &*over.text), (451, LATER));
    assert_eq!(client.command("DATA").expect("answers").code, 354);
    client.say(CLEAN).expect("said");
    client.say(b".\r\n").expect("said");
    assert_eq!(
        client.hear().expect("answers").code,
        250,
        "what was taken is taken"
    );
    assert_eq!(parts.sink.wait_for(1)[0].rcpt.len(), 3);
    let later = (451, LATER.to_owned());
    assert_eq!(parts.send("a@ours.test", &["b@x.test"], CLEAN), later);
    parts.server.proc.log_with("over a limit");
}

#[test]
fn what_is_over_a_limit_may_be_held_for_the_operator_alone() {
    let limit =
        "{ by = \"sender\", count = \"messages\", most = 1, per = \"1d\", action = \"hold\" }";
    let parts = start(limit);
    for _ in 0..2 {
        assert_eq!(parts.send("a@ours.test", &["b@x.test"], CLEAN).0, 250);
    }
    assert_eq!(parts.send("c@ours.test", &["b@x.test"], CLEAN).0, 250);
    assert_eq!(parts.sink.wait_for(2).len(), 2);
    let list = run(command(&parts.server.config()).args(["held", "list", "--json"]));
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
}

/// The sender is vouched for, so the quarantine refuses with 552 at data: that counts.
#[test]
fn a_forwarder_of_spam_is_put_off_and_others_are_not() {
    let limit = "{ by = \"forwarder\", count = \"spam_holds\", most = 1, per = \"1d\" }";
    let parts = start(limit);
    let srs = |n: u32| format!("SRS0=h{n}=t=x.test=bob@ours.test");
    let ours = "ann@ours.test";
    assert_eq!(
        parts.send(&srs(1), &["c1@filtered.test"], SPAM).0,
        250,
        "held silently"
    );
    let later = (451, LATER.to_owned());
    assert_eq!(parts.send(&srs(2), &["c1@filtered.test"], SPAM), later);
    assert_eq!(
        parts.send(&srs(3), &["c2@filtered.test"], CLEAN).0,
        250,
        "another customer's"
    );
    assert_eq!(parts.send(ours, &["c2@filtered.test"], SPAM).0, 552);
    assert_eq!(
        parts.send(ours, &["c2@filtered.test"], CLEAN),
        later,
        "by its client"
    );
}
