//! `posthouse status`: how much waits, how much is held, and what an operator should look at.

use std::path::Path;

use posthouse_hook::trail::visible;

use super::{Outcome, block_on, ledger, load};
use crate::cli::StatusArgs;
use crate::out::outln;

/// Prints copies by state, and what was counted in the last day.
pub(crate) fn run(config: Option<&Path>, args: &StatusArgs) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let counts = ledger(&loaded)?.counts().await?;
        if args.json {
            outln!("{}", serde_json::to_string_pretty(&[&counts])?);
            return Ok(());
        }
        for (state, count) in &counts.states {
            outln!("{:>9}  {count}", state.name());
        }
        outln!(
            "{} of {} octets held, {} of them samples",
            counts.held_octets + counts.sample_octets,
            counts.max_size,
            counts.sample_octets
        );
        outln!("in the last day:");
        outln!(
            "{:>9}  relayed unscanned, because no scanner answered",
            counts.relayed_unscanned
        );
        outln!(
            "{:>9}  that went on only because their chain observes",
            counts.observed
        );
        outln!("{:>9}  letters kept back by a cap", counts.letters_capped);
        outln!("{:>9}  held copies expired by age", counts.expired.age);
        outln!(
            "{:>9}  ... because the quarantine was full (max_size)",
            counts.expired.size
        );
        outln!(
            "{:>9}  ... because their sender took more than its share (sender_share)",
            counts.expired.share
        );
        for address in &counts.letters_kept_back {
            outln!("           {}", visible(address));
        }
        Ok(())
    })
}
