//! Reads what strace wrote. With several threads a call may begin on one line and end on another.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// One system call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Name and arguments, as strace shows them.
    pub(super) text: String,
    /// The line on which it began.
    pub(super) begun: usize,
    /// The line on which it returned; beyond all lines if it never did.
    pub(super) ended: usize,
}

impl Call {
    fn is_one_of(&self, names: &[&str]) -> bool {
        let name = self.text.split('(').next().unwrap_or_default();
        names.contains(&name)
    }

    pub(super) fn syncs(&self) -> bool {
        self.is_one_of(&["fsync", "fdatasync"])
    }

    pub(super) fn writes(&self) -> bool {
        self.is_one_of(&["pwrite64", "pwritev", "write", "writev"])
    }

    pub(super) fn sends(&self) -> bool {
        self.text.contains("<TCP:") && !self.syncs()
    }
}

/// The calls of a trace, in the order in which they began. A call that failed counts as one that
/// never returned.
pub(super) fn calls(trace: &Path) -> Vec<Call> {
    let text = fs::read(trace).expect("strace wrote a trace");
    let text = String::from_utf8_lossy(&text);
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: HashMap<&str, usize> = HashMap::new();
    for (at, line) in text.lines().enumerate() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if call.starts_with("<...") {
            if let Some(open) = unfinished.remove(thread).filter(|_| succeeded(call)) {
                calls[open].ended = at;
            }
            continue;
        }
        let is_open = call.ends_with("<unfinished ...>");
        if is_open {
            unfinished.insert(thread, calls.len());
        }
        let ended = if is_open || !succeeded(call) {
            usize::MAX
        } else {
            at
        };
        let text = call.to_owned();
        let begun = at;
        calls.push(Call { text, begun, ended });
    }
    calls
}

fn succeeded(call: &str) -> bool {
    call.rsplit_once("= ")
        .is_some_and(|(_, result)| !result.starts_with('-'))
}
