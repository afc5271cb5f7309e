//! The program itself, as it was built beside the tests.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::proc::Proc;
use crate::{dir, ports, smtp};

/// How long the server may take to listen, on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A running server; it ends when dropped.
pub struct Posthouse {
    /// The process.
    pub proc: Proc,
    /// Where its first listener answers.
    pub addr: SocketAddr,
    /// Its configuration file and, by [`config_dir`], its state.
    pub dir: TempDir,
}

impl Posthouse {
    /// Starts `posthouse serve` with this configuration in `dir`, and waits until it greets at
    /// `addr`, which must be the address of a listener in it.
    pub fn start(dir: TempDir, config: &str, addr: SocketAddr) -> Self {
        let proc = spawn(dir.path(), config, addr, Command::new(binary()));
        Self { proc, addr, dir }
    }

    /// The same configuration and state again, after an end or a crash.
    pub fn restart(self, config: &str) -> Self {
        let Self { proc, addr, dir } = self;
        proc.stop();
        Self::start(dir, config, addr)
    }

    /// A crash: SIGKILL, then the same configuration and state again.
    pub fn crash(self, config: &str) -> Self {
        let Self {
            mut proc,
            addr,
            dir,
        } = self;
        proc.kill();
        Self::start(dir, config, addr)
    }

    /// The path of the configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("posthouse.toml")
    }
}

/// Starts `command serve --config …`: the command is the program, or a tracer that runs it.
pub fn spawn(dir: &Path, config: &str, addr: SocketAddr, mut command: Command) -> Proc {
    let file = dir::write(&dir.join("posthouse.toml"), config);
    command.arg("serve").arg("--config").arg(file);
    let proc = Proc::spawn("posthouse", &mut command, &dir.join("posthouse.log"));
    proc.wait_until("ready", START, || smtp::greets(addr));
    proc
}

/// The whole outbound chain as small as it can be: clients on loopback may relay, what the `gtube`
/// scanner calls spam meets the quarantine, and everything else goes to one next hop.
pub struct Outbound {
    /// Where clients connect.
    pub smtp: SocketAddr,
    /// Where the pages are.
    pub web: SocketAddr,
    /// Where mail goes.
    pub next_hop: SocketAddr,
    /// Who answers for SPF and MX.
    pub dns: SocketAddr,
    /// Keys that a test adds to `[relay]`.
    pub relay: String,
    /// Keys that a test adds to `[store]`.
    pub store: String,
    /// Sections that a test adds.
    pub more: String,
}

impl Outbound {
    /// On free ports.
    pub fn new(next_hop: SocketAddr, dns: SocketAddr) -> Self {
        Self {
            smtp: ports::free_addr(),
            web: ports::free_addr(),
            next_hop,
            dns,
            relay: String::new(),
            store: String::new(),
            more: String::new(),
        }
    }

    /// The configuration. Mail from `ours.test` is vouched for; `filtered.test` is filtered.
    pub fn toml(&self) -> String {
        let Self {
            smtp,
            web,
            next_hop,
            dns,
            relay,
            store,
            more,
        } = self;
        format!(
            r#"
hostname     = "out.test"
state        = "state"
our_domains  = ["ours.test"]
our_networks = ["127.0.0.0/8"]

[[listener]]
address = ["{smtp}"]
chain   = "outbound"

[[chain.outbound]]
plugin   = "relay_clients"
networks = ["127.0.0.0/8"]

[[chain.outbound]]
plugin           = "quarantine"
scan             = "spam"
filtered_domains = ["filtered.test"]

[[chain.spam]]
plugin = "gtube"

[letters]
from = "quarantine@ours.test"

[limits]
sessions_per_client = 1000

[relay]
route = [{{ domain = "*", next_hop = "smtp://{next_hop}" }}]
{relay}

[web]
address = "{web}"
url     = "http://{web}"

[dns]
servers = ["{dns}"]

[store]
{store}

{more}
"#
        )
    }
}

/// A directory for a configuration and the state that it names.
pub fn config_dir() -> TempDir {
    dir::scratch("server")
}

/// A command of the program's, such as `held list --json`.
pub fn command(config: &Path) -> Command {
    let mut command = Command::new(binary());
    command.arg("--config").arg(config);
    command
}

/// The program: `POSTHOUSE_BIN`, or the one that cargo built into the directory of the tests.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("POSTHOUSE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let built = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("posthouse"))
        .find(|file| file.is_file());
    built.unwrap_or_else(|| {
        panic!("there is no `posthouse` beside the tests: run `cargo build -p posthouse` (./check does)")
    })
}
