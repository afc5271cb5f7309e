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

#[cfg(test)]
mod tests {
    use posthouse_hook::Chain;

    use crate::testing::{Parts, Zone, session, step, transaction};

    async fn takes(options: &str, to: &str) -> bool {
        let plugin = Parts::new(Zone::default()).build("relay_domains", options);
        let chain = Chain::new("c", vec![step("relay_domains", plugin.expect("valid"))]);
        let mut tx = transaction("<a@a.example>", &[to], "\n\n");
        let recipient = tx.recipients.remove(0);
        let mut session = session("198.51.100.9");
        chain.rcpt(&mut session, &mut tx, &recipient).await.is_ok()
    }

    #[tokio::test]
    async fn only_listed_domains_are_taken() {
        let options = "domains = [\"b.example\", \".c.example\"]";
        for (to, taken) in [
            ("<x@b.example>", true),
            ("<x@B.Example>", true),
            ("<x@sub.b.example>", false),
            ("<x@sub.c.example>", true),
            ("<x@c.example>", false),
            ("<x@b.example.evil.example>", false),
            ("<x%b.example@evil.example>", false),
            ("<x@[192.0.2.1]>", false),
            ("<postmaster>", false),
        ] {
            assert_eq!(takes(options, to).await, taken, "{to}");
        }
    }

    #[tokio::test]
    async fn postmaster_is_taken_when_asked_for() {
        let options = "domains = []\npostmaster = true";
        assert!(takes(options, "<Postmaster>").await);
        assert!(!takes(options, "<postmaster@b.example>").await);
    }
}
