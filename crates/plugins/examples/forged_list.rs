//! Measures the list of `forged_sender`: how long a million entries take to load, and one address to
//! look up, in time on the CPU. `cargo run --release -p posthouse-plugins --example forged_list [ENTRIES]`

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use posthouse_plugins::{ForgedList, Sources};

/// How many addresses are looked up.
const LOOKUPS: u32 = 2_000_000;
const ROUNDS: usize = 5;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let entries = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |n| n.parse())?;
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("list"), list(entries)?)?;
    let list = cdb(entries, &dir.path().join("list.cdb")).and_then(|()| load(dir.path()))?;
    for (what, of) in [("listed", 0), ("not listed", entries)] {
        look_up(&list, what, of, entries)?;
    }
    Ok(())
}

/// A third each of addresses, domains and what is below domains; every tenth line says what to do.
fn entry(n: u32) -> String {
    let domain = format!("host{n}.zone{}.example", n % 977);
    match n % 3 {
        0 => format!("someone{n}@{domain}"),
        1 => domain,
        _ => format!(".{domain}"),
    }
}

/// An address that the entry matches.
fn address(n: u32) -> String {
    match n % 3 {
        0 => entry(n),
        1 => format!("anybody@{}", entry(n)),
        _ => format!("anybody@mail{}", entry(n)),
    }
}

fn list(entries: u32) -> Result<String, Failure> {
    let mut text = String::new();
    for n in 0..entries {
        let says = if n % 10 == 0 {
            " hold Kept for the operator"
        } else {
            ""
        };
        writeln!(text, "{}{says}", entry(n))?;
    }
    Ok(text)
}

fn cdb(entries: u32, file: &Path) -> Result<(), Failure> {
    let mut writer = cdb2::CDBWriter::create(file)?;
    for n in 0..entries {
        writer.add(entry(n).as_bytes(), b"")?;
    }
    Ok(writer.finish()?)
}

/// Loads text and CDB a few times; gives the last index back.
fn load(dir: &Path) -> Result<ForgedList, Failure> {
    let mut kept = None;
    for name in ["list", "list.cdb"] {
        let spec = [format!("file:{name}")];
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            drop(kept.take());
            let begun = on_cpu()?;
            kept = Some(ForgedList::compile(&spec, &mut Sources::new(dir))?);
            took.push(on_cpu()? - begun);
        }
        let resident = resident()?;
        let octets = std::fs::metadata(dir.join(name))?.len();
        println!(
            "load {name}: {:?} for {octets} octets, {resident} KiB resident",
            median(took)
        );
    }
    let list = kept.ok_or("nothing was loaded")?;
    println!("{} entries", list.len());
    Ok(list)
}

fn look_up(list: &ForgedList, what: &str, from: u32, entries: u32) -> Result<(), Failure> {
    // Far apart, so that no cache helps.
    let far = |n: u32| from + (u64::from(n) * 7_919 % u64::from(entries)) as u32;
    let addresses: Vec<_> = (0..LOOKUPS).map(|n| address(far(n))).collect();
    let mut took = Vec::new();
    let mut found = 0;
    for _ in 0..ROUNDS {
        let begun = on_cpu()?;
        found = list.look_up(addresses.iter().map(String::as_str), |_, _, _| {});
        took.push(on_cpu()? - begun);
    }
    let each = median(took).as_nanos() / u128::from(LOOKUPS);
    println!("look up, {what}: {each} ns each, {found} of {LOOKUPS} found");
    Ok(())
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

/// How long this thread has run: other work on the machine does not count.
fn on_cpu() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("no schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Resident memory in KiB.
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}
