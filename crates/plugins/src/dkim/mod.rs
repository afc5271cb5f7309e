//! `dkim`: verifies DKIM signatures (RFC 6376, 8301, 8463) and leaves a note of each. It measures:
//! no message is refused for its signatures. Why this is not a library's work: docs/dkim.md.

mod canonical;
mod key;
mod signature;
mod tags;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature, PluginError};
use posthouse_hook::proofs::{DkimFound, DkimSignature, Verified};
use posthouse_hook::time::patience;
use posthouse_hook::{Field, Header, HookPoint, Plugin, Session, Span, Transaction, Verdict};
use serde::Deserialize;

use crate::clause::Clause;
use crate::options::{BuildError, Options};
use crate::surroundings::{Common, Surroundings};

pub(crate) use canonical::{BodyForm, Canon, body_hashes, field as canonical_field, own_field};
pub(crate) use key::{Algorithm, Key, Keys, place};
pub(crate) use signature::{Fields, Kind, Signature, octets};
pub(crate) use tags::Tags;

/// Signatures of a message that are verified, from the top.
const MAX_SIGNATURES: usize = 10;
/// What hashing may take beyond the time for DNS.
const SLACK: Duration = Duration::from_secs(20);

/// A result that is no pass, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) Verified, pub(crate) &'static str);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Larger messages are not verified, in octets.
    #[serde(default = "max_size")]
    max_size: u64,
    #[serde(default)]
    body_length: BodyLength,
    /// How long DNS may take for all keys together.
    #[serde(default = "dns_timeout", deserialize_with = "patience")]
    dns_timeout: Span,
}

/// What is made of a signature over a part of the body (`l=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BodyLength {
    /// It proves nothing: anything can be appended.
    #[default]
    Policy,
    /// It is taken.
    Allow,
}

fn max_size() -> u64 {
    52_428_800
}

fn dns_timeout() -> Span {
    Span(Duration::from_secs(10))
}

struct Dkim {
    config: Config,
    common: Common,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    Ok(Arc::new(Dkim {
        config: options.read()?,
        common: parts.common().clone(),
    }))
}

#[async_trait]
impl Plugin for Dkim {
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
        let header = Arc::clone(&tx.message.header);
        let judged = self.judge(tx, &header).await?;
        let more = header
            .all("DKIM-Signature")
            .count()
            .saturating_sub(judged.len());
        for one in &judged {
            session.remark(one.told());
            one.clause().leave(tx);
        }
        if more > 0 {
            session.remark(format_args!("{more} more signatures, not looked at"));
        }
        if judged.is_empty() {
            session.remark("no signature");
            Clause::new("dkim", Verified::None).leave(tx);
        }
        let found = judged.iter().filter_map(Judged::note).collect();
        tx.notes.put(DkimFound(found));
        Ok(Verdict::Pass)
    }
}

impl Dkim {
    async fn judge<'a>(
        &self,
        tx: &Transaction,
        header: &'a Header,
    ) -> Result<Vec<Judged<'a>>, PluginError> {
        let now = self.common.clock.now().seconds().unsigned_abs();
        let fields = header.all("DKIM-Signature").take(MAX_SIGNATURES);
        let mut judged: Vec<Judged<'_>> = fields.map(Judged::read).collect();
        let takes_length = self.config.body_length == BodyLength::Allow;
        let too_big = tx.message.content.len() > self.config.max_size;
        for one in &mut judged {
            one.go_on(|signature| signature.check(header, now, takes_length));
            one.go_on(|_| match too_big {
                true => Err(Fault(Verified::Policy, "the message is over max_size")),
                false => Ok(()),
            });
        }
        let hashed = bodies(&mut judged, tx, header).await;
        hashed.map_err(|error| PluginError(format!("the message cannot be read: {error}")))?;
        self.verify(&mut judged, header).await;
        Ok(judged)
    }

    /// The keys of those signatures whose body is right, all at once; then the signatures.
    async fn verify(&self, judged: &mut [Judged<'_>], header: &Header) {
        let names = judged.iter().filter(|one| one.fault.is_none());
        let names = names.filter_map(|one| one.signature.as_ref().map(|s| s.key.clone()));
        let within = self.config.dns_timeout.0;
        let keys = Keys::fetch(&*self.common.resolver, names, within).await;
        let fields = Fields::of(header);
        for one in judged {
            let (own, mut testing) = (one.field, false);
            one.go_on(|signature| {
                let key = signature.verify(&keys, &fields, own)?;
                testing = key.testing;
                Ok(())
            });
            one.testing = testing;
        }
    }
}

