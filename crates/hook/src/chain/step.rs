//! One plugin in its place: how it is asked, and what its failure counts as.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};

use super::Subject;
use crate::outcome::{Disposition, Verdict};
use crate::plugin::{Answer, Nature, Plugin, PluginError};
use crate::point::HookPoint;
use crate::reply::Refusal;
use crate::session::Session;

/// What a plugin's failure counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// 451: broken means not now.
    #[default]
    Defer,
    /// As if the plugin had passed; the operator's own word.
    Pass,
}

impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Defer => "defer",
            Self::Pass => "pass",
        })
    }
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

/// What a plugin said, before its entry in the trail is closed.
pub(super) struct Heard {
    pub(super) verdict: Verdict,
    pub(super) said: String,
    pub(super) took: Duration,
}

impl Step {
    /// Tells the plugin something. It cannot fail the session; its panic is logged.
    pub(super) fn tell(&self, told: impl FnOnce(&dyn Plugin)) {
        let told = AssertUnwindSafe(|| told(&*self.plugin));
        if std::panic::catch_unwind(told).is_err() {
            tracing::error!(plugin = self.name, "plugin panicked when told");
        }
    }

    /// One plugin's verdict, its failure included, written into the trail.
    pub(super) async fn ask(
        &self,
        point: HookPoint,
        session: &mut Session,
        subject: &mut Subject<'_>,
    ) -> Verdict {
        let heard = self.hear(point, session, subject).await;
        let Heard {
            verdict,
            said,
            took,
        } = heard;
        session.trail.close(&self.name, point, said, took);
        verdict
    }

    /// One plugin's verdict, its failure included. Its entry in the trail is still open.
    pub(super) async fn hear(
        &self,
        point: HookPoint,
        session: &mut Session,
        subject: &mut Subject<'_>,
    ) -> Heard {
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
        Heard {
            verdict,
            said,
            took: begun.elapsed(),
        }
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
