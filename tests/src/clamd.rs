//! ClamAV's clamd with a few signatures of our own: no database is ever fetched.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::proc::{Proc, require};
use crate::{dir, ports};

/// How long clamd may take to be ready, on a busy machine.
const START: Duration = Duration::from_secs(60);
/// EICAR's test file, for which every scanner has a signature.
pub const EICAR: &str = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";
/// Words that are a virus wherever they stand.
pub const WORDS: &str = "these words are a virus of the tests";
/// Whole files, by MD5 and length: EICAR's, and the one inside each of clamav-testfiles.
const FILES: &str = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n\
    aa15bcf478d165efd2065190eb473bcb:544:ClamAV-Test-File\n";

/// A running clamd; it ends when dropped.
pub struct Clamd {
    proc: Proc,
    addr: SocketAddr,
    dir: TempDir,
}

impl Clamd {
    /// Starts one that listens on a free port and on a socket.
    pub fn start() -> Self {
        Self::with("")
    }

    /// The same, with more lines in its configuration, which win over ours.
    pub fn with(more: &str) -> Self {
        let dir = dir::scratch("clamd");
        let addr = ports::free_addr();
        let database = dir::subdir(dir.path(), "database");
        dir::write(&database.join("files.hdb"), FILES);
        let words: String = WORDS.bytes().map(|octet| format!("{octet:02x}")).collect();
        dir::write(
            &database.join("words.ndb"),
            &format!("Own.Words:0:*:{words}\n"),
        );
        let config = more.to_owned() + &config(dir.path(), addr);
        dir::write(&dir.path().join("clamd.conf"), &config);
        let proc = run(dir.path(), addr);
        Self { proc, addr, dir }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Makes it hang: it still takes connections, and answers none.
    pub fn freeze(&self) {
        self.proc.signal_group(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.proc.signal_group(Signal::CONT);
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.proc.kill();
    }

    /// The same one again, in the same places.
    pub fn revive(&mut self) {
        self.proc = run(self.dir.path(), self.addr);
    }
}

impl Drop for Clamd {
    /// It has nothing to save, and a frozen process cannot end in peace.
    fn drop(&mut self) {
        self.proc.kill();
    }
}

fn config(dir: &Path, addr: SocketAddr) -> String {
    let (dir, ip, port) = (dir.display(), addr.ip(), addr.port());
    format!(
        "Foreground yes\nDatabaseDirectory {dir}/database\nTemporaryDirectory {dir}\n\
         LocalSocket {dir}/socket\nFixStaleSocket yes\nTCPSocket {port}\nTCPAddr {ip}\n\
         MaxThreads 4\nStreamMaxLength 25M\nAlertEncrypted yes\nAlertExceedsMax yes\n"
    )
}

fn run(dir: &Path, addr: SocketAddr) -> Proc {
    let mut command = Command::new(require("clamd", "clamav-daemon"));
    command.arg("--config-file").arg(dir.join("clamd.conf"));
    let proc = Proc::spawn("clamd", &mut command, &dir.join("log"));
    proc.wait_until("ready", START, || ponged(addr));
    proc
}

fn ponged(addr: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"zPING\0")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    };
    ask().is_ok_and(|said| said == "PONG\0")
}
