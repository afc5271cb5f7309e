//! `attachments`: refuses, holds or notes messages for the files in them: by name, by content, and
//! by what is in archives.
//!
//! What readers of mail could read differently is read in every way, and what could not be looked
//! at is never called clean. The look itself blocks, and runs beside the runtime.

mod blob;
mod cause;
mod config;
mod decode;
mod gzip;
mod inflate;
mod look;
mod magic;
mod mime;
mod names;
mod needles;
mod params;
mod part;
mod presets;
mod tar;
#[cfg(test)]
mod tests;
mod text;
mod words;
mod zip;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::AttachmentsFound;
use posthouse_hook::trail::cut;
use posthouse_hook::{
    Content, Disposition, HookPoint, Plugin, PluginError, Refusal, Session, Transaction, Verdict,
    Why,
};
use tokio::sync::Semaphore;

use self::cause::{Action, Cause};
use self::config::{Config, Rules};
use self::look::Finding;
use crate::options::{BuildError, Options};
use crate::surroundings::Surroundings;

/// Characters of an attachment's name that the client hears.
const TOLD: usize = 80;
/// What an answer may take beyond the look: waiting for others' looks to end.
const SLACK: Duration = Duration::from_secs(20);

struct Attachments {
    name: String,
    rules: Arc<Rules>,
    /// As many looks at once as there are processors.
    looks: Arc<Semaphore>,
}

pub(crate) fn build(
    name: &str,
    options: Options<'_>,
    _parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Arc::new(Attachments {
        name: name.to_owned(),
        rules: Arc::new(config.rules()?),
        looks: Arc::new(Semaphore::new(processors)),
    }))
}

#[async_trait]
impl Plugin for Attachments {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        if self.rules.may_hold() {
            Nature::Disposes
        } else {
            Nature::Refuses
        }
    }

    fn default_timeout(&self) -> Duration {
        self.rules.look_timeout.saturating_add(SLACK)
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let findings = self.look(&tx.message.content).await?;
        for finding in &findings {
            self.tell(session, finding);
        }
        Ok(self.carry_out(tx, &findings))
    }
}

impl Attachments {
    /// Looks at the message on a thread that may block.
    async fn look(&self, content: &Content) -> Result<Vec<Finding>, PluginError> {
        let looks = Arc::clone(&self.looks);
        let permit = looks.acquire_owned().await.map_err(PluginError::new)?;
        let (content, rules) = (content.clone(), Arc::clone(&self.rules));
        let look = move || {
            let deadline = Instant::now() + rules.look_timeout;
            let findings = look::look(content.reader()?, &rules, deadline);
            drop(permit);
            findings
        };
        let looked = tokio::task::spawn_blocking(look).await;
        let looked: io::Result<_> = looked.map_err(PluginError::new)?;
        looked.map_err(|error| PluginError(format!("the message cannot be read: {error}")))
    }

    fn tell(&self, session: &mut Session, finding: &Finding) {
        let Finding { cause, name, place } = finding;
        tracing::info!(session = %session.id, plugin = self.name, attachment = name, part = place,
            why = %cause, "attachment");
        session.remark(format_args!("{}: {cause} (part {place})", shown(name)));
    }

    /// Does the heaviest of what the findings ask for.
    fn carry_out(&self, tx: &mut Transaction, findings: &[Finding]) -> Verdict {
        let Some(worst) = self.rules.worst(findings) else {
            return Verdict::Pass;
        };
        let of_worst = |finding: &&Finding| self.rules.action(&finding.cause) == Some(worst);
        let finding = findings.iter().find(of_worst);
        match (worst, finding) {
            (Action::Refuse, Some(finding)) => Verdict::Refuse(refusal(finding)),
            (Action::Defer, _) => Verdict::Refuse(Refusal::attachments_not_examined()),
            (Action::Hold, _) => {
                for recipient in &mut tx.recipients {
                    recipient.disposition = hold(recipient.disposition);
                }
                Verdict::Pass
            }
            _ => {
                let lines = findings
                    .iter()
                    .map(|f| format!("{}: {}", shown(&f.name), f.cause));
                tx.notes.put(AttachmentsFound(lines.collect()));
                Verdict::Pass
            }
        }
    }
}

/// A copy that another rule has disposed of stays as it is.
fn hold(before: Disposition) -> Disposition {
    match before {
        Disposition::Relay => Disposition::Hold(Why::Policy),
        other => other,
    }
}

fn shown(name: &str) -> &str {
    if name.is_empty() { "(no name)" } else { name }
}

/// 552 5.7.0 in words that name the attachment and nothing else.
fn refusal(finding: &Finding) -> Refusal {
    let name = cut(shown(&finding.name), TOLD);
    let why = match &finding.cause {
        Cause::Name(_) => format!("attachment {name} is not allowed here"),
        Cause::Kind(_) => format!("the content of attachment {name} is not allowed here"),
        Cause::Encrypted => format!("attachment {name} is encrypted"),
        Cause::Closed(_) => format!("attachment {name} cannot be examined"),
        Cause::Limit(_) => "it is too large or too deeply nested to be examined".to_owned(),
    };
    Refusal::attachment(format!("Message content rejected: {why}"))
}
