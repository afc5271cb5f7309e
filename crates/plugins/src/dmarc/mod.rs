//! `dmarc`: whether header From is proven by SPF or DKIM (RFC 7489), read from the notes of `spf` and
//! `dkim` above. Leaves a note; refuses and holds only if it is told to enforce.

mod evaluate;
mod from;
mod record;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::{ArcFound, DmarcFound, DmarcPolicy, Verified};
use posthouse_hook::time::patience;
use posthouse_hook::{
    Disposition, Domain, DomainList, HookPoint, Live, Plugin, Refusal, Session, Span, Transaction,
    Verdict, Why,
};
use serde::Deserialize;

use crate::clause::{Clause, OnTempError};
use crate::exempt::{self, Exempt};
use crate::options::{BadValue, BuildError, ListSpec, Options};
use crate::surroundings::{Common, Surroundings, domains};

use evaluate::evaluate;
use from::author_domain;
use walk::Unknown;

/// What a step may take beyond the time for DNS.
const SLACK: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    enforce: bool,
    #[serde(default)]
    on_temperror: OnTempError,
    /// Forwarders whose ARC seal is believed.
    #[serde(default)]
    trusted_sealers: ListSpec,
    /// Clients whose mail is not judged.
    #[serde(default = "relaying")]
    exempt: Vec<Exempt>,
    /// How long DNS may take for all records together.
    #[serde(default = "dns_timeout", deserialize_with = "patience")]
    dns_timeout: Span,
}

fn relaying() -> Vec<Exempt> {
    vec![Exempt::Auth, Exempt::RelayClients]
}

fn dns_timeout() -> Span {
    Span(Duration::from_secs(10))
}

struct Dmarc {
    config: Config,
    trusted: Live<DomainList>,
    common: Common,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    if let Some(word) = config.exempt.iter().find(|word| !relaying().contains(word)) {
        let problem = "it tells of senders, and this option is about clients";
        let way_out = "write auth, relay_clients, or both";
        return Err(BadValue::new("exempt", word.word(), problem, way_out).into());
    }
    let trusted = domains(parts, "trusted_sealers", &config.trusted_sealers)?;
    Ok(Arc::new(Dmarc {
        config,
        trusted,
        common: parts.common().clone(),
    }))
}

/// What was found, and why.
struct Judged {
    found: DmarcFound,
    why: String,
}

#[async_trait]
impl Plugin for Dmarc {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        match (self.config.enforce, self.config.on_temperror) {
            (true, _) => Nature::Disposes,
            (false, OnTempError::Defer) => Nature::Refuses,
            (false, OnTempError::Pass) => Nature::Measures,
        }
    }

    fn default_timeout(&self) -> Duration {
        self.config.dns_timeout.0 + SLACK
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let ours = self.common.our_servers.load().contains(session.client_ip());
        if let Some(word) = exempt::client(&self.config.exempt, session) {
            session.remark(format_args!("not judged: {}", word.word()));
            return Ok(Verdict::Pass);
        }
        if ours {
            session.remark("not judged: one of our_servers");
            return Ok(Verdict::Pass);
        }
        let Judged { found, why } = self.judge(tx).await;
        session.remark(format_args!("{}: {why}", found.result));
        clause(&found, &why).leave(tx);
        let verdict = self.act(session, tx, &found);
        tx.notes.put(found);
        Ok(verdict)
    }
}

impl Dmarc {
    async fn judge(&self, tx: &Transaction) -> Judged {
        let domain = match author_domain(&tx.message.header) {
            Ok(domain) => domain,
            Err(why) => return judged(Verified::PermError, None, None, why),
        };
        let resolver = &*self.common.resolver;
        let evaluated = evaluate(resolver, tx, &domain);
        let found = tokio::time::timeout(self.config.dns_timeout.0, evaluated).await;
        match found.unwrap_or(Err(Unknown)) {
            Ok((result, policy, why)) => judged(result, Some(domain), policy, why),
            Err(Unknown) => judged(
                Verified::TempError,
                Some(domain),
                None,
                "DNS did not answer",
            ),
        }
    }

    /// What is done about it, if anything is to be done.
    fn act(&self, session: &mut Session, tx: &mut Transaction, found: &DmarcFound) -> Verdict {
        let verdict = match found.result {
            Verified::TempError if self.config.on_temperror == OnTempError::Defer => {
                Verdict::Refuse(Refusal::dmarc_unknown())
            }
            Verified::Fail if self.config.enforce => self.enforce(session, tx, found.policy),
            _ => Verdict::Pass,
        };
        if let Verdict::Refuse(refusal) = &verdict {
            let from = found.domain.as_ref().map(Domain::as_str);
            tracing::info!(session = %session.id, client = %session.client_ip(), from,
                dmarc = %found.result, reply = refusal.code(), "refused by DMARC");
        }
        verdict
    }

    fn enforce(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        policy: Option<DmarcPolicy>,
    ) -> Verdict {
        if matches!(policy, None | Some(DmarcPolicy::None)) {
            return Verdict::Pass;
        }
        if let Some(sealer) = self.trusted_sealer(tx) {
            session.remark(format_args!(
                "let through: sealed by {sealer}, which is trusted"
            ));
            return Verdict::Pass;
        }
        if policy == Some(DmarcPolicy::Reject) {
            return Verdict::Refuse(Refusal::dmarc_failed());
        }
        let held = tx.recipients.iter_mut();
        held.filter(|recipient| recipient.disposition == Disposition::Relay)
            .for_each(|recipient| recipient.disposition = Disposition::Hold(Why::Policy));
        tracing::info!(session = %session.id, transaction = %tx.id, "held by DMARC");
        Verdict::Pass
    }

    /// Who sealed the message, if the chain passes and the operator trusts that sealer.
    fn trusted_sealer<'a>(&self, tx: &'a Transaction) -> Option<&'a Domain> {
        let arc = tx.notes.get::<ArcFound>()?;
        let sealer = arc
            .sealer
            .as_ref()
            .filter(|_| arc.result == Verified::Pass)?;
        self.trusted.load().contains(sealer).then_some(sealer)
    }
}

fn judged(
    result: Verified,
    domain: Option<Domain>,
    policy: Option<DmarcPolicy>,
    why: impl Into<String>,
) -> Judged {
    Judged {
        found: DmarcFound {
            result,
            domain,
            policy,
        },
        why: why.into(),
    }
}

fn clause(found: &DmarcFound, why: &str) -> Clause {
    let failed = !matches!(found.result, Verified::Pass | Verified::None);
    let clause = Clause::new("dmarc", found.result).reason(failed.then_some(why));
    let clause = match found.policy {
        Some(policy) => clause.property("policy.dmarc", word(policy)),
        None => clause,
    };
    match &found.domain {
        Some(domain) => clause.property("header.from", domain.as_str()),
        None => clause,
    }
}

fn word(policy: DmarcPolicy) -> &'static str {
    match policy {
        DmarcPolicy::None => "none",
        DmarcPolicy::Quarantine => "quarantine",
        DmarcPolicy::Reject => "reject",
    }
}

#[cfg(test)]
mod tests;
