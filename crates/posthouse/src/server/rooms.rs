//! How each room is started, and what it is given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthouse_front::{Front, FrontConfig};
use posthouse_hook::{Commit, Rows};
use posthouse_plugins::Placing;
use posthouse_relay::{Relay, Surroundings};
use posthouse_store::Store;
use posthouse_web::{Pages, Rules, Web};
use tokio::sync::watch;

use super::{Server, because, learning};
use crate::commands::Failure;
use crate::config::{Config, Lists};
use crate::control::Control;

/// How often list files are looked at.
const LIST_WATCH: Duration = Duration::from_secs(2);
/// How often the store is tidied.
const TIDY: Duration = Duration::from_secs(300);

impl Server {
    /// The pages.
    pub(super) async fn start_web(
        &mut self,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        let config = &self.loaded.config;
        let rules = Rules {
            self_release: config.quarantine.self_release.clone(),
            caps: config.quarantine.caps.clone(),
            recipient_releases: config.quarantine.recipient_releases(),
            retention: config.retention(),
        };
        let pages = Pages::new(
            &config.web,
            rules,
            config.templates.as_deref(),
            self.store.clone(),
            Arc::clone(&self.ports.clock),
            self.rows(),
        )?;
        let web = Web::bind(&config.web)
            .await
            .map_err(|error| because("[web] address", config.web.address, error))?;
        tracing::info!(address = %web.local_addr()?, "pages");
        self.rooms.spawn(web.run(Arc::new(pages), stopped.clone()));
        Ok(())
    }

    /// Tells filtered addresses from others, by the chains as they are now.
    fn rows(&self) -> Arc<dyn Rows> {
        let resolver = Arc::clone(&self.ports.resolver);
        Arc::new(Placing::new(self.filtered.clone(), resolver))
    }

    /// The relay and the letters.
    pub(super) fn start_relay(&mut self, stopped: &watch::Receiver<bool>) -> Result<(), Failure> {
        let config = &self.loaded.config;
        let around = Surroundings {
            hostname: config.hostname.clone(),
            store: self.store.clone(),
            resolver: Arc::clone(&self.ports.resolver),
            clock: Arc::clone(&self.ports.clock),
            reach: self.reach.clone(),
            rows: self.rows(),
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

    /// The control socket, and what is done every now and then.
    pub(super) fn start_housekeeping(
        &mut self,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        let state = &self.loaded.config.state;
        let control = Control::bind(state)
            .map_err(|error| because("control socket in", state.display(), error))?;
        let upkeep = self.upkeep.clone();
        self.rooms
            .spawn(control.run(self.store.clone(), upkeep, stopped.clone()));
        let lists = Arc::clone(&self.lists);
        let reload = move || reload_lists(Arc::clone(&lists));
        self.rooms.spawn(every(LIST_WATCH, stopped.clone(), reload));
        let store = self.store.clone();
        let tidy = move || tidy(store.clone());
        self.rooms.spawn(every(TIDY, stopped.clone(), tidy));
        self.rooms
            .spawn(make_room(self.store.clone(), stopped.clone()));
        let learn = learning::run(self.store.clone(), self.learners.clone(), stopped.clone());
        self.rooms.spawn(learn);
        Ok(())
    }

    /// The listeners: all are bound before the first one serves.
    pub(super) fn start_fronts(&mut self, stopped: &watch::Receiver<bool>) -> Result<(), Failure> {
        let commit: Arc<dyn Commit> = Arc::new(self.store.clone());
        let fronts = bind_fronts(&self.loaded.config)?;
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
}

/// One front for each listener, in the order of the configuration.
fn bind_fronts(config: &Config) -> Result<Vec<Front>, Failure> {
    let listeners = config.listener.iter().enumerate();
    let bound = listeners.map(|(n, listener)| {
        Front::bind(FrontConfig {
            hostname: config.hostname.clone(),
            addresses: listener.address.clone(),
            limits: config.limits.clone(),
            spool_dir: config.state.join(format!("incoming/{n}")),
        })
    });
    Ok(bound.collect::<Result<_, _>>()?)
}

/// Files may be large or slow: they are read off the runtime's thread.
async fn reload_lists(lists: Arc<Mutex<Lists>>) {
    let read = move || lists.lock().unwrap_or_else(|p| p.into_inner()).reload();
    if let Err(error) = tokio::task::spawn_blocking(read).await {
        tracing::error!(%error, "lists were not read again");
    }
}

async fn tidy(store: Store) {
    if let Err(error) = store.tidy().await {
        tracing::error!(%error, "the store was not tidied");
    }
}

/// Under a flood the next round of tidying may be too late.
async fn make_room(store: Store, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = store.crowded() => {}
            () = told(&mut stop) => return,
        }
        if let Err(error) = store.make_room().await {
            tracing::error!(%error, "held mail over its bounds was not expired");
            tokio::time::sleep(LIST_WATCH).await;
        }
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
