//! A server as a child process: in a process group of its own, its words in a log, stopped by its
//! id when the guard is dropped, its log shown when the test fails.
//!
//! Nothing here ever looks for processes by name.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use crate::wait;

/// How long a server may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// How long a line may take to be in the log.
const LOG_LIMIT: Duration = Duration::from_secs(10);
/// How much of a log is shown when a test fails, in octets.
const SHOWN: usize = 8_000;

/// A running server.
pub struct Proc {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Proc {
    /// Starts the command with both of its outputs in `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let out = File::create(log).expect("the log can be written");
        let err = out.try_clone().expect("a file of our own");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        }
    }

    /// The process id, which is the id of its process group too.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to the process itself.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// Sends a signal to the process and all of its children that stayed in its group.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// Waits until `ready` says so. Panics, with the log, if the process ends or `limit` passes.
    pub fn wait_until(&self, what: &str, limit: Duration, mut ready: impl FnMut() -> bool) {
        let seen = wait::within(limit, || match (ready(), self.has_ended()) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        });
        if seen != Some(true) {
            let (name, log) = (&self.name, self.shown());
            panic!("{name}: ended, or was not {what} within {limit:?}\n{log}");
        }
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&self) -> bool {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.pid()), how), Ok(None))
    }

    /// Asks the process to end and returns its exit code; `None` if a signal had to do it.
    pub fn stop(mut self) -> Option<i32> {
        self.end(Signal::TERM)
    }

    /// Ends the process and its group at once, as a crash would.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// What the server has written, once that text is in it: lines are written a moment after what
    /// they tell of.
    pub fn log_with(&self, text: &str) -> String {
        let has = || Some(self.log()).filter(|log| log.contains(text));
        wait::within(LOG_LIMIT, has).unwrap_or_else(|| panic!("no `{text}`\n{}", self.shown()))
    }

    /// What the server has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The process is waited for last: until then its id cannot be another's.
    fn end(&mut self, signal: Signal) -> Option<i32> {
        if !self.has_ended() {
            let _ = kill_process(self.pid(), signal);
            wait::within(GRACE, || self.has_ended().then_some(()));
        }
        let _ = kill_process_group(self.pid(), Signal::KILL);
        self.child.wait().ok().and_then(|status| status.code())
    }

    fn shown(&self) -> String {
        let log = self.log();
        let from = log.len().saturating_sub(SHOWN);
        let from = (from..=log.len())
            .find(|at| log.is_char_boundary(*at))
            .unwrap_or_default();
        format!("--- log of {} ---\n{}\n---", self.name, &log[from..])
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        self.end(Signal::TERM);
        if std::thread::panicking() {
            eprintln!("{}", self.shown());
        }
    }
}

/// The path of a command, or a panic that says which Debian package has it.
pub fn require(command: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|dir| dir.join(command))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!(
                "`{command}` was not found: install the Debian package `{package}` (./check does)"
            )
        })
}

/// A command that runs as root: directly if we are root, else through sudo without a password.
pub fn as_root(program: impl AsRef<OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-n").arg(program);
    command
}

/// Whether we are root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a command to its end; panics with its output if it fails.
pub fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{said}");
    said
}
