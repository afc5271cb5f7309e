//! The program: configuration, the wiring of the ports, and the commands.

mod cli;
mod commands;
mod config;
mod control;
mod dns;
mod log;
mod out;
mod server;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
