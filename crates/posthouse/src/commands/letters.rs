//! `posthouse letters`: how it stands with letters, and an operator's hand on them.

use std::path::Path;

use posthouse_store::{Correspondent, Letters};

use super::{Outcome, block_on, ledger, load, order};
use crate::cli::LettersCommand;
use crate::control::Order;
use crate::out::{out, outln};
use crate::table::{moment, table};

/// Runs one of the letters' commands.
pub(crate) fn run(config: Option<&Path>, command: &LettersCommand) -> Outcome {
    match command {
        LettersCommand::List(args) => list(config, args.json),
        LettersCommand::Stop(args) => {
            order(config, Order::StopLetters(args.address.clone()), args.json)
        }
        LettersCommand::Start(args) => {
            order(config, Order::StartLetters(args.address.clone()), args.json)
        }
        LettersCommand::Resend(args) => {
            order(config, Order::ResendLetter(args.address.clone()), args.json)
        }
    }
}

fn list(config: Option<&Path>, json: bool) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let store = ledger(&loaded)?;
        let all = store
            .correspondents(loaded.config.letters.interval())
            .await?;
        if json {
            outln!("{}", serde_json::to_string_pretty(&all)?);
            return Ok(());
        }
        if store.letters_stopped().await? {
            outln!("all of our mail to people is stopped (`posthouse letters start` ends that)");
        }
        let heading = [
            "ADDRESS",
            "HELD",
            "WAITING SINCE",
            "LAST LETTER",
            "NEXT DUE",
            "LETTERS",
        ];
        let rows: Vec<_> = all.iter().map(row).collect();
        out!("{}", table(heading, &rows));
        Ok(())
    })
}

fn row(one: &Correspondent) -> [String; 6] {
    let time = |at: Option<posthouse_hook::Timestamp>| at.map(moment).unwrap_or_default();
    let letters = match (one.letters, one.kept_back_since) {
        (Letters::On, Some(since)) => format!("kept back by a cap since {}", moment(since)),
        (letters, _) => letters.name().to_owned(),
    };
    [
        one.address.clone(),
        one.held.to_string(),
        time(one.waiting_since),
        time(one.last_letter),
        time(one.next_due),
        letters,
    ]
}
