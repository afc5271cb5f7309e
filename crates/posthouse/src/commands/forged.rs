//! `posthouse forged`: which senders of a message are forged under this configuration, and what would be
//! done about them. Only plugins that look for them are asked, and those that find out who is who.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use posthouse_hook::plugin::Nature;
use posthouse_hook::proofs::{Forged, ForgedFound};
use posthouse_hook::{
    Chain, Clock as _, Content, Disposition, ForwardPath, Id, OnError, Recipient, Refusal,
    ReversePath, Session, Step, SystemClock, Trail, Transaction, Verdict,
};
use posthouse_plugins::is_forged_sender;
use serde::Serialize;

use super::explain::{chain, message, reverse_path, session};
use super::print::print_trail;
use super::{Failure, Outcome, block_on, chains_of, load};
use crate::cli::ForgedArgs;
use crate::config::Loaded;
use crate::out::outln;

/// What would happen.
#[derive(Serialize)]
struct Told {
    chain: String,
    /// `pass`, `hold`, `discard`, or the refusal.
    verdict: String,
    found: Vec<Forged>,
    trail: Trail,
}

/// Prints what is forged, where it is listed, and what would be done.
pub(crate) fn run(config: Option<&Path>, args: &ForgedArgs) -> Outcome {
    let loaded = load(config)?;
    let from = reverse_path(&args.from)?;
    let message = message::read(&args.file)?;
    let told = block_on(async {
        let (chains, _lists) = chains_of(&loaded)?;
        let name = args
            .listener
            .map(|at| of_listener(&loaded, at))
            .transpose()?;
        let chain = chain(&loaded, &chains, args.chain.as_ref().or(name.as_ref()))?;
        let about_senders = about_senders(chain)?;
        let session = session::of(args.client, &args.helo, args.auth.as_ref());
        Ok(look(&about_senders, session, from, message).await)
    })?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&[&told])?);
    } else {
        told.print();
    }
    Ok(())
}

/// The chain of the listener at that address.
fn of_listener(loaded: &Loaded, at: SocketAddr) -> Result<String, Failure> {
    let mut listeners = loaded.config.listener.iter();
    let found = listeners.find(|listener| listener.address.contains(&at));
    let unknown = || Failure::Usage(format!("there is no listener at {at}"));
    found.map(|l| l.chain.get_ref().clone()).ok_or_else(unknown)
}

/// The steps that look for forged senders, and those whose notes may exempt somebody: when these fail,
/// nobody is exempt.
fn about_senders(chain: &Chain) -> Result<Chain, Failure> {
    let mut steps: Vec<Step> = Vec::new();
    for step in chain.steps() {
        let nature = step.plugin.nature();
        if is_forged_sender(&*step.plugin) {
            steps.push(step.clone());
        } else if matches!(nature, Nature::Measures | Nature::Admits) {
            let on_error = OnError::Pass;
            steps.push(Step {
                on_error,
                ..step.clone()
            });
        }
    }
    if steps.iter().any(|step| is_forged_sender(&*step.plugin)) {
        return Ok(Chain::new(chain.name(), steps));
    }
    let why = format!("the chain `{}` has no forged_sender", chain.name());
    Err(Failure::Because(why))
}

async fn look(chain: &Chain, mut session: Session, from: ReversePath, message: Bytes) -> Told {
    let mut tx = Transaction::new(Id(0), SystemClock.now(), from);
    tx.recipients.push(Recipient::new(ForwardPath::Postmaster));
    let said = transact(chain, &mut session, &mut tx, message).await;
    let ForgedFound(found) = tx.notes.get().cloned().unwrap_or_default();
    let disposed = match tx.recipients.first().map(|r| r.disposition) {
        Some(Disposition::Hold(_)) => "hold",
        Some(Disposition::Discard) => "discard",
        _ => "pass",
    };
    Told {
        chain: chain.name().to_owned(),
        verdict: said.map_or_else(|refusal| refusal.to_string(), |()| disposed.to_owned()),
        found,
        trail: session.trail,
    }
}

async fn transact(
    chain: &Chain,
    session: &mut Session,
    tx: &mut Transaction,
    message: Bytes,
) -> Result<(), Refusal> {
    session::greet(chain, session).await?;
    chain.mail(session, tx).await?;
    tx.message = session::header_of(&message);
    chain.headers(session, tx).await?;
    tx.message.content = Content::Memory(message);
    match chain.data(session, tx).await {
        Verdict::Refuse(refusal) => Err(refusal),
        _ => Ok(()),
    }
}

impl Told {
    fn print(&self) {
        outln!("trail:");
        print_trail(&self.trail, 0);
        if self.found.is_empty() {
            outln!("no sender is listed");
        }
        for forged in &self.found {
            let Forged {
                field,
                address,
                listed,
                action,
                spared,
            } = forged;
            match spared {
                None => outln!("{field} {address}: {listed} says {action}"),
                Some(why) => outln!("{field} {address}: {listed}, but exempt: {why}"),
            }
        }
        outln!("verdict: {}", self.verdict);
    }
}
