//! How messages are printed: as tables for people, as JSON for programs. No link is ever printed.

use std::path::Path;

use posthouse_hook::trail::visible;
use posthouse_hook::{Id, Judgement, Trail};
use posthouse_store::{Audited, Item, State};
use serde::Serialize;

use super::{Failure, Outcome, block_on, ledger, load};
use crate::cli::ShowArgs;
use crate::out::{out, outln};
use crate::table::{moment, table};

/// One message with its audit, for `--json`.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    item: Item,
    audit: Vec<Audited>,
}

/// Prints messages, a line for each copy in one of the states.
pub(super) fn list(items: &[Item], states: &[State], json: bool) -> Outcome {
    if json {
        outln!("{}", serde_json::to_string_pretty(items)?);
        return Ok(());
    }
    let heading = [
        "ID",
        "RECEIVED",
        "FROM",
        "TO",
        "STATE",
        "TRIES",
        "NEXT",
        "SIZE",
        "LAST WORDS",
    ];
    let rows: Vec<_> = items.iter().flat_map(|item| rows(item, states)).collect();
    out!("{}", table(heading, &rows));
    Ok(())
}

fn rows<'a>(item: &'a Item, states: &'a [State]) -> impl Iterator<Item = [String; 9]> + 'a {
    let copies = item
        .recipients
        .iter()
        .filter(|copy| states.contains(&copy.state));
    copies.map(|copy| {
        [
            item.id.to_string(),
            moment(item.received_at),
            item.reverse_path.to_string(),
            copy.address.address(),
            copy.state.name().to_owned(),
            copy.attempts.to_string(),
            copy.next_attempt.map(moment).unwrap_or_default(),
            item.size.to_string(),
            copy.said.clone(),
        ]
    })
}

/// Prints one message with everything that is known of it.
pub(super) fn show(config: Option<&Path>, args: &ShowArgs) -> Outcome {
    let loaded = load(config)?;
    let id = args.id;
    block_on(async {
        let store = ledger(&loaded)?;
        let audit = store.audit(id).await?;
        let Some(item) = store.item(id).await? else {
            return Err(Failure::Because(gone(id, &audit)));
        };
        let shown = Shown { item, audit };
        if args.json {
            outln!("{}", serde_json::to_string_pretty(&[&shown])?);
        } else {
            print_item(&shown.item);
            print_audit(&shown.audit);
        }
        Ok(())
    })
}

/// What the audit remembers of a message that is not kept any more.
fn gone(id: Id, audit: &[Audited]) -> String {
    match audit.last() {
        None => format!("there is no message {id}"),
        Some(line) => format!(
            "message {id} is not kept any more: {} at {} {}",
            line.state,
            moment(line.at),
            line.detail
        ),
    }
}

fn print_item(item: &Item) {
    print_fields(item);
    if let Some(judgement) = &item.judgement {
        print_judgement(judgement);
    }
    print_trail(&item.trail, 0);
    outln!();
    let every = State::ALL;
    let rows: Vec<_> = rows(item, &every)
        .map(|[_, _, _, to, state, tries, next, _, said]| [to, state, tries, next, said])
        .collect();
    let heading = ["TO", "STATE", "TRIES", "NEXT", "LAST WORDS"];
    out!("{}", table(heading, &rows));
}

fn print_fields(item: &Item) {
    let client = item.client.map(|ip| ip.to_string()).unwrap_or_default();
    let fields = [
        ("message", item.id.to_string()),
        ("received", moment(item.received_at)),
        ("client", format!("{client} {}", item.helo)),
        ("sender", item.reverse_path.to_string()),
        ("size", item.size.to_string()),
        ("From", item.from.clone()),
        ("Subject", item.subject.clone()),
        ("Date", item.date.clone()),
    ];
    for (name, value) in fields {
        outln!("{name:>9}: {}", visible(&value));
    }
}

/// Prints what the quarantine found.
pub(super) fn print_judgement(judgement: &Judgement) {
    outln!("   origin: {}, SPF {}", judgement.origin, judgement.spf);
    outln!("   column: {:?}", judgement.column);
    for scan in &judgement.scans.0 {
        let number = |n: Option<f64>| n.map_or_else(|| "-".to_owned(), |n| format!("{n:.1}"));
        outln!(
            "     scan: {} {:?} {}/{} {}",
            scan.scanner,
            scan.found,
            number(scan.score),
            number(scan.limit),
            visible(&scan.tests.join(" "))
        );
    }
}

/// Prints what each plugin said, asides indented.
pub(super) fn print_trail(trail: &Trail, depth: usize) {
    let indent = "    ".repeat(depth);
    for entry in &trail.entries {
        outln!(
            "    {indent}{:8} {:16} {:>8} µs  {}",
            entry.point.to_string(),
            entry.plugin,
            entry.micros,
            visible(&entry.said)
        );
        for remark in &entry.remarks {
            outln!("    {indent}{:27}      - {}", "", visible(remark));
        }
        print_trail(&entry.aside, depth + 1);
    }
}

fn print_audit(audit: &[Audited]) {
    let rows: Vec<_> = audit
        .iter()
        .map(|line| {
            [
                moment(line.at),
                line.event.clone(),
                line.state.clone(),
                line.who.clone(),
                line.detail.clone(),
            ]
        })
        .collect();
    outln!();
    out!(
        "{}",
        table(["AT", "EVENT", "STATE", "WHO", "DETAIL"], &rows)
    );
}
