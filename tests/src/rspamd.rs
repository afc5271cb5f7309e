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

/// The controller's password.
pub const PASSWORD: &str = "geheim";

/// A running rspamd; it ends when dropped.
pub struct Rspamd {
    proc: Proc,
    addr: SocketAddr,
    controller: SocketAddr,
    _dns: Dns,
    _dir: TempDir,
}

impl Rspamd {
    /// Starts rspamd with one scanning worker on a free port; `zone` is all that its DNS knows.
    pub fn start(zone: &str) -> Self {
        let rspamd = require("rspamd", "rspamd");
        let dir = dir::scratch("rspamd");
        let addr = ports::free_addr();
        let controller = ports::free_addr();
        let dns = Dns::start(zone);
        configure(dir.path(), addr, controller, dns.addr());
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
        proc.wait_until("ready", START, || ponged(addr) && ponged(controller));
        Self {
            proc,
            addr,
            controller,
            _dns: dns,
            _dir: dir,
        }
    }

    /// Where it scans.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it takes lessons.
    pub fn controller(&self) -> SocketAddr {
        self.controller
    }

    /// How many lessons it took.
    pub fn learned(&self) -> u64 {
        let mut stream = TcpStream::connect(self.controller).expect("a controller");
        let request = format!("GET /stat HTTP/1.0\r\nPassword: {PASSWORD}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("a reader");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("an answer");
        let json = said.split_once("\r\n\r\n").expect("a body").1;
        let stat: serde_json::Value = serde_json::from_str(json).expect("JSON");
        stat["learned"].as_u64().expect("a count")
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

fn configure(dir: &Path, addr: SocketAddr, controller: SocketAddr, dns: SocketAddr) {
    let local = dir::subdir(dir, "local.d");
    let above = dir::subdir(dir, "override.d");
    let put = |file: &str, text: &str| dir::write(&above.join(file), text);
    put(
        "worker-controller.inc",
        &format!(
            "bind_socket = \"{controller}\";\ncount = 1;\nsecure_ip = \"192.0.2.1\";\n\
             password = \"{PASSWORD}\";\nenable_password = \"{PASSWORD}\";\n"
        ),
    );
    put("classifier-bayes.conf", &memory(dir));
    let set = |file: &str, text: &str| dir::write(&local.join(file), text);
    set(
        "worker-normal.inc",
        &format!("bind_socket = \"{addr}\";\ncount = 1;\n"),
    );
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

/// What it learns is kept in files, for there is no Redis.
fn memory(dir: &Path) -> String {
    let file = |symbol: &str, spam: bool| {
        let path = dir.join(format!("{symbol}.sqlite"));
        let path = path.display();
        format!("statfile {{ symbol = \"{symbol}\"; spam = {spam}; path = \"{path}\"; }}\n")
    };
    let cache = dir.join("cache.sqlite");
    format!(
        "backend = \"sqlite3\";\nnew_schema = false;\n\
         cache {{ type = \"sqlite3\"; path = \"{}\"; }}\n{}{}",
        cache.display(),
        file("BAYES_HAM", false),
        file("BAYES_SPAM", true)
    )
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
