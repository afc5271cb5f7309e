//! `posthouse sender` and `posthouse recipient`: standing choices, and an operator's hand on them,
//! which needs no confirm link.

use std::path::Path;

use posthouse_hook::{ForwardPath, Id, Row, Rows as _, Timestamp};
use posthouse_plugins::Placing;
use posthouse_store::{Address, Objection, Owner, Pending, RecipientChoice, Sender, Store};
use serde::Serialize;

use super::{Failure, Outcome, block_on, ledger, load, order_of, placing};
use crate::cli::{RecipientCommand, RecipientSetArgs, SenderCommand};
use crate::config::Loaded;
use crate::control::{Order, RecipientOrder, objected};
use crate::out::{out, outln};
use crate::table::{moment, table};

/// A sender or a recipient, for `--json`.
#[derive(Serialize)]
struct Person {
    address: String,
    choice: String,
    /// Where all mail goes, if it is redirected.
    target: Option<String>,
    chosen_at: Option<Timestamp>,
    /// Whether letters go to it; recipients only.
    letters: Option<&'static str>,
    interval_days: Option<u16>,
    language: Option<&'static str>,
    held: usize,
    /// Copies that the choice has dropped in the last 40 days.
    discarded: u32,
    waits: Option<Waits>,
}

/// A choice that waits for its confirm link.
#[derive(Serialize)]
struct Waits {
    choice: String,
    target: Option<String>,
    mailed: String,
    made_at: Timestamp,
    ends_at: Timestamp,
}

/// Runs one of the senders' commands.
pub(crate) fn sender(config: Option<&Path>, command: &SenderCommand) -> Outcome {
    let loaded = load(config)?;
    match command {
        SenderCommand::List(args) => block_on(async {
            let store = ledger(&loaded)?;
            let mut people = Vec::new();
            for sender in store.senders().await? {
                people.push(of_sender(&store, &sender.address.clone(), Some(sender)).await?);
            }
            print(&people, args.json)
        }),
        SenderCommand::Show(args) => block_on(async {
            let (store, key) = (ledger(&loaded)?, args.address.key());
            let row = store.sender(&key).await?;
            print(&[of_sender(&store, &key, row).await?], args.json)
        }),
        SenderCommand::Set(args) => order_of(
            &loaded,
            Order::Sender(args.address.clone(), args.choice),
            args.json,
        ),
    }
}

/// Runs one of the recipients' commands.
pub(crate) fn recipient(config: Option<&Path>, command: &RecipientCommand) -> Outcome {
    let loaded = load(config)?;
    match command {
        RecipientCommand::List(args) => block_on(async {
            let store = ledger(&loaded)?;
            let mut people = Vec::new();
            for row in store.recipients().await? {
                people.push(of_recipient(&store, &row.address.clone(), Some(row)).await?);
            }
            print(&people, args.json)
        }),
        RecipientCommand::Show(args) => block_on(async {
            let (store, key) = (ledger(&loaded)?, args.address.key());
            let row = store.address(&key).await?;
            print(&[of_recipient(&store, &key, row).await?], args.json)
        }),
        RecipientCommand::Set(args) => set_recipient(&loaded, args),
    }
}

fn set_recipient(loaded: &Loaded, args: &RecipientSetArgs) -> Outcome {
    let order = RecipientOrder {
        address: args.address.clone(),
        choice: args.choice.clone(),
        letters: args.letters,
        days: args.days,
        language: args.language,
    };
    if order.is_empty() {
        let why = "name a choice (hold, discard, redirect:TARGET), --letters, --days or --language";
        return Err(Failure::Usage(why.to_owned()));
    }
    if let Some(target) = args.choice.as_ref().and_then(RecipientChoice::target) {
        block_on(unfiltered(placing(loaded), target))?;
    }
    order_of(loaded, Order::Recipient(order), args.json)
}

