//! The systems that are measured: each started afresh for every measurement, relaying to the sink.

use std::any::Any;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use posthouse_tests::dns::Dns;
use posthouse_tests::postfix::{Postfix, Role};
use posthouse_tests::posthouse::{Outbound, config_dir, spawn};
use posthouse_tests::proc::Proc;

use crate::inbound::{self, Checks};

/// The senders' domain, as Posthouse's SPF check sees it.
const ZONE: &str = "ours.test. TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\n\
    ours.test. MX 10 mail.ours.test.\nmail.ours.test. A 127.0.0.1\n";

/// A system to be measured.
pub(crate) enum System {
    /// This program, with the whole outbound chain: quarantine, scan, relay.
    Posthouse(PathBuf),
    /// This program on the way in.
    Inbound(PathBuf, Checks),
    /// Debian's Postfix with its default settings.
    Postfix,
    /// A server that somebody else has started and set up to relay to the sink.
    Other {
        /// Where it accepts mail.
        addr: SocketAddr,
        /// The process whose descendants are all of it.
        pid: Option<i32>,
    },
}

/// A system that runs; it ends when dropped.
pub(crate) struct Running {
    /// Where it accepts mail.
    pub(crate) addr: SocketAddr,
    /// The process whose descendants are all of it.
    pub(crate) pid: Option<i32>,
    _guard: Box<dyn Any>,
}

impl Running {
    /// A process that serves there, and what it needs.
    pub(crate) fn new(addr: SocketAddr, proc: Proc, needs: impl Any) -> Self {
        Self {
            addr,
            pid: Some(proc.pid().as_raw_nonzero().get()),
            _guard: Box::new((proc, needs)),
        }
    }
}

impl System {
    /// Its name in the report.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Posthouse(_) => "posthouse".to_owned(),
            Self::Inbound(_, Checks::None) => "inbound, no checks".to_owned(),
            Self::Inbound(_, Checks::All) => "inbound".to_owned(),
            Self::Postfix => "postfix".to_owned(),
            Self::Other { addr, .. } => addr.to_string(),
        }
    }

    /// Starts it, with `sink` as its next hop.
    pub(crate) fn start(&self, sink: SocketAddr) -> Running {
        match self {
            Self::Posthouse(binary) => posthouse(binary, sink),
            Self::Inbound(binary, checks) => inbound::start(binary, *checks, sink),
            Self::Postfix => postfix(sink),
            Self::Other { addr, pid } => Running {
                addr: *addr,
                pid: *pid,
                _guard: Box::new(()),
            },
        }
    }
}

fn posthouse(binary: &Path, sink: SocketAddr) -> Running {
    let dns = Dns::start(ZONE);
    let outbound = Outbound::new(sink, dns.addr());
    let dir = config_dir();
    let command = Command::new(binary);
    let proc = spawn(dir.path(), &outbound.toml(), outbound.smtp, command);
    Running::new(outbound.smtp, proc, (dir, dns))
}

fn postfix(sink: SocketAddr) -> Running {
    let postfix = Postfix::start(&Role::Relay(sink), "");
    Running {
        addr: postfix.addr(),
        pid: postfix.pid(),
        _guard: Box::new(postfix),
    }
}
