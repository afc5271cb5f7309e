//! `posthouse status`: how much waits, how much is held, and what an operator should look at.

use std::path::Path;

use posthouse_hook::trail::visible;
use posthouse_relay::{LettersState, Running};
use posthouse_store::{Counts, StandingCounts};
use serde::Serialize;

use super::{Outcome, block_on, ledger, load};
use crate::cli::StatusArgs;
use crate::config::{self, Lists};
use crate::out::outln;
use crate::table::moment;

/// What the ledger counts, and how it stands with letters.
#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    counts: Counts,
    #[serde(flatten)]
    letters: LettersState,
    choices: StandingCounts,
}

/// Prints copies by state, and what was counted in the last day.
pub(crate) fn run(config: Option<&Path>, args: &StatusArgs) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let store = ledger(&loaded)?;
        let reach = config::reach(&loaded, &mut Lists::new(loaded.base()))?;
        let letters = LettersState::of(&store, &loaded.config.letters, &reach).await?;
        let status = Status {
            counts: store.counts().await?,
            letters,
            choices: store.standing_counts().await?,
        };
        if args.json {
            outln!("{}", serde_json::to_string_pretty(&[&status])?);
            return Ok(());
        }
        let Status {
            counts,
            letters,
            choices,
        } = status;
        for (state, count) in &counts.states {
            outln!("{:>9}  {count}", state.name());
        }
        outln!(
            "{} of {} octets held, {} of them samples",
            counts.held_octets + counts.sample_octets,
            counts.max_size,
            counts.sample_octets
        );
        print_letters(letters);
        print_choices(&choices);
        outln!("in the last day:");
        outln!(
            "{:>9}  relayed unscanned, because no scanner answered",
            counts.relayed_unscanned
        );
        outln!(
            "{:>9}  that went on only because their chain observes",
            counts.observed
        );
        outln!(
            "{:>9}  copies discarded by a standing choice",
            counts.discarded
        );
        outln!("{:>9}  letters kept back by a cap", counts.letters_capped);
        for address in &counts.letters_kept_back {
            outln!("           {}", visible(address));
        }
        outln!(
            "{:>9}  spam of which nothing was held",
            counts.spam_not_held
        );
        outln!("{:>9}  lessons learned by scanners", counts.lessons_learned);
        outln!("{:>9}  lessons given up", counts.lessons_given_up);
        outln!("{:>9}  held copies expired by age", counts.expired.age);
        outln!(
            "{:>9}  ... because the quarantine was full (max_size)",
            counts.expired.size
        );
        outln!(
            "{:>9}  ... because their sender took more than its share (sender_share)",
            counts.expired.share
        );
        Ok(())
    })
}

/// What people have chosen, and what they ask.
fn print_choices(choices: &StandingCounts) {
    for (count, what) in [
        (
            choices.requests,
            "questions to the operator (held requests)",
        ),
        (
            choices.senders_refuse,
            "senders whose spam is refused without being held",
        ),
        (choices.senders_discard, "senders whose spam is discarded"),
        (
            choices.recipients_redirect,
            "recipients who redirect all mail",
        ),
        (choices.recipients_discard, "recipients who discard spam"),
        (
            choices.recipients_without_letters,
            "recipients without letters",
        ),
    ] {
        outln!("{count:>9}  {what}");
    }
}

/// Whether letters go out, and what an operator should look at.
fn print_letters(state: LettersState) {
    match state.letters {
        Running::On => outln!("letters go out"),
        Running::Off => outln!("letters are off ([letters] send = false)"),
        Running::Stopped => outln!("letters are stopped by an operator"),
    }
    if let Some(since) = state.letters_overdue_since {
        let since = moment(since);
        let alarm = match state.letters {
            Running::On => "ALARM: ",
            Running::Off | Running::Stopped => "",
        };
        outln!("{alarm}a letter is due since {since}, and none went out for a day");
    }
}
