//! From the chains' tables to chains that run: the program's part of every step, and the
//! surroundings that plugins are built in. Refuses cycles among chains that are run aside.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use posthouse_hook::{AddressList, Chain, DomainList, Live, NetworkList, OnError, Span, Step};
use posthouse_plugins::{AsideError, BuildError, Common, ListSpec, Renew, Surroundings};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::load::{ChainTables, StepTable};
use super::{Fault, Faults, Lists, Loaded, mode};

/// The keys that every step has, whatever its plugin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    plugin: Spanned<String>,
    name: Option<String>,
    timeout: Option<Spanned<Span>>,
    #[serde(default)]
    on_error: OnError,
}

const HEAD: [&str; 4] = ["plugin", "name", "timeout", "on_error"];

/// Every chain by its name.
pub(crate) type Chains = BTreeMap<String, Arc<Chain>>;

struct Builder<'a> {
    loaded: &'a Loaded,
    tables: BTreeMap<String, Vec<StepTable<'a>>>,
    common: Common,
    lists: &'a mut Lists,
    done: Chains,
    /// The chains that are being built, outermost first: one that comes twice would run itself.
    running: Vec<String>,
}

/// Builds every chain, and checks that every listener's chain is there.
pub(crate) fn build(loaded: &Loaded, common: Common, lists: &mut Lists) -> Result<Chains, Faults> {
    let tables = loaded.chains()?;
    let names: Vec<_> = tables.iter().map(|(name, _)| name.clone()).collect();
    let mut builder = Builder {
        loaded,
        tables: by_name(tables),
        common,
        lists,
        done: Chains::new(),
        running: Vec::new(),
    };
    for name in names {
        builder.chain_of(name.get_ref())?;
    }
    check_listeners(loaded, &builder.done)?;
    Ok(builder.done)
}

fn by_name(tables: ChainTables<'_>) -> BTreeMap<String, Vec<StepTable<'_>>> {
    tables
        .into_iter()
        .map(|(name, steps)| (name.into_inner(), steps))
        .collect()
}

fn check_listeners(loaded: &Loaded, chains: &Chains) -> Result<(), Faults> {
    let names = loaded.config.listener.iter().map(|l| &l.chain);
    let mut faults: Vec<_> = names
        .filter(|name| !chains.contains_key(name.get_ref()))
        .map(|name| unknown_chain(loaded, name, chains))
        .collect();
    faults.extend(bound_twice(loaded));
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Faults(faults))
    }
}

fn unknown_chain(loaded: &Loaded, name: &Spanned<String>, chains: &Chains) -> Fault {
    let known: Vec<_> = chains.keys().map(String::as_str).collect();
    let (span, name) = (name.span(), name.get_ref());
    loaded
        .fault(Some(span), format!("there is no chain `{name}`"))
        .with_way_out(format!(
            "add [[chain.{name}]] tables, or name one of: {}",
            known.join(", ")
        ))
}

/// Addresses that stand in two places, of which only one could have them. Port 0 is a port of its
/// own each time.
fn bound_twice(loaded: &Loaded) -> Vec<Fault> {
    let mut taken = HashSet::from([loaded.config.web.address]);
    let listeners = loaded.config.listener.iter();
    let addresses = listeners.flat_map(|listener| &listener.address);
    let twice = addresses.filter(|address| address.port() != 0 && !taken.insert(**address));
    let fault = |address: &SocketAddr| {
        let problem = format!("{address} stands twice among the listeners and [web]");
        Fault::of_file(&loaded.file, problem).with_way_out("give each an address of its own")
    };
    twice.map(fault).collect()
}

impl<'a> Builder<'a> {
    /// The chain of that name, built now if it was not yet.
    fn chain_of(&mut self, name: &str) -> Result<Arc<Chain>, Faults> {
        if let Some(chain) = self.done.get(name) {
            return Ok(Arc::clone(chain));
        }
        let mut tables = self.tables.remove(name).unwrap_or_default();
        let mode = mode::take(self.loaded, &mut tables)?;
        self.running.push(name.to_owned());
        let steps = tables.into_iter().map(|step| self.step(step));
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        self.running.pop();
        let chain = Arc::new(Chain::new(name, steps).in_mode(mode));
        self.done.insert(name.to_owned(), Arc::clone(&chain));
        Ok(chain)
    }

