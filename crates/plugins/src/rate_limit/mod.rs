//! `rate_limit`: how much a client, a user, a sender or a forwarder may send in a time. What is over
//! is noted, put off or held; nothing is ever refused for good.
//!
//! Counts are in memory, one bucket a key, and begin anew with the program.

mod asked;
mod buckets;
mod config;
mod keys;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::OverLimit;
use posthouse_hook::{
    Disposition, HookPoint, Plugin, Recipient, Refusal, Session, Transaction, Verdict, Why,
};

use self::asked::{Asked, ToHold};
use self::config::{Action, Config, Count, Limit, Settings};
use self::keys::Who;
use crate::exempt;
use crate::options::{BuildError, Options};
use crate::surroundings::{Common, Surroundings};

struct RateLimit {
    name: String,
    settings: Settings,
    common: Common,
}

pub(crate) fn build(
    name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    Ok(Arc::new(RateLimit {
        name: name.to_owned(),
        settings: config.load()?,
        common: parts.common().clone(),
    }))
}

#[async_trait]
impl Plugin for RateLimit {
    fn points(&self) -> &[HookPoint] {
        &[
            HookPoint::Mail,
            HookPoint::Rcpt,
            HookPoint::Data,
            HookPoint::Queue,
            HookPoint::Settled,
        ]
    }

    fn nature(&self) -> Nature {
        let has = |action| self.settings.limits.iter().any(|l| l.action == action);
        match (has(Action::Hold), has(Action::Defer)) {
            (true, _) => Nature::Disposes,
            (false, true) => Nature::Refuses,
            (false, false) => Nature::Measures,
        }
    }

    /// Whoever is over a limit already hears of it early.
    async fn mail(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        if self.is_exempt(session, tx) {
            return Ok(Verdict::Pass);
        }
        let now = self.common.clock.now();
        let over = self.deferring().find_map(|limit| {
            let key = self.with(session, tx, |who| who.of_transaction(limit.by))?;
            (!limit.buckets.has_room(&key, now)).then_some((limit, key))
        });
        Ok(self.answer(session, tx, over))
    }

    async fn rcpt(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        recipient: &Recipient,
    ) -> Answer {
        if self.is_exempt(session, tx) {
            return Ok(Verdict::Pass);
        }
        let now = self.common.clock.now();
        let over = self.deferring().find_map(|limit| {
            let key = self.with(session, tx, |who| who.of_recipient(limit.by, recipient))?;
            (!limit.buckets.has_room(&key, now)).then_some((limit, key))
        });
        if over.is_some() {
            return Ok(self.answer(session, tx, over));
        }
        Asked::of(tx).remember(self.id(), recipient);
        Ok(self.take_recipient(session, tx, recipient))
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        if self.is_exempt(session, tx) {
            return Ok(Verdict::Pass);
        }
        let asked = Asked::of(tx);
        for recipient in tx.recipients.clone() {
            // A plugin above has taken it, and this one was not asked.
            if asked.remember(self.id(), &recipient)
                && let refusal @ Verdict::Refuse(_) = self.take_recipient(session, tx, &recipient)
            {
                return Ok(refusal);
            }
        }
        Ok(self.take_message(session, tx))
    }

    /// Below every plugin's word at data: what is held already stays as it is.
    async fn queue(&self, _session: &mut Session, tx: &mut Transaction) -> Answer {
        if ToHold::has(tx, self.id()) {
            let relayed = tx.recipients.iter_mut();
            relayed
                .filter(|r| r.disposition == Disposition::Relay)
                .for_each(|r| r.disposition = Disposition::Hold(Why::Policy));
        }
        Ok(Verdict::Pass)
    }