/// The ledger cannot know which domains are filtered; the configuration and DNS do.
async fn unfiltered(
    placing: Result<Placing, crate::config::Faults>,
    target: &ForwardPath,
) -> Outcome {
    match placing?.row(target).await {
        Ok(Row::Other) => Ok(()),
        Ok(Row::Filtered) => Err(Failure::Because(objected(Objection::Filtered))),
        Err(error) => Err(Failure::Because(format!(
            "whether {} is filtered is not known: {error}",
            target.address()
        ))),
    }
}

async fn of_sender(store: &Store, key: &str, row: Option<Sender>) -> Result<Person, Failure> {
    let held = store.held_from(key).await?;
    let (discarded, _) = store.discarded(key).await?;
    Ok(Person {
        address: key.to_owned(),
        choice: row
            .as_ref()
            .map(|r| r.choice)
            .unwrap_or_default()
            .name()
            .to_owned(),
        target: None,
        chosen_at: row.as_ref().and_then(|r| r.chosen_at),
        letters: None,
        interval_days: None,
        language: None,
        held,
        discarded,
        waits: waits(store, row.map(|r| r.id)).await?,
    })
}

async fn of_recipient(store: &Store, key: &str, row: Option<Address>) -> Result<Person, Failure> {
    let (_, discarded) = store.discarded(key).await?;
    let held = match &row {
        Some(row) => store.held_for(row.id).await?,
        None => 0,
    };
    let choice = row.as_ref().map(|r| r.choice.clone()).unwrap_or_default();
    Ok(Person {
        address: key.to_owned(),
        choice: choice.name().to_owned(),
        target: choice.target().map(ForwardPath::address),
        chosen_at: row.as_ref().and_then(|r| r.chosen_at),
        letters: Some(row.as_ref().map_or("on", |r| r.letters.name())),
        interval_days: row.as_ref().and_then(|r| r.interval_days),
        language: row.as_ref().and_then(|r| r.language).map(|l| l.name()),
        held,
        discarded,
        waits: waits(store, row.map(|r| r.id)).await?,
    })
}

async fn waits(store: &Store, owner: Option<Id>) -> Result<Option<Waits>, Failure> {
    let Some(owner) = owner else {
        return Ok(None);
    };
    Ok(store.waiting_choice(owner).await?.map(Waits::of))
}

impl Waits {
    fn of(pending: Pending) -> Self {
        let (choice, target) = match &pending.owner {
            Owner::Sender(_, choice) => (choice.name(), None),
            Owner::Recipient(_, choice) => (choice.name(), choice.target()),
        };
        Self {
            choice: choice.to_owned(),
            target: target.map(ForwardPath::address),
            mailed: pending.mailed,
            made_at: pending.made_at,
            ends_at: pending.ends_at,
        }
    }
}

fn print(people: &[Person], json: bool) -> Outcome {
    if json {
        outln!("{}", serde_json::to_string_pretty(people)?);
        return Ok(());
    }
    let heading = [
        "ADDRESS",
        "CHOICE",
        "SINCE",
        "LETTERS",
        "HELD",
        "DISCARDED",
        "WAITS FOR CONFIRMATION",
    ];
    let rows: Vec<_> = people.iter().map(row).collect();
    out!("{}", table(heading, &rows));
    Ok(())
}

fn row(person: &Person) -> [String; 7] {
    let waits = person.waits.as_ref().map(|waits| {
        let choice = with_target(&waits.choice, waits.target.as_deref());
        format!(
            "{choice}, mailed to {}, until {}",
            waits.mailed,
            moment(waits.ends_at)
        )
    });
    [
        person.address.clone(),
        with_target(&person.choice, person.target.as_deref()),
        person.chosen_at.map(moment).unwrap_or_default(),
        letters(person),
        person.held.to_string(),
        person.discarded.to_string(),
        waits.unwrap_or_default(),
    ]
}

/// As `recipient set` takes it.
fn with_target(choice: &str, target: Option<&str>) -> String {
    match target {
        Some(target) => format!("{choice}:{target}"),
        None => choice.to_owned(),
    }
}

fn letters(person: &Person) -> String {
    let days = person
        .interval_days
        .map(|days| format!("every {days} days"));
    let parts = [
        person.letters.map(str::to_owned),
        days,
        person.language.map(str::to_owned),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    parts.join(", ")
}
