//! Observing: what plugins would do to a message is noted, and the message goes on.
//!
//! It begins with the message: at headers, data and queue. Everything before (who may connect, who may
//! relay) binds in either mode, for nothing here is asked there. A chain that is run aside is
//! never observed: whoever runs it decides what its verdict means.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::step::Heard;
use super::{Chain, Step, Subject};
use crate::address::ForwardPath;
use crate::outcome::{Disposition, Verdict};
use crate::point::HookPoint;
use crate::session::Session;
use crate::transaction::Transaction;

/// Whether a chain does what its plugins say about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It notes what they say from `headers` on, and lets the message go on.
    Observe,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        })
    }
}

/// What a plugin would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Would {
    /// The client would have heard a reply of this code: a plugin's own, or 451 for one that failed.
    Refuse(u16),
    /// Copies would have been held.
    Hold,
    /// Copies would have been dropped.
    Discard,
}

impl fmt::Display for Would {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse(code) => write!(f, "refuse {code}"),
            Self::Hold => f.write_str("hold"),
            Self::Discard => f.write_str("discard"),
        }
    }
}

/// One thing that one plugin would have done to a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation {
    /// The chain.
    pub chain: String,
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// Where it was asked.
    pub point: HookPoint,
    /// What it would have done.
    pub would: Would,
    /// To whose copies.
    pub recipients: Vec<ForwardPath>,
}

/// All that was observed about a message: left as a note, kept by the store with the message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed(pub Vec<Observation>);

impl Chain {
    /// Asks about a message, in the chain's own mode.
    pub(super) async fn at_message(
        &self,
        point: HookPoint,
        session: &mut Session,
        tx: &mut Transaction,
    ) -> Verdict {
        if self.mode == Mode::Enforce {
            return self.ask(point, session, Subject::Transaction(tx)).await;
        }
        for step in self.steps_at(point) {
            if self.observe(step, point, session, tx).await == Verdict::Accept {
                return Verdict::Accept;
            }
        }
        Verdict::Pass
    }

    /// Asks one plugin. What it would have done is noted and undone.
    async fn observe(
        &self,
        step: &Step,
        point: HookPoint,
        session: &mut Session,
        tx: &mut Transaction,
    ) -> Verdict {
        let before: Vec<_> = tx.dispositions().collect();
        let heard = step
            .hear(point, session, &mut Subject::Transaction(tx))
            .await;
        let Heard {
            verdict,
            mut said,
            took,
        } = heard;
        let mut would = undo(tx, &before);
        if let Verdict::Refuse(refusal) = &verdict {
            would.insert(0, (Would::Refuse(refusal.code()), all(tx)));
            said = format!("observed: would have said {said}");
        }
        self.note(step, point, session, tx, would);
        session.trail.close(&step.name, point, said, took);
        match verdict {
            Verdict::Refuse(_) => Verdict::Pass,
            verdict => verdict,
        }
    }

    /// Leaves the observations as a note, remarks them and logs them.
    fn note(
        &self,
        step: &Step,
        point: HookPoint,
        session: &mut Session,
        tx: &mut Transaction,
        would: Vec<(Would, Vec<ForwardPath>)>,
    ) {
        if would.is_empty() {
            return;
        }
        let mut observed = tx.notes.get::<Observed>().cloned().unwrap_or_default();
        for (would, recipients) in would {
            let (chain, plugin, copies) = (&self.name, &step.name, recipients.len());
            tracing::info!(transaction = %tx.id, %chain, plugin, %point, %would, copies, "observed");
            session.remark(format_args!("observed: would {would}, copies: {copies}"));
            observed.0.push(Observation {
                chain: chain.to_string(),
                plugin: plugin.clone(),
                point,
                would,
                recipients,
            });
        }
        tx.notes.put(observed);
    }
}

fn all(tx: &Transaction) -> Vec<ForwardPath> {
    let paths = tx.recipients.iter().map(|r| r.forward_path.clone());
    paths.collect()
}

/// Puts every disposition back to what it was, and tells what had been set.
fn undo(tx: &mut Transaction, before: &[Disposition]) -> Vec<(Would, Vec<ForwardPath>)> {
    let (mut held, mut discarded) = (Vec::new(), Vec::new());
    for (recipient, before) in tx.recipients.iter_mut().zip(before) {
        let after = std::mem::replace(&mut recipient.disposition, *before);
        match after {
            after if after == *before => {}
            Disposition::Hold(_) => held.push(recipient.forward_path.clone()),
            Disposition::Discard => discarded.push(recipient.forward_path.clone()),
            Disposition::Relay => {}
        }
    }
    [(Would::Hold, held), (Would::Discard, discarded)]
        .into_iter()
        .filter(|(_, recipients)| !recipients.is_empty())
        .collect()
}
