//! `posthouse held requests`: what senders ask of the operator, with the message beside.

use std::path::Path;

use posthouse_hook::ReversePath;
use posthouse_store::{Item, Request, State};
use serde::Serialize;

use super::{Outcome, block_on, ledger, load};
use crate::out::{out, outln};
use crate::table::{moment, table};

/// A question and the message that it is about.
#[derive(Serialize)]
struct Asked {
    #[serde(flatten)]
    request: Request,
    /// The envelope sender.
    reverse_path: ReversePath,
    from: String,
    subject: String,
    /// Recipients whose copies are held.
    to: Vec<String>,
}

/// Lists questions about messages that are still held, newest first.
pub(super) fn run(config: Option<&Path>, json: bool) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let store = ledger(&loaded)?;
        let mut asked = Vec::new();
        for request in store.requests().await? {
            let item = store.item(request.item).await?;
            asked.extend(item.map(|item| Asked::of(request, item)));
        }
        if json {
            outln!("{}", serde_json::to_string_pretty(&asked)?);
            return Ok(());
        }
        let heading = ["ID", "ASKED", "BY", "FROM", "TO", "SUBJECT", "COMMENT"];
        let rows: Vec<_> = asked.iter().map(row).collect();
        out!("{}", table(heading, &rows));
        Ok(())
    })
}

impl Asked {
    fn of(request: Request, item: Item) -> Self {
        let held = item
            .recipients
            .iter()
            .filter(|copy| copy.state == State::Held);
        Self {
            to: held.map(|copy| copy.address.address()).collect(),
            request,
            reverse_path: item.reverse_path,
            from: item.from,
            subject: item.subject,
        }
    }
}

fn row(asked: &Asked) -> [String; 7] {
    [
        asked.request.item.to_string(),
        moment(asked.request.at),
        asked.request.asked_by.clone(),
        asked.reverse_path.to_string(),
        asked.to.join(" "),
        asked.subject.clone(),
        asked.request.comment.clone(),
    ]
}
