//! DKIM: what a client signed still verifies behind the relay (invariant 2). Signed and verified by
//! Debian's python3-dkim, with the key in a table instead of DNS.

use std::io::Write as _;
use std::process::{Command, Stdio};

use posthouse_tests::clients::smtplib;
use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, config_dir};
use posthouse_tests::sink::{Script, Sink};

/// For Debian's own Python, which has the package. Reads a message; with `sign` writes the signed one, with `verify` exits 0 if it verifies. The
/// canonicalization is `simple`: one changed octet breaks it.
const DKIM: &str = r#"
import sys, dkim
message = sys.stdin.buffer.read()
key, public = open(sys.argv[2], "rb").read(), open(sys.argv[3], "rb").read()
if sys.argv[1] == "sign":
    fields = [b"from", b"to", b"subject"]
    header = dkim.sign(message, b"s1", b"ours.test", key, include_headers=fields,
                       canonicalize=(b"simple", b"simple"))
    sys.stdout.buffer.write(header + message)
else:
    record = b"v=DKIM1; k=rsa; p=" + public
    sys.exit(0 if dkim.verify(message, dnsfunc=lambda name, timeout=5: record) else 1)
"#;

struct Keys {
    dir: tempfile::TempDir,
}

impl Keys {
    fn make() -> Self {
        let dir = posthouse_tests::dir::scratch("dkim");
        let key = dir.path().join("key.pem");
        run(
            Command::new("openssl")
                .args(["genrsa", "-traditional", "-out"])
                .arg(&key)
                .arg("2048"),
            b"",
        );
        let der = run(
            Command::new("openssl")
                .args(["rsa", "-pubout", "-outform", "DER", "-in"])
                .arg(&key),
            b"",
        );
        let public = run(Command::new("base64").arg("-w0"), &der.1);
        std::fs::write(dir.path().join("public"), public.1).expect("written");
        Self { dir }
    }

    fn dkim(&self, what: &str, message: &[u8]) -> (bool, Vec<u8>) {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", DKIM, what]);
        command
            .arg(self.dir.path().join("key.pem"))
            .arg(self.dir.path().join("public"));
        run(&mut command, message)
    }
}

fn run(command: &mut Command, input: &[u8]) -> (bool, Vec<u8>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input)
        .expect("takes it");
    let output = child.wait_with_output().expect("ends");
    (output.status.success(), output.stdout)
}

#[test]
fn a_signature_survives_the_relay() {
    let keys = Keys::make();
    let message = b"From: <a@ours.test>\r\nTo: <b@x.test>\r\nSubject:   odd  spacing \r\n\r\n\
        .dot at the start\r\n\ttabs and trailing blanks  \r\n8-bit: \xc3\xbc\xff\r\n\r\n\r\n";
    let (signed_well, signed) = keys.dkim("sign", message);
    assert!(signed_well, "python3-dkim is installed");

    let (dns, sink) = (Dns::start(""), Sink::start(Script::friendly()));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let server = Posthouse::start(config_dir(), &outbound.toml(), outbound.smtp);
    let sent = smtplib(server.addr, "a@ours.test", &["b@x.test"], &signed);
    assert_eq!(sent.code, 0, "{}", sent.said);
    let relayed = sink.wait_for(1)[0].message.clone();
    assert!(relayed.ends_with(&signed));
    assert!(
        keys.dkim("verify", &relayed).0,
        "it verifies behind the relay"
    );

    let mut spoilt = relayed;
    let last = spoilt.len() - 5;
    spoilt[last] ^= 1;
    assert!(
        !keys.dkim("verify", &spoilt).0,
        "and would not, were an octet changed"
    );
}
