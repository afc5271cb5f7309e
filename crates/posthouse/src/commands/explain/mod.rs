//! `posthouse explain`: a message goes through the chain without being queued, and the trail says
//! what each plugin found, which cell that is, and what would become of it.

pub(super) mod message;
pub(super) mod session;
mod told;

use std::path::Path;

use posthouse_hook::{AddressError, Chain, ForwardPath, ReversePath};

use super::{Failure, Outcome, block_on, chains_of, load};
use crate::cli::ExplainArgs;
use crate::config::{Chains, Loaded};
use crate::out::outln;
use crate::server::work_once;
use session::{Envelope, converse};
use told::Explained;

/// Prints the trail, the reply, the dispositions and the letters.
pub(crate) fn run(config: Option<&Path>, args: &ExplainArgs) -> Outcome {
    let loaded = load(config)?;
    let envelope = envelope(args)?;
    let message = message::read(&args.file)?;
    let explained = block_on(async {
        let (chains, _lists) = chains_of(&loaded)?;
        work_once(&chains).await;
        let chain = chain(&loaded, &chains, args.chain.as_ref())?;
        let mut session = session::of(args.client, &args.helo, args.auth.as_ref());
        let ended = converse(chain, &mut session, envelope, message).await;
        Explained::of(&loaded, session, ended)
    })?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&[&explained])?);
    } else {
        explained.print();
    }
    Ok(())
}

fn envelope(args: &ExplainArgs) -> Result<Envelope, Failure> {
    let path =
        |text: &String| ForwardPath::from_address(bare(text)).map_err(|error| wrong(text, &error));
    Ok(Envelope {
        from: reverse_path(&args.from)?,
        to: args.to.iter().map(path).collect::<Result<_, _>>()?,
    })
}

/// The reverse-path that an option says, with or without brackets.
pub(super) fn reverse_path(text: &str) -> Result<ReversePath, Failure> {
    ReversePath::from_address(bare(text)).map_err(|error| wrong(text, &error))
}

fn wrong(text: &str, error: &AddressError) -> Failure {
    Failure::Usage(format!("`{text}`: {error}"))
}

fn bare(text: &str) -> &str {
    text.trim_start_matches('<').trim_end_matches('>')
}

/// The chain of that name, or the first listener's.
pub(super) fn chain<'a>(
    loaded: &Loaded,
    chains: &'a Chains,
    asked: Option<&String>,
) -> Result<&'a Chain, Failure> {
    let first = || loaded.config.listener.first().map(|l| l.chain.get_ref());
    let Some(name) = asked.or_else(first) else {
        let why = "there is no listener; name a chain with --chain";
        return Err(Failure::Usage(why.to_owned()));
    };
    let known = || {
        chains
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let unknown = || Failure::Usage(format!("there is no chain `{name}`; there is: {}", known()));
    chains.get(name).map(AsRef::as_ref).ok_or_else(unknown)
}
