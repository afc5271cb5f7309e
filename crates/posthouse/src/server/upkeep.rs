//! What plugins do apart from sessions, and how it stands with them. One that hangs or panics holds up
//! nobody else.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use posthouse_hook::Plugin;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Chains;

/// The plugins of some chains at work. Their work ends when this is dropped.
#[derive(Default)]
pub(crate) struct Upkeep {
    plugins: Vec<Place>,
    _work: JoinSet<()>,
}

/// A plugin in its place.
struct Place {
    chain: String,
    step: String,
    plugin: Arc<dyn Plugin>,
}

/// How it stands with one plugin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reported {
    /// The chain that it stands in.
    pub(crate) chain: String,
    /// Its name there.
    pub(crate) step: String,
    /// Its parts, an object each.
    pub(crate) parts: Vec<serde_json::Value>,
}

impl Upkeep {
    /// Sets the plugins to work. Needs a runtime.
    pub(crate) fn start(chains: &Chains) -> Self {
        let plugins = places(chains);
        let mut work = JoinSet::new();
        for place in &plugins {
            if let Some(every) = place.plugin.tick_every() {
                work.spawn(keep(place.step.clone(), Arc::clone(&place.plugin), every));
            }
        }
        Self {
            plugins,
            _work: work,
        }
    }

    /// How it stands with the plugins of that kind.
    pub(crate) fn reports(&self, kind: &str) -> Vec<Reported> {
        let report = |place: &Place| {
            let report = place.plugin.report()?;
            (report.plugin == kind).then(|| Reported {
                chain: place.chain.clone(),
                step: place.step.clone(),
                parts: report.parts,
            })
        };
        self.plugins.iter().filter_map(report).collect()
    }
}

/// Lets every plugin do its work once, and keeps none at it: for commands without a server.
pub(crate) async fn work_once(chains: &Chains) -> Upkeep {
    let plugins = places(chains);
    let mut working: Vec<_> = plugins.iter().collect();
    working.retain(|place| place.plugin.tick_every().is_some());
    join_all(working.iter().map(|place| place.plugin.tick())).await;
    Upkeep {
        plugins,
        _work: JoinSet::new(),
    }
}

fn places(chains: &Chains) -> Vec<Place> {
    let steps = chains.iter().flat_map(|(chain, run)| {
        let steps = run.steps().iter();
        steps.map(move |step| Place {
            chain: chain.clone(),
            step: step.name.clone(),
            plugin: Arc::clone(&step.plugin),
        })
    });
    steps.collect()
}

/// Calls one plugin again and again, each time in a task of its own, which may panic.
async fn keep(step: String, plugin: Arc<dyn Plugin>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let plugin = Arc::clone(&plugin);
        let mut once = JoinSet::new();
        once.spawn(async move { plugin.tick().await });
        if let Some(Err(error)) = once.join_next().await {
            tracing::error!(plugin = step, %error, "a plugin's work ended badly");
        }
    }
}
