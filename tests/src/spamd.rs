//! SpamAssassin's spamd with the rules that Debian ships, without network tests.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::proc::{Proc, is_root, require};
use crate::{dir, ports};

/// How long spamd may take to compile its rules, on a busy machine.
const START: Duration = Duration::from_secs(90);

/// A running spamd; it ends when dropped.
pub struct Spamd {
    proc: Proc,
    addr: SocketAddr,
    dir: TempDir,
}

impl Spamd {
    /// Starts spamd with one child on a free port.
    pub fn start() -> Self {
        Self::with(|_, _| {})
    }

    /// Starts one that may be told what is spam and what is not, with an empty memory.
    pub fn learning() -> Self {
        Self::with(|command, dir| {
            let memory = dir::subdir(dir, "bayes");
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            std::fs::set_permissions(&memory, open).expect("a directory of ours");
            command
                .args(["--allow-tell", "--cf=bayes_auto_learn 0"])
                .arg(format!("--cf=bayes_path {}/bayes", memory.display()));
        })
    }

    fn with(change: impl FnOnce(&mut Command, &Path)) -> Self {
        let spamd = require("spamd", "spamd");
        let dir = dir::scratch("spamd");
        let addr = ports::free_addr();
        let mut command = Command::new(spamd);
        command
            .args(["--local", "--nouser-config", "--syslog=stderr"])
            .args(["--max-children=1", "--min-children=1", "--max-spare=1"])
            .arg(format!("--listen={addr}"))
            .arg(format!("--helper-home-dir={}", dir.path().display()))
            .arg(format!("--pidfile={}", dir.path().join("pid").display()));
        if is_root() {
            command.arg("--username=nobody");
        }
        change(&mut command, dir.path());
        let proc = Proc::spawn("spamd", &mut command, &dir.path().join("log"));
        proc.wait_until("ready", START, || ponged(addr));
        Self { proc, addr, dir }
    }

    /// How many messages it has learned as spam, and how many as none.
    pub fn learned(&self) -> (u64, u64) {
        let memory = self.dir.path().join("bayes/bayes");
        let mut dump = Command::new(require("sa-learn", "spamassassin"));
        dump.args(["--dump", "magic", "--dbpath"]).arg(memory);
        let text = dump.output().expect("it starts").stdout;
        let text = String::from_utf8_lossy(&text).into_owned();
        let count = |name: &str| {
            let line = text.lines().find(|line| line.ends_with(name))?;
            line.split_ascii_whitespace().nth(2)?.parse().ok()
        };
        (count("nspam").unwrap_or(0), count("nham").unwrap_or(0))
    }

    /// Where it scans.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Makes it hang: it still takes connections, and answers none.
    pub fn freeze(&self) {
        self.proc.signal_group(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.proc.signal_group(Signal::CONT);
    }
}

impl Drop for Spamd {
    /// It has nothing to save, and a frozen process cannot end in peace.
    fn drop(&mut self) {
        self.proc.kill();
    }
}

fn ponged(addr: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"PING SPAMC/1.2\r\n\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    };
    ask().is_ok_and(|said| said.contains("PONG"))
}
