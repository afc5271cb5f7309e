//! `posthouse demo`: the whole job on this machine. The real server, with a next hop of its own in
//! this process, gets one message for each cell of the matrix and a clean one; a table tells what
//! became of each.

mod cases;
mod client;
mod next_hop;
mod report;
mod setup;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::SystemClock;
use posthouse_store::{Filter, State, Store};

use super::serve::{Signals, Told};
use super::{Failure, Outcome, block_on};
use crate::cli::DemoArgs;
use crate::config::{Loaded, Log, LogFilter};
use crate::out::outln;
use crate::server::{Ports, Server};
use cases::{CASES, Case, Seen};
use next_hop::NextHop;
use setup::{NoDns, Scratch, configuration, free_port};

/// How long messages and letters may take to reach the next hop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the demo until Ctrl-C, or with `--once` until the table is printed.
pub(crate) fn run(args: &DemoArgs) -> Outcome {
    crate::log::start(&Log {
        filter: LogFilter::try_from("warn".to_owned()).ok(),
        ..Log::default()
    });
    let scratch = Scratch::new(args.state.as_deref())?;
    block_on(async {
        let mut signals = Signals::new()?;
        let next_hop = NextHop::start(&scratch.dir.join("next-hop")).await?;
        let front = free_port()?;
        let loaded = configuration(&scratch.dir, front, next_hop.address)?;
        let ports = Ports {
            resolver: Arc::new(NoDns),
            clock: Arc::new(SystemClock),
        };
        let server = Server::start(loaded.clone(), ports).await?;
        let result = show(&loaded, front, &server.store, &next_hop).await;
        if !args.once && result.is_ok() {
            linger(&loaded, front, &mut signals).await;
        }
        server.stop().await;
        next_hop.stop().await;
        result
    })
}

/// Sends every case, waits for what it causes, prints the table and the links.
async fn show(loaded: &Loaded, front: SocketAddr, store: &Store, hop: &NextHop) -> Outcome {
    let mut told = Vec::new();
    for case in CASES {
        told.push(client::send(front, case.from, case.to, &case.message()).await?);
    }
    let expected = CASES.iter().map(Case::arrivals).sum();
    hop.wait_for(expected, PATIENCE).await;
    let mut rows = Vec::new();
    for (case, told) in CASES.iter().zip(told) {
        rows.push((case, observe(case, told, store, hop).await?));
    }
    report::print_table(&rows);
    report::print_links(&rows);
    judge(loaded, &rows)
}

/// Fails unless every message came as the matrix says.
fn judge(loaded: &Loaded, rows: &[(&Case, Seen)]) -> Outcome {
    let wrong = rows.iter().filter(|(case, seen)| !case.is_met(seen));
    let names: Vec<_> = wrong.map(|(case, _)| case.cell).collect();
    if names.is_empty() {
        return Ok(());
    }
    let state = loaded.config.state.display();
    Err(Failure::Because(format!(
        "not as the matrix says: {} (state in {state})",
        names.join("; ")
    )))
}

async fn observe(case: &Case, told: String, store: &Store, hop: &NextHop) -> Result<Seen, Failure> {
    let filter = Filter {
        recipient: Some(case.to.to_owned()),
        states: vec![State::Held],
        ..Filter::default()
    };
    Ok(Seen {
        held: store.items(filter).await?.len(),
        reached: hop.count(case.from, case.to),
        letters: hop.count("", case.to),
        letter_link: hop.link_in_letter_to(case.to),
        told,
    })
}

/// Stays up for a person with a browser, and tells of every message that arrives meanwhile.
async fn linger(loaded: &Loaded, front: SocketAddr, signals: &mut Signals) {
    outln!("\nOpen a release link in a browser and press \"Send it anyway\".");
    outln!(
        "SMTP at {front}, pages at {}, state in {}.",
        loaded.config.web.url,
        loaded.config.state.display()
    );
    outln!("The next hop prints what arrives. Ctrl-C stops.");
    while !matches!(signals.next().await, Told::Stop) {}
}
