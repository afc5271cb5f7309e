//! `posthouse observe`: what chains that observe would have done. Read-only; works beside a server.

use std::path::Path;

use posthouse_hook::{Clock as _, ForwardPath, SystemClock};
use posthouse_store::{ObservedCase, ObservedCount, ObservedReport};

use super::{Outcome, block_on, ledger, load};
use crate::cli::{ObserveCommand, SinceArgs};
use crate::out::{out, outln};
use crate::table::{moment, table};

/// Runs one of the commands.
pub(crate) fn run(config: Option<&Path>, command: &ObserveCommand) -> Outcome {
    match command {
        ObserveCommand::Report(args) => report(config, args),
    }
}

fn report(config: Option<&Path>, args: &SinceArgs) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let since = SystemClock.now().before(args.since.0);
        let report = ledger(&loaded)?.observed(since, args.limit).await?;
        if args.json {
            outln!("{}", serde_json::to_string_pretty(&[&report])?);
        } else {
            print(&report, args);
        }
        Ok(())
    })
}

fn print(report: &ObservedReport, args: &SinceArgs) {
    if report.counts.is_empty() {
        outln!("nothing was observed within {}", args.since);
        return;
    }
    let heading = ["CHAIN", "PLUGIN", "AT", "WOULD", "MESSAGES", "COPIES"];
    let rows: Vec<_> = report.counts.iter().map(count).collect();
    out!("{}", table(heading, &rows));
    outln!();
    let heading = ["ID", "RECEIVED", "FROM", "TO", "CHAIN", "PLUGIN", "WOULD"];
    let rows: Vec<_> = report.cases.iter().map(case).collect();
    out!("{}", table(heading, &rows));
}

fn count(count: &ObservedCount) -> [String; 6] {
    [
        count.chain.clone(),
        count.plugin.clone(),
        count.point.clone(),
        count.would.clone(),
        count.messages.to_string(),
        count.copies.to_string(),
    ]
}

fn case(case: &ObservedCase) -> [String; 7] {
    [
        case.id.to_string(),
        moment(case.at),
        case.from.to_string(),
        to(case),
        case.chain.clone(),
        case.plugin.clone(),
        case.would.clone(),
    ]
}

/// The first recipient, and how many more there are.
fn to(case: &ObservedCase) -> String {
    let first = case.to.first().map(ForwardPath::address);
    let first = first.unwrap_or_default();
    match case.copies {
        0 | 1 => first,
        copies => format!("{first} and {} more", copies - 1),
    }
}
