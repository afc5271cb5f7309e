//! The running program: opens the store, wires the ports, starts every room, reloads, stops.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthouse_front::{Front, FrontConfig};
use posthouse_hook::{Chain, Clock, Commit, Live, Resolver};
use posthouse_relay::Relay;
use posthouse_store::Store;
use posthouse_web::{Pages, Rules, Web};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::commands::Failure;
use crate::config::{self, Chains, Faults, Listener, Lists, Loaded};
use crate::control::Control;

/// How often list files are looked at.
const LIST_WATCH: Duration = Duration::from_secs(2);
/// How often the store is tidied.
const TIDY: Duration = Duration::from_secs(300);

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
    lists: Arc<Mutex<Lists>>,
    stop: watch::Sender<bool>,
    rooms: JoinSet<()>,
}

impl Server {
    /// Starts every room. When it returns, clients are served.
    pub(crate) async fn start(loaded: Loaded, ports: Ports) -> Result<Self, Failure> {
        let config = &loaded.config;
        let store = Store::open(config.store_settings(), Arc::clone(&ports.clock))?;
        let (chains, lists) = build(&loaded, &ports, &store)?;
        let live = listeners(&loaded, &chains);
        let (stop, stopped) = watch::channel(false);
        let mut server = Self {
            rooms: JoinSet::new(),
            lists: Arc::new(Mutex::new(lists)),
            store,
            ports,
            live,
            loaded,
            stop,
        };
        server.start_web(&stopped).await?;
        server.start_relay(&stopped)?;
        server.start_housekeeping(&stopped)?;
        server.start_fronts(&stopped)?;
        Ok(server)
    }

    async fn start_web(&mut self, stopped: &watch::Receiver<bool>) -> Result<(), Failure> {
        let config = &self.loaded.config;
        let rules = Rules {
            self_release: config.quarantine.self_release.clone(),
            caps: config.quarantine.caps.clone(),
            retention: config.retention(),
        };
        let pages = Pages::new(
            &config.web,
            rules,
            config.templates.as_deref(),
            self.store.clone(),
            Arc::clone(&self.ports.clock),
        )?;
        let web = Web::bind(&config.web)
            .await
            .map_err(|error| because("[web] address", config.web.address, error))?;
        tracing::info!(address = %web.local_addr()?, "pages");
        self.rooms.spawn(web.run(Arc::new(pages), stopped.clone()));
        Ok(())
    }

    fn start_relay(&mut self, stopped: &watch::Receiver<bool>) -> Result<(), Failure> {
        let config = &self.loaded.config;
        let around = posthouse_relay::Surroundings {
            hostname: config.hostname.clone(),
            store: self.store.clone(),
            resolver: Arc::clone(&self.ports.resolver),
            clock: Arc::clone(&self.ports.clock),
        };
        let templates = config.templates.as_ref().map(|dir| dir.join("mail"));
        let relay = Relay::new(
            config.relay.clone(),
            config.letters.clone(),
            around,
            templates.as_deref(),
        )?;
        let stopped = stopped.clone();
        self.rooms.spawn(async move { relay.run(stopped).await });
        Ok(())
    }

    fn start_housekeeping(&mut self, stopped: &watch::Receiver<bool>) -> Result<(), Failure> {
        let control = Control::bind(&self.loaded.config.state).map_err(|error| {
            because(
                "control socket in",
                self.loaded.config.state.display(),
                error,
            )
        })?;
        self.rooms
            .spawn(control.run(self.store.clone(), stopped.clone()));
        let lists = Arc::clone(&self.lists);
        self.rooms
            .spawn(every(LIST_WATCH, stopped.clone(), move || {
                let lists = Arc::clone(&lists);
                async move { reload_lists(lists).await }
            }));
        let store = self.store.clone();
        self.rooms.spawn(every(TIDY, stopped.clone(), move || {
            let store = store.clone();
            async move { tidy(&store).await }
        }));
        Ok(())
    }

    fn start_fronts(&mut self, stopped: &watch::Receiver<bool>) -> Result<(), Failure> {
        let config = &self.loaded.config;
        let commit: Arc<dyn Commit> = Arc::new(self.store.clone());
        let mut fronts = Vec::new();
        for (n, listener) in config.listener.iter().enumerate() {
            fronts.push(Front::bind(FrontConfig {
                hostname: config.hostname.clone(),
                addresses: listener.address.clone(),
                limits: config.limits.clone(),
                spool_dir: config.state.join(format!("incoming/{n}")),
            })?);
        }
        for (front, chain) in fronts.into_iter().zip(&self.live) {
            tracing::info!(addresses = ?front.local_addrs()?, chain = chain.load().name(), "listening");
            let run = front.run(
                chain.clone(),
                Arc::clone(&commit),
                Arc::clone(&self.ports.clock),
                self.store.ids(),
                stopped.clone(),
            );
            self.rooms.spawn(async move {
                if let Err(error) = run.await {
                    tracing::error!(%error, "listener ended");
                }
            });
        }
        Ok(())
    }

