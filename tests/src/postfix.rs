//! Debian's Postfix with its default settings, as the next hop or as the system to compare with.
//!
//! Its own configuration, queue and data directory; no DNS; nothing of the machine's own Postfix is
//! touched. Postfix splits a message at a bare LF unless told otherwise, so as a next hop it shows
//! what a relay must never emit.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::proc::{Proc, as_root, require};
use crate::{dir, ports, wait};

/// How long Postfix may take to answer, on a busy machine.
const START: Duration = Duration::from_secs(30);
/// The uid and gid of `nobody` and `nogroup`, who own the delivered messages.
const NOBODY: u32 = 65534;

/// What this Postfix does with mail.
pub enum Role {
    /// Takes mail for every domain and keeps it in one maildir.
    Mailbox,
    /// Queues mail of loopback clients and relays all of it to one address.
    Relay(SocketAddr),
}

/// A running Postfix; it ends, and its files go, when dropped.
pub struct Postfix {
    proc: Option<Proc>,
    addr: SocketAddr,
    dir: TempDir,
}

impl Postfix {
    /// Starts a Postfix that delivers everything into [`Postfix::messages`].
    pub fn mailbox() -> Self {
        Self::start(&Role::Mailbox, "")
    }

    /// Starts a Postfix; `settings` are more lines of main.cf.
    pub fn start(role: &Role, settings: &str) -> Self {
        let postfix = require("postfix", "postfix");
        let dir = dir::scratch("postfix");
        let addr = ports::free_addr();
        configure(dir.path(), addr, role, settings);
        let mut command = as_root(postfix);
        command.arg("-c").arg(dir.path().join("etc"));
        let log = dir.path().join("stdout");
        let proc = Proc::spawn("postfix", command.arg("start-fg"), &log);
        let mut this = Self {
            proc: Some(proc),
            addr,
            dir,
        };
        this.await_banner();
        this
    }

    fn await_banner(&mut self) {
        let addr = self.addr;
        if let Some(proc) = &self.proc {
            proc.wait_until("ready", START, || crate::smtp::greets(addr));
        }
    }

    /// Where it accepts mail.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The id of the process whose descendants are all of this Postfix.
    pub fn pid(&self) -> Option<i32> {
        let file = self.dir.path().join("spool/pid/master.pid");
        fs::read_to_string(file).ok()?.trim().parse().ok()
    }

    /// Everything that was delivered so far, in no order, as Postfix wrote it: its own fields on
    /// top, line ends as LF.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        let maildir = self.dir.path().join("maildir/box/new");
        let Ok(files) = fs::read_dir(maildir) else {
            return Vec::new();
        };
        files
            .filter_map(|file| fs::read(file.ok()?.path()).ok())
            .collect()
    }

    /// Waits until `count` messages were delivered, and gives all that are there then.
    pub fn wait_for(&self, count: usize) -> Vec<Vec<u8>> {
        wait::until("messages in Postfix's maildir", START, || {
            Some(self.messages()).filter(|messages| messages.len() >= count)
        })
    }

    /// What Postfix logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    /// master leads a process group of its own and takes it down when it is told to end.
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = as_root("kill").arg(pid.to_string()).status();
        }
        let ended = || self.proc.as_ref().is_none_or(Proc::has_ended);
        wait::within(START, || ended().then_some(()));
        drop(self.proc.take());
        if std::thread::panicking() {
            eprintln!("--- Postfix's mail log ---\n{}", self.log());
        }
        if !crate::proc::is_root() {
            let _ = as_root("rm").arg("-rf").arg(self.dir.path()).status();
        }
    }
}

fn configure(dir: &Path, addr: SocketAddr, role: &Role, settings: &str) {
    let etc = dir::subdir(dir, "etc");
    dir::subdir(dir, "spool");
    let data = dir::subdir(dir, "data");
    let maildir = dir::subdir(dir, "maildir");
    give(&data, "postfix");
    give(&maildir, "nobody");
    let main = main_cf(dir, role) + settings + "\n";
    dir::write(&etc.join("main.cf"), &main);
    dir::write(&etc.join("master.cf"), &master_cf(addr));
}

fn give(path: &Path, user: &str) -> PathBuf {
    crate::proc::run(as_root("chown").arg(user).arg(path));
    path.to_owned()
}

/// Where things are, that there is no DNS, and whom to serve; all else stays as it is by default.
fn main_cf(dir: &Path, role: &Role) -> String {
    let dir = dir.display();
    let role = match role {
        Role::Mailbox => format!(
            "mynetworks = 127.0.0.0/8\n\
             virtual_mailbox_domains = static:all\n\
             virtual_mailbox_base = {dir}/maildir\n\
             virtual_mailbox_maps = static:box/\n\
             virtual_mailbox_limit = 0\n\
             virtual_uid_maps = static:{NOBODY}\n\
             virtual_gid_maps = static:{NOBODY}\n"
        ),
        Role::Relay(next_hop) => format!(
            "mynetworks = 127.0.0.0/8\n\
             relayhost = [{}]:{}\n",
            next_hop.ip(),
            next_hop.port()
        ),
    };
    format!(
        "compatibility_level = 3.6\n\
         queue_directory = {dir}/spool\n\
         data_directory = {dir}/data\n\
         maillog_file = {dir}/log\n\
         maillog_file_prefixes = {dir}\n\
         myhostname = next.test\n\
         mydestination =\n\
         local_recipient_maps =\n\
         alias_maps =\n\
         inet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\n\
         smtp_dns_support_level = disabled\n\
         smtp_host_lookup = native\n\
         smtpd_peername_lookup = no\n\
         {role}"
    )
}

/// Debian's services without their chroot, for which a private queue directory has no files.
fn master_cf(addr: SocketAddr) -> String {
    const SERVICES: &str = "\
        pickup unix n - n 60 1 pickup\n\
        cleanup unix n - n - 0 cleanup\n\
        qmgr unix n - n 300 1 qmgr\n\
        tlsmgr unix - - n 1000? 1 tlsmgr\n\
        rewrite unix - - n - - trivial-rewrite\n\
        bounce unix - - n - 0 bounce\n\
        defer unix - - n - 0 bounce\n\
        trace unix - - n - 0 bounce\n\
        verify unix - - n - 1 verify\n\
        flush unix n - n 1000? 0 flush\n\
        proxymap unix - - n - - proxymap\n\
        proxywrite unix - - n - 1 proxymap\n\
        smtp unix - - n - - smtp\n\
        relay unix - - n - - smtp\n\
        showq unix n - n - - showq\n\
        error unix - - n - - error\n\
        retry unix - - n - - error\n\
        discard unix - - n - - discard\n\
        local unix - n n - - local\n\
        virtual unix - n n - - virtual\n\
        lmtp unix - - n - - lmtp\n\
        anvil unix - - n - 1 anvil\n\
        scache unix - - n - 1 scache\n\
        postlog unix-dgram n - n - 1 postlogd\n";
    format!("{addr} inet n - n - - smtpd\n{SERVICES}")
}
