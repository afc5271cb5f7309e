//! `quota`: refuses a recipient whose mailbox is over its quota, or would be with the size that
//! MAIL declared. It refuses or passes, so it stands above whoever takes recipients.
//!
//! The parts that answer for mailboxes of this machine are public: the program serves them to
//! other hosts (`posthouse quota-service`).

mod answer;
mod config;
mod desk;
mod dovecot;
mod http;
mod local;
mod names;
mod source;
#[cfg(test)]
mod tests;
mod udp;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer as Verdicts, Nature};
use posthouse_hook::{
    DomainList, HookPoint, Live, Plugin, Recipient, Refusal, Session, Transaction, Verdict,
};

use crate::backend::{Backend, Dead};
use crate::options::{BuildError, Options};
use crate::surroundings::Surroundings;
pub use answer::{Answer, Limits, LimitsError, Standing, Told, Usage, cannot_tell};
use config::OnDead;
pub use desk::Desk;
pub use local::{Form, Mailboxes};
pub use names::Names;
use names::Rules;
use source::{Question, Source};

/// The plugin.
struct Quota {
    source: Source,
    domains: Live<DomainList>,
    rules: Rules,
    answers: Backend<Question, Told>,
    keep: Keep,
    /// How long one question may take, in all.
    limit: Duration,
    reply: config::Words,
    on_dead: OnDead,
    /// Recipients about whom nothing could be learned, since the start.
    unanswered: AtomicU64,
}

/// How long answers are kept.
struct Keep {
    room: Duration,
    over: Duration,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    Ok(Arc::new(config::quota(options.read()?, parts)?))
}

#[async_trait]
impl Plugin for Quota {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Rcpt]
    }

    fn nature(&self) -> Nature {
        Nature::Refuses
    }

    /// The plugin's own limits come first: see [`Quota::learn`].
    fn default_timeout(&self) -> Duration {
        self.limit
            .saturating_mul(3)
            .saturating_add(Duration::from_secs(5))
    }

    async fn rcpt(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        recipient: &Recipient,
    ) -> Verdicts {
        let Some(question) = self.question(tx, recipient) else {
            return Ok(Verdict::Pass);
        };
        match self.learn(&question).await {
            Ok(answer) => Ok(self.act(session, tx, recipient, &answer)),
            Err(why) => Ok(self.without_answer(session, recipient, &why)),
        }
    }
}

impl Quota {
    /// What to ask about a recipient; none if its mailbox is not ours.
    fn question(&self, tx: &Transaction, recipient: &Recipient) -> Option<Question> {
        let mailbox = recipient.forward_path.mailbox()?;
        let ours = |domain| self.domains.load().contains(domain);
        mailbox.domain().filter(|domain| ours(domain))?;
        let size = tx.declared_size.filter(|_| self.source.judges_sizes());
        let names = Names::of(mailbox, &self.rules)?;
        Some(Question { names, size })
    }

    /// The answer that is kept, or a new one. Whoever waits for another's question to fail may ask
    /// once himself, and no more: of a source that hangs, nobody stands in a queue.
    async fn learn(&self, question: &Question) -> Told {
        let wait = self.limit.saturating_mul(2);
        let answer = self.answers.get(question, self.ask(question));
        match tokio::time::timeout(wait, answer).await {
            Ok(Ok(told)) => told,
            Ok(Err(Dead(why))) => Err(why),
            Err(_) => Err(format!("no answer within {wait:?}")),
        }
    }

    /// What cannot be told is not kept.
    async fn ask(&self, question: &Question) -> Result<(Told, Duration), Dead> {
        let told = self.source.ask(question, self.limit).await?;
        let keep = match told.as_ref().map(|answer| answer.judge(question.size)) {
            Ok(Standing::Over) => self.keep.over,
            Ok(Standing::Room | Standing::Unknown) => self.keep.room,
            Err(_) => Duration::ZERO,
        };
        Ok((told, keep))
    }

    fn act(
        &self,
        session: &mut Session,
        tx: &Transaction,
        recipient: &Recipient,
        answer: &Answer,
    ) -> Verdict {
        let used = answer.usage().map(ToString::to_string);
        let used = used.unwrap_or_else(|| "the source tells no numbers".to_owned());
        match answer.judge(tx.declared_size) {
            Standing::Room => {
                session.remark(format_args!("has room: {used}"));
                Verdict::Pass
            }
            Standing::Unknown => {
                session.remark("the source knows no such mailbox");
                Verdict::Pass
            }
            Standing::Over => {
                let size = tx.declared_size.unwrap_or(0);
                let to = recipient.forward_path.key();
                session.remark(format_args!("over quota: {used}, {size} to come"));
                tracing::info!(session = %session.id, client = %session.client_ip(), recipient = to, used, size, "over quota: recipient refused");
                Verdict::Refuse(self.reply.about(&recipient.forward_path))
            }
        }
    }

    fn without_answer(&self, session: &mut Session, recipient: &Recipient, why: &str) -> Verdict {
        let count = self.unanswered.fetch_add(1, Ordering::Relaxed) + 1;
        let (to, on_dead) = (recipient.forward_path.key(), self.on_dead);
        session.remark(format_args!("no answer ({on_dead}): {why}"));
        tracing::warn!(session = %session.id, recipient = to, why, %on_dead, count, "no answer about a quota");
        match self.on_dead {
            OnDead::Pass => Verdict::Pass,
            OnDead::Defer => Verdict::Refuse(Refusal::mailbox_lookup_failed()),
        }
    }
}
