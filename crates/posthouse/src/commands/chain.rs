//! `posthouse chain`: each listener's chain as it will run, asides indented.

use std::collections::BTreeMap;
use std::path::Path;

use posthouse_hook::{Chain, HookPoint, Mode, OnError, point};
use serde::Serialize;

use super::{Outcome, block_on, chains_of, load};
use crate::cli::ChainArgs;
use crate::config::{Chains, Listener};
use crate::out::{out, outln};

/// One chain, for `--json`.
#[derive(Serialize)]
struct Printed {
    chain: String,
    /// None for a chain that is run aside: it is never observed.
    mode: Option<Mode>,
    listeners: Vec<String>,
    steps: Vec<PrintedStep>,
}

#[derive(Serialize)]
struct PrintedStep {
    name: String,
    points: Vec<HookPoint>,
    timeout_seconds: u64,
    on_error: OnError,
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
        let printed = listening(&loaded.config.listener, &chains);
        if args.json {
            outln!("{}", serde_json::to_string_pretty(&printed)?);
        } else {
            printed.iter().for_each(|chain| print(chain, 0));
        }
        Ok(())
    })
}

/// The chains that a listener runs, by name, each with the addresses where it is run.
fn listening(listeners: &[Listener], chains: &Chains) -> Vec<Printed> {
    let mut at = BTreeMap::<&String, Vec<String>>::new();
    for listener in listeners {
        let addresses = listener.address.iter().map(ToString::to_string);
        at.entry(listener.chain.get_ref())
            .or_default()
            .extend(addresses);
    }
    at.into_iter()
        .filter_map(|(name, addresses)| {
            let chain = chains.get(name)?;
            let mode = Some(chain.mode());
            Some(Printed {
                mode,
                ..describe(chain, addresses)
            })
        })
        .collect()
}

fn describe(chain: &Chain, listeners: Vec<String>) -> Printed {
    let steps = chain.steps().iter().map(|step| PrintedStep {
        name: step.name.clone(),
        points: step.plugin.points().to_vec(),
        timeout_seconds: step.timeout.as_secs(),
        on_error: step.on_error,
        asides: step
            .plugin
            .asides()
            .iter()
            .map(|aside| describe(aside, Vec::new()))
            .collect(),
    });
    Printed {
        chain: chain.name().to_owned(),
        mode: None,
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
    let mode = chain.mode.map(|mode| format!(", mode {mode}"));
    let mode = mode.unwrap_or_default();
    outln!("{indent}{}{at}{mode}", chain.chain);
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
