//! `relay_domains`: the domains that we accept mail for, from whomever. Says yes at rcpt, or
//! nothing.

use std::sync::Arc;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{
    DomainList, ForwardPath, HookPoint, Live, Plugin, Recipient, Session, Transaction, Verdict,
};
use serde::Deserialize;

use crate::options::{BuildError, ListSpec, Options};
use crate::surroundings::{Surroundings, domains};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The domains that we accept mail for.
    domains: ListSpec,
    /// Whether `<postmaster>` without a domain is taken too (RFC 5321 §4.5.1).
    #[serde(default)]
    postmaster: bool,
}

struct RelayDomains {
    domains: Live<DomainList>,
    postmaster: bool,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    Ok(Arc::new(RelayDomains {
        domains: domains(parts, "domains", &config.domains)?,
        postmaster: config.postmaster,
    }))
}

#[async_trait]
impl Plugin for RelayDomains {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Rcpt]
    }

    fn nature(&self) -> Nature {
        Nature::Admits
    }

    async fn rcpt(
        &self,
        _session: &mut Session,
        _tx: &mut Transaction,
        recipient: &Recipient,
    ) -> Answer {
        let ours = match &recipient.forward_path {
            ForwardPath::Postmaster => self.postmaster,
            ForwardPath::Mailbox(mailbox) => mailbox
                .domain()
                .is_some_and(|domain| self.domains.load().contains(domain)),
        };
        Ok(if ours { Verdict::Accept } else { Verdict::Pass })
    }
}
