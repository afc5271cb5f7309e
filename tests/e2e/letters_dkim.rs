//! Our own mail is signed when there is a key: letters and DSNs verify with Debian's python3-dkim,
//! and a letter offers one-click unsubscribe (RFC 8058) only behind https and under a signature.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, binary, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::Smtp;

const SPAM: &[u8] =
    b"Subject: x\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
/// Fields that a signature covers twice: as they are, and that there is no other.
const TWICE: [&str; 6] = [
    "from",
    "to",
    "subject",
    "date",
    "list-unsubscribe",
    "list-unsubscribe-post",
];
const ONCE: [&str; 4] = [
    "message-id",
    "mime-version",
    "content-type",
    "auto-submitted",
];
const RSA: [&str; 3] = ["genrsa", "-out", "2048"];

/// Reads a message; exits 0 if it verifies with the record in argv[1], which stands at one name.
const VERIFY: &str = r#"
import sys, dkim
def txt(name, timeout=5):
    assert name.rstrip(b".") == b"s2026._domainkey.ours.test", name
    return sys.argv[1].encode()
sys.exit(0 if dkim.verify(sys.stdin.buffer.read(), dnsfunc=txt) else 1)
"#;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Rsa,
    Ed25519,
}

/// Makes `key.pem` in `dir`; returns the DNS record of its public half.
fn make_key(dir: &Path, kind: Kind) -> String {
    let key = dir.join("key.pem");
    let mut make = Command::new("openssl");
    match kind {
        Kind::Rsa => make.args(RSA[..2].iter()).arg(&key).arg(RSA[2]),
        Kind::Ed25519 => make
            .args(["genpkey", "-algorithm", "ed25519", "-out"])
            .arg(&key),
    };
    run(&mut make);
    let der = Command::new("openssl")
        .args(["pkey", "-pubout", "-outform", "DER", "-in"])
        .arg(&key)
        .output()
        .expect("openssl starts");
    let encode = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    match kind {
        Kind::Rsa => format!("v=DKIM1; k=rsa; p={}", encode(&der.stdout)),
        // RFC 8463 §4.2: the key alone, the last 32 octets.
        Kind::Ed25519 => {
            let key = &der.stdout[der.stdout.len() - 32..];
            format!("v=DKIM1; k=ed25519; p={}", encode(key))
        }
    }
}

