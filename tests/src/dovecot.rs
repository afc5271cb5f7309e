//! Dovecot with nothing but its quota-status service, over TCP and a Unix socket. All users have
//! ten kilobytes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::proc::{Proc, is_root, require, run};
use crate::{dir, ports};

const START: Duration = Duration::from_secs(30);

/// A running Dovecot; it ends when dropped.
pub struct Dovecot {
    /// The process.
    pub proc: Proc,
    /// Where quota-status answers.
    pub addr: SocketAddr,
    /// Where it answers too.
    pub socket: PathBuf,
    _dir: TempDir,
}

impl Dovecot {
    /// With these users, each with one message of so many octets.
    pub fn start(users: &[(&str, usize)]) -> Self {
        let dovecot = require("dovecot", "dovecot-core");
        let dir = dir::scratch("dovecot");
        let addr = ports::free_addr();
        let mut passwords = String::new();
        for (user, octets) in users {
            passwords.push_str(&format!("{user}:{{PLAIN}}x::::::\n"));
            let cur = dir.path().join("mail").join(user).join("Maildir/cur");
            std::fs::create_dir_all(&cur).expect("made");
            let message = format!("Subject: x\n\n{}", "x".repeat(*octets));
            std::fs::write(cur.join("1.host:2,S"), message).expect("written");
        }
        dir::write(&dir.path().join("users"), &passwords);
        let file = dir::write(&dir.path().join("dovecot.conf"), &config(&dir, addr));
        if is_root() {
            let mail = dir.path().join("mail");
            run(Command::new("chown")
                .args(["-R", "nobody:nogroup"])
                .arg(mail));
        }
        let mut command = Command::new(dovecot);
        command.arg("-F").arg("-c").arg(file);
        let proc = Proc::spawn("dovecot", &mut command, &dir.path().join("out"));
        proc.wait_until("listening", START, || ports::is_open(addr));
        Self {
            proc,
            addr,
            socket: dir.path().join("run/quota"),
            _dir: dir,
        }
    }
}

/// As root, Dovecot reads mail as nobody; else as whoever runs the tests.
fn config(dir: &TempDir, addr: SocketAddr) -> String {
    let dir = dir.path().display();
    let (user, group) = match is_root() {
        true => ("nobody".to_owned(), "nogroup".to_owned()),
        false => (name("-un"), name("-gn")),
    };
    let (ip, port) = (addr.ip(), addr.port());
    format!(
        r#"
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
protocols =
listen = 127.0.0.1
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 0
first_valid_gid = 0
mail_uid = {user}
mail_gid = {group}
mail_home = {dir}/mail/%n
mail_location = maildir:{dir}/mail/%n/Maildir
mail_plugins = quota
passdb {{
  driver = passwd-file
  args = username_format=%n {dir}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {dir}/users
}}
service quota-status {{
  executable = quota-status -p postfix
  client_limit = 1
  inet_listener {{
    address = {ip}
    port = {port}
  }}
  unix_listener quota {{
    mode = 0666
  }}
}}
plugin {{
  quota = maildir:User quota
  quota_rule = *:bytes=10000
  quota_grace = 0
  quota_status_overquota = 552 5.2.2 Mailbox is full
}}
"#
    )
}

/// The user or the group that runs the tests.
fn name(which: &str) -> String {
    run(Command::new("id").arg(which)).trim().to_owned()
}
