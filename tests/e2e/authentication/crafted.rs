//! Signatures whose numbers are right and whose tags are not: made by hand, with python3-nacl, as no
//! honest signer makes them. Only the first may pass.

use std::collections::BTreeMap;
use std::process::Command;

use data_encoding::BASE64;
use posthouse_tests::dns::Zone;
use posthouse_tests::proc::run;
use serde::Deserialize;

use super::Inbound;
use super::peer::txt;

/// Prints a key record, and a message for each list of tags.
const CRAFT: &str = r#"
import base64, hashlib, json, nacl.signing
key = nacl.signing.SigningKey(hashlib.sha256(b"seed").digest())
def b64(octets):
    return base64.b64encode(octets).decode()
HEAD = [("From", "a@x.test"), ("To", "b@isp.test"), ("Subject", "hi")]
BODY = b"hello\r\nworld\r\n"
def craft(tags, names="from:to:subject", signed=BODY):
    bh = b64(hashlib.sha256(signed).digest())
    value = tags.replace("BH", "bh=" + bh).replace("H;", "h=" + names + ";") + "; b="
    fields = {name.lower(): text for name, text in HEAD}
    data = "".join(f"{name}:{fields[name]}\r\n" for name in names.split(":"))
    data += "dkim-signature:" + value
    b = b64(key.sign(hashlib.sha256(data.encode()).digest()).signature)
    head = "".join(f"{name}: {text}\r\n" for name, text in HEAD)
    return b64(f"DKIM-Signature: {value}{b}\r\n{head}\r\n".encode() + BODY)
GOOD = "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=x.test; s=s1; H; BH"
print(json.dumps({"record": "v=DKIM1; k=ed25519; p=" + b64(bytes(key.verify_key)), "messages": {
    "good": craft(GOOD),
    "From not signed": craft(GOOD, "to:subject"),
    "x=soon": craft(GOOD + "; x=soon"),
    "x= past": craft(GOOD + "; t=1000; x=2000"),
    "l=all": craft(GOOD + "; l=all"),
    "l= a part": craft(GOOD + "; l=7", signed=b"hello\r\n"),
    "no v=": craft(GOOD.replace("v=1; ", "")),
    "v= twice": craft("v=1; " + GOOD),
    "d= twice": craft(GOOD.replace("d=x", "d=bank.test; d=x")),
    "i= elsewhere": craft(GOOD + "; i=a@bank.test"),
    "q= unknown": craft(GOOD + "; q=finger"),
    "empty tag": craft(GOOD.replace("s=s1;", "s=s1;;")),
}}))
"#;
const CHAIN: &str = "[[chain.inbound]]\nplugin = \"dkim\"\n\
    [[chain.inbound]]\nplugin = \"authentication_results\"\n";

#[derive(Deserialize)]
struct Crafted {
    record: String,
    messages: BTreeMap<String, String>,
}

#[test]
fn only_the_honest_one_passes() {
    let crafted = run(Command::new("/usr/bin/python3").args(["-c", CRAFT]));
    let crafted: Crafted = serde_json::from_str(&crafted).expect("JSON");
    let zone = Zone::parse(&txt("s1._domainkey.x.test", &crafted.record));
    let inbound = Inbound::with(CHAIN, zone);
    for (nth, (name, message)) in crafted.messages.iter().enumerate() {
        let message = BASE64.decode(message.as_bytes()).expect("base64");
        assert_eq!(inbound.send("a@x.test", &message).code, 250);
        let said = inbound.clauses(nth + 1, &message).join("; ");
        let want = match name.as_str() {
            "good" => "dkim=pass",
            "From not signed" | "x= past" => "dkim=fail",
            "l= a part" => "dkim=policy",
            _ => "dkim=permerror",
        };
        assert!(said.starts_with(want), "{name}: {said}, not {want}");
    }
}
