//! A plugin: one rule, asked at the hook points that it names.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::chain::Chain;
use crate::facts::Scan;
use crate::message::Content;
use crate::outcome::Verdict;
use crate::point::HookPoint;
use crate::session::Session;
use crate::transaction::{Recipient, Transaction};

/// Why a plugin could not answer. The text goes to the log and the trail, never to the client.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PluginError(pub String);

impl PluginError {
    /// Wraps any error.
    pub fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A plugin's answer, or why there is none. An error, a panic and a timeout are one path.
pub type Answer = Result<Verdict, PluginError>;

/// Measure or act, never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Leaves notes and always passes; the chain holds it to that.
    Measures,
    /// Says yes to recipients.
    Admits,
    /// Says no.
    Refuses,
    /// Sets dispositions, and may say no because of them.
    Disposes,
}

/// What a person made of a held message: a scanner may learn from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// Somebody released it.
    Ham,
    /// Somebody discarded it.
    Spam,
}

/// How it stands with a plugin, for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the configuration calls plugins of its kind.
    pub plugin: &'static str,
    /// Its parts, an object each. No secrets.
    pub parts: Vec<serde_json::Value>,
}

/// One rule. Implement the methods of the hook points in [`Plugin::points`]; the others are never
/// called. The methods get the session and the transaction to read and to leave notes on.
///
/// A method must not block the thread: its timeout can only cut it at an await.
#[async_trait]
pub trait Plugin: Any + Send + Sync {
    /// The hook points at which this plugin wants to be asked or told.
    fn points(&self) -> &[HookPoint];

    /// Whether it measures or acts.
    fn nature(&self) -> Nature;

    /// How long one answer may take unless the configuration says otherwise. A plugin that waits
    /// for others, or runs a chain aside, knows best how long that is.
    fn default_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// The chains that it may run aside: shown by `posthouse chain`, searched for cycles.
    fn asides(&self) -> Vec<Arc<Chain>> {
        Vec::new()
    }

    /// Whether it may take a recipient from any client at all, to any domain. `posthouse check`
    /// warns of a chain with such a plugin: it would be an open relay.
    fn admits_anyone(&self) -> bool {
        false
    }

    /// Of a scanner: what it makes now, under the options that it has now, of a scan that was kept
    /// without its tests; none if what was kept does not tell. It asks nobody.
    fn judge_again(&self, scan: &Scan) -> Option<Scan> {
        Some(scan.clone())
    }

    /// Whether it is to be told what people made of held messages.
    fn learns(&self) -> bool {
        false
    }

    /// Learns from a message; only asked if [`Plugin::learns`]. Told the same twice, it learns it
    /// once. An error means that it should be told again later.
    async fn learn(&self, _content: &Content, _lesson: Lesson) -> Result<(), PluginError> {
        Ok(())
    }

    /// How often it wants [`Plugin::tick`]; none: never.
    fn tick_every(&self) -> Option<Duration> {
        None
    }

    /// Its work apart from sessions: called by a server when it starts and then so often, one call
    /// at a time. It asks its clock whether something is due, and bounds its own time. Commands that
    /// only look have it work once too, so that they see what a server would: then there is no store.
    async fn tick(&self) {}

    /// How it stands with it, if there is something to tell.
    fn report(&self) -> Option<Report> {
        None
    }

    /// See [`HookPoint::Connect`].
    async fn connect(&self, _session: &mut Session) -> Answer {
        Ok(Verdict::Pass)
    }

    /// See [`HookPoint::Helo`]; the name is in the session.
    async fn helo(&self, _session: &mut Session) -> Answer {
        Ok(Verdict::Pass)
    }

    /// See [`HookPoint::Auth`].
    async fn auth(&self, _session: &mut Session) -> Answer {
        Ok(Verdict::Pass)
    }

    /// See [`HookPoint::Mail`].
    async fn mail(&self, _session: &mut Session, _tx: &mut Transaction) -> Answer {
        Ok(Verdict::Pass)
    }

    /// See [`HookPoint::Rcpt`]; the recipient is not yet in the transaction.
    async fn rcpt(
        &self,
        _session: &mut Session,
        _tx: &mut Transaction,
        _recipient: &Recipient,
    ) -> Answer {
        Ok(Verdict::Pass)
    }

    /// See [`HookPoint::Headers`].
    async fn headers(&self, _session: &mut Session, _tx: &mut Transaction) -> Answer {
        Ok(Verdict::Pass)
    }

    /// See [`HookPoint::Data`].
    async fn data(&self, _session: &mut Session, _tx: &mut Transaction) -> Answer {
        Ok(Verdict::Pass)
    }

    /// See [`HookPoint::Queue`].
    async fn queue(&self, _session: &mut Session, _tx: &mut Transaction) -> Answer {
        Ok(Verdict::Pass)
    }

    /// See [`HookPoint::Settled`]; the last verdict, and the dispositions in the transaction. Told, not
    /// asked.
    fn settled(&self, _session: &Session, _tx: &Transaction, _verdict: &Verdict) {}

    /// See [`HookPoint::Reset`]. Told, not asked: it cannot fail the session.
    fn reset(&self, _session: &Session) {}

    /// See [`HookPoint::Disconnect`]. Told, not asked.
    fn disconnect(&self, _session: &Session) {}
}
