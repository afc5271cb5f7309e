//! The chain: plugins in order, asked one after the other.
//!
//! Nothing but the position decides when a plugin runs. An error, a panic and a timeout are one
//! path: 451, unless the configuration says `on_error = "pass"`. A chain may be run aside, on a
//! fork of the transaction, by a plugin that wants to use what other plugins find.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use crate::notes::Notes;
use crate::outcome::{Disposition, Verdict};
use crate::plugin::{Answer, Nature, Plugin, PluginError};
use crate::point::HookPoint;
use crate::reply::Refusal;
use crate::session::Session;
use crate::trail::Trail;
use crate::transaction::{Recipient, Transaction};

/// What a plugin's failure counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// 451: broken means not now.
    #[default]
    Defer,
    /// As if the plugin had passed; the operator's own word.
    Pass,
}

/// A plugin in its place.
#[derive(Clone)]
pub struct Step {
    /// The plugin's name in the configuration, for trails and logs.
    pub name: String,
    /// The plugin.
    pub plugin: Arc<dyn Plugin>,
    /// How long one answer may take.
    pub timeout: Duration,
    /// What a failure counts as.
    pub on_error: OnError,
}

/// Plugins in order.
pub struct Chain {
    name: String,
    steps: Vec<Step>,
}

/// What a chain that was run aside gives back. Nothing else of the fork remains.
#[derive(Debug)]
pub struct Aside {
    /// Its last word.
    pub verdict: Verdict,
    /// The transaction notes of the fork, those it began with included.
    pub notes: Notes,
    /// What its plugins said.
    pub trail: Trail,
}

/// What a session hears at a hook point: go on, or the refusal.
pub type Decision = Result<(), Refusal>;

/// Whom a plugin is asked about.
enum Subject<'a> {
    Session,
    Transaction(&'a mut Transaction),
    Recipient(&'a mut Transaction, &'a Recipient),
}

impl Chain {
    /// A chain of that name.
    pub fn new(name: impl Into<String>, steps: Vec<Step>) -> Self {
        Self {
            name: name.into(),
            steps,
        }
    }

    /// The name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plugins in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Asks at connect.
    pub async fn connect(&self, session: &mut Session) -> Decision {
        self.at_session(HookPoint::Connect, session).await
    }

    /// Asks at helo.
    pub async fn helo(&self, session: &mut Session) -> Decision {
        self.at_session(HookPoint::Helo, session).await
    }

    /// Asks at auth.
    pub async fn auth(&self, session: &mut Session) -> Decision {
        self.at_session(HookPoint::Auth, session).await
    }

    /// Asks at mail.
    pub async fn mail(&self, session: &mut Session, tx: &mut Transaction) -> Decision {
        let subject = Subject::Transaction(tx);
        go_on(self.ask(HookPoint::Mail, session, subject).await)
    }

    /// Asks at rcpt. When nobody answers, the recipient is refused: no open relay by default.
    pub async fn rcpt(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        recipient: &Recipient,
    ) -> Decision {
        let subject = Subject::Recipient(tx, recipient);
        match self.ask(HookPoint::Rcpt, session, subject).await {
            Verdict::Accept => Ok(()),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Pass => Err(Refusal::relaying_denied()),
        }
    }

    /// Asks at headers.
    pub async fn headers(&self, session: &mut Session, tx: &mut Transaction) -> Decision {
        let subject = Subject::Transaction(tx);
        go_on(self.ask(HookPoint::Headers, session, subject).await)
    }

    /// Asks at data and then, unless that refused, at queue: the last verdict of a transaction.
    pub async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Verdict {
        for point in [HookPoint::Data, HookPoint::Queue] {
            let verdict = self.ask(point, session, Subject::Transaction(tx)).await;
            if matches!(verdict, Verdict::Refuse(_)) {
                return verdict;
            }
        }
        Verdict::Accept
    }

    /// Tells that the transaction is over.
    pub fn reset(&self, session: &Session) {
        for step in self.told(HookPoint::Reset) {
            tell(step, || step.plugin.reset(session));
        }
    }

    /// Tells that the session is over.
    pub fn disconnect(&self, session: &Session) {
        for step in self.told(HookPoint::Disconnect) {
            tell(step, || step.plugin.disconnect(session));
        }
    }

