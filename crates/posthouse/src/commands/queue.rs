//! `posthouse queue`: what waits for the next hop, and an operator's hand on it.

use std::path::Path;

use posthouse_store::{Selection, State};

use super::{Outcome, block_on, deed, filter, ledger, load, print};
use crate::cli::{ListArgs, QueueCommand, SelectArgs};
use crate::control::Request;

const WAITING: [State; 4] = [
    State::Queued,
    State::Sending,
    State::Deferred,
    State::Suspended,
];

/// Runs one of the queue commands.
pub(crate) fn run(config: Option<&Path>, command: &QueueCommand) -> Outcome {
    match command {
        QueueCommand::List(args) => list(config, args),
        QueueCommand::Show(args) => print::show(config, args),
        QueueCommand::Retry(args) => deed(config, args, Request::Retry(selection(args))),
        QueueCommand::Suspend(args) => deed(config, args, Request::Suspend(selection(args))),
        QueueCommand::Discard(args) => deed(config, args, Request::DiscardQueued(selection(args))),
    }
}

/// The copies that a command's options name.
pub(super) fn selection(args: &SelectArgs) -> Selection {
    Selection {
        item: args.id,
        addresses: args.recipient.clone(),
    }
}

fn list(config: Option<&Path>, args: &ListArgs) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let items = ledger(&loaded)?.items(filter(args, &WAITING)).await?;
        print::list(&items, &WAITING, args.json)
    })
}
