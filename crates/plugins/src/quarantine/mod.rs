//! `quarantine`: holds spam on its way out by the decision matrix (docs/quarantine.md).
//!
//! Facts are gathered first, the decision is a pure function of them, the deeds come last. The
//! scan runs aside and only measures; the commit, the letter and the DSN are others' work.

mod answer;
mod choices;
mod config;
mod decide;
mod deeds;
mod dsn;
mod facts;
mod identity;
mod matrix;
mod origin;
mod received;
pub(crate) mod replay;
mod rows;
pub(crate) mod srs;
mod vouch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::facts::{KeepSample, Looked, Scans};
use posthouse_hook::plugin::{Answer as Said, Nature, PluginError};
use posthouse_hook::{
    Chain, HookPoint, Plugin, Recipient, Refusal, ReversePath, Session, Transaction, Verdict,
};
use posthouse_store::{SenderChoice, Store};

use self::answer::{Answer, answer};
pub use self::config::BUILT_IN;
use self::config::{Config, ScanWhen, Settings, Unscanned};
use self::decide::{Decision, decide};
use self::facts::Facts;
use self::matrix::Told;
pub(crate) use self::rows::row;
use crate::options::{BuildError, Options};
use crate::surroundings::{Common, Surroundings};

pub(crate) struct Quarantine {
    common: Common,
    settings: Settings,
}

/// Why a message is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// Some cell of the matrix could act on it.
    Matters,
    /// The options ask for it: all, one in N, or a listed sender.
    Asked,
}

/// How it is known whether more of a sender's mail is held than the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeldBefore {
    /// The ledger is asked what is held now.
    Count,
    /// It is taken as it was.
    WasPast(bool),
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    let settings = config.load(parts)?;
    let common = parts.common().clone();
    Ok(Arc::new(Quarantine { common, settings }))
}

#[async_trait]
impl Plugin for Quarantine {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Disposes
    }

    /// What DNS may take, and after it every scanner in turn.
    fn default_timeout(&self) -> Duration {
        let scan: Duration = self
            .settings
            .scan
            .steps()
            .iter()
            .map(|step| step.timeout)
            .sum();
        facts::PATIENCE + scan + Duration::from_secs(5)
    }

    fn asides(&self) -> Vec<Arc<Chain>> {
        vec![Arc::clone(&self.settings.scan)]
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Said {
        let facts = Facts::gather(self, session, tx).await;
        facts.redirect(tx);
        facts.remark(session, tx);
        let Some(reason) = self.reason(&facts, tx).await? else {
            tx.notes.put(Looked::No);
            session.remark("not scanned: no cell could act");
            facts.note(tx, Scans::default(), false, None);
            return Ok(Verdict::Pass);
        };
        if reason == Reason::Matters && self.quotes_our_link(session, tx).await? {
            tx.notes.put(Looked::QuotesLink);
            facts.note(tx, Scans::default(), false, None);
            return Ok(Verdict::Pass);
        }
        tx.notes.put(match reason {
            Reason::Matters => Looked::Needed,
            Reason::Asked => Looked::Asked,
        });
        let scans = match self.scan(session, tx).await {
            Ok(scans) => scans,
            Err(refusal) => return Ok(Verdict::Refuse(refusal)),
        };
        let answer = answer(&scans, self.settings.spam_when);
        let identity = match answer {
            Answer::Clean => None,
            Answer::Spam | Answer::Unscanned(_) => Some(facts.identity(tx).await?),
        };
        facts.note(tx, scans, answer == Answer::Spam, identity);
        self.pick_sample(tx, identity.filter(|_| answer == Answer::Spam));
        let unscanned = self.unscanned(reason);
        let decision = decide(&answer, unscanned, facts.known_rows(), facts.column);
        let decision = self
            .as_chosen(session, tx, &facts, decision, (&answer, HeldBefore::Count))
            .await?;
        Ok(self.carry_out(session, tx, &facts, decision, &answer))
    }
}

impl Quarantine {
    /// Whether to scan, and why.
    async fn reason(&self, facts: &Facts, tx: &Transaction) -> Result<Option<Reason>, PluginError> {
        let settings = &self.settings;
        if facts.scan_matters(settings.scan_vouched) {
            return Ok(Some(Reason::Matters));
        }
        let asked = self.asks_for(facts)
            || match settings.scan_one_in {
                Some(n) => facts.number(tx).await? % n == 0,
                None => false,
            };
        Ok(asked.then_some(Reason::Asked))
    }

