//! The facts about a transaction, gathered before anything is decided.

use std::time::Duration;

use posthouse_hook::plugin::PluginError;
use posthouse_hook::{
    Column, ForwardPath, Live, NetworkList, Origin, ReversePath, Row, Session, Spf, Transaction,
};

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
    /// For each recipient, in order.
    pub(super) rows: Vec<Placed>,
}

impl Facts {
    /// Asks DNS and reads the header section; changes nothing.
    pub(super) async fn gather(plugin: &Quarantine, session: &Session, tx: &Transaction) -> Self {
        let common = &plugin.common;
        let sender = srs::unwrap(&tx.reverse_path, &common.our_domains.load());
        let helo = session.helo.as_deref().unwrap_or_default();
        let ours = common.our_servers.load();
        let walk = walk(&tx.message.header, session.client_ip(), helo, &ours);
        let to: Vec<&ForwardPath> = tx.recipients.iter().map(|r| &r.forward_path).collect();
        let (spf, rows) = tokio::join!(plugin.spf(&walk, &sender), plugin.rows(&to));
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
            rows,
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
        let identity = self.identity(tx).await?;
        let head = identity.first_chunk::<8>();
        Ok(head.map_or(0, |bytes| u64::from_be_bytes(*bytes)))
    }
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

impl Quarantine {
    async fn rows(&self, to: &[&ForwardPath]) -> Vec<Placed> {
        let filtered = self.settings.filtered.load();
        place(&filtered, &*self.common.resolver, to).await
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
