//! `greylist`: strangers come again, or do not come (RFC 6647). A first try of client network, sender
//! and recipient is put off; one that comes again in time passes, and is known from then on.
//!
//! It says not now, or nothing. What it remembers is in the store; when that fails, mail passes
//! unless the operator says otherwise.

mod decide;
mod triplet;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::AllowedRecipient;
use posthouse_hook::{
    HookPoint, Plugin, Recipient, Refusal, ReversePath, Session, Span, Timestamp, Transaction,
    Verdict,
};
use posthouse_store::{GreyTriplet, Store};
use serde::Deserialize;

use self::decide::{Decision, Refresh, Spans, decide};
use self::triplet::Masks;
use crate::exempt::{self, Exempt};
use crate::options::{BadValue, BuildError, Options};
use crate::surroundings::{Common, Surroundings};

/// How long the store may take over one triplet.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    delay: Span,
    window: Span,
    lifetime: Span,
    auto_allow: u32,
    at: At,
    network_v4: u8,
    network_v6: u8,
    entries: u32,
    on_dead: OnDead,
    exempt: Vec<Exempt>,
}

/// At which hook point a try is put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum At {
    /// Each recipient for itself; the null sender at data all the same.
    Rcpt,
    /// The whole message, once it is there: servers that only ask whether an address exists are answered.
    Data,
}

/// What a failing store means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnDead {
    /// The mail passes.
    Pass,
    /// 451 4.3.0.
    Defer,
}

impl Default for Config {
    fn default() -> Self {
        let span = |seconds| Span(Duration::from_secs(seconds));
        Self {
            delay: span(300),
            window: span(12 * 3600),
            lifetime: span(35 * 86_400),
            auto_allow: 5,
            at: At::Rcpt,
            network_v4: 24,
            network_v6: 64,
            entries: 1_000_000,
            on_dead: OnDead::Pass,
            exempt: vec![Exempt::Auth, Exempt::RelayClients, Exempt::Access],
        }
    }
}

struct Greylist {
    config: Config,
    spans: Spans,
    masks: Masks,
    common: Common,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    check(&config)?;
    let spans = Spans {
        delay: config.delay.0,
        window: config.window.0,
        lifetime: config.lifetime.0,
    };
    let masks = Masks {
        v4: config.network_v4,
        v6: config.network_v6,
    };
    Ok(Arc::new(Greylist {
        config,
        spans,
        masks,
        common: parts.common().clone(),
    }))
}

fn check(config: &Config) -> Result<(), BuildError> {
    let bad = |key: &str, value: String, problem: &str, way_out: &str| {
        Err(BadValue::new(key, value, problem, way_out).into())
    };
    if config.window <= config.delay {
        let problem = "ends before the delay is over: nobody could come again in time";
        return bad(
            "window",
            config.window.to_string(),
            problem,
            "write more than the delay",
        );
    }
    if config.lifetime <= config.window {
        let problem = "is no longer than the window";
        return bad(
            "lifetime",
            config.lifetime.to_string(),
            problem,
            "write some weeks",
        );
    }
    for (key, bits, all) in [
        ("network_v4", config.network_v4, 32),
        ("network_v6", config.network_v6, 128),
    ] {
        if !(1..=all).contains(&bits) {
            let way_out = format!("write 1 to {all}");
            return bad(key, bits.to_string(), "no length of a network", &way_out);
        }
    }
    if config.entries < 1000 {
        return bad(
            "entries",
            config.entries.to_string(),
            "too few",
            "write 1000 or more",
        );
    }
    Ok(())
}

#[async_trait]
impl Plugin for Greylist {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Rcpt, HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Refuses
    }

    async fn rcpt(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        recipient: &Recipient,
    ) -> Answer {
        let settled = Settled::of(tx);
        if self.is_exempt(session, tx) || self.is_allowed(tx, recipient) {
            settled.add(recipient);
            return Ok(Verdict::Pass);
        }
        if self.config.at == At::Data || tx.reverse_path == ReversePath::Null {
            return Ok(Verdict::Pass);
        }
        let verdict = self.judge(session, tx, recipient).await;
        if verdict == Verdict::Pass {
            settled.add(recipient);
        }
        Ok(verdict)
    }

    /// What was not settled at rcpt: all of it is looked at, so that it waits together.
    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        if self.is_exempt(session, tx) {
            return Ok(Verdict::Pass);
        }
        let settled = Settled::of(tx);
        let mut last = Verdict::Pass;
        for recipient in tx.recipients.clone() {
            if settled.has(&recipient) {
                continue;
            }
            let verdict = self.judge(session, tx, &recipient).await;
            if verdict != Verdict::Pass {
                last = verdict;
            }
        }
        Ok(last)
    }
}

