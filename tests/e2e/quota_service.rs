//! `posthouse quota-service`: counts as Courier does, writes nothing, and is not impressed by
//! whoever sends it nonsense.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use posthouse_tests::courier::Maildir;
use posthouse_tests::dir;
use posthouse_tests::posthouse::binary;
use posthouse_tests::quota_service::QuotaService;
use posthouse_tests::wait;
use tempfile::TempDir;

/// Mailboxes of Courier's making.
struct Mail(TempDir);

impl Mail {
    fn new() -> Self {
        Self(dir::scratch("quota"))
    }

    fn path(&self) -> String {
        format!("{}/mail/{{user}}/Maildir", self.0.path().display())
    }

    fn make(&self, user: &str, quota: &str) -> Maildir {
        Maildir::make(
            &self.0.path().join("mail").join(user).join("Maildir"),
            quota,
        )
    }

    fn serve(&self, args: &[&str]) -> QuotaService {
        let path = self.path();
        QuotaService::start(&[&["--maildir", &path, "--keep", "0s"], args].concat())
    }
}

fn write(maildir: &Maildir, name: &str, octets: usize) {
    fs::write(maildir.path().join(name), "x".repeat(octets)).expect("written");
}

/// What is in a directory, and when it was changed.
fn everything(dir: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("read") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("there");
        if meta.is_dir() {
            found.extend(everything(&path));
        }
        found.insert(path, (meta.len(), meta.modified().expect("a time")));
    }
    found
}

#[test]
fn we_count_as_courier_counts() {
    let mail = Mail::new();
    let ann = mail.make("ann", "1000000S,1000C");
    for folder in ["Trash", "Trash.old", "Archive.2026"] {
        ann.folder(folder);
    }
    for (name, octets) in [
        ("cur/1.host,S=111:2,S", 111),
        ("cur/2.host:2,RS", 222),
        ("cur/3.host,S=333:2,ST", 333),
        ("cur/.4.host", 444),
        ("new/5.host,S=555", 555),
        ("tmp/6.host,S=666", 666),
        (".Archive.2026/cur/7.host,S=777:2,S", 777),
        (".Trash/cur/8.host,S=888:2,S", 888),
        (".Trash.old/cur/9.host,S=999:2,S", 999),
    ] {
        write(&ann, name, octets);
    }
    let size = ann.path().join("maildirsize");
    fs::write(&size, "1000000S,1000C\n").expect("written");
    let service = mail.serve(&[]);
    let before = everything(mail.0.path());
    let (_, ours) = service.get("/?u=ann");
    assert_eq!(everything(mail.0.path()), before, "nothing was written");
    assert!(ann.recount(100, "1000000S,1000C"));
    let lines = ann.sizes();
    let courier = format!("OK ann {} 1000000 {} 1000", lines[1][0], lines[1][1]);
    assert_eq!(ours, courier);
    let (_, now) = service.get("/?u=ann");
    let octets: i64 = lines[1..]
        .iter()
        .map(|l| l[0].parse::<i64>().expect("a number"))
        .sum();
    assert!(
        now.starts_with(&format!("OK ann {octets} ")),
        "{now}: {lines:?}"
    );
}

#[test]
fn a_file_that_grows_beyond_5120_octets_is_counted_again() {
    let mail = Mail::new();
    let ann = mail.make("ann", "1000000S");
    assert!(ann.deliver(300));
    let service = mail.serve(&[]);
    let size = ann.path().join("maildirsize");
    let mut text = fs::read_to_string(&size).expect("there");
    while text.len() < 5_000 {
        text.push_str("          10            1\n");
    }
    fs::write(&size, &text).expect("written");
    let (_, believed) = service.get("/?u=ann");
    assert!(!believed.starts_with("OK ann 300 "), "{believed}");
    text.push_str(&"          10            1\n".repeat(10));
    fs::write(&size, &text).expect("written");
    assert_eq!(service.get("/?u=ann").1, "OK ann 300 1000000 1 0");
}

#[test]
fn no_name_leads_out_of_the_mailboxes() {
    let mail = Mail::new();
    mail.make("ann", "1000S");
    let root = mail.0.path();
    Maildir::make(&root.join("secret/Maildir"), "1S");
    symlink("../secret", root.join("mail/eve")).expect("made");
    let service = mail.serve(&[]);
    assert_eq!(service.get("/?u=ann").0, 200);
    for (name, status) in [
        ("..%2Fsecret", 404),
        ("ann%2F..%2F..%2Fsecret", 404),
        ("%2Fetc", 404),
        (".", 404),
        ("..", 404),
        ("nobody", 404),
        ("ann%00", 400),
        ("..%00", 400),
        ("%C3%BC", 400),
        ("%FF", 400),
        ("%E2%80%AE", 400),
        ("", 400),
        (&"x".repeat(400), 404),
        (&"x".repeat(4000), 400),
        ("ann%0D%0AX:%20y", 400),
        ("eve", 503),
    ] {
        let (code, body) = service.get(&format!("/?u={name}"));
        assert_eq!(code, status, "{name}: {body}");
        assert!(!body.contains(" 1 "), "{name}: {body}");
    }
    assert_eq!(service.ask("../secret"), "UNKNOWN ../secret");
    assert_eq!(service.ask("eve"), "TEMPFAIL eve");
}

