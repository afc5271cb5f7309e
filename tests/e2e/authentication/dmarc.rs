//! The whole chain of a front end: SPF, DKIM, ARC, DMARC with its policies, and the field.

use posthouse_tests::dns::Zone;
use posthouse_tests::posthouse::command;
use posthouse_tests::proc::run;
use serde_json::Value;

use super::Inbound;
use super::peer::{Key, txt};

const CHAIN: &str = "[[chain.inbound]]\nplugin = \"spf\"\n\
    [[chain.inbound]]\nplugin = \"dkim\"\n\
    [[chain.inbound]]\nplugin = \"arc\"\n\
    [[chain.inbound]]\nplugin = \"dmarc\"\nenforce = true\ntrusted_sealers = [\"list.test\"]\non_temperror = \"defer\"\n\
    [[chain.inbound]]\nplugin = \"authentication_results\"\n";

fn message(from: &str) -> Vec<u8> {
    format!("From: <{from}>\r\nTo: <b@isp.test>\r\nSubject: x\r\n\r\nhello\r\n").into_bytes()
}

#[test]
fn policies_are_enforced_and_told() {
    let key = Key::rsa(2048);
    let zone = txt("s1._domainkey.bank.test", &key.record)
        + &txt("s1._domainkey.list.test", &key.record)
        + &txt("s1._domainkey.evil.test", &key.record)
        + "_dmarc.bank.test. TXT \"v=DMARC1; p=reject; sp=quarantine\"\n\
           evil.test. TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\n\
           sub.bank.test. TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\n";
    let zone = Zone::parse(&zone).failing("_dmarc.down.test");
    let inbound = Inbound::with(CHAIN, zone);
    let mut nth = 0;
    let mut passes = |sender: &str, message: &[u8], want: &[&str]| {
        let heard = inbound.send(sender, message);
        assert_eq!(heard.code, 250, "{heard:?}");
        nth += 1;
        let said = inbound.clauses(nth, message);
        assert_eq!(said.len(), 4, "{said:?}");
        for (said, want) in said.iter().zip(want) {
            assert!(said.starts_with(want), "{said}, not {want}");
        }
    };
    let bank = message("ann@bank.test");
    let signed = key.sign("bank.test", "relaxed/relaxed", "over", &bank);
    passes(
        "x@evil.test",
        &signed,
        &[
            "spf=pass",
            "dkim=pass",
            "arc=none",
            "dmarc=pass policy.dmarc=reject header.from=bank.test",
        ],
    );
    let by_spf = message("ann@other.bank.test");
    passes(
        "a@sub.bank.test",
        &by_spf,
        &["spf=pass", "dkim=none", "arc=none", "dmarc=pass"],
    );
    let found = [
        &b"Authentication-Results: hop.test; dmarc=pass\r\n"[..],
        &bank,
    ]
    .concat();
    let sealed = key.seal("list.test", &found);
    passes(
        "x@evil.test",
        &sealed,
        &["spf=pass", "dkim=none", "arc=pass", "dmarc=fail"],
    );

    for (sender, message, want) in [
        (
            "x@evil.test",
            key.sign("evil.test", "relaxed/relaxed", "", &bank),
            "550 5.7.26",
        ),
        ("x@evil.test", key.seal("evil.test", &found), "550 5.7.26"),
        ("", bank.clone(), "550 5.7.26"),
        ("x@evil.test", message("a@down.test"), "451 4.7.26"),
        ("x@evil.test", message("ann@mail.bank.test"), "250 2.6.0"),
    ] {
        let heard = inbound.send(sender, &message);
        let told = format!("{} {}", heard.code, heard.text);
        assert!(told.starts_with(want), "{sender}: {told}");
    }
    let held = run(command(&inbound.server.config()).args(["held", "list", "--json"]));
    let held: Value = serde_json::from_str(&held).expect("JSON");
    assert_eq!(
        held.as_array().map(Vec::len),
        Some(1),
        "the last is held: {held}"
    );
    explained(&inbound, &bank);
}

/// The trail tells each result and why.
fn explained(inbound: &Inbound, message: &[u8]) {
    let file = inbound.server.dir.path().join("message.eml");
    std::fs::write(&file, message).expect("written");
    let mut command = command(&inbound.server.config());
    command.arg("explain").arg(file);
    command.args([
        "--client",
        "127.0.0.1",
        "--helo",
        "c.test",
        "--from",
        "x@evil.test",
    ]);
    let told = run(command.args(["--to", "b@isp.test"]));
    for want in [
        "pass for the sender, evil.test",
        "no signature",
        "fail: nothing proves bank.test",
        "550 5.7.26",
    ] {
        assert!(told.contains(want), "{want} in {told}");
    }
}