impl Greylist {
    fn is_exempt(&self, session: &mut Session, tx: &Transaction) -> bool {
        let exempt = &self.config.exempt;
        let word = exempt::client(exempt, session).or_else(|| exempt::sender(exempt, tx));
        if let Some(word) = word {
            session.remark(format_args!("exempt: {}", word.word()));
        }
        word.is_some()
    }

    fn is_allowed(&self, tx: &Transaction, recipient: &Recipient) -> bool {
        let allowed = tx.notes.get::<AllowedRecipient>();
        self.config.exempt.contains(&Exempt::Access)
            && allowed.is_some_and(|note| note.0 == recipient.forward_path)
    }

    async fn judge(
        &self,
        session: &mut Session,
        tx: &Transaction,
        recipient: &Recipient,
    ) -> Verdict {
        let (from, to) = (&tx.reverse_path, &recipient.forward_path);
        let triplet = triplet::of(session.client_ip(), self.masks, from, to);
        match self.decide(&triplet).await {
            Ok(decision) => say(session, tx, decision, &triplet),
            Err(why) => self.dead(session, &why),
        }
    }

    fn dead(&self, session: &mut Session, why: &str) -> Verdict {
        tracing::error!(session = %session.id, why, "greylisting does not work");
        session.remark(format_args!("not greylisted: {why}"));
        match self.config.on_dead {
            OnDead::Pass => Verdict::Pass,
            OnDead::Defer => Verdict::Refuse(Refusal::local_error()),
        }
    }

    /// Decides about one triplet, and notes what came of it.
    async fn decide(&self, triplet: &GreyTriplet) -> Result<Decision, String> {
        let store = self.common.store.as_ref();
        let store = store.ok_or_else(|| "there is no ledger".to_owned())?;
        let work = async {
            let now = self.common.clock.now();
            let seen = store.grey_seen(triplet.clone(), now).await?;
            let decision = decide(&seen, now, &self.spans, self.config.auto_allow);
            self.note(store, triplet.clone(), decision, now).await?;
            Ok::<_, posthouse_store::StoreError>(decision)
        };
        let done = tokio::time::timeout(PATIENCE, work).await;
        let done = done.map_err(|_| format!("the store took longer than {PATIENCE:?}"))?;
        done.map_err(|error| error.to_string())
    }

    async fn note(
        &self,
        store: &Store,
        triplet: GreyTriplet,
        decision: Decision,
        now: Timestamp,
    ) -> Result<(), posthouse_store::StoreError> {
        let known_until = now.after(self.spans.lifetime);
        match decision {
            Decision::First => {
                let until = now.after(self.spans.window);
                store
                    .grey_first(triplet, now, until, self.config.entries)
                    .await
            }
            Decision::Again | Decision::Known(Refresh::Yes) => {
                store.grey_passed(triplet, known_until).await
            }
            Decision::Network(Refresh::Yes) => {
                store.grey_network(triplet.network, known_until).await
            }
            Decision::Early | Decision::Known(Refresh::No) | Decision::Network(Refresh::No) => {
                Ok(())
            }
        }
    }
}

fn say(
    session: &mut Session,
    tx: &Transaction,
    decision: Decision,
    triplet: &GreyTriplet,
) -> Verdict {
    let words = match decision {
        Decision::First => "the first try",
        Decision::Early => "too early again",
        Decision::Again => "came again",
        Decision::Known(_) => "known",
        Decision::Network(_) => "from a network that comes again",
    };
    session.remark(format_args!("{words} for {}", triplet.recipient));
    match decision {
        Decision::First | Decision::Early => {
            let GreyTriplet {
                network,
                sender,
                recipient,
            } = triplet;
            tracing::info!(transaction = %tx.id, %network, sender, recipient, words, "greylisted");
            Verdict::Refuse(Refusal::greylisted())
        }
        Decision::Again | Decision::Known(_) | Decision::Network(_) => Verdict::Pass,
    }
}

/// The plugin's own mark on a transaction: the recipients about which nothing more is to be asked.
/// Bounded by the recipients of a transaction.
#[derive(Clone, Default)]
struct Settled(Arc<Mutex<HashSet<String>>>);

impl Settled {
    fn of(tx: &mut Transaction) -> Self {
        if let Some(settled) = tx.notes.get::<Self>() {
            return settled.clone();
        }
        let settled = Self::default();
        tx.notes.put(settled.clone());
        settled
    }

    fn add(&self, recipient: &Recipient) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(recipient.forward_path.key());
    }

    fn has(&self, recipient: &Recipient) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains(&recipient.forward_path.key())
    }
}

#[cfg(test)]
mod tests;