    fn told(&self, point: HookPoint) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(move |step| step.plugin.points().contains(&point))
    }

    /// Runs this chain on a fork, from connect up to `last`, as if the session came to it.
    pub async fn aside(&self, session: &Session, tx: &Transaction, last: HookPoint) -> Aside {
        let mut fork = session.clone();
        fork.trail = Trail::default();
        let mut tx = tx.clone();
        let verdict = self.replay(&mut fork, &mut tx, last).await;
        Aside {
            verdict,
            notes: tx.notes,
            trail: fork.trail,
        }
    }

    async fn replay(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        last: HookPoint,
    ) -> Verdict {
        use HookPoint::{Auth, Connect, Data, Headers, Helo, Mail, Queue, Rcpt};
        let mut verdict = Verdict::Pass;
        for point in [Connect, Helo, Auth, Mail, Rcpt, Headers, Data, Queue] {
            if point > last || matches!(verdict, Verdict::Refuse(_)) {
                break;
            }
            verdict = match point {
                Connect | Helo | Auth => self.ask(point, session, Subject::Session).await,
                Rcpt => self.replay_recipients(session, tx).await,
                _ => self.ask(point, session, Subject::Transaction(tx)).await,
            };
        }
        verdict
    }

    async fn replay_recipients(&self, session: &mut Session, tx: &mut Transaction) -> Verdict {
        for recipient in tx.recipients.clone() {
            let subject = Subject::Recipient(tx, &recipient);
            let verdict = self.ask(HookPoint::Rcpt, session, subject).await;
            if matches!(verdict, Verdict::Refuse(_)) {
                return verdict;
            }
        }
        Verdict::Pass
    }

    async fn at_session(&self, point: HookPoint, session: &mut Session) -> Decision {
        go_on(self.ask(point, session, Subject::Session).await)
    }

    /// Asks each plugin that wants this hook point, until one does not pass.
    async fn ask(
        &self,
        point: HookPoint,
        session: &mut Session,
        mut subject: Subject<'_>,
    ) -> Verdict {
        for step in &self.steps {
            if !step.plugin.points().contains(&point) {
                continue;
            }
            match step.ask(point, session, &mut subject).await {
                Verdict::Pass => {}
                verdict => return verdict,
            }
        }
        Verdict::Pass
    }
}

fn go_on(verdict: Verdict) -> Decision {
    match verdict {
        Verdict::Pass | Verdict::Accept => Ok(()),
        Verdict::Refuse(refusal) => Err(refusal),
    }
}

/// A told plugin cannot fail the session; its panic is logged.
fn tell(step: &Step, told: impl FnOnce()) {
    if std::panic::catch_unwind(AssertUnwindSafe(told)).is_err() {
        tracing::error!(plugin = step.name, "plugin panicked when told");
    }
}

impl Step {
    /// One plugin's verdict, its failure included, written into the trail.
    async fn ask(
        &self,
        point: HookPoint,
        session: &mut Session,
        subject: &mut Subject<'_>,
    ) -> Verdict {
        let begun = Instant::now();
        let before = self.dispositions(subject);
        let answer = self.answer(point, session, subject).await;
        let (verdict, said) = match answer {
            Ok(verdict) => {
                let said = verdict.to_string();
                (verdict, said)
            }
            Err(error) => {
                restore(subject, before);
                tracing::error!(session = %session.id, plugin = self.name, %point, %error, "plugin failed");
                session.remark(&error);
                (self.failed(), format!("failed, {}", self.failed()))
            }
        };
        session
            .trail
            .close(&self.name, point, said, begun.elapsed());
        verdict
    }

    /// The answer, with timeout and panic turned into errors and measurers held to their nature.
    async fn answer(
        &self,
        point: HookPoint,
        session: &mut Session,
        subject: &mut Subject<'_>,
    ) -> Answer {
        let call = AssertUnwindSafe(call(&*self.plugin, point, session, subject)).catch_unwind();
        let verdict = match tokio::time::timeout(self.timeout, call).await {
            Err(_) => return Err(PluginError(format!("no answer within {:?}", self.timeout))),
            Ok(Err(_)) => return Err(PluginError("panicked".to_owned())),
            Ok(Ok(answer)) => answer?,
        };
        if self.plugin.nature() == Nature::Measures && verdict != Verdict::Pass {
            return Err(PluginError(format!("a measuring plugin said {verdict}")));
        }
        Ok(verdict)
    }

    fn failed(&self) -> Verdict {
        match self.on_error {
            OnError::Defer => Verdict::Refuse(Refusal::local_error()),
            OnError::Pass => Verdict::Pass,
        }
    }

    /// What a plugin that disposes could leave half done.
    fn dispositions(&self, subject: &Subject<'_>) -> Option<Vec<Disposition>> {
        match subject {
            Subject::Transaction(tx) if self.plugin.nature() == Nature::Disposes => {
                Some(tx.dispositions().collect())
            }
            _ => None,
        }
    }
}

/// A plugin that failed has disposed of nothing.
fn restore(subject: &mut Subject<'_>, before: Option<Vec<Disposition>>) {
    if let (Subject::Transaction(tx), Some(before)) = (subject, before) {
        for (recipient, disposition) in tx.recipients.iter_mut().zip(before) {
            recipient.disposition = disposition;
        }
    }
}

async fn call(
    plugin: &dyn Plugin,
    point: HookPoint,
    session: &mut Session,
    subject: &mut Subject<'_>,
) -> Answer {
    match (point, subject) {
        (HookPoint::Connect, _) => plugin.connect(session).await,
        (HookPoint::Helo, _) => plugin.helo(session).await,
        (HookPoint::Auth, _) => plugin.auth(session).await,
        (HookPoint::Mail, Subject::Transaction(tx)) => plugin.mail(session, tx).await,
        (HookPoint::Rcpt, Subject::Recipient(tx, recipient)) => {
            plugin.rcpt(session, tx, recipient).await
        }
        (HookPoint::Headers, Subject::Transaction(tx)) => plugin.headers(session, tx).await,
        (HookPoint::Data, Subject::Transaction(tx)) => plugin.data(session, tx).await,
        (HookPoint::Queue, Subject::Transaction(tx)) => plugin.queue(session, tx).await,
        (point, _) => Err(PluginError(format!("{point} is not asked of this subject"))),
    }
}
