//! `posthouse dnsbl status`: which lists are believed just now. Of the running server; without one, the
//! lists are tested now.

use std::path::Path;

use posthouse_hook::Timestamp;
use serde_json::{Map, Value};

use super::{Failure, Outcome, block_on, chains_of, load, unexpected};
use crate::cli::{DnsblCommand, JsonArgs};
use crate::config::Loaded;
use crate::control::{self, Answer, Request};
use crate::out::{out, outln};
use crate::server::{Reported, work_once};
use crate::table::{moment, table};

/// What lists are reported under.
const KIND: &str = "dnsbl";

pub(crate) fn run(config: Option<&Path>, command: &DnsblCommand) -> Outcome {
    match command {
        DnsblCommand::Status(args) => status(&load(config)?, args),
    }
}

fn status(loaded: &Loaded, args: &JsonArgs) -> Outcome {
    let lists: Vec<_> = reports(loaded)?.into_iter().flat_map(lists_of).collect();
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&lists)?);
    } else if lists.is_empty() {
        outln!("no chain has a step `dnsbl`");
    } else {
        let rows: Vec<_> = lists.iter().map(row).collect();
        let heading = [
            "CHAIN",
            "LIST",
            "OF",
            "FOR",
            "STATE",
            "SINCE",
            "TESTED",
            "ASKED",
            "LISTED",
            "UNANSWERED",
            "WHY",
        ];
        out!("{}", table(heading, &rows));
    }
    Ok(())
}

fn reports(loaded: &Loaded) -> Result<Vec<Reported>, Failure> {
    block_on(async {
        let request = Request::Report(KIND.to_owned());
        match control::ask(&loaded.config.state, &request).await? {
            Some(Answer::Reports(reports)) => Ok(reports),
            Some(other) => Err(unexpected(other)),
            None => {
                let (chains, _lists) = chains_of(loaded)?;
                Ok(work_once(&chains).await.reports(KIND))
            }
        }
    })
}

/// The lists of one step, each with the place of the step.
fn lists_of(report: Reported) -> Vec<Value> {
    let Reported { chain, step, parts } = report;
    let placed = |part: Value| {
        let mut all = Map::new();
        all.insert("chain".to_owned(), chain.clone().into());
        all.insert("step".to_owned(), step.clone().into());
        if let Value::Object(part) = part {
            all.extend(part);
        }
        Value::Object(all)
    };
    parts.into_iter().map(placed).collect()
}

fn row(list: &Value) -> [String; 11] {
    [
        "chain",
        "zone",
        "of",
        "family",
        "state",
        "since",
        "tested",
        "asked",
        "listed",
        "unanswered",
        "why",
    ]
    .map(|key| match (&list[key], key) {
        (Value::Number(at), "since" | "tested") => {
            at.as_i64().map(Timestamp).map(moment).unwrap_or_default()
        }
        (Value::String(text), _) => text.clone(),
        (Value::Null, _) => "-".to_owned(),
        (other, _) => other.to_string(),
    })
}
