//! The facts about a transaction, gathered before anything is decided.

use std::time::Duration;

use posthouse_hook::plugin::PluginError;
use posthouse_hook::{
    Column, ForwardPath, Live, NetworkList, Origin, Recipient, ReversePath, Row, Session, Spf,
    Transaction,
};
use posthouse_store::{Choices, SenderChoice, Store};

use super::Quarantine;
use super::matrix::could_act;
use super::origin::{Walk, walk};
use super::rows::{Placed, place};
use super::vouch::{self, Client, Evidence, Place, Whose};
use super::{identity, srs};
use crate::spf;

/// How long DNS may take in all, for SPF (RFC 7208 §4.6.4) and at the same time for the rows; past
/// it, it did not answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What is known before the scan.
pub(super) struct Facts {
    /// The sender after SRS was unwrapped.
    pub(super) sender: ReversePath,
    /// Where the message entered.
    pub(super) walk: Walk,
    pub(super) spf: Spf,
    /// Whether the sender\'s domain is ours.
    pub(super) ours: bool,
    pub(super) column: Column,
    /// For each recipient, in order: the row of the address that its copy goes to.
    pub(super) rows: Vec<Placed>,
    /// Where each copy goes in place of its forward-path.
    redirects: Vec<Option<ForwardPath>>,
}

impl Facts {
    /// Asks DNS and reads the header section; changes nothing.
    pub(super) async fn gather(plugin: &Quarantine, session: &Session, tx: &Transaction) -> Self {
        let common = &plugin.common;
        let sender = srs::unwrap(&tx.reverse_path, &common.our_domains.load());
        let helo = session.helo.as_deref().unwrap_or_default();
        let ours = common.our_servers.load();
        let walk = walk(&tx.message.header, session.client_ip(), helo, &ours);
        let (spf, placed) = tokio::join!(plugin.spf(&walk, &sender), plugin.effective(tx));
        Self::of(plugin, session, sender, (walk, spf), placed)
    }

    /// The same of a message that is gone: origin and SPF are taken as they were found.
    pub(super) async fn recorded(
        plugin: &Quarantine,
        session: &Session,
        tx: &Transaction,
        (origin, spf): (Origin, Spf),
    ) -> Self {
        let sender = srs::unwrap(&tx.reverse_path, &plugin.common.our_domains.load());
        let walk = Walk {
            origin,
            helo: session.helo.clone().unwrap_or_default(),
            why: "as it was found".to_owned(),
            trace_end: 0,
        };
        let placed = plugin.effective(tx).await;
        Self::of(plugin, session, sender, (walk, spf), placed)
    }

    fn of(
        plugin: &Quarantine,
        session: &Session,
        sender: ReversePath,
        (walk, spf): (Walk, Spf),
        placed: Effective,
    ) -> Self {
        let common = &plugin.common;
        let evidence = Evidence {
            spf,
            domain: whose(plugin, &sender),
            client: client(session),
            origin: where_is(&walk, &common.our_networks),
        };
        Self {
            column: vouch::column(&sender, evidence),
            ours: evidence.domain == Whose::Ours,
            sender,
            walk,
            spf,
            rows: placed.rows,
            redirects: placed.redirects,
        }
    }

    /// Applies the recipients' redirects, once.
    pub(super) fn redirect(&self, tx: &mut Transaction) {
        for (recipient, redirect) in tx.recipients.iter_mut().zip(&self.redirects) {
            recipient.redirect.clone_from(redirect);
        }
    }

    /// The standing choice of a sender who is vouched for; of others, anybody could write the name.
    pub(super) fn vouched_choice(&self, choices: &Choices) -> SenderChoice {
        match self.column {
            Column::Vouched(_) => choices.of_sender(&self.sender.address()),
            Column::NotVouched => SenderChoice::Hold,
        }
    }

    /// The retry identity: reads the whole message.
    pub(super) async fn identity(&self, tx: &Transaction) -> Result<[u8; 32], PluginError> {
        let to: Vec<&ForwardPath> = tx.recipients.iter().map(|r| &r.forward_path).collect();
        let content = &tx.message.content;
        let identity = identity::identity(&self.sender, &to, content, self.walk.trace_end).await;
        identity.map_err(PluginError::new)
    }

    /// Whether some cell could act on the message if it were spam. A recipient whose row is not
    /// known might be in the row that acts.
    pub(super) fn scan_matters(&self, scan_vouched: bool) -> bool {
        self.rows.iter().any(|placed| match placed {
            Ok(Row::Other) => scan_vouched && could_act(Row::Other, self.column),
            Ok(Row::Filtered) | Err(_) => could_act(Row::Filtered, self.column),
        })
    }