/// Compares the body with what each signature says of it; the body is read once.
async fn bodies(
    judged: &mut [Judged<'_>],
    tx: &Transaction,
    header: &Header,
) -> std::io::Result<()> {
    let mut forms: Vec<BodyForm> = Vec::new();
    for one in judged.iter().filter(|one| one.fault.is_none()) {
        let form = one.signature.as_ref().map(|s| (s.body, s.length));
        forms.extend(form.filter(|form| !forms.contains(form)));
    }
    if forms.is_empty() {
        return Ok(());
    }
    let start = header.raw().len();
    let hashes = body_hashes(&tx.message.content, start, &forms).await?;
    for one in judged {
        one.go_on(|signature| {
            let form = (signature.body, signature.length);
            let at = forms.iter().position(|known| *known == form);
            same_body(signature, at.and_then(|at| hashes.get(at)))
        });
    }
    Ok(())
}

/// Whether the body's hash is the one that was signed.
pub(crate) fn same_body(
    signature: &Signature,
    hash: Option<&Result<[u8; 32], Fault>>,
) -> Result<(), Fault> {
    match hash {
        Some(Ok(hash)) if hash[..] == signature.body_hash => Ok(()),
        Some(Err(fault)) => Err(*fault),
        _ => Err(Fault(Verified::Fail, "the body was changed")),
    }
}

/// One field, and what is known of it so far.
struct Judged<'a> {
    field: Field<'a>,
    signature: Option<Signature>,
    fault: Option<Fault>,
    testing: bool,
}

impl<'a> Judged<'a> {
    fn read(field: Field<'a>) -> Self {
        let parsed = Signature::parse(Kind::Dkim, field.value);
        Self {
            field,
            fault: parsed.as_ref().err().copied(),
            signature: parsed.ok(),
            testing: false,
        }
    }

    /// One check more, unless one has failed.
    fn go_on(&mut self, check: impl FnOnce(&Signature) -> Result<(), Fault>) {
        if let (None, Some(signature)) = (self.fault, &self.signature) {
            self.fault = check(signature).err();
        }
    }

    fn result(&self) -> Verified {
        self.fault.map_or(Verified::Pass, |fault| fault.0)
    }

    fn note(&self) -> Option<DkimSignature> {
        self.signature.as_ref().map(|signature| DkimSignature {
            result: self.result(),
            domain: signature.domain.clone(),
            selector: signature.selector.clone(),
        })
    }

    fn clause(&self) -> Clause {
        let clause = Clause::new("dkim", self.result()).reason(self.fault.map(|fault| fault.1));
        match &self.signature {
            Some(signature) => clause
                .property("header.d", signature.domain.as_str())
                .property("header.s", &signature.selector)
                .property("header.a", signature.algorithm.name())
                .property("header.b", &signature.shown()),
            None => clause,
        }
    }

    fn told(&self) -> String {
        let mut told = self.result().to_string();
        if let Some(signature) = &self.signature {
            told.push_str(&format!(
                " by {}, key {}",
                signature.domain, signature.selector
            ));
        }
        if let Some(Fault(_, why)) = self.fault {
            told.push_str(&format!(": {why}"));
        }
        if self.testing {
            told.push_str(" (the domain is trying DKIM out)");
        }
        told
    }
}

#[cfg(test)]
mod tests;