    /// Whether the options ask for a scan of this message by name.
    fn asks_for(&self, facts: &Facts) -> bool {
        let settings = &self.settings;
        settings.scan_when == ScanWhen::All || settings.scan_senders.load().contains(&facts.sender)
    }

    /// Marks one in so many for a sample: the same message always, however often it is tried.
    fn pick_sample(&self, tx: &mut Transaction, spam: Option<[u8; 32]>) {
        if let Some((n, identity)) = self.settings.keep_one_in.zip(spam)
            && facts::number(&identity) % n == 0
        {
            tx.notes.put(KeepSample);
        }
    }

    /// What a missing answer means. A scan that only the options asked for changes nothing by
    /// failing.
    fn unscanned(&self, reason: Reason) -> Unscanned {
        match reason {
            Reason::Matters => self.settings.unscanned,
            Reason::Asked => Unscanned::Pass,
        }
    }

    /// What standing choices, and the threshold for telling recipients, make of a decision about
    /// spam. What could not be scanned is none.
    async fn as_chosen(
        &self,
        session: &mut Session,
        tx: &Transaction,
        facts: &Facts,
        decision: Decision,
        (answer, held): (&Answer, HeldBefore),
    ) -> Result<Decision, PluginError> {
        let Decision::Dispose { told, dispositions } = decision else {
            return Ok(decision);
        };
        let Some(store) = self
            .common
            .store
            .as_ref()
            .filter(|_| *answer == Answer::Spam)
        else {
            return Ok(Decision::Dispose { told, dispositions });
        };
        let choices = store.choices();
        let of = |r: &Recipient| choices.of_recipient(&r.forward_path).clone();
        let recipients: Vec<_> = tx.recipients.iter().map(of).collect();
        let sender = facts.vouched_choice(&choices);
        let (mut told, mut dispositions) = choices::apply(told, dispositions, sender, &recipients);
        if sender != SenderChoice::Hold {
            session.remark(format_args!("the sender has chosen: {}", sender.name()));
        }
        if told == Told::Refused && self.past_threshold(store, facts, held).await? {
            session
                .remark("many messages of this sender are held: the recipients are told instead");
            (told, dispositions) = choices::tell_recipients(dispositions);
        }
        Ok(Decision::Dispose { told, dispositions })
    }

    /// Whether so many messages of this sender are held that another refusal tells nobody.
    async fn past_threshold(
        &self,
        store: &Store,
        facts: &Facts,
        held: HeldBefore,
    ) -> Result<bool, PluginError> {
        let Some(most) = self.settings.tell_recipient_past else {
            return Ok(false);
        };
        if let HeldBefore::WasPast(past) = held {
            return Ok(past);
        }
        let held = store.held_from(&facts.sender.address()).await;
        Ok(held.map_err(PluginError::new)? >= most)
    }

    /// The DSN rule: whether the message passes unscanned for a live link of ours that it quotes.
    async fn quotes_our_link(
        &self,
        session: &mut Session,
        tx: &Transaction,
    ) -> Result<bool, PluginError> {
        if tx.reverse_path != ReversePath::Null {
            return Ok(false);
        }
        let Some(store) = &self.common.store else {
            session.remark("no ledger: links of ours are not looked for");
            return Ok(false);
        };
        let item = dsn::passes(store, &tx.message.content).await?;
        if let Some(id) = item {
            session.remark(format_args!(
                "not scanned: a DSN that quotes our link to item {id}"
            ));
        }
        Ok(item.is_some())
    }

    /// Runs the scan aside. It only measures, so a refusal means that a plugin of it is broken.
    async fn scan(&self, session: &mut Session, tx: &Transaction) -> Result<Scans, Refusal> {
        let aside = self.settings.scan.aside(session, tx, HookPoint::Data).await;
        session.trail.adopt(aside.trail);
        match aside.verdict {
            Verdict::Refuse(refusal) => {
                session.remark("the scan failed");
                Err(refusal)
            }
            Verdict::Pass | Verdict::Accept => {
                Ok(aside.notes.get::<Scans>().cloned().unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests;
