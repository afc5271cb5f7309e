//! What a process and all of its descendants cost: CPU time, and anonymous memory at its peak.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often memory is looked at.
const POLL: Duration = Duration::from_millis(50);

/// One line of /proc/PID/stat, as far as it matters.
struct Stat {
    parent: i32,
    ticks: u64,
}

/// The process and its descendants that live now.
fn members(root: i32) -> Vec<(i32, Stat)> {
    let mut all: HashMap<i32, Stat> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect();
    let mut found: Vec<(i32, Stat)> = all.remove_entry(&root).into_iter().collect();
    let mut next = 0;
    while next < found.len() {
        let parent = found[next].0;
        found.extend(all.extract_if(|_, stat| stat.parent == parent));
        next += 1;
    }
    found
}

/// Its own time and that of the children that it has waited for (proc_pid_stat(5), 14 to 17).
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: (11..=14).filter_map(number).sum(),
    })
}

/// CPU seconds, user and system, that the tree has used since it began.
pub(crate) fn cpu_seconds(root: i32) -> f64 {
    let ticks: u64 = members(root).iter().map(|(_, stat)| stat.ticks).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Anonymous resident octets of the tree now; pages that a fork shares count for each.
fn anonymous(root: i32) -> u64 {
    let of = |(pid, _): &(i32, Stat)| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    };
    members(root).iter().filter_map(of).sum::<u64>() * 1024
}

/// Watches the memory of a tree until it is asked.
pub(crate) struct Watch {
    done: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Begins.
    pub(crate) fn start(root: i32) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let peak = Arc::new(AtomicU64::new(0));
        let (end, most) = (Arc::clone(&done), Arc::clone(&peak));
        let thread = std::thread::spawn(move || {
            while !end.load(Relaxed) {
                most.fetch_max(anonymous(root), Relaxed);
                std::thread::sleep(POLL);
            }
        });
        Self { done, peak, thread }
    }

    /// The most octets that were seen.
    pub(crate) fn stop(self) -> u64 {
        self.done.store(true, Relaxed);
        let _ = self.thread.join();
        self.peak.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_that_ended_are_counted() {
        let own = i32::try_from(std::process::id()).expect("a process id");
        let before = cpu_seconds(own);
        let mut child = std::process::Command::new("sh");
        child.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]);
        assert!(child.status().expect("sh runs").success());
        assert!(cpu_seconds(own) - before > 0.02);
        assert!(anonymous(own) > 0);
    }
}