#[test]
fn what_is_no_question_is_answered_shortly_or_not_at_all() {
    let mail = Mail::new();
    mail.make("ann", "1000S");
    let service = mail.serve(&[]);
    assert_eq!(service.get("/").0, 400);
    assert_eq!(service.get("/?u=ann&u=bob").0, 400);
    assert_eq!(service.get("/?u=ann&size=many").0, 400);
    assert_eq!(
        service.get("/?u=ann&size=1001").1,
        "OVERQUOTA ann 0 1000 0 0"
    );
    assert!(
        service
            .say(b"POST /?u=ann HTTP/1.0\r\n\r\n")
            .starts_with("HTTP/1.0 405")
    );
    let long = format!("GET /?u={} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    assert!(!service.say(long.as_bytes()).contains(" 200 "));
    assert!(!service.say(&[0xff; 10_000]).contains(" 200 "));
    let silent = [
        service.datagram(&[0xff, 0, 1]),
        service.datagram(&[b'x'; 5_000]),
        service.datagram(b""),
        service.datagram(b"a\nb"),
    ];
    assert_eq!(service.ask("ann\n"), "OK ann 0 1000 0 0");
    for socket in silent {
        socket.set_nonblocking(true).expect("a socket");
        assert!(socket.recv(&mut [0; 100]).is_err(), "no answer");
    }
}

#[test]
fn slow_clients_and_floods_keep_nobody_waiting() {
    let mail = Mail::new();
    mail.make("ann", "1000S");
    let service = mail.serve(&[]);
    // Half a request, on as many connections as would hurt.
    let slow: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(service.addr).expect("it listens");
            stream
                .write_all(b"GET /?u=ann HTTP/1.1\r\nX: ")
                .expect("taken");
            stream
        })
        .collect();
    let flood: Vec<_> = (0..5_000).map(|at| format!("user{at}")).collect();
    let socket = service.datagram(b"zoe");
    for user in &flood {
        socket.send(user.as_bytes()).expect("sent");
    }
    // A question may be lost in a flood, as any datagram; one that comes again is answered.
    let answered = wait::until("an answer in a flood", Duration::from_secs(20), || {
        let asks = service.datagram(b"ann");
        let second = Some(Duration::from_secs(1));
        asks.set_read_timeout(second).expect("a socket");
        let mut answer = [0; 100];
        let long = asks.recv(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..long]).into_owned())
    });
    assert_eq!(answered.trim_end(), "OK ann 0 1000 0 0");
    assert_eq!(service.get("/?u=ann").0, 200);
    let mut first = slow.into_iter().next().expect("one");
    first
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a socket");
    let mut said = Vec::new();
    let ended = first.read_to_end(&mut said);
    assert!(ended.is_ok(), "a slow client is sent away: {ended:?}");
    assert!(!String::from_utf8_lossy(&said).contains(" 200 "));
}

#[test]
fn only_those_who_may_ask_are_answered() {
    let mail = Mail::new();
    mail.make("ann", "1000S");
    let service = mail.serve(&["--allow", "192.0.2.0/24"]);
    assert_eq!(service.get("/?u=ann"), (0, String::new()));
    let service = mail.serve(&["--allow", "192.0.2.0/24", "--allow", "127.0.0.1"]);
    assert_eq!(service.get("/?u=ann").0, 200);
}

#[test]
fn an_mbox_is_held_against_the_quota_of_its_user() {
    let mail = dir::scratch("quota");
    fs::write(mail.path().join("ann"), "x".repeat(500)).expect("written");
    fs::write(mail.path().join("bob"), "x".repeat(500)).expect("written");
    let quotas = dir::write(&mail.path().join("quotas.csv"), "bob,400\n");
    let path = format!("{}/{{user}}", mail.path().display());
    let quotas = quotas.display().to_string();
    let service = QuotaService::start(&["--mbox", &path, "--quota", "1000S", "--quotas", &quotas]);
    assert_eq!(service.ask("ann"), "OK ann 500 1000");
    assert_eq!(service.ask("bob"), "OVERQUOTA bob 500 400");
    assert_eq!(service.ask("zoe"), "UNKNOWN zoe");
    assert_eq!(service.proc.stop(), Some(0));
}

#[test]
fn wrong_use_is_said() {
    for (args, said) in [
        (&["--http", "127.0.0.1:0"][..], "--maildir"),
        (&["--maildir", "/var/mail/{user}"], "--http"),
        (
            &["--http", "127.0.0.1:0", "--maildir", "/var/mail"],
            "{user}",
        ),
        (
            &[
                "--http",
                "127.0.0.1:0",
                "--maildir",
                "/a/{user}",
                "--mbox",
                "/b/{user}",
            ],
            "--mbox",
        ),
        (
            &[
                "--http",
                "127.0.0.1:0",
                "--mbox",
                "/b/{user}",
                "--quota",
                "1G",
            ],
            "1G",
        ),
        (
            &[
                "--http",
                "127.0.0.1:0",
                "--mbox",
                "/b/{user}",
                "--allow",
                "here",
            ],
            "here",
        ),
        (
            &[
                "--http",
                "127.0.0.1:0",
                "--mbox",
                "/b/{user}",
                "--quotas",
                "/no/where",
            ],
            "/no/where",
        ),
    ] {
        let output = Command::new(binary())
            .arg("quota-service")
            .args(args)
            .output();
        let output = output.expect("it starts");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains(said), "{args:?}: {errors}");
    }
}
