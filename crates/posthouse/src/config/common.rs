//! What all plugins share, from the configuration's top.

use std::sync::Arc;

use posthouse_hook::{Clock, LinkKey, Live, NextHop, Resolver};
use posthouse_plugins::{Common, Filtered, ListSpec};
use posthouse_relay::{Callouts, Reach};
use posthouse_store::Store;
use toml::Spanned;

use super::lists::Entries;
use super::{Fault, Faults, Lists, Loaded};

/// Opens the lists at the top and gathers what plugins are given.
pub(crate) fn common(
    loaded: &Loaded,
    lists: &mut Lists,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    store: Option<Store>,
) -> Result<Common, Faults> {
    let config = &loaded.config;
    let base = config.web.url.to_string();
    Ok(Common {
        hostname: config.hostname.to_string(),
        our_domains: open(loaded, lists, "our_domains", &config.our_domains)?,
        our_networks: open(loaded, lists, "our_networks", &config.our_networks)?,
        our_servers: open(loaded, lists, "our_servers", &config.our_servers)?,
        // The length does not depend on the secret.
        link_len: LinkKey::new([0; 32], &base).link_len(),
        filtered: Filtered::default(),
        templates: config.templates.clone(),
        base: loaded.base().to_owned(),
        next_hop: Some(next_hop(loaded, &resolver)?),
        resolver,
        clock,
        store,
    })
}

/// Asks next hops by the relay's routes.
fn next_hop(loaded: &Loaded, resolver: &Arc<dyn Resolver>) -> Result<Arc<dyn NextHop>, Fault> {
    let config = &loaded.config;
    let callouts = Callouts::new(&config.relay, config.hostname.clone(), Arc::clone(resolver));
    let callouts = callouts.map_err(|error| Fault::of_file(&loaded.file, error))?;
    Ok(Arc::new(callouts))
}

/// To whom letters may go: opens `letters.only_to`, if it is there.
pub(crate) fn reach(loaded: &Loaded, lists: &mut Lists) -> Result<Reach, Faults> {
    let Some(spec) = &loaded.config.letters.only_to else {
        return Ok(Reach::Everybody);
    };
    let span = loaded.place(&["letters", "only_to"]).unwrap_or_default();
    let spec = Some(Spanned::new(span, spec.clone()));
    Ok(Reach::Only(open(loaded, lists, "only_to", &spec)?))
}

fn open<L: Entries>(
    loaded: &Loaded,
    lists: &mut Lists,
    key: &str,
    spec: &Option<Spanned<ListSpec>>,
) -> Result<Live<L>, Faults> {
    let Some(spec) = spec else {
        return Ok(Live::default());
    };
    lists.open(spec.get_ref()).map_err(|error| {
        loaded
            .fault(Some(spec.span()), format!("{key}: {error}"))
            .with_way_out("write the entries inline, or file:PATH of a file with one entry a line")
            .into()
    })
}
