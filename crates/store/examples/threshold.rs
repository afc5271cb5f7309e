//! Measures where a message body is better kept: in a row, or in a spool file.
//!
//! For each size, messages are committed by sixteen tasks at once and settled again, once with all
//! bodies as rows and once as files; printed are messages per second and CPU time per message.
//! `cargo run --release -p posthouse-store --example threshold [DIR]`: DIR is on the file system
//! to be measured.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use posthouse_hook::{
    Clock as _, Commit as _, Content, Disposition, ForwardPath, Id, Outcome, Recipient,
    ReversePath, Session, SystemClock, Transaction,
};
use posthouse_store::{AttemptResult, Attempted, Settings, Store};

const TASKS: usize = 16;
const SIZES: [usize; 6] = [4, 32, 64, 128, 256, 512];

#[derive(Clone, Copy)]
enum Kept {
    Rows,
    Files,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    println!(
        "{:>8} {:>12} {:>12} {:>14} {:>14}",
        "KiB", "rows/s", "files/s", "rows µs CPU", "files µs CPU"
    );
    for kib in SIZES {
        let octets = kib * 1024;
        let count = (64 << 20) / octets.max(32 << 10);
        let rows = measure(&base, octets, count, Kept::Rows).await?;
        let files = measure(&base, octets, count, Kept::Files).await?;
        println!(
            "{kib:>8} {:>12.0} {:>12.0} {:>14.0} {:>14.0}",
            rows.0, files.0, rows.1, files.1
        );
    }
    Ok(())
}

/// Messages per second, and microseconds of CPU per message.
async fn measure(
    base: &str,
    octets: usize,
    count: usize,
    kept: Kept,
) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir_in(base)?;
    let store = Store::open(settings(dir.path(), kept), Arc::new(SystemClock))?;
    let bytes = Bytes::from(vec![b'x'; octets]);
    let (begun, cpu) = (Instant::now(), cpu_time());
    let tasks = (0..TASKS).map(|_| tokio::spawn(work(store.clone(), bytes.clone(), count / TASKS)));
    for task in tasks.collect::<Vec<_>>() {
        task.await?;
    }
    let done = (count / TASKS * TASKS) as f64;
    let micros = (cpu_time() - cpu).as_micros() as f64;
    Ok((done / begun.elapsed().as_secs_f64(), micros / done))
}

fn settings(state: &Path, kept: Kept) -> Settings {
    Settings {
        state: state.to_owned(),
        node: 0,
        link_base: "http://localhost".to_owned(),
        min_free: 0,
        spool_threshold: match kept {
            Kept::Rows => usize::MAX,
            Kept::Files => 0,
        },
        handoff_bytes: 0,
        retention: Duration::from_secs(86_400),
        bounds: posthouse_store::Bounds::default(),
        audit_kept: Duration::from_secs(86_400),
        observed_kept: Duration::from_secs(86_400),
        judged_kept: Duration::from_secs(86_400),
    }
}

/// Commits messages one after the other, and settles each as delivered.
async fn work(store: Store, bytes: Bytes, count: usize) {
    let local = SocketAddr::from(([127, 0, 0, 1], 25));
    let session = Session::new(Id(1), local, local, SystemClock.now());
    for _ in 0..count {
        let now = SystemClock.now();
        let mut tx = Transaction::new(store.ids().next(now), now, ReversePath::Null);
        tx.recipients.push(Recipient::new(ForwardPath::Postmaster));
        tx.message.content = Content::Memory(bytes.clone());
        let outcome = Outcome::Accepted(vec![Disposition::Relay]);
        store
            .commit(&session, &tx, &outcome)
            .await
            .expect("committed");
        let claimed = store
            .claim(1, Duration::from_secs(60))
            .await
            .expect("claimed");
        let delivered = claimed
            .iter()
            .flat_map(|m| &m.recipients)
            .map(|recipient| Attempted {
                copy: recipient.id,
                result: AttemptResult::Delivered,
                said: String::new(),
                next_hop: String::new(),
            });
        store
            .settle(delivered.collect(), Vec::new())
            .await
            .expect("settled");
    }
}

/// User and system time of this process so far.
fn cpu_time() -> Duration {
    let ticks = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = ticks.rsplit(')').next().expect("a name");
    let fields: Vec<_> = behind_name.split_whitespace().collect();
    let sum = |n: usize| fields[n].parse::<u64>().expect("a number");
    // utime and stime, in hundredths of a second.
    Duration::from_millis((sum(11) + sum(12)) * 10)
}
