//! ARC chains that Debian's python3-dkim sealed, through the whole program.

use posthouse_tests::dns::Zone;

use super::Inbound;
use super::peer::{Key, txt};

const MESSAGE: &str = "From: Ann <a@author.test>\r\nTo: <b@isp.test>\r\nSubject: to the list\r\n\r\n\
    a line  \r\n\r\n\r\n";
const CHAIN: &str = "[[chain.inbound]]\nplugin = \"arc\"\ndns_timeout = \"2s\"\n\
    [[chain.inbound]]\nplugin = \"authentication_results\"\n";

/// What a hop finds, for the next seal; `hop.test` is the name that the peer believes.
fn found(what: &str, message: &[u8]) -> Vec<u8> {
    let field = format!("Authentication-Results: hop.test; {what}\r\n");
    [field.as_bytes(), message].concat()
}

#[test]
fn chains_verify_as_they_should() {
    let (first, second) = (Key::rsa(2048), Key::rsa(1024));
    let at = ["s1._domainkey.list.test", "s1._domainkey.forward.test"];
    let zone = txt(at[0], &first.record) + &txt(at[1], &second.record);
    let zone = Zone::parse(&zone).failing("s1._domainkey.down.test");
    let inbound = Inbound::with(CHAIN, zone);
    let mut nth = 0;
    let mut expect = |message: &[u8], want: &str| {
        assert_eq!(inbound.send("a@author.test", message).code, 250);
        nth += 1;
        let said = inbound.clauses(nth, message).join("; ");
        assert!(said.starts_with(want), "{said}, not {want}");
    };
    let changed = |message: &[u8], from: &str, to: &str| {
        let text = String::from_utf8(message.to_vec()).expect("ASCII");
        assert!(text.contains(from), "{from} in {text}");
        text.replacen(from, to, 1).into_bytes()
    };
    expect(MESSAGE.as_bytes(), "arc=none smtp.remote-ip=127.0.0.1");
    let once = first.seal("list.test", &found("spf=pass", MESSAGE.as_bytes()));
    expect(&once, "arc=pass");
    let twice = second.seal("forward.test", &found("arc=pass", &once));
    expect(&twice, "arc=pass");
    let down = second.seal("down.test", &found("arc=pass", &once));
    expect(&down, "arc=temperror");
    let gone = second.seal("gone.test", &found("arc=pass", &once));
    expect(&gone, "arc=fail reason=\"no key\"");
    expect(
        &changed(&twice, "a line", "a lime"),
        "arc=fail reason=\"the body was changed\"",
    );
    expect(&changed(&twice, "to the list", "to a list"), "arc=fail");
    expect(
        &changed(
            &twice,
            "ARC-Authentication-Results: i=1; hop",
            "ARC-Authentication-Results: i=1; top",
        ),
        "arc=fail",
    );
    expect(
        &changed(&twice, "cv=pass", "cv=none"),
        "arc=fail reason=\"a seal says",
    );
    expect(
        &changed(&twice, "ARC-Seal: i=1", "X-Seal: i=1"),
        "arc=fail reason=\"the instances",
    );
    // The first hop's signature need not hold any more, but its seal must.
    let reworded = changed(&once, "to the list", "[list] to the list");
    let reworded = second.seal("forward.test", &found("arc=fail", &reworded));
    expect(
        &reworded,
        "arc=fail reason=\"the last sealer found the chain broken\"",
    );
}
