//! `posthouse-bench`: how many messages a system accepts and delivers, and at what cost.
//!
//! The load generator and a counting sink run in this process; every message has a number, so that
//! each lost or doubled one is found. Systems are measured in turn, round by round, because a
//! machine's own speed changes with time: compare within a run, by ratios. Loopback only.

mod inbound;
mod load;
mod measure;
mod message;
mod report;
mod sink;
mod system;
mod tally;
mod tree;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use inbound::Checks;
use load::Shape;
use report::Cell;
use sink::Sink;
use system::System;

/// Measures SMTP servers: messages accepted and delivered a second, CPU, memory, latency.
#[derive(Parser)]
#[command(name = "posthouse-bench")]
struct Args {
    /// Measure Posthouse: its program, built with --release
    #[arg(long, value_name = "PROGRAM")]
    posthouse: Option<PathBuf>,
    /// Measure Posthouse on the way in, with all checks but scanners, and without any
    #[arg(long, value_name = "PROGRAM")]
    inbound: Option<PathBuf>,
    /// Measure Debian's Postfix with its default settings (as root, or with sudo)
    #[arg(long)]
    postfix: bool,
    /// Measure any server, set up to relay everything to the sink's port
    #[arg(long, value_name = "ADDRESS:PORT")]
    target: Option<SocketAddr>,
    /// The process whose CPU and memory count for --target, with its descendants
    #[arg(long, value_name = "PID", requires = "target")]
    pid: Option<i32>,
    /// The sink's port on 127.0.0.1; any free one by default
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    sink: u16,
    /// Sessions at a time; several values are measured one after the other
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "1,20,100"
    )]
    sessions: Vec<usize>,
    /// Octets of a message; several values are measured one after the other
    #[arg(
        long,
        value_name = "OCTETS",
        value_delimiter = ',',
        default_value = "4096"
    )]
    size: Vec<usize>,
    /// Messages in each measurement
    #[arg(long, value_name = "N", default_value_t = 3000)]
    messages: usize,
    /// Open a connection for each message
    #[arg(long)]
    connection_each: bool,
    /// How often everything is measured, in turn
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: u32,
    /// Print every figure of every round as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    fn systems(&self) -> Vec<System> {
        let posthouse = self.posthouse.clone().map(System::Posthouse);
        let postfix = self.postfix.then_some(System::Postfix);
        let pid = self.pid;
        let other = self.target.map(|addr| System::Other { addr, pid });
        let inbound = self.inbound.iter().flat_map(|program| {
            [Checks::None, Checks::All].map(|checks| System::Inbound(program.clone(), checks))
        });
        let systems = posthouse.into_iter().chain(postfix).chain(other);
        systems.chain(inbound).collect()
    }

    fn shapes(&self) -> Vec<Shape> {
        let sizes = self.size.iter();
        let shape = |size: &usize| {
            let connection_each = self.connection_each;
            let size = *size;
            self.sessions.iter().map(move |sessions| Shape {
                sessions: *sessions,
                size,
                connection_each,
            })
        };
        sizes.flat_map(shape).collect()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let systems = args.systems();
    if systems.is_empty() || args.sessions.contains(&0) {
        eprintln!(
            "posthouse-bench: name a system (--posthouse, --inbound, --postfix, --target), and at least one session"
        );
        return ExitCode::from(2);
    }
    let sink = match Sink::start(args.sink) {
        Ok(sink) => sink,
        Err(error) => {
            eprintln!("posthouse-bench: --sink {}: {error}", args.sink);
            return ExitCode::FAILURE;
        }
    };
    eprintln!("the sink listens on {}", sink.addr());
    let cells = run(&args, &systems, &sink);
    print(&args, &cells);
    match cells.iter().all(Cell::is_sound) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Every system under every load, round by round.
fn run(args: &Args, systems: &[System], sink: &Sink) -> Vec<Cell> {
    let mut cells = cells(args, systems);
    let mut number = 0;
    for round in 1..=args.rounds {
        for (at, cell) in cells.iter_mut().enumerate() {
            let system = &systems[at % systems.len()];
            number += 1;
            let figures = measure::measure(system, sink, number, cell.shape, args.messages);
            eprintln!("round {round}: {}", cell.progress(&figures));
            cell.rounds.push(figures);
        }
    }
    cells
}

fn cells(args: &Args, systems: &[System]) -> Vec<Cell> {
    let cell = |shape: Shape, system: &System| Cell {
        system: system.name(),
        shape,
        messages: args.messages,
        rounds: Vec::new(),
    };
    let shapes = args.shapes().into_iter();
    shapes
        .flat_map(|shape| systems.iter().map(move |system| cell(shape, system)))
        .collect()
}

fn print(args: &Args, cells: &[Cell]) {
    if args.json {
        let json = serde_json::to_string_pretty(cells).expect("numbers and names");
        println!("{json}");
    } else {
        print!("{}", report::table(cells));
    }
}
