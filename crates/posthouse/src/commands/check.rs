//! `posthouse check`: everything that a start would find out, without starting.

use std::path::Path;

use posthouse_web::Pages;

use super::{Outcome, block_on, chains_of, letter_writer, load};
use crate::config::{self, Fault, Faults, Loaded};
use crate::out::outln;

/// Prints the faults and fails, or prints the warnings and what was found to be in order.
pub(crate) fn run(config: Option<&Path>) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let (chains, _lists) = chains_of(&loaded)?;
        check_templates(&loaded)?;
        check_certificates(&loaded)?;
        for warning in config::warnings(&loaded, &chains) {
            outln!("warning: {warning}");
        }
        outln!(
            "{}: {} chains, in order",
            loaded.file.display(),
            chains.len()
        );
        Ok(())
    })
}

/// Templates that an operator replaced must render.
fn check_templates(loaded: &Loaded) -> Result<(), Faults> {
    let config = &loaded.config;
    let dir = config.templates.as_deref();
    let faulty = |error: &dyn std::fmt::Display| Fault::of_file(&loaded.file, error);
    Pages::check(&config.web, dir).map_err(|error| faulty(&error))?;
    letter_writer(config).map_err(|error| faulty(&error))?;
    Ok(())
}

/// What the relay is to trust must be there.
fn check_certificates(loaded: &Loaded) -> Result<(), Faults> {
    let checked = loaded.config.relay.check();
    checked.map_err(|error| Fault::of_file(&loaded.file, error).into())
}
