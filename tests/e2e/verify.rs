//! `verify_sender` and `verify_recipient` through the whole program, over flat files and SQLite: who
//! does not exist is refused at once, and a change of either is seen while the server runs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use posthouse_tests::posthouse::{Outbound, Posthouse, config_dir};
use posthouse_tests::proc::{require, run};
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::Smtp;
use posthouse_tests::{dir, ports, wait};

/// How long a list may take to be read again.
const RELOAD: Duration = Duration::from_secs(30);
const MESSAGE: &[u8] = b"Subject: x\r\n\r\nHello\r\n";

/// A server whose chain has these steps in front of one that takes all recipients in `ours.test`.
pub(crate) struct Guard {
    pub(crate) server: Posthouse,
    pub(crate) sink: Sink,
}

impl Guard {
    /// `dir` has what the steps name; `relay` is more of `[relay]`.
    pub(crate) fn start(dir: tempfile::TempDir, steps: &str) -> Self {
        let sink = Sink::start(Script::friendly());
        let server = Self::serve(dir, steps, sink.addr());
        Self { server, sink }
    }

    /// The same in front of a next hop of the test's.
    pub(crate) fn serve(
        dir: tempfile::TempDir,
        steps: &str,
        next_hop: std::net::SocketAddr,
    ) -> Posthouse {
        let outbound = Outbound::new(next_hop, ports::free_addr());
        let toml = outbound.toml();
        let (head, rest) = toml.split_once("[[chain.outbound]]").expect("a chain");
        let (_, tail) = rest
            .split_once("[letters]")
            .expect("a section behind the chain");
        let ends = "[[chain.outbound]]\nplugin = \"relay_domains\"\ndomains = [\"ours.test\"]\n";
        let toml = format!("{head}{steps}\n{ends}\n[letters]{tail}");
        Posthouse::start(dir, &toml, outbound.smtp)
    }

    /// What a sender hears of MAIL, or of RCPT to a recipient that exists.
    pub(crate) fn mail(&self, from: &str) -> String {
        heard(&self.server, from, "ann@ours.test")
    }

    /// What a stranger hears of RCPT.
    pub(crate) fn rcpt(&self, to: &str) -> String {
        heard(&self.server, "stranger@elsewhere.test", to)
    }
}

/// The last reply to MAIL and RCPT.
pub(crate) fn heard(server: &Posthouse, from: &str, to: &str) -> String {
    let mut client = Smtp::hello(server.addr).expect("a greeting");
    let mut heard = client
        .command(&format!("MAIL FROM:<{from}>"))
        .expect("a reply");
    if heard.code == 250 {
        heard = client.command(&format!("RCPT TO:<{to}>")).expect("a reply");
    }
    format!("{} {}", heard.code, heard.text)
}

/// Waits until somebody hears something else.
pub(crate) fn until(what: &str, hear: impl Fn() -> String, starts: &str) {
    wait::until(what, RELOAD, || hear().starts_with(starts).then_some(()));
}

/// Waits until the server has logged that: its log is written by a thread of its own.
pub(crate) fn logged(server: &Posthouse, text: &str) {
    let has = || server.proc.log().contains(text).then_some(());
    wait::until(text, RELOAD, has);
}

/// Makes an SQLite database of mailboxes.
fn database(path: &Path, addresses: &[&str]) {
    const SCRIPT: &str = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1])\n\
        db.execute('create table if not exists mailbox (address text primary key)')\n\
        db.executemany('insert into mailbox values (?)', [(a,) for a in sys.argv[2:]])\n\
        db.commit()\n";
    let mut python = Command::new(require("python3", "python3"));
    run(python.args(["-c", SCRIPT]).arg(path).args(addresses));
}

#[test]
fn files_and_sqlite_know_who_exists() {
    let dir = config_dir();
    dir::write(
        &dir.path().join("senders.txt"),
        "ann@ours.test\n@open.test # all of them\n",
    );
    database(
        &dir.path().join("users.db"),
        &["ann@ours.test", "bob@ours.test"],
    );
    let steps = "
[[chain.outbound]]
plugin  = \"verify_sender\"
source  = \"file:senders.txt\"
domains = [\"ours.test\", \"open.test\"]
recipient_delimiter = \"+\"

[[chain.outbound]]
plugin = \"verify_recipient\"
source = \"sqlite:users.db\"
query  = \"select 1 from mailbox where address = ?1\"
negative_ttl = \"1s\"
";
    let guard = Guard::start(dir, steps);
    for from in [
        "ann@ours.test",
        "Ann+x@ours.test",
        "x@open.test",
        "x@elsewhere.test",
        "",
    ] {
        assert_eq!(guard.mail(from), "250 2.1.5 Recipient OK", "{from}");
    }
    let forged = guard.mail("eve@ours.test");
    let want = "550 5.7.1 Reject: your From address eve@ours.test does not exist.";
    assert_eq!(forged, want);
    assert_eq!(guard.rcpt("BOB@ours.test"), "250 2.1.5 Recipient OK");
    for to in ["eve@ours.test", "\"' or '1'='1\"@ours.test", "%@ours.test"] {
        let heard = guard.rcpt(to);
        assert!(heard.starts_with("550 5.1.1 Recipient "), "{to}: {heard}");
    }
    assert_eq!(
        guard.rcpt("eve@elsewhere.test"),
        "550 5.7.1 Relaying denied"
    );
    let mut client = Smtp::hello(guard.server.addr).expect("a greeting");
    let taken = client.send("ann@ours.test", &["bob@ours.test"], MESSAGE);
    assert_eq!(taken.expect("a reply").code, 250);
    assert_eq!(guard.sink.wait_for(1).len(), 1);

    let place = guard.server.dir.path();
    dir::write(&place.join("senders.new"), "eve@ours.test\n");
    std::fs::rename(place.join("senders.new"), place.join("senders.txt")).expect("moved");
    until("eve exists", || guard.mail("eve@ours.test"), "250");
    assert!(guard.mail("ann@ours.test").starts_with("550"));
    database(&place.join("users.db"), &["eve@ours.test"]);
    until("eve has a mailbox", || guard.rcpt("eve@ours.test"), "250");
    std::fs::remove_file(place.join("users.db")).expect("removed");
    let heard = guard.rcpt("carol@ours.test");
    assert!(heard.starts_with("451 4.4.3"), "{heard}");
    logged(&guard.server, "an address of ours does not exist");
    logged(&guard.server, "users.db: No such file");
}
