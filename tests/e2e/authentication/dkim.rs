//! Signatures that Debian's python3-dkim made, through the whole program: what verifies, what does
//! not, in memory and in the spool.

use posthouse_tests::dns::Zone;

use super::Inbound;
use super::peer::{Key, txt};

const MESSAGE: &str = "From: Ann <a@signer.test>\r\nTo: <b@isp.test>\r\nSubject:   odd  spacing \r\n\r\n\
    a line  \r\n\ttabs and trailing blanks  \r\n8-bit: \u{fc}\r\n\r\n\r\n";
const CHAIN: &str = "[[chain.inbound]]\nplugin = \"dkim\"\n\
    [[chain.inbound]]\nplugin = \"authentication_results\"\n";

fn inbound(chain: &str, zone: &str) -> Inbound {
    Inbound::with(chain, Zone::parse(zone).failing("s1._domainkey.down.test"))
}

/// A server that knows the key of `signer.test`.
fn knowing(key: &Key) -> Inbound {
    inbound(CHAIN, &txt("s1._domainkey.signer.test", &key.record))
}

/// What the field says of one message, which must arrive unchanged.
fn says(inbound: &Inbound, nth: usize, message: &[u8]) -> String {
    let heard = inbound.send("a@signer.test", message);
    assert_eq!(heard.code, 250, "{heard:?}");
    inbound.clauses(nth, message).join("; ")
}

fn replaced(message: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = message
        .windows(from.len())
        .position(|w| w == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("{from} is in it"));
    [&message[..at], to.as_bytes(), &message[at + from.len()..]].concat()
}

fn verifies(key: &Key) {
    let inbound = knowing(key);
    let mut nth = 0;
    let mut expect = |message: &[u8], want: &str| {
        nth += 1;
        let said = says(&inbound, nth, message);
        assert!(said.starts_with(want), "{said}, not {want}");
        said
    };
    // Longer than what is kept in memory, with lines and blanks across every block.
    let long = format!("{MESSAGE}{}", "\t x  y \r\n\r\n".repeat(60_000));
    for canon in [
        "simple/simple",
        "relaxed/relaxed",
        "simple/relaxed",
        "relaxed/simple",
    ] {
        for message in [MESSAGE, &long] {
            let signed = key.sign("signer.test", canon, "over", message.as_bytes());
            expect(&signed, "dkim=pass header.d=signer.test header.s=s1");
            let spoilt = replaced(&signed, "a line", "a lime");
            expect(&spoilt, "dkim=fail reason=\"the body was changed\"");
            let spoilt = replaced(&signed, "odd", "old");
            expect(
                &spoilt,
                "dkim=fail reason=\"the signature does not verify\"",
            );
            let second = [b"From: <e@evil.test>\r\n", &signed[..]].concat();
            expect(
                &second,
                "dkim=fail reason=\"the signature does not verify\"",
            );
        }
    }
    let loose = key.sign("signer.test", "relaxed/relaxed", "", MESSAGE.as_bytes());
    expect(
        &replaced(&loose, "odd  spacing", "odd spacing"),
        "dkim=pass",
    );
    let second = [b"From: <e@evil.test>\r\n", &loose[..]].concat();
    expect(
        &second,
        "dkim=policy reason=\"not every From field is signed\"",
    );
    let part = key.sign(
        "signer.test",
        "relaxed/relaxed",
        "length",
        MESSAGE.as_bytes(),
    );
    expect(&part, "dkim=policy reason=\"l= leaves");
    let elsewhere = key.sign("down.test", "relaxed/relaxed", "", MESSAGE.as_bytes());
    expect(&elsewhere, "dkim=temperror");
    let nowhere = key.sign("nokey.test", "relaxed/relaxed", "", MESSAGE.as_bytes());
    expect(&nowhere, "dkim=permerror reason=\"no key\"");
    let both = key.sign("down.test", "relaxed/relaxed", "", &loose);
    let said = expect(&both, "dkim=temperror");
    assert!(said.contains("; dkim=pass"), "{said}");
    expect(MESSAGE.as_bytes(), "dkim=none");
}

#[test]
fn rsa_signatures_verify_as_they_should() {
    verifies(&Key::rsa(2048));
}

#[test]
fn ed25519_signatures_verify_as_they_should() {
    verifies(&Key::ed25519());
}

#[test]
fn weak_signatures_prove_nothing() {
    for (key, want) in [
        (Key::rsa(768), "dkim=fail reason=\"the key is too short\""),
        (
            Key::rsa(2048).with("rsa-sha1"),
            "dkim=fail reason=\"rsa-sha1",
        ),
        (Key::rsa(1024), "dkim=pass"),
    ] {
        let signed = key.sign("signer.test", "relaxed/relaxed", "", MESSAGE.as_bytes());
        let said = says(&knowing(&key), 1, &signed);
        assert!(said.starts_with(want), "{said}");
    }
}

#[test]
fn lengths_are_taken_if_the_operator_says_so() {
    let key = Key::rsa(2048);
    let chain = CHAIN.replace("\"dkim\"\n", "\"dkim\"\nbody_length = \"allow\"\n");
    let inbound = inbound(&chain, &txt("s1._domainkey.signer.test", &key.record));
    let part = key.sign(
        "signer.test",
        "relaxed/relaxed",
        "length",
        MESSAGE.as_bytes(),
    );
    let longer = [&part[..], b"more\r\n"].concat();
    let shorter = replaced(&part, "8-bit: \u{fc}\r\n", "");
    for (nth, (message, want)) in [
        (part, "dkim=pass"),
        (longer, "dkim=pass"),
        (shorter, "dkim=permerror reason=\"l= is more"),
    ]
    .iter()
    .enumerate()
    {
        let said = says(&inbound, nth + 1, message);
        assert!(said.starts_with(want), "{said}");
    }
}

/// A DNS server that never answers costs no more than the limit, and is no pass and no fail.
#[test]
fn a_hung_dns_is_a_temporary_error() {
    let key = Key::rsa(2048);
    let chain = CHAIN.replace("\"dkim\"\n", "\"dkim\"\ndns_timeout = \"1s\"\n");
    let zone = Zone::parse("").silent("s1._domainkey.signer.test");
    let inbound = Inbound::with(&chain, zone);
    let signed = key.sign("signer.test", "relaxed/relaxed", "", MESSAGE.as_bytes());
    let said = says(&inbound, 1, &signed);
    assert!(said.starts_with("dkim=temperror"), "{said}");
}
