//! Debian's python3-dkim, which signs and seals what the tests send, with keys of openssl's.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use posthouse_tests::proc::run;
use tempfile::TempDir;

/// Reads a message, writes the same below what it was told to add.
const PEER: &str = r#"
import sys, dkim
what, algorithm, canon, key, domain, more = sys.argv[1:7]
message, key = sys.stdin.buffer.read(), open(key, "rb").read()
fields = [b"from", b"to", b"subject"] + ([b"from"] if more == "over" else [])
domain = domain.encode()
if what == "sign":
    added = dkim.sign(message, b"s1", domain, key, include_headers=fields, length=more == "length",
        canonicalize=tuple(canon.encode().split(b"/")), signature_algorithm=algorithm.encode())
else:
    added = b"".join(dkim.arc_sign(message, b"s1", domain, key, b"hop.test", include_headers=fields))
    if not added:
        sys.exit("not sealed")
sys.stdout.buffer.write(added + message)
"#;

/// A private key, for dkimpy, and the record of its public half.
pub(crate) struct Key {
    dir: TempDir,
    algorithm: &'static str,
    pub(crate) record: String,
}

impl Key {
    /// An RSA key of so many bits.
    pub(crate) fn rsa(bits: u32) -> Self {
        let dir = posthouse_tests::dir::scratch("dkim");
        let key = dir.path().join("key");
        let mut make = Command::new("openssl");
        run(make
            .args(["genrsa", "-traditional", "-out"])
            .arg(&key)
            .arg(bits.to_string()));
        let record = format!("v=DKIM1; k=rsa; p={}", BASE64.encode(&public(&key)));
        Self {
            dir,
            algorithm: "rsa-sha256",
            record,
        }
    }

    /// An Ed25519 key: dkimpy wants the seed alone, in base64.
    pub(crate) fn ed25519() -> Self {
        let dir = posthouse_tests::dir::scratch("dkim");
        let pem = dir.path().join("pem");
        let mut make = Command::new("openssl");
        run(make
            .args(["genpkey", "-algorithm", "ed25519", "-out"])
            .arg(&pem));
        let der = openssl(&["pkey", "-outform", "DER", "-in"], &pem);
        let seed = BASE64.encode(&der[der.len() - 32..]);
        std::fs::write(dir.path().join("key"), seed).expect("written");
        let public = public(&pem);
        let record = format!(
            "v=DKIM1; k=ed25519; p={}",
            BASE64.encode(&public[public.len() - 32..])
        );
        Self {
            dir,
            algorithm: "ed25519-sha256",
            record,
        }
    }

    /// The same key, used otherwise.
    pub(crate) fn with(self, algorithm: &'static str) -> Self {
        Self { algorithm, ..self }
    }

    /// The message below a signature of that domain, with selector `s1`. `more` is "over" (From is
    /// signed once more than it is there), "length" (`l=`), or nothing.
    pub(crate) fn sign(&self, domain: &str, canon: &str, more: &str, message: &[u8]) -> Vec<u8> {
        self.peer(&["sign", self.algorithm, canon], domain, more, message)
    }

    /// The message below an ARC set of that domain.
    pub(crate) fn seal(&self, domain: &str, message: &[u8]) -> Vec<u8> {
        let what = ["seal", self.algorithm, "relaxed/relaxed"];
        self.peer(&what, domain, "", message)
    }

    fn peer(&self, what: &[&str], domain: &str, more: &str, message: &[u8]) -> Vec<u8> {
        let mut command = Command::new("/usr/bin/python3");
        command
            .args(["-c", PEER])
            .args(what)
            .arg(self.dir.path().join("key"));
        command.args([domain, more]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut input = child.stdin.take().expect("a pipe");
        let message = message.to_vec();
        let feed = std::thread::spawn(move || input.write_all(&message).expect("takes it"));
        let output = child.wait_with_output().expect("ends");
        feed.join().expect("fed");
        assert!(
            output.status.success(),
            "python3-dkim and python3-nacl are installed"
        );
        output.stdout
    }
}

/// A TXT record of a zone file, in strings of a length that DNS takes.
pub(crate) fn txt(name: &str, text: &str) -> String {
    let strings: Vec<String> = text
        .as_bytes()
        .chunks(200)
        .map(|part| format!("\"{}\"", String::from_utf8_lossy(part)))
        .collect();
    format!("{name}. TXT {}\n", strings.join(" "))
}

fn public(key: &Path) -> Vec<u8> {
    openssl(&["pkey", "-pubout", "-outform", "DER", "-in"], key)
}

fn openssl(args: &[&str], file: &Path) -> Vec<u8> {
    let made = Command::new("openssl").args(args).arg(file).output();
    made.expect("openssl starts").stdout
}
