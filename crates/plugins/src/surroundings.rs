//! What plugins are given when they are built: the program's lists, chains and ports.

use std::path::PathBuf;
use std::sync::Arc;

use posthouse_hook::{AddressList, Chain, Clock, DomainList, Live, NetworkList, NextHop, Resolver};
use posthouse_store::Store;

use crate::filtered::Filtered;
use crate::options::{BadValue, BuildError, ListSpec};
use crate::sources::Renew;

/// What all plugins share. A clone shares it too.
#[derive(Clone)]
pub struct Common {
    /// The server's own name.
    pub hostname: String,
    /// Whose domains are ours.
    pub our_domains: Live<DomainList>,
    /// Our customers and hosts.
    pub our_networks: Live<NetworkList>,
    /// The hosts whose Received fields we believe.
    pub our_servers: Live<NetworkList>,
    /// DNS.
    pub resolver: Arc<dyn Resolver>,
    /// Asks next hops; none where there is no relay.
    pub next_hop: Option<Arc<dyn NextHop>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The ledger; none when nothing is kept (`check`, `explain` without a state directory).
    pub store: Option<Store>,
    /// The length of every link in octets ([`posthouse_hook::LinkKey::link_len`]).
    pub link_len: usize,
    /// Where every quarantine leaves its list of filtered domains.
    pub filtered: Filtered,
    /// Where an operator's own templates are; those that are missing there are built in.
    pub templates: Option<PathBuf>,
    /// Relative file names in the configuration start here.
    pub base: PathBuf,
}

/// Why a chain cannot be run aside.
#[derive(Debug)]
pub enum AsideError {
    /// No such chain, or it would run itself: a fault of the option that names it.
    Name {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: String,
    },
    /// The chain has an error of its own, which knows its own place.
    Inside(Box<dyn std::error::Error + Send + Sync>),
}

/// What the program lends to a plugin that is being built.
pub trait Surroundings {
    /// What all plugins share.
    fn common(&self) -> &Common;

    /// A list of domains, kept up to date while the program runs. The error names the entry.
    fn domains(&mut self, spec: &ListSpec) -> Result<Live<DomainList>, String>;

    /// A list of networks, kept up to date while the program runs. The error names the entry.
    fn networks(&mut self, spec: &ListSpec) -> Result<Live<NetworkList>, String>;

    /// A list of addresses and domains, kept up to date while the program runs. The error names
    /// the entry.
    fn addresses(&mut self, spec: &ListSpec) -> Result<Live<AddressList>, String>;

    /// Makes something of files now, and again whenever one of them changes while the program runs.
    /// The error names file, line and entry.
    fn keep(&mut self, made: Box<dyn Renew>) -> Result<(), String>;

    /// The chain of that name, to be run aside.
    fn chain(&mut self, name: &str) -> Result<Arc<Chain>, AsideError>;
}

/// The list of domains that the option `key` names.
pub(crate) fn domains(
    parts: &mut dyn Surroundings,
    key: &str,
    spec: &ListSpec,
) -> Result<Live<DomainList>, BuildError> {
    parts.domains(spec).map_err(|e| bad_list(key, spec, &e))
}

/// The list of networks that the option `key` names.
pub(crate) fn networks(
    parts: &mut dyn Surroundings,
    key: &str,
    spec: &ListSpec,
) -> Result<Live<NetworkList>, BuildError> {
    parts.networks(spec).map_err(|e| bad_list(key, spec, &e))
}

/// The list of addresses that the option `key` names.
pub(crate) fn addresses(
    parts: &mut dyn Surroundings,
    key: &str,
    spec: &ListSpec,
) -> Result<Live<AddressList>, BuildError> {
    parts.addresses(spec).map_err(|e| bad_list(key, spec, &e))
}

/// The chain that the option `key` names.
pub(crate) fn chain(
    parts: &mut dyn Surroundings,
    key: &str,
    name: &str,
) -> Result<Arc<Chain>, BuildError> {
    parts.chain(name).map_err(|error| match error {
        AsideError::Name { problem, way_out } => BadValue::new(key, name, problem, way_out).into(),
        AsideError::Inside(error) => BuildError::Aside(error),
    })
}

/// The error about a list that cannot be used.
pub(crate) fn bad_list(key: &str, spec: &ListSpec, problem: &str) -> BuildError {
    let way_out = "write the entries inline, or file:PATH of a file with one entry a line";
    BadValue::new(key, spec, problem, way_out).into()
}
