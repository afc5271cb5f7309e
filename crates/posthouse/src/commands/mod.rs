//! The commands, one file each.

pub(crate) mod chain;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod dnsbl;
mod erase;
pub(crate) mod explain;
pub(crate) mod forged;
pub(crate) mod held;
pub(crate) mod letters;
pub(crate) mod observe;
pub(crate) mod people;
mod print;
pub(crate) mod queue;
pub(crate) mod quota_service;
pub(crate) mod replay;
mod requests;
mod samples;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod templates;

use std::path::Path;
use std::sync::Arc;

use posthouse_hook::SystemClock;
use posthouse_hook::trail::visible;
use posthouse_plugins::{Common, Placing};
use posthouse_relay::{LetterWriter, MailError};
use posthouse_store::{Filter, Store};

use crate::cli::{ListArgs, SelectArgs};
use crate::config::{self, Chains, Config, Fault, Faults, Lists, Loaded};
use crate::control::{self, Answer, Order, Request};
use crate::dns::DnsResolver;
use crate::log;
use crate::out::outln;
use crate::server::Learners;

/// Why a command did not do what it was asked.
pub(crate) enum Failure {
    /// The cause is printed already.
    Told,
    /// It failed.
    Because(String),
    /// It was called wrongly.
    Usage(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Because(error.to_string())
    }
}

pub(crate) type Outcome = Result<(), Failure>;

/// Reads the configuration that was asked for, or the one in the usual places.
fn load(asked: Option<&Path>) -> Result<Loaded, Failure> {
    Ok(config::load(&config::find(asked)?)?)
}

/// Runs a command's asynchronous part on this thread, whose log lines are written as it waits.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(log::write_gathered)
        .build()?;
    let _gathering = log::Gathering::begin();
    runtime.block_on(work)
}

/// What plugins share, without a store: for commands that look but do not touch.
fn common_of(loaded: &Loaded, lists: &mut Lists) -> Result<Common, Faults> {
    let config = &loaded.config;
    let resolver = DnsResolver::new(&config.dns)
        .map_err(|error| Fault::of_file(&loaded.file, format!("[dns]: {error}")))?;
    // Links of ours are proved by the ledger, if there is one.
    let clock = Arc::new(SystemClock);
    let store = Store::open_read_only(config.store_settings(), clock.clone()).ok();
    config::common(loaded, lists, Arc::new(resolver), clock, store)
}

/// All chains, for commands that look but do not touch. Needs a runtime for the resolver.
fn chains_of(loaded: &Loaded) -> Result<(Chains, Lists), Faults> {
    let mut lists = Lists::new(loaded.base());
    let common = common_of(loaded, &mut lists)?;
    let chains = config::build(loaded, common, &mut lists)?;
    config::reach(loaded, &mut lists)?;
    Ok((chains, lists))
}

/// Writes letters as the relay would, for commands that only look.
fn letter_writer(config: &Config) -> Result<LetterWriter, MailError> {
    let templates = config.templates.as_ref().map(|dir| dir.join("mail"));
    LetterWriter::new(
        config.letters.clone(),
        config.hostname.clone(),
        templates.as_deref(),
        Arc::new(SystemClock),
    )
}

/// The ledger for reading, whether a server runs or not.
fn ledger(loaded: &Loaded) -> Result<Store, Failure> {
    let settings = loaded.config.store_settings();
    Ok(Store::open_read_only(settings, Arc::new(SystemClock))?)
}

/// What a list command's options ask of the store.
fn filter(args: &ListArgs, states: &[posthouse_store::State]) -> Filter {
    Filter {
        recipient: args.recipient.clone(),
        sender: args.sender.clone(),
        text: None,
        states: states.to_vec(),
        before: None,
        limit: args.limit,
    }
}

/// Asks the running server for a deed on some copies, or does it on the ledger if no server runs.
fn deed(config: Option<&Path>, args: &SelectArgs, request: Request) -> Outcome {
    print_answer(args, ask(&load(config)?, request)?)
}

/// Asks the running server, or does it on the ledger if no server runs.
fn ask(loaded: &Loaded, request: Request) -> Result<Answer, Failure> {
    block_on(async {
        match control::ask(&loaded.config.state, &request).await? {
            Some(answer) => Ok(answer),
            None => {
                let settings = loaded.config.store_settings();
                let learns = learns(loaded);
                let store = Store::open(settings, Arc::new(SystemClock))?;
                store.note_lessons(learns);
                Ok(control::answer(&store, request).await)
            }
        }
    })
}

/// Whether some scanner learns from what people do. Chains with a fault keep nobody from a deed.
fn learns(loaded: &Loaded) -> bool {
    let chains = chains_of(loaded);
    chains.is_ok_and(|(chains, _lists)| !Learners::of(&chains).is_empty())
}

/// Has an order about people carried out, and tells what came of it.
fn order(config: Option<&Path>, order: Order, json: bool) -> Outcome {
    order_of(&load(config)?, order, json)
}

fn order_of(loaded: &Loaded, order: Order, json: bool) -> Outcome {
    match ask(loaded, Request::People(order))? {
        Answer::Said(said) if json => {
            outln!("{}", serde_json::json!([{ "said": visible(&said) }]));
            Ok(())
        }
        Answer::Said(said) => {
            outln!("{}", visible(&said));
            Ok(())
        }
        other => Err(unexpected(other)),
    }
}

/// Tells filtered addresses from others, as the server would. Needs a runtime for the resolver.
fn placing(loaded: &Loaded) -> Result<Placing, Faults> {
    let mut lists = Lists::new(loaded.base());
    let common = common_of(loaded, &mut lists)?;
    let (filtered, resolver) = (common.filtered.clone(), Arc::clone(&common.resolver));
    config::build(loaded, common, &mut lists)?;
    Ok(Placing::new(filtered, resolver))
}

/// An answer to another question.
fn unexpected(answer: Answer) -> Failure {
    Failure::Because(match answer {
        Answer::Failed(why) => why,
        _ => "the server answers another question; is it another version?".to_owned(),
    })
}

fn print_answer(args: &SelectArgs, answer: Answer) -> Outcome {
    let done = match answer {
        Answer::Done(done) => done,
        other => return Err(unexpected(other)),
    };
    if args.json {
        outln!("{}", serde_json::to_string(&[&done])?);
    } else {
        outln!("{} changed, {} untouched", done.changed, done.untouched);
    }
    if done.changed == 0 {
        let id = args.id;
        return Err(Failure::Because(format!(
            "nothing of {id} is in a state for that"
        )));
    }
    Ok(())
}
