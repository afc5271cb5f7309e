//! `posthouse replay`: what was accepted or held is judged again under the configuration that is
//! given, and what would differ is counted and listed. Read-only; works beside a server.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use futures_util::future::join_all;
use posthouse_hook::{Clock as _, ForwardPath, Id, ReversePath, SystemClock, Timestamp};
use posthouse_plugins::replay::{Hears, Replay, Standing, was};
use posthouse_store::{Judged, Store};
use serde::Serialize;

use super::{Failure, Outcome, block_on, chains_of, ledger, load};
use crate::cli::ReplayArgs;
use crate::config::{Chains, Loaded};
use crate::out::{out, outln};
use crate::table::{moment, table};

/// Messages that are read, and asked about in DNS, at a time.
const BATCH: usize = 200;

/// What a replay came to.
#[derive(Default, Serialize)]
struct Report {
    /// Messages that were judged again.
    judged: u64,
    /// Those of which a copy would stand elsewhere.
    differing: u64,
    /// Of these, those that would be scanned and were not.
    unknown: u64,
    /// How many copies would go from where to where, most first.
    counts: Vec<Count>,
    /// The newest messages that differ, newest first.
    cases: VecDeque<Case>,
}

#[derive(Serialize)]
struct Count {
    old: Standing,
    new: Standing,
    copies: u64,
}

#[derive(Serialize)]
struct Case {
    id: Id,
    at: Timestamp,
    from: ReversePath,
    chain: String,
    copies: Vec<Moved>,
}

/// One copy that would stand elsewhere.
#[derive(Serialize)]
struct Moved {
    to: ForwardPath,
    old: Standing,
    new: Standing,
}

/// Prints what would differ.
pub(crate) fn run(config: Option<&Path>, args: &ReplayArgs) -> Outcome {
    let mut loaded = load(config)?;
    if let Some(state) = &args.state {
        loaded.config.state.clone_from(state);
    }
    let report = block_on(async {
        let store = ledger(&loaded)?;
        let (chains, _lists) = chains_of(&loaded)?;
        let replays = Replays::new(&loaded, &chains)?;
        judge_all(&store, &replays, args).await
    })?;
    if args.look.json {
        outln!("{}", serde_json::to_string_pretty(&[&report])?);
    } else {
        print(&report);
    }
    Ok(())
}

/// The chains by which messages are judged again.
struct Replays<'a> {
    by_name: BTreeMap<&'a str, Replay<'a>>,
    /// For messages of a chain that is not there any more: the first listener's.
    first: Replay<'a>,
}

impl<'a> Replays<'a> {
    fn new(loaded: &Loaded, chains: &'a Chains) -> Result<Self, Failure> {
        let first = loaded.config.listener.first();
        let first = first.and_then(|listener| chains.get(listener.chain.get_ref()));
        let Some(first) = first else {
            let why = "there is no listener in the new configuration: nothing would be judged";
            return Err(Failure::Because(why.to_owned()));
        };
        let named = |(name, chain): (&'a String, &'a _)| (name.as_str(), Replay::of(chain));
        Ok(Self {
            by_name: chains.iter().map(|(n, c)| named((n, &**c))).collect(),
            first: Replay::of(first),
        })
    }

    fn of(&self, judged: &Judged) -> &Replay<'a> {
        self.by_name.get(&*judged.chain).unwrap_or(&self.first)
    }
}

async fn judge_all(
    store: &Store,
    replays: &Replays<'_>,
    args: &ReplayArgs,
) -> Result<Report, Failure> {
    let since = SystemClock.now().before(args.look.since.0);
    let (mut report, mut moves, mut after) = (Report::default(), BTreeMap::new(), 0);
    loop {
        let batch = store.judged(since, after, BATCH).await?;
        let Some((last, _)) = batch.last() else { break };
        after = *last;
        let again = batch.iter().map(|(_, judged)| {
            let replay = replays.of(judged);
            replay.judge(judged)
        });
        let again = join_all(again).await;
        for ((_, judged), standings) in batch.iter().zip(again) {
            report.take(judged, standings, args.look.limit, &mut moves);
        }
    }
    report.counts = sorted(moves);
    Ok(report)
}

/// Where copies go from and to, and how many.
type Moves = BTreeMap<(Standing, Standing), u64>;

fn sorted(moves: Moves) -> Vec<Count> {
    let mut counts: Vec<_> = moves
        .into_iter()
        .map(|((old, new), copies)| Count { old, new, copies })
        .collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.copies));
    counts
}

impl Report {
    fn take(&mut self, judged: &Judged, standings: Vec<Standing>, limit: usize, moves: &mut Moves) {
        self.judged += 1;
        let pairs = judged.to.iter().zip(standings);
        let moved: Vec<_> = pairs
            .map(|(copy, new)| Moved {
                to: copy.address.clone(),
                old: was(judged, copy),
                new,
            })
            .filter(|moved| moved.old != moved.new)
            .collect();
        if moved.is_empty() {
            return;
        }
        self.differing += 1;
        self.unknown += u64::from(moved.iter().any(|m| m.new.reply == Hears::Unknown));
        for one in &moved {
            *moves.entry((one.old, one.new)).or_default() += 1;
        }
        self.cases.push_front(Case::of(judged, moved));
        self.cases.truncate(limit);
    }
}

impl Case {
    fn of(judged: &Judged, copies: Vec<Moved>) -> Self {
        Self {
            id: judged.id,
            at: judged.at,
            from: judged.from.clone(),
            chain: judged.chain.clone(),
            copies,
        }
    }
}

fn print(report: &Report) {
    let Report {
        judged,
        differing,
        unknown,
        ..
    } = report;
    outln!("{judged} messages judged again, {differing} would differ");
    if *unknown > 0 {
        outln!("{unknown} of them would be scanned, and nobody knows with what result");
    }
    if *differing == 0 {
        return;
    }
    let count = |c: &Count| [c.copies.to_string(), c.old.to_string(), c.new.to_string()];
    let counts: Vec<_> = report.counts.iter().map(count).collect();
    outln!();
    out!("{}", table(["COPIES", "OLD", "NEW"], &counts));
    outln!();
    let rows: Vec<_> = report.cases.iter().flat_map(rows).collect();
    out!(
        "{}",
        table(["ID", "RECEIVED", "FROM", "TO", "OLD", "NEW"], &rows)
    );
}

fn rows(case: &Case) -> impl Iterator<Item = [String; 6]> + '_ {
    case.copies.iter().map(|copy| {
        [
            case.id.to_string(),
            moment(case.at),
            case.from.to_string(),
            copy.to.address(),
            copy.old.to_string(),
            copy.new.to_string(),
        ]
    })
}
