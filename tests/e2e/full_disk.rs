//! A full disk: the client hears 452 and keeps its message, nothing that was acknowledged is lost,
//! and the server recovers by itself once there is room.
//!
//! The server gets a small file system of its own: a tmpfs in a mount namespace, which ends with
//! it. That needs root, or user namespaces that anybody may make.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::next_hop::{NextHop, Taken};
use posthouse_tests::posthouse::{Outbound, binary, config_dir, spawn};
use posthouse_tests::proc::{Proc, require, run};
use posthouse_tests::smtp::{Heard, Smtp};
use posthouse_tests::wait;
use tempfile::TempDir;

const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
/// Octets of the file system.
const DISK: u64 = 32 << 20;
/// Octets that the server is told to keep free.
const MIN_FREE: u64 = 8 << 20;
/// How long the server may take to notice that there is room again.
const SOON: Duration = Duration::from_secs(60);

/// A server on a small disk.
struct Small {
    server: Proc,
    dir: TempDir,
    outbound: Outbound,
    delivered: Arc<AtomicUsize>,
    _dns: Dns,
}

impl Small {
    fn start(min_free: u64) -> Self {
        let delivered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&delivered);
        let see = move |_: &Taken<'_>| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let next_hop = NextHop::start(0, see).expect("a port");
        let dns = Dns::start("");
        let mut outbound = Outbound::new(next_hop.addr(), dns.addr());
        outbound.store = format!("min_free = {min_free}");
        let dir = config_dir();
        let state = posthouse_tests::dir::subdir(dir.path(), "state");
        let command = on_small_disk(&state);
        let server = spawn(dir.path(), &outbound.toml(), outbound.smtp, command);
        Self {
            server,
            dir,
            outbound,
            delivered,
            _dns: dns,
        }
    }

    /// The state directory, as the server sees it.
    fn state(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.server.pid()));
        let state = self.dir.path().join("state");
        root.join(state.strip_prefix("/").expect("an absolute path"))
    }

    /// Runs a command of the program's in the server's namespaces.
    fn command(&self, args: &[&str]) -> String {
        let mut enter = Command::new(require("nsenter", "util-linux"));
        enter.arg(format!("--target={}", self.server.pid()));
        enter.args(Namespace::at_hand().enter());
        let config = self.dir.path().join("posthouse.toml");
        run(enter.arg(binary()).arg("--config").arg(config).args(args))
    }

    /// One message of 100 KB over a session of its own.
    fn send(&self, from: &str, to: &str, number: usize) -> Heard {
        let mut client = Smtp::hello(self.outbound.smtp).expect("a greeting");
        let body = "A line of a message that takes room.\r\n".repeat(2_700);
        let message = format!("Subject: full {number}\r\n\r\n{GTUBE}{body}");
        client
            .send(from, &[to], message.as_bytes())
            .expect("a reply")
    }

    /// A message that is held silently.
    fn hold(&self, number: usize) -> Heard {
        self.send("eve@strange.test", "bob@filtered.test", number)
    }

    fn held(&self) -> Vec<String> {
        let list = self.command(&["held", "list", "--limit", "100000", "--json"]);
        let items: Vec<serde_json::Value> = serde_json::from_str(&list).expect("JSON");
        items
            .iter()
            .map(|item| item["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    /// A clean message is accepted and delivered.
    fn recovers(&self) {
        wait::until("room", SOON, || {
            (self.send("eve@strange.test", "bob@far.test", 0).code == 250).then_some(())
        });
        wait::until("delivery", SOON, || {
            (self.delivered.load(Ordering::Relaxed) > 0).then_some(())
        });
    }
}

/// The program, with a tmpfs over its state directory.
fn on_small_disk(state: &Path) -> Command {
    let mount = format!("mount -t tmpfs -o size={DISK} tmpfs \"$0\" && exec \"$@\"");
    let mut command = Command::new(require("unshare", "util-linux"));
    command.args(Namespace::at_hand().make());
    command.args(["sh", "-c", &mount]).arg(state).arg(binary());
    command
}

/// How a mount namespace is made here.
#[derive(Clone, Copy)]
enum Namespace {
    /// By root.
    Mount,
    /// By anybody, within a user namespace.
    UserAndMount,
}

impl Namespace {
    /// The one that this machine lets us make.
    fn at_hand() -> Self {
        let works = |namespace: &Self| {
            let mut command = Command::new(require("unshare", "util-linux"));
            let output = command.args(namespace.make()).arg("true").output();
            output.is_ok_and(|output| output.status.success())
        };
        [Self::Mount, Self::UserAndMount]
            .into_iter()
            .find(works)
            .expect("root, or a kernel that lets users make namespaces")
    }

    fn make(self) -> &'static [&'static str] {
        match self {
            Self::Mount => &["--mount"],
            Self::UserAndMount => &["--mount", "--map-root-user"],
        }
    }

    fn enter(self) -> &'static [&'static str] {
        match self {
            Self::Mount => &["--mount"],
            Self::UserAndMount => &["--mount", "--user", "--preserve-credentials"],
        }
    }
}

/// Holds messages until one is refused; how many were acknowledged, and the refusal.
fn fill(small: &Small) -> (usize, Heard) {
    for number in 0.. {
        let heard = small.hold(number);
        if heard.code != 250 {
            return (number, heard);
        }
        assert!(
            number < 1_000,
            "a disk of {DISK} octets takes no end of mail"
        );
    }
    unreachable!("an endless loop");
}

#[test]
fn mail_is_refused_early_and_taken_again() {
    let small = Small::start(MIN_FREE);
    let (acknowledged, heard) = fill(&small);
    assert_eq!(heard.code, 452, "{heard:?}");
    assert!(heard.text.starts_with("4.3.1 "), "{heard:?}");
    let held = small.held();
    assert_eq!(held.len(), acknowledged);
    for id in held {
        small.command(&["held", "discard", &id]);
    }
    small.recovers();
}

#[test]
fn a_disk_that_is_really_full_loses_nothing() {
    let small = Small::start(0);
    assert_eq!(small.hold(0).code, 250);
    let ballast = small.state().join("ballast");
    let filled = std::io::copy(
        &mut std::io::repeat(0),
        &mut std::fs::File::create(&ballast).expect("room for a file"),
    );
    filled.expect_err("a full disk");
    let heard = small.hold(1);
    assert!(matches!(heard.code, 451 | 452), "{heard:?}");
    assert_eq!(small.held().len(), 1);
    std::fs::remove_file(ballast).expect("a file of ours");
    small.recovers();
}