    fn step(&mut self, step: StepTable<'a>) -> Result<Step, Faults> {
        let StepTable { table, span } = step;
        let (head, options) = self.split(table)?;
        let kind = head.plugin.get_ref();
        let name = head.name.unwrap_or_else(|| kind.clone());
        let loaded = self.loaded;
        if let Some(timeout) = head.timeout.as_ref().filter(|t| t.get_ref().0.is_zero()) {
            let fault = loaded.fault(
                Some(timeout.span()),
                "timeout is 0: no answer could be in time",
            );
            return Err(fault.with_way_out("write 1s or more").into());
        }
        let plugin = posthouse_plugins::build(kind, &name, options, self)
            .map_err(|error| to_faults(loaded, error, head.plugin.span(), span))?;
        let timeout = head.timeout.map(|span| span.into_inner().0);
        Ok(Step {
            name,
            timeout: timeout.unwrap_or_else(|| plugin.default_timeout()),
            plugin,
            on_error: head.on_error,
        })
    }

    /// The keys of every step, and the plugin's own.
    fn split(&self, table: Spanned<DeTable<'a>>) -> Result<(Head, Spanned<DeTable<'a>>), Faults> {
        let span = table.span();
        let (head, options): (DeTable<'a>, DeTable<'a>) = table.into_inner().into_iter().partition(
            |(key, _): &(Spanned<_>, Spanned<DeValue<'_>>)| {
                let key: &str = key.get_ref();
                HEAD.contains(&key)
            },
        );
        let head = Spanned::new(span.clone(), head);
        let head = Head::deserialize(head.into_deserializer())
            .map_err(|error| self.loaded.fault(error.span(), error.message()))?;
        Ok((head, Spanned::new(span, options)))
    }

    fn aside(&mut self, name: &str) -> Result<Arc<Chain>, AsideError> {
        if self.running.iter().any(|running| running == name) {
            let path = self.running.join(" → ");
            return Err(AsideError::Name {
                problem: format!("the chain would run itself: {path} → {name}"),
                way_out: "name a chain of scanners that runs no other chain".to_owned(),
            });
        }
        if !self.done.contains_key(name) && !self.tables.contains_key(name) {
            return Err(AsideError::Name {
                problem: format!("there is no chain `{name}`"),
                way_out: format!("add [[chain.{name}]] tables"),
            });
        }
        self.chain_of(name)
            .map_err(|faults| AsideError::Inside(Box::new(faults)))
    }
}

/// Turns a plugin's error into the program's; its value's place beats the plugin's, and that the
/// step's.
fn to_faults(
    loaded: &Loaded,
    error: BuildError,
    plugin: std::ops::Range<usize>,
    step: std::ops::Range<usize>,
) -> Faults {
    let span = error.span().unwrap_or(plugin);
    match error {
        BuildError::Toml(error) => {
            let span = error.span().unwrap_or(step);
            loaded.fault(Some(span), error.message()).into()
        }
        BuildError::Value(bad) => {
            let problem = format!("{} = `{}`: {}", bad.key, bad.value, bad.problem);
            loaded
                .fault(Some(span), problem)
                .with_way_out(bad.way_out)
                .into()
        }
        BuildError::Aside(inner) => match inner.downcast::<Faults>() {
            Ok(faults) => *faults,
            Err(other) => Fault::of_file(&loaded.file, other).into(),
        },
    }
}

impl Surroundings for Builder<'_> {
    fn common(&self) -> &Common {
        &self.common
    }

    fn domains(&mut self, spec: &ListSpec) -> Result<Live<DomainList>, String> {
        self.lists.open(spec)
    }

    fn networks(&mut self, spec: &ListSpec) -> Result<Live<NetworkList>, String> {
        self.lists.open(spec)
    }

    fn addresses(&mut self, spec: &ListSpec) -> Result<Live<AddressList>, String> {
        self.lists.open(spec)
    }

    fn keep(&mut self, made: Box<dyn Renew>) -> Result<(), String> {
        self.lists.keep(made)
    }

    fn chain(&mut self, name: &str) -> Result<Arc<Chain>, AsideError> {
        self.aside(name)
    }
}
