//! SIGHUP: the configuration is read again; chains and lists change for sessions that begin now.

use std::sync::Arc;

use posthouse_hook::Chain;

use super::{Built, Server, Upkeep, build, learners};
use crate::config::{self, Chains, Faults, Listener};

impl Server {
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
        let Built {
            chains,
            reach,
            lists,
            filtered,
        } = build(&loaded, &self.ports, &self.store)?;
        self.filtered.become_like(&filtered);
        self.swap_chains(&loaded.config.listener, &chains);
        self.reach.swap(reach);
        self.learners.swap(learners(&self.store, &chains));
        self.upkeep.swap(Upkeep::start(&chains));
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
