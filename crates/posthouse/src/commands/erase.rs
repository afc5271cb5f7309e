//! `posthouse held erase`: all that is stored about an address goes, and a receipt is printed.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use posthouse_store::Erased;

use super::{Failure, Outcome, ask, load, unexpected};
use crate::cli::EraseArgs;
use crate::control::{Answer, Request};
use crate::out::outln;
use crate::table::moment;

/// Asks first on a terminal; elsewhere `--yes` has to say it.
pub(super) fn run(config: Option<&Path>, args: &EraseArgs) -> Outcome {
    let loaded = load(config)?;
    if !args.yes {
        confirm(args)?;
    }
    match ask(&loaded, Request::Erase(args.address.clone()))? {
        Answer::Erased(erased) if args.json => {
            outln!("{}", serde_json::to_string_pretty(&[&erased])?);
            Ok(())
        }
        Answer::Erased(erased) => {
            print(&erased);
            Ok(())
        }
        other => Err(unexpected(other)),
    }
}

fn confirm(args: &EraseArgs) -> Outcome {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let why = "this cannot be undone; say --yes where nobody can be asked";
        return Err(Failure::Usage(why.to_owned()));
    }
    eprint!(
        "Erase all that is stored about {}? It cannot be undone. [y/N] ",
        args.address
    );
    std::io::stderr().flush()?;
    let mut line = String::new();
    stdin.read_line(&mut line)?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Because("nothing was erased".to_owned())),
    }
}

fn print(erased: &Erased) {
    outln!("receipt {}", erased.receipt);
    outln!("at      {}", moment(erased.at));
    outln!("address {}", erased.address.address());
    for (kind, count) in &erased.erased {
        outln!("{count:>9}  {kind} erased");
    }
    if erased.erased.is_empty() {
        outln!("        0  nothing was stored");
    }
    if erased.waiting > 0 {
        outln!(
            "{:>9}  copies are on their way: they stay until they are delivered or fail",
            erased.waiting
        );
    }
    if erased.shared > 0 {
        outln!(
            "{:>9}  messages are other people's too and stay for them, as they were sent",
            erased.shared
        );
    }
}
