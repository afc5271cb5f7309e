//! The options of `quarantine`, and what is made of them at the start.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;

use posthouse_hook::plugin::Nature;
use posthouse_hook::{AddressList, Chain, DomainList, Live, Refusal};
use serde::Deserialize;

use super::answer::SpamWhen;
use crate::options::{BadValue, BuildError, ListSpec};
use crate::surroundings::{Surroundings, addresses, chain, domains};

/// The built-in texts by file name, which is their name below `mail/` in an operator's directory.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("refusal.txt", REFUSAL),
    ("refusal-unheld.txt", TURNED),
    ("refusal-unscanned.txt", UNSCANNED),
];
const REFUSAL: &str = include_str!("../../../../templates/mail/refusal.txt");
const TURNED: &str = include_str!("../../../../templates/mail/refusal-unheld.txt");
const UNSCANNED: &str = include_str!("../../../../templates/mail/refusal-unscanned.txt");

/// The keys as the operator writes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    scan: String,
    #[serde(default)]
    filtered_domains: ListSpec,
    #[serde(default = "yes")]
    scan_vouched: bool,
    #[serde(default)]
    scan_when: ScanWhen,
    scan_one_in: Option<NonZeroU64>,
    keep_one_in: Option<NonZeroU64>,
    #[serde(default)]
    scan_senders: ListSpec,
    #[serde(default)]
    spam_when: SpamWhen,
    #[serde(default)]
    unscanned: Unscanned,
    #[serde(default = "held_refusal")]
    refusal: String,
    tell_recipient_past: Option<NonZeroUsize>,
}

fn yes() -> bool {
    true
}

fn held_refusal() -> String {
    "552 5.7.1".to_owned()
}

/// Which messages are scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ScanWhen {
    /// Those for which some cell could act.
    #[default]
    Needed,
    /// Every one.
    All,
}

/// What becomes of a message that should have been scanned and was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unscanned {
    /// It goes on; counted and shown.
    #[default]
    Pass,
    /// The matrix is applied as if it were spam.
    Hold,
    /// 451: the client tries again.
    Defer,
}

/// What the plugin runs with.
pub(super) struct Settings {
    pub(super) scan: Arc<Chain>,
    pub(super) filtered: Live<DomainList>,
    pub(super) scan_vouched: bool,
    pub(super) scan_when: ScanWhen,
    pub(super) scan_one_in: Option<NonZeroU64>,
    pub(super) keep_one_in: Option<NonZeroU64>,
    pub(super) scan_senders: Live<AddressList>,
    pub(super) spam_when: SpamWhen,
    pub(super) unscanned: Unscanned,
    /// For what is spam.
    pub(super) refusal: Refusal,
    /// For what is held because it could not be scanned.
    pub(super) unscanned_refusal: Refusal,
    /// For what somebody's choice keeps no copy of.
    pub(super) turned_refusal: Refusal,
    /// From so many held messages of one sender on, the recipients are told in place of it.
    pub(super) tell_recipient_past: Option<usize>,
}

impl Config {
    /// Loads the lists, the chain and the templates.
    pub(super) fn load(self, parts: &mut dyn Surroundings) -> Result<Settings, BuildError> {
        let scan = chain(parts, "scan", &self.scan)?;
        only_measures(&scan)?;
        let filtered = domains(parts, "filtered_domains", &self.filtered_domains)?;
        parts.common().filtered.add(filtered.clone());
        Ok(Settings {
            scan,
            filtered,
            scan_vouched: self.scan_vouched,
            scan_when: self.scan_when,
            scan_one_in: self.scan_one_in,
            keep_one_in: self.keep_one_in,
            scan_senders: addresses(parts, "scan_senders", &self.scan_senders)?,
            spam_when: self.spam_when,
            unscanned: self.unscanned,
            refusal: refusal(parts, &self.refusal, "refusal.txt", REFUSAL)?,
            unscanned_refusal: refusal(parts, &self.refusal, "refusal-unscanned.txt", UNSCANNED)?,
            turned_refusal: turned(parts, &self.refusal)?,
            tell_recipient_past: self.tell_recipient_past.map(NonZeroUsize::get),
        })
    }
}

/// A scan measures. A plugin in it that acts would say no without the matrix being asked.
fn only_measures(scan: &Chain) -> Result<(), BuildError> {
    match scan
        .steps()
        .iter()
        .find(|step| step.plugin.nature() != Nature::Measures)
    {
        None => Ok(()),
        Some(step) => Err(BadValue::new(
            "scan",
            scan.name(),
            format_args!("its plugin `{}` acts, and a scan only measures", step.name),
            "name a chain of scanners, and move what acts to the listener's chain",
        )
        .into()),
    }
}

/// The refusal that is told, from the operator's codes and a template.
fn refusal(
    parts: &dyn Surroundings,
    codes: &str,
    file: &str,
    built_in: &str,
) -> Result<Refusal, BuildError> {
    let common = parts.common();
    let text = template(common.templates.as_deref(), file, built_in)?;
    usable(codes, &text, common.link_len).map_err(|(problem, way_out)| {
        let problem = format!("with mail/{file}: {problem}");
        BadValue::new("refusal", codes, problem, way_out).into()
    })
}

/// The refusal of what is not held; it wants no link.
fn turned(parts: &dyn Surroundings, codes: &str) -> Result<Refusal, BuildError> {
    let file = "refusal-unheld.txt";
    let text = template(parts.common().templates.as_deref(), file, TURNED)?;
    Refusal::from_config(codes, &text, 0).map_err(|error| {
        let way_out = "write at least one line of words";
        BadValue::new(
            "refusal",
            codes,
            format!("with mail/{file}: {error}"),
            way_out,
        )
        .into()
    })
}

/// A refusal that holds and says where; else what is wrong with it, and the way out.
fn usable(codes: &str, text: &str, link_len: usize) -> Result<Refusal, (String, &'static str)> {
    let way_out = "write codes such as 552 5.7.1, and shorter lines in the template";
    let refusal =
        Refusal::from_config(codes, text, link_len).map_err(|e| (e.to_string(), way_out))?;
    if refusal.is_transient() {
        let problem = "a 4xx would hold nothing, for the client comes again";
        return Err((problem.to_owned(), "write a code that starts with 5"));
    }
    if !refusal.wants_link() {
        let way_out = "add a line with {link} to the template";
        return Err(("no line has {link}".to_owned(), way_out));
    }
    Ok(refusal)
}

/// The operator's own template, or the one that is built in.
fn template(dir: Option<&Path>, file: &str, built_in: &str) -> Result<String, BuildError> {
    let Some(path) = dir.map(|dir| dir.join("mail").join(file)) else {
        return Ok(built_in.to_owned());
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(built_in.to_owned()),
        Err(error) => {
            let way_out = "make it a readable UTF-8 text file, or remove it";
            Err(BadValue::new("refusal", path.display(), error, way_out).into())
        }
    }
}