    /// The rows, if all are known.
    pub(super) fn known_rows(&self) -> Result<Vec<Row>, String> {
        self.rows.iter().cloned().collect()
    }

    /// Writes into the trail what was found and why.
    pub(super) fn remark(&self, session: &mut Session, tx: &Transaction) {
        if self.sender != tx.reverse_path {
            session.remark(format_args!("SRS: judged as {}", self.sender));
        }
        session.remark(format_args!(
            "origin {}: {}",
            self.walk.origin, self.walk.why
        ));
        session.remark(format_args!("SPF of {} there: {}", self.sender, self.spf));
        session.remark(vouch::why(&self.sender, self.column, self.spf));
        session.remark(self.rows_in_words());
        let redirected = self.redirects.iter().flatten().count();
        if redirected > 0 {
            session.remark(format_args!("{redirected} redirected by their recipients"));
        }
    }

    fn rows_in_words(&self) -> String {
        let count = |row| {
            self.rows
                .iter()
                .filter(|placed| **placed == Ok(row))
                .count()
        };
        let (filtered, other) = (count(Row::Filtered), count(Row::Other));
        match self.rows.iter().find_map(|placed| placed.as_ref().err()) {
            None => format!("rows: {filtered} filtered, {other} other"),
            Some(why) => format!("rows: {filtered} filtered, {other} other, not all known: {why}"),
        }
    }

    /// A number that is the same whenever this message is tried again: what "one in N" counts by.
    pub(super) async fn number(&self, tx: &Transaction) -> Result<u64, PluginError> {
        Ok(number(&self.identity(tx).await?))
    }
}

/// The number of a message by its identity.
pub(super) fn number(identity: &[u8; 32]) -> u64 {
    let head = identity.first_chunk::<8>();
    head.map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn whose(plugin: &Quarantine, sender: &ReversePath) -> Whose {
    let ours = plugin.common.our_domains.load();
    match sender.domain() {
        Some(domain) if ours.contains(domain) => Whose::Ours,
        _ => Whose::Foreign,
    }
}

fn client(session: &Session) -> Client {
    match session.auth {
        Some(_) => Client::Authenticated,
        None => Client::Anonymous,
    }
}

fn where_is(walk: &Walk, networks: &Live<NetworkList>) -> Place {
    match walk.origin {
        Origin::Address(ip) if networks.load().contains(ip) => Place::OurNetworks,
        _ => Place::Elsewhere,
    }
}

/// The effective addresses of a transaction.
struct Effective {
    rows: Vec<Placed>,
    redirects: Vec<Option<ForwardPath>>,
}

impl Quarantine {
    /// Judges each recipient by where its copy goes: to its redirect, unless that is filtered by
    /// now or DNS cannot tell.
    async fn effective(&self, tx: &Transaction) -> Effective {
        let choices = self.common.store.as_ref().map(Store::choices);
        let target = |r: &Recipient| {
            choices
                .as_ref()?
                .of_recipient(&r.forward_path)
                .target()
                .cloned()
        };
        let targets: Vec<Option<ForwardPath>> = tx.recipients.iter().map(target).collect();
        let own = tx.recipients.iter().map(|r| &r.forward_path);
        let all: Vec<&ForwardPath> = own.chain(targets.iter().flatten()).collect();
        let filtered = self.settings.filtered.load();
        let mut rows = place(&filtered, &*self.common.resolver, &all).await;
        let mut theirs = rows.split_off(targets.len()).into_iter();
        let mut redirects = targets;
        for (row, redirect) in rows.iter_mut().zip(&mut redirects) {
            match redirect.as_ref().and_then(|_| theirs.next()) {
                Some(Ok(Row::Other)) => *row = Ok(Row::Other),
                _ => *redirect = None,
            }
        }
        Effective { rows, redirects }
    }

    /// SPF at the origin; without an origin there is nothing to check.
    async fn spf(&self, walk: &Walk, sender: &ReversePath) -> Spf {
        match walk.origin {
            Origin::Unknown => Spf::None,
            Origin::Address(ip) => {
                let sender = sender.address();
                let check = spf::check(&*self.common.resolver, ip, &walk.helo, &sender);
                let result = tokio::time::timeout(PATIENCE, check).await;
                result.unwrap_or(Spf::TempError)
            }
        }
    }
}