    /// Reads the configuration again: chains and lists change for sessions that begin now. A
    /// configuration with a fault is refused and the old one kept.
    pub(crate) fn reload(&mut self) {
        match self.reloaded() {
            Ok(()) => tracing::info!("configuration read again: chains and lists"),
            Err(faults) => {
                tracing::error!(%faults, "configuration has a fault; the old one is kept")
            }
        }
    }

    fn reloaded(&mut self) -> Result<(), Faults> {
        let loaded = config::load(&self.loaded.file)?;
        let (chains, lists) = build(&loaded, &self.ports, &self.store)?;
        self.swap_chains(&loaded.config.listener, &chains);
        *self.lists.lock().unwrap_or_else(|p| p.into_inner()) = lists;
        Ok(())
    }

    /// Gives every running listener the chain that it has in the configuration now.
    fn swap_chains(&self, configured: &[Listener], chains: &Chains) {
        let running = &self.loaded.config.listener;
        for (live, listener) in self.live.iter().zip(running) {
            match chain_at(listener, configured, chains) {
                Some(chain) => live.swap(Arc::clone(chain)),
                None => {
                    tracing::warn!(addresses = ?listener.address, "this listener is gone from the configuration; it keeps its chain until a restart")
                }
            }
        }
        let is_new = |l: &&Listener| running.iter().all(|r| r.address != l.address);
        for listener in configured.iter().filter(is_new) {
            tracing::warn!(addresses = ?listener.address, "a new listener takes a restart");
        }
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

fn because(what: &str, value: impl std::fmt::Display, error: impl std::fmt::Display) -> Failure {
    Failure::Because(format!("{what} {value}: {error}"))
}

fn build(loaded: &Loaded, ports: &Ports, store: &Store) -> Result<(Chains, Lists), Faults> {
    let mut lists = Lists::new(loaded.base());
    let common = config::common(
        loaded,
        &mut lists,
        Arc::clone(&ports.resolver),
        Arc::clone(&ports.clock),
        Some(store.clone()),
    )?;
    let chains = config::build(loaded, common, &mut lists)?;
    Ok((chains, lists))
}

/// The chain of each listener. [`config::build`] has checked that it is there.
fn listeners(loaded: &Loaded, chains: &Chains) -> Vec<Live<Chain>> {
    let listeners = loaded.config.listener.iter();
    listeners
        .filter_map(|listener| chains.get(listener.chain.get_ref()))
        .map(|chain| Live::new(Arc::clone(chain)))
        .collect()
}

/// The chain that a running listener has from now on: that of the listener at the same addresses,
/// wherever it stands in the file.
fn chain_at<'a>(
    running: &Listener,
    configured: &[Listener],
    chains: &'a Chains,
) -> Option<&'a Arc<Chain>> {
    let same = configured.iter().find(|l| l.address == running.address)?;
    chains.get(same.chain.get_ref())
}

/// Files may be large or slow: they are read off the runtime's thread.
async fn reload_lists(lists: Arc<Mutex<Lists>>) {
    let read = move || lists.lock().unwrap_or_else(|p| p.into_inner()).reload();
    if let Err(error) = tokio::task::spawn_blocking(read).await {
        tracing::error!(%error, "lists were not read again");
    }
}

async fn tidy(store: &Store) {
    if let Err(error) = store.tidy().await {
        tracing::error!(%error, "the store was not tidied");
    }
}

/// Does the work now and then until told to stop.
async fn every<F: Future<Output = ()> + Send>(
    span: Duration,
    mut stop: watch::Receiver<bool>,
    work: impl Fn() -> F + Send,
) {
    let mut ticks = tokio::time::interval(span);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => work().await,
            () = told(&mut stop) => return,
        }
    }
}

/// Resolves when told to stop, or when nobody is left to tell.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The ports of a real server: the machine's clock, DNS as configured.
pub(crate) fn real_ports(loaded: &Loaded) -> Result<Ports, Failure> {
    let resolver = crate::dns::DnsResolver::new(&loaded.config.dns)
        .map_err(|error| because("[dns] of", Path::new(&loaded.file).display(), error))?;
    Ok(Ports {
        resolver: Arc::new(resolver),
        clock: Arc::new(posthouse_hook::SystemClock),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(port: u16, chain: &str) -> Listener {
        Listener {
            address: vec![([127, 0, 0, 1], port).into()],
            chain: toml::Spanned::new(0..0, chain.to_owned()),
        }
    }

    #[test]
    fn a_listener_that_moved_in_the_file_keeps_its_own_chain() {
        let names = ["inbound", "outbound"];
        let chains: Chains = names
            .map(|name| (name.to_owned(), Arc::new(Chain::new(name, Vec::new()))))
            .into();
        let configured = [listener(25, "inbound"), listener(587, "outbound")];
        let name_at = |port| {
            let chain = chain_at(&listener(port, "gone"), &configured, &chains);
            chain.map(|chain| chain.name().to_owned())
        };
        assert_eq!(name_at(587).as_deref(), Some("outbound"));
        assert_eq!(name_at(25).as_deref(), Some("inbound"));
        assert_eq!(name_at(2525), None);
    }
}
