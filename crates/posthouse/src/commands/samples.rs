//! `posthouse held samples`: spam that was not held, one in so many, for statistics.

use std::io::Write as _;
use std::path::Path;

use posthouse_hook::facts::{Judgement, Scanned};
use posthouse_store::Sample;

use super::{Failure, Outcome, block_on, ledger, load};
use crate::cli::SamplesArgs;
use crate::out::{out, outln};
use crate::table::{moment, table};

/// Lists samples, or writes one message's first octets to standard output.
pub(super) fn run(config: Option<&Path>, args: &SamplesArgs) -> Outcome {
    let loaded = load(config)?;
    block_on(async {
        let store = ledger(&loaded)?;
        if let Some(id) = args.export {
            let Some(bytes) = store.sample_bytes(id).await? else {
                return Err(Failure::Because(format!("there is no sample {id}")));
            };
            return Ok(std::io::stdout().lock().write_all(&bytes)?);
        }
        let samples = store.samples(args.limit).await?;
        match args.json {
            true => outln!("{}", serde_json::to_string_pretty(&samples)?),
            false => print(&samples),
        }
        Ok(())
    })
}

fn print(samples: &[Sample]) {
    let rows: Vec<_> = samples
        .iter()
        .map(|sample| {
            [
                sample.id.to_string(),
                moment(sample.at),
                sample.sender.clone(),
                sample.size.to_string(),
                sample.judgement.as_ref().map(scores).unwrap_or_default(),
            ]
        })
        .collect();
    out!(
        "{}",
        table(["ID", "AT", "SENDER", "SIZE", "SPAM BY"], &rows)
    );
}

/// The scanners that said spam, and their scores.
fn scores(judgement: &Judgement) -> String {
    let spam = judgement
        .scans
        .0
        .iter()
        .filter(|s| s.found == Scanned::Spam);
    let words = spam.map(|scan| match scan.score {
        Some(score) => format!("{} {score:.1}", scan.scanner),
        None => scan.scanner.clone(),
    });
    words.collect::<Vec<_>>().join(", ")
}
