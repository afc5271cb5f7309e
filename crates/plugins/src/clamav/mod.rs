//! `clamav`: asks ClamAV's clamd whether a message has a virus, and refuses or holds it if it has.
//!
//! Only clamd's own "OK" to the whole message is clean. A dead clamd, one that hangs or talks
//! nonsense, and a limit, whoever's it is, are other answers, and the configuration says what they
//! mean; no default lets such a message through.

mod config;
mod instream;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::facts::RelayedUnscanned;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{
    Content, Disposition, HookPoint, Id, Plugin, PluginError, Refusal, Session, Transaction,
    Verdict, VirusScan, Why,
};

use crate::backend::{Backend, Dead, Keeping};
use crate::options::{BuildError, Options};
use crate::scan;
use crate::surroundings::Surroundings;
use config::{Action, Config, OnDead, OnLimit};
use instream::Unreadable;
use reply::Said;

struct ClamAv {
    config: Config,
    /// Keeps no answer, for no message comes twice; it knows a dead clamd.
    clamd: Backend<Id, Result<Said, Unreadable>>,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    let keeping = Keeping {
        entries: 1,
        rest: config.rest.0,
    };
    let clamd = Backend::new(keeping, Arc::clone(&parts.common().clock));
    Ok(Arc::new(ClamAv { config, clamd }))
}

#[async_trait]
impl Plugin for ClamAv {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Disposes
    }

    /// The plugin's own limit comes first, so that a slow clamd is no failure of ours.
    fn default_timeout(&self) -> Duration {
        self.config.scan_timeout.0.saturating_add(scan::SLACK)
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let scan = self.scan(tx).await?;
        session.remark(&scan);
        let verdict = self.act(tx, &scan);
        tell(session, tx, &scan, &verdict);
        tx.notes.put(scan);
        Ok(verdict)
    }
}

impl ClamAv {
    async fn scan(&self, tx: &Transaction) -> Result<VirusScan, PluginError> {
        let content = &tx.message.content;
        let size = content.len() + instream::LEAD.len() as u64;
        let max_size = self.config.max_size;
        if size > max_size {
            let why = format!("{size} octets, more than max_size = {max_size}");
            return Ok(VirusScan::TooBig(why));
        }
        match self.clamd.get(&tx.id, self.ask(content)).await {
            Ok(Ok(said)) => Ok(said.into()),
            Ok(Err(Unreadable(why))) => Err(PluginError(why)),
            Err(Dead(why)) => Ok(VirusScan::NotScanned(why)),
        }
    }

    async fn ask(&self, content: &Content) -> Result<(Result<Said, Unreadable>, Duration), Dead> {
        let limit = self.config.scan_timeout.0;
        let said = tokio::time::timeout(limit, self.exchange(content)).await;
        let hung = || format!("no answer from {} within {limit:?}", self.config.address);
        let said = said.map_err(|_| Dead(hung()))?.map_err(Dead)?;
        Ok((said, Duration::ZERO))
    }

    async fn exchange(&self, content: &Content) -> Result<Result<Said, Unreadable>, String> {
        let limit = self.config.connect_timeout.0;
        let stream = self.config.address.connect(limit).await?;
        instream::scan(stream, content).await
    }

    fn act(&self, tx: &mut Transaction, scan: &VirusScan) -> Verdict {
        match scan {
            VirusScan::Clean => Verdict::Pass,
            VirusScan::Virus(name) => match self.config.action {
                Action::Refuse => Verdict::Refuse(Refusal::policy(format!("Virus found: {name}"))),
                Action::Hold => hold(tx),
                Action::Note => Verdict::Pass,
            },
            VirusScan::TooBig(_) => self.at_limit(tx, Refusal::too_big_to_scan()),
            VirusScan::Limit(what) => {
                let text = format!("Message cannot be scanned for viruses: {what}");
                self.at_limit(tx, Refusal::policy(text))
            }
            VirusScan::NotScanned(_) => match self.config.on_dead {
                OnDead::Defer => Verdict::Refuse(Refusal::not_scanned()),
                OnDead::Pass => {
                    tx.notes.put(RelayedUnscanned);
                    Verdict::Pass
                }
            },
        }
    }

    fn at_limit(&self, tx: &mut Transaction, refusal: Refusal) -> Verdict {
        match self.config.on_limit {
            OnLimit::Refuse => Verdict::Refuse(refusal),
            OnLimit::Hold => hold(tx),
            OnLimit::Defer => Verdict::Refuse(Refusal::not_scanned()),
        }
    }
}

/// What an earlier plugin disposed of stays as it is.
fn hold(tx: &mut Transaction) -> Verdict {
    let relayed = tx
        .recipients
        .iter_mut()
        .filter(|r| r.disposition == Disposition::Relay);
    relayed.for_each(|recipient| recipient.disposition = Disposition::Hold(Why::Policy));
    Verdict::Pass
}

/// One event for each message that is not clean.
fn tell(session: &Session, tx: &Transaction, scan: &VirusScan, verdict: &Verdict) {
    let (session, transaction, client) = (session.id, tx.id, session.client_ip());
    let sender = &tx.reverse_path;
    match scan {
        VirusScan::Clean => {}
        VirusScan::NotScanned(why) => {
            tracing::warn!(%session, %transaction, %client, %sender, why, %verdict, "not scanned for viruses");
        }
        VirusScan::TooBig(why) | VirusScan::Limit(why) => {
            tracing::warn!(%session, %transaction, %client, %sender, why, %verdict, "at a limit of the virus scan");
        }
        VirusScan::Virus(name) => {
            tracing::warn!(%session, %transaction, %client, %sender, name, %verdict, "virus found");
        }
    }
}

impl From<Said> for VirusScan {
    fn from(said: Said) -> Self {
        match said {
            Said::Clean => Self::Clean,
            Said::Virus(name) => Self::Virus(name),
            Said::TooBig => Self::TooBig("over clamd's StreamMaxLength".to_owned()),
            Said::Limit(what) => Self::Limit(what),
        }
    }
}

#[cfg(test)]
mod tests;
