//! The running program: opens the store, wires the ports, starts every room, reloads, stops.

mod learning;
mod reload;
mod rooms;
mod upkeep;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthouse_hook::{Chain, Clock, Live, Resolver, SystemClock};
use posthouse_plugins::Filtered;
use posthouse_relay::Reach;
use posthouse_store::{Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::commands::Failure;
use crate::config::{self, Chains, Config, Faults, Lists, Loaded};
use crate::dns::DnsResolver;

pub(crate) use learning::Learners;
pub(crate) use upkeep::{Reported, Upkeep, work_once};

/// How long a start waits for a command that works on the ledger, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(250);

/// What the server needs from outside: tests and the demo bring their own.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A server that runs until it is stopped.
pub(crate) struct Server {
    pub(crate) store: Store,
    ports: Ports,
    loaded: Loaded,
    /// The chain of each listener, in the order of the configuration.
    live: Vec<Live<Chain>>,
    /// To whom letters may go.
    reach: Live<Reach>,
    lists: Arc<Mutex<Lists>>,
    filtered: Filtered,
    learners: Live<Learners>,
    upkeep: Live<Upkeep>,
    stop: watch::Sender<bool>,
    rooms: JoinSet<()>,
}

impl Server {
    /// Starts every room. When it returns, clients are served.
    pub(crate) async fn start(loaded: Loaded, ports: Ports) -> Result<Self, Failure> {
        let config = &loaded.config;
        let store = open(config, &ports.clock).await?;
        let Built {
            chains,
            reach,
            lists,
            filtered,
        } = build(&loaded, &ports, &store)?;
        let live = listeners(&loaded, &chains);
        let learners = learners(&store, &chains);
        let (stop, stopped) = watch::channel(false);
        let mut server = Self {
            rooms: JoinSet::new(),
            lists: Arc::new(Mutex::new(lists)),
            store,
            filtered,
            learners: Live::new(learners),
            upkeep: Live::new(Upkeep::start(&chains)),
            ports,
            live,
            reach: Live::new(reach),
            loaded,
            stop,
        };
        server.start_web(&stopped).await?;
        server.start_relay(&stopped)?;
        server.start_housekeeping(&stopped)?;
        server.start_fronts(&stopped)?;
        Ok(server)
    }

    /// Stops accepting, lets running work end within its limits, and waits for it.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.rooms.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a room ended badly");
            }
        }
        tracing::info!("stopped");
    }

    /// Resolves if a room ends by itself: a fault that only a restart mends.
    pub(crate) async fn failed(&mut self) {
        match self.rooms.join_next().await {
            Some(Err(error)) => tracing::error!(%error, "a room ended badly"),
            _ => tracing::error!("a room ended"),
        }
    }
}

/// Opens the store; a command that works on it just now ends soon.
async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Store, StoreError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Store::open(config.store_settings(), Arc::clone(clock)) {
            Err(StoreError::InUse(state)) if Instant::now() < until => {
                tracing::info!(state, "in use by another posthouse process; waiting");
                sleep(LOOK).await;
            }
            opened => return opened,
        }
    }
}

fn because(what: &str, value: impl std::fmt::Display, error: impl std::fmt::Display) -> Failure {
    Failure::Because(format!("{what} {value}: {error}"))
}

/// What a SIGHUP makes anew.
struct Built {
    chains: Chains,
    reach: Reach,
    lists: Lists,
    filtered: Filtered,
}

fn build(loaded: &Loaded, ports: &Ports, store: &Store) -> Result<Built, Faults> {
    let mut lists = Lists::new(loaded.base());
    let common = config::common(
        loaded,
        &mut lists,
        Arc::clone(&ports.resolver),
        Arc::clone(&ports.clock),
        Some(store.clone()),
    )?;
    let filtered = common.filtered.clone();
    let chains = config::build(loaded, common, &mut lists)?;
    let reach = config::reach(loaded, &mut lists)?;
    Ok(Built {
        chains,
        reach,
        lists,
        filtered,
    })
}

/// The scanners that learn; lessons are noted only if there is one.
fn learners(store: &Store, chains: &Chains) -> Learners {
    let learners = Learners::of(chains);
    store.note_lessons(!learners.is_empty());
    learners
}

/// The chain of each listener. [`config::build`] has checked that it is there.
fn listeners(loaded: &Loaded, chains: &Chains) -> Vec<Live<Chain>> {
    let listeners = loaded.config.listener.iter();
    listeners
        .filter_map(|listener| chains.get(listener.chain.get_ref()))
        .map(|chain| Live::new(Arc::clone(chain)))
        .collect()
}

/// The ports of a real server: the machine's clock, DNS as configured.
pub(crate) fn real_ports(loaded: &Loaded) -> Result<Ports, Failure> {
    let resolver = DnsResolver::new(&loaded.config.dns)
        .map_err(|error| because("[dns] of", loaded.file.display(), error))?;
    Ok(Ports {
        resolver: Arc::new(resolver),
        clock: Arc::new(SystemClock),
    })
}