    /// Counts what the quarantine has held as spam, whatever the client heard.
    fn settled(&self, session: &Session, tx: &Transaction, verdict: &Verdict) {
        let kept = !matches!(verdict, Verdict::Refuse(refusal) if refusal.is_transient());
        let held = |r: &&Recipient| matches!(r.disposition, Disposition::Hold(Why::Spam(_)));
        let spam: Vec<_> = tx.recipients.iter().filter(held).cloned().collect();
        if !kept || spam.is_empty() || self.is_exempt(session, tx) {
            return;
        }
        let now = self.common.clock.now();
        for limit in self.of(Count::SpamHolds) {
            for key in self.keys(session, tx, limit, &spam) {
                limit.buckets.add(&key, now);
            }
        }
    }
}

impl RateLimit {
    fn of(&self, count: Count) -> impl Iterator<Item = &Limit> {
        let limits = self.settings.limits.iter();
        limits.filter(move |limit| limit.count == count)
    }

    fn deferring(&self) -> impl Iterator<Item = &Limit> {
        let limits = self.settings.limits.iter();
        limits.filter(|limit| limit.action == Action::Defer)
    }

    /// Tells this plugin's marks on a transaction from those of another `rate_limit`.
    fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn is_exempt(&self, session: &Session, tx: &Transaction) -> bool {
        let exempt = &self.settings.exempt;
        exempt::client(exempt, session).is_some() || exempt::sender(exempt, tx).is_some()
    }

    fn with<T>(&self, session: &Session, tx: &Transaction, ask: impl FnOnce(Who<'_>) -> T) -> T {
        ask(Who {
            session,
            tx,
            ours: &self.common.our_domains.load(),
            masks: self.settings.masks,
        })
    }

    /// The keys of a message to these recipients, each once.
    fn keys(
        &self,
        session: &Session,
        tx: &Transaction,
        limit: &Limit,
        recipients: &[Recipient],
    ) -> BTreeSet<String> {
        self.with(session, tx, |who| match limit.by.is_of_recipient() {
            true => {
                let keys = recipients.iter();
                keys.filter_map(|r| who.of_recipient(limit.by, r)).collect()
            }
            false => who.of_transaction(limit.by).into_iter().collect(),
        })
    }

    /// Counts one recipient.
    fn take_recipient(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        recipient: &Recipient,
    ) -> Verdict {
        let now = self.common.clock.now();
        for limit in self.of(Count::Recipients) {
            let key = self.with(session, tx, |who| who.of_recipient(limit.by, recipient));
            let over = key.filter(|key| !limit.buckets.take(key, now));
            let verdict = self.answer(session, tx, over.map(|key| (limit, key)));
            if verdict != Verdict::Pass {
                return verdict;
            }
        }
        Verdict::Pass
    }

    /// Counts one message, and looks at the spam that there was before it.
    fn take_message(&self, session: &mut Session, tx: &mut Transaction) -> Verdict {
        let (now, recipients) = (self.common.clock.now(), tx.recipients.clone());
        for limit in &self.settings.limits {
            for key in self.keys(session, tx, limit, &recipients) {
                let fits = match limit.count {
                    Count::Messages => limit.buckets.take(&key, now),
                    Count::SpamHolds => limit.buckets.has_room(&key, now),
                    Count::Recipients => true,
                };
                let over = (!fits).then_some((limit, key));
                let verdict = self.answer(session, tx, over);
                if verdict != Verdict::Pass {
                    return verdict;
                }
            }
        }
        Verdict::Pass
    }

    /// What is done about a limit that was met: told in the log, the trail and a note, and then as the
    /// limit says.
    fn answer(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        over: Option<(&Limit, String)>,
    ) -> Verdict {
        let Some((limit, key)) = over else {
            return Verdict::Pass;
        };
        limit.over.fetch_add(1, Ordering::Relaxed);
        let (plugin, action) = (&self.name, limit.action);
        tracing::info!(transaction = %tx.id, plugin, %limit, key, ?action, "over a limit");
        session.remark(format_args!("{key} is over {limit}"));
        OverLimit::add(tx, limit.to_string());
        match action {
            Action::Note => Verdict::Pass,
            Action::Defer => Verdict::Refuse(Refusal::over_limit()),
            Action::Hold => {
                ToHold::put(tx, self.id());
                Verdict::Pass
            }
        }
    }
}

#[cfg(test)]
mod tests;