fn verifies(record: &str, message: &[u8]) -> bool {
    use std::io::Write as _;
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", VERIFY, record])
        .stdin(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(message).expect("takes it");
    drop(input);
    child.wait().expect("ends").success()
}

/// The configuration with a key, if it is to sign, and links that start with `scheme`.
fn config(outbound: &Outbound, signs: bool, scheme: &str) -> String {
    let dkim =
        "[letters.dkim]\ndomain = \"ours.test\"\nselector = \"s2026\"\nkey = \"file:key.pem\"\n";
    let config = outbound
        .toml()
        .replace("[letters]\n", "[letters]\ncheck = \"1s\"\n")
        .replace("url     = \"http:", &format!("url     = \"{scheme}:"));
    if signs { config + dkim } else { config }
}

/// A server that has written a letter.
fn letter(
    config: &str,
    outbound: &Outbound,
    dir: tempfile::TempDir,
    sink: &Sink,
) -> (Posthouse, Vec<u8>) {
    let server = Posthouse::start(dir, config, outbound.smtp);
    let mut client = Smtp::hello(server.addr).expect("greets");
    let heard = client.send("x@stranger.test", &["bob@filtered.test"], SPAM);
    assert_eq!(heard.expect("answers").code, 250);
    let letter = sink.wait_for(1)[0].message.clone();
    (server, letter)
}

/// The header section, unfolded, a field a line.
fn header(message: &[u8]) -> String {
    let text = String::from_utf8(message.to_vec()).expect("ASCII");
    let (head, _) = text.split_once("\r\n\r\n").expect("an empty line");
    head.replace("\r\n\t", " ").replace("\r\n ", " ")
}

fn our_mail_verifies(kind: Kind) {
    let dns = Dns::start("");
    let sink = Sink::start(Script::friendly().on("RCPT TO:<no@x.test>", "550 5.1.1 Nobody"));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let dir = config_dir();
    let record = make_key(dir.path(), kind);
    let config = config(&outbound, true, "https");
    let (server, letter) = letter(&config, &outbound, dir, &sink);
    assert!(verifies(&record, &letter), "{}", header(&letter));

    let head = header(&letter);
    let covered = head
        .split("h=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let covered = covered.expect("h=").replace(' ', "").to_ascii_lowercase();
    let count = |field: &str| covered.split(':').filter(|name| *name == field).count();
    for (times, fields) in [(2, TWICE.as_slice()), (1, ONCE.as_slice())] {
        for field in fields {
            assert_eq!(count(field), times, "{field} in {covered}");
        }
    }
    assert!(head.contains("c=relaxed/relaxed"), "{head}");

    // Nobody can add another author, subject or way to unsubscribe, nor change a word.
    for field in TWICE {
        let mut changed = format!("{field}: <https://e.test/>\r\n").into_bytes();
        changed.extend_from_slice(&letter);
        assert!(!verifies(&record, &changed), "{field} was added");
    }
    let mut changed = letter.clone();
    let last = changed.len() - 4;
    changed[last] ^= 1;
    assert!(!verifies(&record, &changed), "a word was changed");

    // A DSN of ours is signed with the same key.
    let mut client = Smtp::hello(server.addr).expect("greets");
    let heard = client.send(
        "ann@ours.test",
        &["no@x.test"],
        b"Subject: hi\r\n\r\nHello\r\n",
    );
    assert_eq!(heard.expect("answers").code, 250);
    let dsn = sink.wait_for(2)[1].message.clone();
    assert!(header(&dsn).contains("multipart/report"));
    assert!(verifies(&record, &dsn), "{}", header(&dsn));
}

#[test]
fn our_mail_verifies_with_rsa() {
    our_mail_verifies(Kind::Rsa);
}

#[test]
fn our_mail_verifies_with_ed25519() {
    our_mail_verifies(Kind::Ed25519);
}

#[test]
fn one_click_unsubscribe_takes_https_and_a_signature() {
    for (signs, scheme) in [
        (true, "https"),
        (true, "http"),
        (false, "https"),
        (false, "http"),
    ] {
        let (dns, sink) = (Dns::start(""), Sink::start(Script::friendly()));
        let outbound = Outbound::new(sink.addr(), dns.addr());
        let dir = config_dir();
        make_key(dir.path(), Kind::Ed25519);
        let config = config(&outbound, signs, scheme);
        let (_server, letter) = letter(&config, &outbound, dir, &sink);
        let head = header(&letter);
        assert_eq!(head.contains("DKIM-Signature: "), signs, "{head}");
        let whole = signs && scheme == "https";
        let field = |name: &str| {
            head.lines()
                .find(|l| l.starts_with(name))
                .map(str::to_owned)
        };
        let link = field("List-Unsubscribe: ");
        let post = field("List-Unsubscribe-Post: ");
        assert_eq!((link.is_some(), post.is_some()), (whole, whole), "{head}");
        if let (Some(link), Some(post)) = (link, post) {
            let stop = format!("List-Unsubscribe: <https://{}/s/", outbound.web);
            assert!(link.starts_with(&stop) && link.ends_with('>'), "{link}");
            assert_eq!(post, "List-Unsubscribe-Post: List-Unsubscribe=One-Click");
        }
    }
}

fn check(dir: &Path, config: &str) -> (Option<i32>, String) {
    let file = posthouse_tests::dir::write(&dir.join("posthouse.toml"), config);
    let mut command = Command::new(binary());
    let output = command
        .arg("check")
        .arg("--config")
        .arg(file)
        .output()
        .expect("starts");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

#[test]
fn a_key_that_cannot_sign_is_named_with_the_way_out() {
    let dir = config_dir();
    let key = dir.path().join("key.pem");
    let outbound = Outbound::new(([127, 0, 0, 1], 25).into(), ([127, 0, 0, 1], 53).into());
    let config = config(&outbound, true, "https");
    let fails = |want: &str| {
        let (code, said) = check(dir.path(), &config);
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("key.pem") && said.contains(want),
            "{want}: {said}"
        );
        assert!(!said.contains("BEGIN"), "{said}");
    };
    fails("make it readable");
    std::fs::write(&key, "no key").expect("written");
    fails("openssl genrsa 2048");
    run(Command::new("openssl")
        .args(["genrsa", "-out"])
        .arg(&key)
        .arg("1024"));
    fails("2048 bits or more");
    let curve = [
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
    ];
    run(Command::new("openssl").args(curve).arg(&key));
    fails("Ed25519");

    make_key(dir.path(), Kind::Rsa);
    let rights = |mode| std::fs::set_permissions(&key, PermissionsExt::from_mode(mode));
    rights(0o644).expect("ours");
    let (code, said) = check(dir.path(), &config);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("warning: ") && said.contains("other users may read"),
        "{said}"
    );
    rights(0o640).expect("ours");
    let (code, said) = check(dir.path(), &config);
    assert!(code == Some(0) && !said.contains("other users"), "{said}");
    let strange = config.replace("domain = \"ours.test\"", "domain = \"other.test\"");
    let (_, said) = check(dir.path(), &strange);
    assert!(
        said.contains("other.test signs what ours.test writes"),
        "{said}"
    );
}
