//! `posthouse chain`: each listener's chain as it will run, asides indented.

use std::collections::BTreeSet;
use std::path::Path;

use posthouse_hook::{Chain, HookPoint, point};
use serde::Serialize;

use super::{Outcome, block_on, chains_of, load};
use crate::cli::ChainArgs;
use crate::out::{out, outln};

/// One chain, for `--json`.
#[derive(Serialize)]
struct Printed {
    chain: String,
    listeners: Vec<String>,
    steps: Vec<PrintedStep>,
}

#[derive(Serialize)]
struct PrintedStep {
    name: String,
    points: Vec<HookPoint>,
    timeout_seconds: u64,
    on_error: &'static str,
    asides: Vec<Printed>,
}

/// Prints the chains, or the table of hook points.
pub(crate) fn run(config: Option<&Path>, args: &ChainArgs) -> Outcome {
    if args.hooks {
        out!("{}", point::table());
        return Ok(());
    }
    let loaded = load(config)?;
    block_on(async {
        let (chains, _lists) = chains_of(&loaded)?;
        let listeners = &loaded.config.listener;
        let used: BTreeSet<_> = listeners.iter().map(|l| l.chain.get_ref()).collect();
        let mut printed = Vec::new();
        for name in used {
            let addresses = listeners.iter().filter(|l| l.chain.get_ref() == name);
            let addresses = addresses.flat_map(|l| &l.address).map(ToString::to_string);
            if let Some(chain) = chains.get(name) {
                printed.push(describe(chain, addresses.collect()));
            }
        }
        if args.json {
            outln!("{}", serde_json::to_string_pretty(&printed)?);
        } else {
            printed.iter().for_each(|chain| print(chain, 0));
        }
        Ok(())
    })
}

fn describe(chain: &Chain, listeners: Vec<String>) -> Printed {
    let steps = chain.steps().iter().map(|step| PrintedStep {
        name: step.name.clone(),
        points: step.plugin.points().to_vec(),
        timeout_seconds: step.timeout.as_secs(),
        on_error: match step.on_error {
            posthouse_hook::OnError::Defer => "defer",
            posthouse_hook::OnError::Pass => "pass",
        },
        asides: step
            .plugin
            .asides()
            .iter()
            .map(|aside| describe(aside, Vec::new()))
            .collect(),
    });
    Printed {
        chain: chain.name().to_owned(),
        listeners,
        steps: steps.collect(),
    }
}

fn print(chain: &Printed, depth: usize) {
    let indent = "    ".repeat(depth);
    let at = match depth {
        0 => format!(" at {}", chain.listeners.join(", ")),
        _ => " (aside)".to_owned(),
    };
    outln!("{indent}{}{at}", chain.chain);
    for (n, step) in chain.steps.iter().enumerate() {
        let points: Vec<_> = step.points.iter().map(ToString::to_string).collect();
        outln!(
            "{indent}{:>4}. {:16} at {:24} within {}s, if broken: {}",
            n + 1,
            step.name,
            points.join(" "),
            step.timeout_seconds,
            step.on_error
        );
        step.asides.iter().for_each(|aside| print(aside, depth + 2));
    }
}
