//! The options of `forged_sender`, read once.

use std::sync::Arc;

use posthouse_hook::plugin::PluginError;
use posthouse_hook::proofs::ForgedAction;
use posthouse_hook::trail::cut;
use posthouse_hook::{Refusal, ReplyError};
use serde::Deserialize;

use super::ForgedSender;
use super::addresses::Taste;
use super::clients::RuleList;
use super::fields::Part;
use super::hits::{Hit, Listed};
use super::lines::List;
use crate::exempt::Exempt;
use crate::options::{BadValue, BuildError, ListSpec, Options};
use crate::sources::Renew;
use crate::stranger::exempt_default;
use crate::surroundings::Surroundings;

/// What stands for the configuration's own list.
const OUR_DOMAINS: &str = "our_domains";
/// Where a refusal's text has the address.
const ADDRESS: &str = "{address}";
/// Longest address in a reply, in characters.
const MAX_SHOWN: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Who may not appear from outside.
    list: ListSpec,
    /// Which clients that is held against.
    clients: Option<ListSpec>,
    /// Who may all the same.
    #[serde(default = "exempt_default")]
    exempt: Vec<Exempt>,
    /// Where senders are looked for.
    #[serde(default = "envelope_and_from")]
    look_at: Vec<Part>,
    /// What is done if neither the list nor a rule says.
    #[serde(default = "reject")]
    action: ForgedAction,
    /// The codes of the refusal.
    #[serde(default = "code")]
    code: String,
    /// The words of the refusal if neither the list nor a rule has any.
    #[serde(default = "text")]
    text: String,
    /// Whether a domain that looks like a listed one counts as that.
    #[serde(default = "yes")]
    look_alikes: bool,
    /// Whether an address in a display name counts, where it surely is a name.
    #[serde(default = "yes")]
    display_names: bool,
}

fn envelope_and_from() -> Vec<Part> {
    vec![Part::Envelope, Part::From]
}

fn reject() -> ForgedAction {
    ForgedAction::Reject
}

fn code() -> String {
    "550 5.7.1".to_owned()
}

fn text() -> String {
    format!("{ADDRESS} may not be used as a sender from your host")
}

fn yes() -> bool {
    true
}

/// What does not change while the plugin lives.
pub(super) struct Settings {
    pub(super) exempt: Vec<Exempt>,
    pub(super) look_at: Vec<Part>,
    pub(super) action: ForgedAction,
    code: String,
    text: String,
}

impl Settings {
    /// The refusal for what was found, in the list's words or our own.
    pub(super) fn refusal(&self, hit: &Hit) -> Result<Refusal, PluginError> {
        let words = hit.text.as_deref().unwrap_or(&self.text);
        refusal(&self.code, words, &hit.address).map_err(PluginError::new)
    }
}

/// An address that would be a place for a link is none.
fn refusal(code: &str, words: &str, address: &str) -> Result<Refusal, ReplyError> {
    let shown = cut(address, MAX_SHOWN).replace(['{', '}'], "?");
    Refusal::from_config(code, &words.replace(ADDRESS, &shown), 0)
}

pub(super) fn build(
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<ForgedSender, BuildError> {
    let config: Config = options.read()?;
    check(&config)?;
    let listed = listed(&config, parts)?;
    let clients = match &config.clients {
        Some(spec) => {
            let (rules, live) = RuleList::new(spec.entries().to_vec());
            keep(parts, "clients", spec, Box::new(rules))?;
            Some(live)
        }
        None => None,
    };
    Ok(ForgedSender {
        listed,
        clients,
        resolver: Arc::clone(&parts.common().resolver),
        settings: Settings {
            exempt: config.exempt,
            look_at: config.look_at,
            action: config.action,
            code: config.code,
            text: config.text,
        },
    })
}

/// The refusal can be made.
fn check(config: &Config) -> Result<(), BuildError> {
    let bad =
        |key: &str, value: &str, way_out: &str, error| BadValue::new(key, value, error, way_out);
    refusal(&config.code, "words", "")
        .map_err(|error| bad("code", &config.code, "write such as 550 5.7.1", error))?;
    refusal(&config.code, &config.text, "a@x.example")
        .map_err(|error| bad("text", &config.text, "write what the client hears", error))?;
    Ok(())
}

fn listed(config: &Config, parts: &mut dyn Surroundings) -> Result<Listed, BuildError> {
    let is_ours = |entry: &String| entry == OUR_DOMAINS;
    let (ours, entries): (Vec<_>, Vec<_>) =
        config.list.entries().iter().cloned().partition(is_ours);
    if ours.is_empty() && entries.is_empty() {
        let way_out = "write \"our_domains\", file:PATH or entries";
        return Err(BadValue::new("list", "", "there is nothing in it", way_out).into());
    }
    let (list, index) = List::new(entries);
    keep(parts, "list", &config.list, Box::new(list))?;
    Ok(Listed {
        index,
        ours: (!ours.is_empty()).then(|| parts.common().our_domains.clone()),
        action: config.action,
        taste: Taste {
            look_alikes: config.look_alikes,
            names: config.display_names,
        },
    })
}

fn keep(
    parts: &mut dyn Surroundings,
    key: &str,
    spec: &ListSpec,
    made: Box<dyn Renew>,
) -> Result<(), BuildError> {
    let way_out =
        "mend the line, or write the entries inline; docs/plugins/forged_sender.md has their forms";
    let bad = |problem: String| BadValue::new(key, spec, problem, way_out).into();
    parts.keep(made).map_err(bad)
}
