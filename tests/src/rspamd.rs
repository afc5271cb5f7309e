//! rspamd with the rules that Debian ships, without Redis; its DNS is one of ours, so no lookup
//! leaves the machine or waits.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::dns::Dns;
use crate::proc::{Proc, is_root, require, run};
use crate::{dir, ports};

/// How long rspamd may take to compile its rules: six seconds on a quiet machine.
const START: Duration = Duration::from_secs(120);

/// A running rspamd; it ends when dropped.
pub struct Rspamd {
    proc: Proc,
    addr: SocketAddr,
    _dns: Dns,
    _dir: TempDir,
}

impl Rspamd {
    /// Starts rspamd with one scanning worker on a free port; `zone` is all that its DNS knows.
    pub fn start(zone: &str) -> Self {
        let rspamd = require("rspamd", "rspamd");
        let dir = dir::scratch("rspamd");
        let addr = ports::free_addr();
        let dns = Dns::start(zone);
        configure(dir.path(), addr, dns.addr());
        let mut command = Command::new(rspamd);
        command.arg("-f");
        if is_root() {
            command.args(["-u", "_rspamd", "-g", "_rspamd"]);
        } else {
            command.arg("-i");
        }
        for name in ["DBDIR", "RUNDIR", "LOGDIR", "LOCAL_CONFDIR"] {
            command.arg(format!("--var={name}={}", dir.path().display()));
        }
        let proc = Proc::spawn("rspamd", &mut command, &dir.path().join("log"));
        proc.wait_until("ready", START, || ponged(addr));
        Self {
            proc,
            addr,
            _dns: dns,
            _dir: dir,
        }
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

impl Drop for Rspamd {
    /// It has nothing to save, and a frozen process cannot end in peace.
    fn drop(&mut self) {
        self.proc.kill();
    }
}

fn configure(dir: &Path, addr: SocketAddr, dns: SocketAddr) {
    let local = dir::subdir(dir, "local.d");
    let set = |file: &str, text: &str| dir::write(&local.join(file), text);
    set(
        "worker-normal.inc",
        &format!("bind_socket = \"{addr}\";\ncount = 1;\n"),
    );
    set("worker-controller.inc", "enabled = false;\n");
    set("worker-proxy.inc", "enabled = false;\n");
    set(
        "options.inc",
        &format!(
            "dns {{ nameserver = [\"{}:{}\"]; }}\n",
            dns.ip(),
            dns.port()
        ),
    );
    if is_root() {
        run(Command::new("chown").args(["-R", "_rspamd"]).arg(dir));
    }
}

fn ponged(addr: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /ping HTTP/1.0\r\n\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    };
    ask().is_ok_and(|said| said.contains("pong"))
}
