//! One measurement: a system, a shape of load, and what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::load::{Sent, Shape, send};
use crate::sink::Sink;
use crate::system::System;
use crate::tally::{Faults, Tally};
use crate::tree::{Watch, cpu_seconds};

/// How long nothing may arrive before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a doubled message may be late.
const LINGER: Duration = Duration::from_millis(300);
/// Messages sent before anything is measured, so that every process and cache is there.
const WARM_UP: usize = 200;

/// The figures of one measurement.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Figures {
    /// Messages that the system accepted.
    pub(crate) accepted: usize,
    /// Messages accepted in a second, from the first word to the last 250.
    pub(crate) accepted_per_second: f64,
    /// Messages delivered to the sink in a second, from the first word to the last delivery.
    pub(crate) delivered_per_second: f64,
    /// CPU seconds, user and system, of all the system's processes, for 1,000 messages.
    pub(crate) cpu_per_1000: Option<f64>,
    /// Anonymous memory of all the system's processes at its peak, in MiB.
    pub(crate) memory_mib: Option<f64>,
    /// The median wait from the end of DATA to its 250, in microseconds.
    pub(crate) wait_p50_us: f64,
    /// The wait that one message in a hundred exceeds, in microseconds.
    pub(crate) wait_p99_us: f64,
    /// Sessions and messages that failed.
    pub(crate) failures: usize,
    /// Why the last one did.
    pub(crate) reason: Option<String>,
    /// What ought not to be.
    #[serde(flatten)]
    pub(crate) faults: Faults,
}

/// Starts the system and measures it under this load.
pub(crate) fn measure(
    system: &System,
    sink: &Sink,
    run: u32,
    shape: Shape,
    messages: usize,
) -> Figures {
    let running = system.start(sink.addr());
    let tally = Arc::new(Tally::new(run, WARM_UP + messages));
    sink.count_for(&tally);
    send(running.addr, shape, &tally, 0..WARM_UP);
    tally.wait(PATIENCE);
    let warm = tally.accepted();
    let cpu = running.pid.map(cpu_seconds);
    let watch = running.pid.map(Watch::start);
    let begun = Instant::now();
    let sent = send(running.addr, shape, &tally, WARM_UP..WARM_UP + messages);
    let last = tally.wait(PATIENCE);
    let memory = watch.map(Watch::stop);
    let used = running.pid.map(cpu_seconds).zip(cpu).map(|(b, a)| b - a);
    std::thread::sleep(LINGER);
    let accepted = tally.accepted() - warm;
    let per_second = |took: Duration| accepted as f64 / took.as_secs_f64();
    let waits = sorted(&sent);
    Figures {
        accepted,
        accepted_per_second: per_second(sent.took),
        delivered_per_second: per_second(last.duration_since(begun)),
        cpu_per_1000: used.map(|used| used * 1000.0 / accepted as f64),
        memory_mib: memory.map(|octets| octets as f64 / 1_048_576.0),
        wait_p50_us: at(&waits, 0.5),
        wait_p99_us: at(&waits, 0.99),
        failures: sent.failures,
        reason: sent.reason,
        faults: tally.faults(),
    }
}

fn sorted(sent: &Sent) -> Vec<f64> {
    let micros = sent.waits.iter().map(|wait| wait.as_secs_f64() * 1e6);
    let mut waits: Vec<f64> = micros.collect();
    waits.sort_by(f64::total_cmp);
    waits
}

/// The value below which that part of a sorted list lies; 0 of an empty one.
pub(crate) fn at(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    let place = (last * part).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let list: Vec<f64> = (1..=101).map(f64::from).collect();
        assert!((at(&list, 0.5) - 51.0).abs() < f64::EPSILON);
        assert!((at(&list, 0.99) - 100.0).abs() < f64::EPSILON);
        assert!(at(&[], 0.5).abs() < f64::EPSILON);
    }
}
