//! From answers to states: collects what attempts came to, decides on another one or the end,
//! writes the DSNs, and lets the store record all of it in one commit.
//!
//! A store that fails is asked again with the same results until it takes them: what was
//! delivered must not be delivered a second time because a disk was full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::{Clock, Id, Timestamp};
use posthouse_store::{AttemptResult, Attempted, OwnMessage, Store};
use tokio::sync::{mpsc, watch};

use crate::answer::{Answer, Fate};
use crate::dsn::{Dsns, Failure};
use crate::hand::{Hand, Parcel};
use crate::pool::Report;
use crate::schedule::{Next, Schedule};

/// Reports that one commit takes at the most.
const BATCH: usize = 512;
/// The first and the longest wait for a store that fails.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long a failing store is asked again once we stop.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// Settles attempts.
pub(crate) struct Settler {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) schedule: Schedule,
    pub(crate) dsns: Dsns,
    pub(crate) hand: Arc<Hand>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// The copies of one message that failed.
struct Failures {
    parcel: Arc<Parcel>,
    failures: Vec<Failure>,
}

impl Settler {
    /// Runs until nobody reports any more.
    pub(crate) async fn run(self, mut reports: mpsc::UnboundedReceiver<Report>) {
        let mut batch = Vec::new();
        while reports.recv_many(&mut batch, BATCH).await > 0 {
            let (results, failures) = self.decide(batch.drain(..));
            let notices = self.notices(failures).await;
            self.record(results, notices).await;
        }
    }

    fn decide(
        &self,
        reports: impl Iterator<Item = Report>,
    ) -> (Vec<Attempted>, BTreeMap<Id, Failures>) {
        let now = self.clock.now();
        let mut results = Vec::with_capacity(reports.size_hint().0);
        let mut failures = BTreeMap::new();
        for Report { parcel, answers } in reports {
            for (at, answer) in answers {
                let (result, answer) = self.result(&parcel, at, answer, now);
                log(&parcel, at, result, &answer);
                if result == AttemptResult::Failed {
                    note_failure(&mut failures, &parcel, at, &answer);
                }
                results.push(Attempted {
                    copy: parcel.claimed.recipients[at].id,
                    result,
                    said: answer.said,
                    next_hop: answer.next_hop,
                });
            }
        }
        (results, failures)
    }

    /// The result for one recipient, and the answer as it counts.
    fn result(
        &self,
        parcel: &Parcel,
        at: usize,
        answer: Answer,
        now: Timestamp,
    ) -> (AttemptResult, Answer) {
        let claimed = &parcel.claimed;
        let attempts = claimed.recipients[at].attempts + 1;
        match answer.fate {
            Fate::Delivered => (AttemptResult::Delivered, answer),
            Fate::Never => (AttemptResult::Failed, answer),
            Fate::Withheld => (AttemptResult::Withheld, answer),
            Fate::Again => (AttemptResult::GivenBack, answer),
            Fate::Later => match self.schedule.next(claimed.id, attempts, claimed.since, now) {
                Next::Attempt(then) => {
                    let then = answer.retry_at.unwrap_or(then);
                    (AttemptResult::Deferred(then), answer)
                }
                Next::GiveUp => (AttemptResult::Failed, answer.expired()),
            },
        }
    }

    /// One DSN for each message, about all of its copies that failed.
    async fn notices(&self, failures: BTreeMap<Id, Failures>) -> Vec<OwnMessage> {
        let mut notices = Vec::new();
        for Failures { parcel, failures } in failures.into_values() {
            let notice = self
                .dsns
                .write(&parcel.claimed, &failures, self.clock.now());
            notices.extend(notice.await);
        }
        notices
    }

    async fn record(&self, results: Vec<Attempted>, notices: Vec<OwnMessage>) {
        let (mut wait, longest) = PATIENCE;
        let mut stopping = Duration::ZERO;
        while let Err(error) = self.store.settle(results.clone(), notices.clone()).await {
            tracing::error!(%error, results = results.len(), "attempts cannot be recorded, trying again");
            if *self.stop.borrow() {
                stopping += wait;
                if stopping > LAST_PATIENCE {
                    tracing::error!("giving up: these messages will be attempted again");
                    return;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
        self.hand.settled(results.iter().map(|result| result.copy));
        let waits = |result: &Attempted| {
            matches!(
                result.result,
                AttemptResult::Deferred(_) | AttemptResult::GivenBack
            )
        };
        if results.iter().any(waits) {
            self.hand.stir();
        }
    }
}

fn note_failure(
    failures: &mut BTreeMap<Id, Failures>,
    parcel: &Arc<Parcel>,
    at: usize,
    answer: &Answer,
) {
    let failure = Failure::of(&parcel.claimed.recipients[at], answer);
    failures
        .entry(parcel.claimed.id)
        .or_insert_with(|| Failures {
            parcel: Arc::clone(parcel),
            failures: Vec::new(),
        })
        .failures
        .push(failure);
}

/// The log line that operators look for: one for each copy and attempt.
fn log(parcel: &Parcel, at: usize, result: AttemptResult, answer: &Answer) {
    let claimed = &parcel.claimed;
    let result = match result {
        AttemptResult::Delivered => "delivered",
        AttemptResult::Deferred(_) => "deferred",
        AttemptResult::Failed => "failed",
        AttemptResult::GivenBack => "given back",
        AttemptResult::Withheld => "withheld",
    };
    tracing::info!(
        message = %claimed.id,
        from = %claimed.reverse_path,
        to = %claimed.recipients[at].forward_path,
        redirect = claimed.recipients[at].redirect.as_ref().map(tracing::field::display),
        next_hop = answer.next_hop,
        said = answer.said,
        "{result}"
    );
}
