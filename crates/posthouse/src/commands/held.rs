//! `posthouse held`: what is in the quarantine, and an operator's hand on it.

use std::path::Path;

use posthouse_store::State;

use super::queue::selection;
use super::{
    Outcome, block_on, deed, erase, filter, ledger, load, order, print, requests, samples,
};
use crate::cli::{HeldCommand, ListArgs, Revocable};
use crate::control::{Order, Request};

/// Runs one of the quarantine's commands.
pub(crate) fn run(config: Option<&Path>, command: &HeldCommand) -> Outcome {
    match command {
        HeldCommand::List(args) => list(config, args),
        HeldCommand::Show(args) => print::show(config, args),
        HeldCommand::Release(args) => deed(config, args, Request::Release(selection(args))),
        HeldCommand::Discard(args) => deed(config, args, Request::DiscardHeld(selection(args))),
        HeldCommand::Requests(args) => requests::run(config, args.json),
        HeldCommand::Samples(args) => samples::run(config, args),
        HeldCommand::Revoke(args) => order(config, revocation(&args.what), args.json),
        HeldCommand::Erase(args) => erase::run(config, args),
    }
}

fn revocation(what: &Revocable) -> Order {
    match what {
        Revocable::Item(id) => Order::RevokeItem(*id),
        Revocable::Address(address) => Order::RevokeAddress(address.clone()),
    }
}

fn list(config: Option<&Path>, args: &ListArgs) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let items = ledger(&loaded)?.items(filter(args, &[State::Held])).await?;
        print::list(&items, &[State::Held], args.json)
    })
}
