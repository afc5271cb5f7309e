//! `resolvable_sender` in the whole program, with a DNS that answers and one that does not.

use posthouse_tests::dns::{Dns, NoDns};

use crate::gate::Gate;

const STEP: &str =
    "[[chain.inbound]]\nplugin = \"resolvable_sender\"\nbogus_mx = \"refuse\"\ndeadline = \"2s\"";
const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";
const ZONE: &str = "good.test. MX 10 mx.good.test.\nmx.good.test. A 192.0.2.1\nplain.test. A 192.0.2.1\n\
    null.test. MX 0 .\nloop.test. MX 10 here.test.\nhere.test. A 127.0.0.1\ntext.test. TXT \"no mail\"";

#[test]
fn senders_whose_domain_takes_no_mail_are_refused() {
    let dns = Dns::start(ZONE);
    let gate = Gate::open(dns.addr(), STEP);
    for (from, code, text) in [
        ("", 250, "2.6.0"),
        ("ann@good.test", 250, "2.6.0"),
        ("ann@plain.test", 250, "2.6.0"),
        ("ann@ours.test", 250, "2.6.0"),
        ("ann@gone.test", 550, "5.1.8"),
        ("ann@text.test", 550, "5.1.8"),
        ("ann@null.test", 550, "5.7.27"),
        ("ann@loop.test", 550, "5.1.8"),
    ] {
        let heard = gate.send(2, from, MESSAGE);
        assert_eq!(heard.code, code, "{from}: {heard:?}");
        assert!(heard.text.starts_with(text), "{from}: {heard:?}");
    }
    assert_eq!(gate.send(1, "ann@gone.test", MESSAGE).code, 250);
    let log = gate.server.proc.log_with("refused for its sender's domain");
    assert!(log.contains("refused for its sender's domain"), "{log}");
}

#[test]
fn a_dns_that_gives_no_answer_defers_or_passes() {
    let (hung, garbage) = (NoDns::hung(), NoDns::garbage());
    for dns in [
        hung.addr(),
        garbage.addr(),
        posthouse_tests::ports::free_addr(),
    ] {
        let gate = Gate::open(dns, STEP);
        let heard = gate.send(2, "ann@good.test", MESSAGE);
        assert_eq!(heard.code, 451, "{heard:?}");
    }
    let lenient = format!("{STEP}\non_temperror = \"pass\"");
    let gate = Gate::open(hung.addr(), &lenient);
    assert_eq!(gate.send(2, "ann@good.test", MESSAGE).code, 250);
}
