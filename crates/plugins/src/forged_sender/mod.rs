//! `forged_sender`: addresses and domains that may not appear from outside, in the envelope or in the
//! header section. Refuses, holds, discards or notes, as its list says. It never looks at a body.

mod addresses;
mod canon;
mod client_name;
mod clients;
mod config;
mod fields;
mod glob;
mod hits;
mod in_order;
mod index;
mod lines;
mod list;
mod readings;

use std::sync::Arc;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature, PluginError};
use posthouse_hook::proofs::{ForgedAction, SpfFound};
use posthouse_hook::{
    Disposition, Domain, HookPoint, Live, Plugin, Session, Transaction, Verdict, Why,
};

use crate::exempt::{self, Exempt};
use crate::options::{BuildError, Options};
use crate::surroundings::Surroundings;
use clients::{Rule, Rules, Scope};
use config::Settings;
use fields::Part;
use hits::{Hit, Listed, Waiting};
pub use list::ForgedList;

/// See the module.
struct ForgedSender {
    settings: Settings,
    listed: Listed,
    clients: Option<Live<Rules>>,
    resolver: Arc<dyn posthouse_hook::Resolver>,
}

/// Whether that plugin is a `forged_sender`, whatever the configuration calls it.
pub fn is_forged_sender(plugin: &dyn Plugin) -> bool {
    let plugin: &dyn std::any::Any = plugin;
    plugin.is::<ForgedSender>()
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    config::build(options, parts).map(|plugin| Arc::new(plugin) as Arc<dyn Plugin>)
}

#[async_trait]
impl Plugin for ForgedSender {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Mail, HookPoint::Headers, HookPoint::Data]
    }

    /// By its default; a line of the list may say otherwise.
    fn nature(&self) -> Nature {
        match self.settings.action {
            ForgedAction::Hold | ForgedAction::Discard => Nature::Disposes,
            ForgedAction::Reject | ForgedAction::Note => Nature::Refuses,
        }
    }

    async fn mail(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        if !self.settings.look_at.contains(&Part::Envelope) {
            return Ok(Verdict::Pass);
        }
        let found = self.listed.envelope(&tx.reverse_path);
        self.judge(HookPoint::Mail, session, tx, found).await
    }

    async fn headers(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let mut found = waiting(tx);
        found.extend(
            self.listed
                .header(&tx.message.header, &self.settings.look_at),
        );
        self.judge(HookPoint::Headers, session, tx, found).await
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let found = waiting(tx);
        self.judge(HookPoint::Data, session, tx, found).await
    }
}

/// Takes what waited for this hook point.
fn waiting(tx: &mut Transaction) -> Vec<Hit> {
    let Waiting(hits) = tx.notes.get().cloned().unwrap_or_default();
    tx.notes.put(Waiting::default());
    hits
}

impl ForgedSender {
    /// Decides about what was found: who may all the same, what is to be done, and whether now.
    async fn judge(
        &self,
        point: HookPoint,
        session: &mut Session,
        tx: &mut Transaction,
        mut found: Vec<Hit>,
    ) -> Answer {
        if found.is_empty() {
            return Ok(Verdict::Pass);
        }
        self.spare_client(session, &mut found).await?;
        self.spare_senders(tx, &mut found);
        let worst = hits::worst(&found).map(|hit| hit.action);
        if worst.is_some_and(|worst| self.must_wait(point, tx, worst)) {
            tx.notes.put(Waiting(found));
            return Ok(Verdict::Pass);
        }
        hits::tell(session, tx, &found);
        match hits::worst(&found) {
            Some(worst) => self.act(tx, worst),
            None => Ok(Verdict::Pass),
        }
    }

    /// Spares what a client sends that is exempt or that a rule allows; another rule may say what to do.
    async fn spare_client(
        &self,
        session: &mut Session,
        found: &mut [Hit],
    ) -> Result<(), PluginError> {
        if let Some(word) = exempt::client(&self.settings.exempt, session) {
            found.iter_mut().for_each(|hit| hit.spare(word.word()));
            return Ok(());
        }
        match self.rule(session).await? {
            None => {}
            Some(rule) if rule.scope == Scope::Allow => {
                found.iter_mut().for_each(|hit| hit.spare(&rule.place));
            }
            Some(rule) => found.iter_mut().for_each(|hit| hit.ruled(&rule)),
        }
        Ok(())
    }

    async fn rule(&self, session: &mut Session) -> Result<Option<Rule>, PluginError> {
        let Some(rules) = &self.clients else {
            return Ok(None);
        };
        let rules = rules.load();
        let host = match rules.ask_for_host() {
            true => client_name::of(session, &*self.resolver).await,
            false => posthouse_hook::proofs::ReverseName::None,
        };
        let rule = rules.find(session.client_ip(), &host);
        let undecided =
            "reverse DNS does not answer, and a rule for the client's host may be there";
        rule.map(|rule| rule.cloned())
            .map_err(|_| PluginError::new(undecided))
    }

    /// Spares senders whose domain has proved itself in a way that the configuration names.
    fn spare_senders(&self, tx: &Transaction, found: &mut [Hit]) {
        for hit in found {
            let domain = hit.domain().and_then(|name| Domain::parse(name).ok());
            let proof = domain.and_then(|domain| {
                let mut words = self.settings.exempt.iter();
                words.find(|word| word.sender(tx, &domain))
            });
            if let Some(word) = proof {
                hit.spare(word.word());
            }
        }
    }

    /// Whether a proof that is still to come may spare a sender, or nothing can be done yet.
    fn must_wait(&self, point: HookPoint, tx: &Transaction, worst: ForgedAction) -> bool {
        let may = |word| self.settings.exempt.contains(&word);
        let of_message = may(Exempt::Dkim) || may(Exempt::Dmarc);
        let of_envelope = may(Exempt::Spf) && tx.notes.get::<SpfFound>().is_none();
        match point {
            HookPoint::Mail => of_message || of_envelope || worst != ForgedAction::Reject,
            HookPoint::Headers => of_message,
            _ => false,
        }
    }

    fn act(&self, tx: &mut Transaction, worst: &Hit) -> Answer {
        match worst.action {
            ForgedAction::Reject => {
                let refusal = self.settings.refusal(worst)?;
                return Ok(Verdict::Refuse(refusal));
            }
            ForgedAction::Hold => dispose(tx, Disposition::Hold(Why::Policy)),
            ForgedAction::Discard => dispose(tx, Disposition::Discard),
            ForgedAction::Note => {}
        }
        Ok(Verdict::Pass)
    }
}

/// What an earlier plugin disposed of stays as it is.
fn dispose(tx: &mut Transaction, disposition: Disposition) {
    let relayed = tx
        .recipients
        .iter_mut()
        .filter(|r| r.disposition == Disposition::Relay);
    relayed.for_each(|recipient| recipient.disposition = disposition);
}

#[cfg(test)]
mod tests;
