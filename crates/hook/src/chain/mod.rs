//! The chain: plugins in order, asked one after the other.
//!
//! Nothing but the position decides when a plugin runs. An error, a panic and a timeout are one
//! path: 451, unless the configuration says `on_error = "pass"`. A chain may be run aside, on a
//! fork of the transaction, by a plugin that wants to use what other plugins find. A chain that
//! observes lets every message go on, and notes what its plugins would have done to it.

mod aside;
mod observe;
mod step;

use std::sync::Arc;

use crate::outcome::Verdict;
use crate::point::HookPoint;
use crate::reply::Refusal;
use crate::session::Session;
use crate::transaction::{Recipient, Transaction};

pub use aside::Aside;
pub use observe::{Mode, Observation, Observed, Would};
pub use step::{OnError, Step};

/// Plugins in order.
pub struct Chain {
    name: Arc<str>,
    mode: Mode,
    steps: Vec<Step>,
}

/// Left on a transaction by the chain that decides about its message: the chain's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedBy(pub Arc<str>);

/// What a session hears at a hook point: go on, or the refusal.
pub type Decision = Result<(), Refusal>;

/// Whom a plugin is asked about.
enum Subject<'a> {
    Session,
    Transaction(&'a mut Transaction),
    Recipient(&'a mut Transaction, &'a Recipient),
}

impl Chain {
    /// A chain of that name, which does what its plugins say.
    pub fn new(name: impl Into<Arc<str>>, steps: Vec<Step>) -> Self {
        Self {
            name: name.into(),
            mode: Mode::Enforce,
            steps,
        }
    }

    /// The same chain in that mode.
    pub fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Whether it does what its plugins say about a message, or only notes it.
    pub fn mode(&self) -> Mode {
        self.mode
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
        go_on(self.at_message(HookPoint::Headers, session, tx).await)
    }

    /// Asks at data and then, unless that refused, at queue, and tells all what it comes to: the last
    /// verdict of a transaction.
    pub async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Verdict {
        tx.notes.put(DecidedBy(Arc::clone(&self.name)));
        let verdict = self.decide(session, tx).await;
        for step in self.steps_at(HookPoint::Settled) {
            step.tell(|plugin| plugin.settled(session, tx, &verdict));
        }
        verdict
    }

    async fn decide(&self, session: &mut Session, tx: &mut Transaction) -> Verdict {
        for point in [HookPoint::Data, HookPoint::Queue] {
            let verdict = self.at_message(point, session, tx).await;
            if matches!(verdict, Verdict::Refuse(_)) {
                return verdict;
            }
        }
        Verdict::Accept
    }

    /// Tells that the transaction is over.
    pub fn reset(&self, session: &Session) {
        for step in self.steps_at(HookPoint::Reset) {
            step.tell(|plugin| plugin.reset(session));
        }
    }

    /// Tells that the session is over.
    pub fn disconnect(&self, session: &Session) {
        for step in self.steps_at(HookPoint::Disconnect) {
            step.tell(|plugin| plugin.disconnect(session));
        }
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
        for step in self.steps_at(point) {
            match step.ask(point, session, &mut subject).await {
                Verdict::Pass => {}
                verdict => return verdict,
            }
        }
        Verdict::Pass
    }

    fn steps_at(&self, point: HookPoint) -> impl Iterator<Item = &Step> {
        let wants = move |step: &&Step| step.plugin.points().contains(&point);
        self.steps.iter().filter(wants)
    }
}

fn go_on(verdict: Verdict) -> Decision {
    match verdict {
        Verdict::Pass | Verdict::Accept => Ok(()),
        Verdict::Refuse(refusal) => Err(refusal),
    }
}
