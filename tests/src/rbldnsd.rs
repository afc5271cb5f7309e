//! rbldnsd, which serves lists as those that are asked in DNS are served.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::proc::{Proc, is_root, require};
use crate::{dir, ports, wait};

const START: Duration = Duration::from_secs(10);
/// What every file begins with: negative answers are kept for a while, too.
const HEAD: &str = "$SOA 600 ns.test. h.test. 1 600 600 600 600\n$NS 600 ns.test.\n$TTL 600\n";

/// A running rbldnsd; it ends when dropped.
pub struct Rbldnsd {
    proc: Proc,
    addr: SocketAddr,
    dir: TempDir,
}

impl Rbldnsd {
    /// Serves each `(zone, type, lines)`, all of one zone together.
    pub fn start(sets: &[(&str, &str, &str)]) -> Self {
        let rbldnsd = require("rbldnsd", "rbldnsd");
        let dir = dir::scratch("rbldnsd");
        let addr = ports::free_addr();
        let mut command = Command::new(rbldnsd);
        command
            .args(["-n", "-t", "600", "-c", "0"])
            .arg(format!("-b{}/{}", addr.ip(), addr.port()))
            .arg("-w")
            .arg(dir.path());
        if is_root() {
            command.arg("-unobody");
        }
        for (zone, kind, lines) in sets {
            let file = file(zone, kind);
            dir::write(&dir.path().join(&file), &format!("{HEAD}{lines}\n"));
            command.arg(format!("{zone}:{kind}:{}", file.display()));
        }
        let proc = Proc::spawn("rbldnsd", &mut command, &dir.path().join("log"));
        proc.wait_until("ready", START, || proc.log().contains("started"));
        Self { proc, addr, dir }
    }

    /// Replaces what it lists, while it runs.
    pub fn rewrite(&self, zone: &str, kind: &str, lines: &str) {
        let loaded = |log: String| log.matches("zones reloaded").count();
        let before = loaded(self.proc.log());
        let file = self.dir.path().join(file(zone, kind));
        // It reads a file again if its time is another, in whole seconds.
        let age = |file: &PathBuf| std::fs::metadata(file)?.modified();
        let later = age(&file).expect("a file of ours") + Duration::from_secs(2);
        dir::write(&file, &format!("{HEAD}{lines}\n"));
        let written = std::fs::File::options().write(true).open(&file);
        let aged = written.and_then(|file| file.set_modified(later));
        aged.expect("a file of ours");
        self.proc.signal(Signal::HUP);
        wait::until("reloaded", START, || {
            (loaded(self.proc.log()) > before).then_some(())
        });
    }

    /// Makes it hang.
    pub fn freeze(&self) {
        self.proc.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.proc.signal(Signal::CONT);
    }

    /// Where it answers.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Rbldnsd {
    /// A frozen process cannot end in peace.
    fn drop(&mut self) {
        self.proc.kill();
    }
}

fn file(zone: &str, kind: &str) -> PathBuf {
    format!("{zone}.{kind}").into()
}
