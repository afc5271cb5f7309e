//! `arc`: verifies the ARC chain (RFC 8617) that forwarders leave, and leaves a note of what it came to
//! and of who sealed last. It measures; whom to believe is for the policy that reads the note.

mod chain;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature, PluginError};
use posthouse_hook::proofs::{ArcFound, Verified};
use posthouse_hook::time::patience;
use posthouse_hook::{Domain, HookPoint, Plugin, Session, Span, Transaction, Verdict};
use serde::Deserialize;

use crate::clause::Clause;
use crate::dkim::{
    Canon, Fault, Fields, Keys, Kind, Signature, body_hashes, canonical_field, own_field, same_body,
};
use crate::options::{BuildError, Options};
use crate::surroundings::{Common, Surroundings};

use chain::{Seal, Set, sets};

/// Different keys of a chain that are asked for.
const MAX_KEYS: usize = 20;
/// What hashing may take beyond the time for DNS.
const SLACK: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Larger messages are not verified, in octets.
    #[serde(default = "max_size")]
    max_size: u64,
    /// How long DNS may take for all keys together.
    #[serde(default = "dns_timeout", deserialize_with = "patience")]
    dns_timeout: Span,
}

fn max_size() -> u64 {
    52_428_800
}

fn dns_timeout() -> Span {
    Span(Duration::from_secs(10))
}

struct ArcPlugin {
    config: Config,
    common: Common,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    Ok(Arc::new(ArcPlugin {
        config: options.read()?,
        common: parts.common().clone(),
    }))
}

#[async_trait]
impl Plugin for ArcPlugin {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Measures
    }

    fn default_timeout(&self) -> Duration {
        self.config.dns_timeout.0 + SLACK
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let (sealer, fault) = self.judge(tx).await?;
        let (result, why) = match (&sealer, fault) {
            (_, Some(Fault(result, why))) => (result, Some(why)),
            (Some(_), None) => (Verified::Pass, None),
            (None, None) => (Verified::None, None),
        };
        session.remark(told(result, why, sealer.as_ref()));
        let ip = session.client_ip().to_string();
        let clause = Clause::new("arc", result).reason(why);
        clause.property("smtp.remote-ip", &ip).leave(tx);
        tx.notes.put(ArcFound { result, sealer });
        Ok(Verdict::Pass)
    }
}

impl ArcPlugin {
    /// Who sealed last, and what is wrong with the chain.
    async fn judge(
        &self,
        tx: &Transaction,
    ) -> Result<(Option<Domain>, Option<Fault>), PluginError> {
        let header = &tx.message.header;
        let (sets, seals) = match read(header) {
            Ok(read) => read,
            Err(fault) => return Ok((None, Some(fault))),
        };
        let (Some(set), Some(seal)) = (sets.last(), seals.last()) else {
            return Ok((None, None));
        };
        let verified = self.verify(tx, &sets, &seals, set).await?;
        Ok((Some(seal.domain.clone()), verified.err().map(severity)))
    }

    /// The newest signature over the message, and every seal (RFC 8617 §5.2).
    async fn verify(
        &self,
        tx: &Transaction,
        sets: &[Set<'_>],
        seals: &[Seal],
        newest: &Set<'_>,
    ) -> Result<Result<(), Fault>, PluginError> {
        let signature = match self.newest(tx, newest) {
            Ok(signature) => signature,
            Err(fault) => return Ok(Err(fault)),
        };
        let start = tx.message.header.raw().len();
        let form = (signature.body, signature.length);
        let hashes = body_hashes(&tx.message.content, start, &[form]).await;
        let hashes =
            hashes.map_err(|error| PluginError(format!("the message cannot be read: {error}")))?;
        if let Err(fault) = same_body(&signature, hashes.first()) {
            return Ok(Err(fault));
        }
        let names = seals.iter().map(|seal| seal.key.clone());
        let names = names.chain([signature.key.clone()]);
        let names: std::collections::BTreeSet<_> = names.collect();
        if names.len() > MAX_KEYS {
            return Ok(Err(Fault(Verified::Policy, "too many different keys")));
        }
        let within = self.config.dns_timeout.0;
        let keys = Keys::fetch(&*self.common.resolver, names.into_iter(), within).await;
        let fields = Fields::of(&tx.message.header);
        let signed = signature.verify(&keys, &fields, newest.signature);
        Ok(signed.and_then(|_| all_sealed(&keys, sets, seals)))
    }

    /// The signature of the newest set, as far as it can be judged without body and key.
    fn newest(&self, tx: &Transaction, set: &Set<'_>) -> Result<Signature, Fault> {
        if tx.message.content.len() > self.config.max_size {
            return Err(Fault(Verified::Policy, "the message is over max_size"));
        }
        let now = self.common.clock.now().seconds().unsigned_abs();
        let signature = Signature::parse(Kind::Arc, set.signature.value)?;
        if signature.signed.iter().any(|name| name == "arc-seal") {
            return Err(Fault(Verified::Fail, "the signature covers a seal"));
        }
        signature.check(&tx.message.header, now, false)?;
        Ok(signature)
    }
}

fn read(header: &posthouse_hook::Header) -> Result<(Vec<Set<'_>>, Vec<Seal>), Fault> {
    let sets = sets(header)?;
    let last = sets.len();
    let seals = sets.iter().zip(1..);
    let seals = seals.map(|(set, instance)| Seal::parse(set, instance, instance == last));
    let seals = seals.collect::<Result<_, _>>()?;
    Ok((sets, seals))
}

/// Each seal covers every set up to its own (RFC 8617 §5.1.1), always relaxed.
fn all_sealed(keys: &Keys, sets: &[Set<'_>], seals: &[Seal]) -> Result<(), Fault> {
    let mut data = Vec::new();
    for (set, seal) in sets.iter().zip(seals) {
        canonical_field(&mut data, Canon::Relaxed, set.results);
        canonical_field(&mut data, Canon::Relaxed, set.signature);
        let before = data.len();
        own_field(&mut data, Canon::Relaxed, set.seal);
        seal.verify(keys, &data)?;
        data.truncate(before);
        canonical_field(&mut data, Canon::Relaxed, set.seal);
    }
    Ok(())
}

/// A chain passes or fails; only what we did not look at, or DNS did not tell, is something else.
fn severity(Fault(result, why): Fault) -> Fault {
    match result {
        Verified::TempError | Verified::Policy => Fault(result, why),
        _ => Fault(Verified::Fail, why),
    }
}

fn told(result: Verified, why: Option<&str>, sealer: Option<&Domain>) -> String {
    let mut told = result.to_string();
    if let Some(sealer) = sealer {
        told.push_str(&format!(", last sealed by {sealer}"));
    }
    if let Some(why) = why {
        told.push_str(&format!(": {why}"));
    }
    told
}
