//! `posthouse demo`: the whole job on this machine. The real server, with a next hop of its own in
//! this process, gets one message for each cell of the matrix and a clean one; a table tells what
//! became of each.

mod cases;
mod client;
mod next_hop;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::{Domain, LookupError, Mx, Resolver, SystemClock};
use posthouse_store::{Filter, State, Store};

use super::serve::{Signals, Told};
use super::{Failure, Outcome, block_on};
use crate::cli::DemoArgs;
use crate::config::{self, Loaded, Log};
use crate::out::{out, outln};
use crate::server::{Ports, Server};
use crate::table::table;
use cases::{CASES, Case, Seen};
use next_hop::NextHop;

/// How long messages and letters may take to reach the next hop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the demo until Ctrl-C, or with `--once` until the table is printed.
pub(crate) fn run(args: &DemoArgs) -> Outcome {
    crate::log::start(&Log {
        filter: Some("warn".to_owned()),
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
    let arrived = hop.wait_for(expected, PATIENCE).await;
    let mut rows = Vec::new();
    for (case, told) in CASES.iter().zip(told) {
        rows.push((case, observe(case, told, store, hop).await?));
    }
    print_table(&rows);
    print_links(&rows);
    let wrong: Vec<_> = rows
        .iter()
        .filter(|(case, seen)| !case.is_met(seen))
        .collect();
    if wrong.is_empty() && arrived {
        return Ok(());
    }
    let names: Vec<_> = wrong.iter().map(|(case, _)| case.cell).collect();
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

fn print_table(rows: &[(&Case, Seen)]) {
    let heading = [
        "FROM",
        "TO",
        "CELL",
        "THE CLIENT WAS TOLD",
        "HELD",
        "REACHED",
        "LETTER",
        "",
    ];
    let cells: Vec<_> = rows
        .iter()
        .map(|(case, seen)| {
            [
                case.from.to_owned(),
                case.to.to_owned(),
                case.cell.to_owned(),
                seen.first_words(),
                yes(seen.held),
                yes(seen.reached),
                yes(seen.letters),
                if case.is_met(seen) {
                    "as the matrix says"
                } else {
                    "WRONG"
                }
                .to_owned(),
            ]
        })
        .collect();
    out!("{}", table(heading, &cells));
}

fn yes(count: usize) -> String {
    if count == 0 { "-" } else { "yes" }.to_owned()
}

fn print_links(rows: &[(&Case, Seen)]) {
    outln!("\nLinks:");
    for (case, seen) in rows {
        if let Some(link) = seen.release_link() {
            outln!("  release, for {}: {link}", case.from);
        }
        if let Some(link) = &seen.letter_link {
            outln!("  what is held, for {}: {link}", case.to);
        }
    }
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

/// The state directory: the one that was asked for, or one that goes with the demo.
struct Scratch {
    dir: PathBuf,
    temporary: bool,
}

impl Scratch {
    fn new(asked: Option<&Path>) -> std::io::Result<Self> {
        let dir = match asked {
            Some(dir) => dir.to_owned(),
            None => std::env::temp_dir().join(format!("posthouse-demo-{}", std::process::id())),
        };
        std::fs::create_dir_all(&dir)?;
        Ok(Self {
            dir: std::path::absolute(dir)?,
            temporary: asked.is_none(),
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// A loopback port that is free now.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The demo's configuration: that of the README on loopback, with GTUBE as the scanner.
fn configuration(dir: &Path, front: SocketAddr, hop: SocketAddr) -> Result<Loaded, Failure> {
    let web = free_port()?;
    let text = format!(
        r#"
hostname     = "out.isp.example"
state        = "state"
our_domains  = ["isp.example"]
our_networks = ["127.0.0.0/8"]

[[listener]]
address = ["{front}"]
chain   = "outbound"

[[chain.outbound]]
plugin   = "relay_clients"
networks = ["127.0.0.0/8"]

[[chain.outbound]]
plugin           = "quarantine"
scan             = "spam"
filtered_domains = ["filtered.example"]

[[chain.spam]]
plugin = "gtube"

[store]
min_free = 0

[letters]
from  = "quarantine@isp.example"
check = "1s"

[relay]
route = [{{ domain = "*", next_hop = "smtp://{hop}" }}]

[web]
address = "{web}"
url     = "http://{web}"
"#
    );
    let file = dir.join("posthouse.toml");
    std::fs::write(&file, &text)?;
    Ok(config::parse(&file, text)?)
}

/// The demo asks nobody: no name has any record.
struct NoDns;

#[async_trait]
impl Resolver for NoDns {
    async fn mx(&self, _: &Domain) -> Result<Vec<Mx>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn addresses(&self, _: &Domain) -> Result<Vec<std::net::IpAddr>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn txt(&self, _: &Domain) -> Result<Vec<Vec<u8>>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn names(&self, _: std::net::IpAddr) -> Result<Vec<Domain>, LookupError> {
        Err(LookupError::NotFound)
    }
}
