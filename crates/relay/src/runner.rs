//! The queue runner: takes what was accepted just now and what has become due, finds each
//! recipient's target, and gives one job for each target to the pool. Knows no SMTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_hook::{Clock, Domain, Enhanced};
use posthouse_store::{Claimed, Store, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::answer::{Answer, Fate};
use crate::attempt::Job;
use crate::hand::{Hand, Parcel};
use crate::pool::{Pool, Report};
use crate::redirect::{self, Redirects};
use crate::route::{Routes, Target};

/// How long a claim lasts: longer than any attempt. Only a relay that hangs outlives it, and even
/// then a copy that is in hand is not taken up again.
const LEASE: Duration = Duration::from_secs(6 * 3600);
/// Messages that are claimed at a time.
const CLAIM: usize = 64;
/// Messages that are taken from the hand-over at a time.
const HAND_OVER: usize = 64;
/// The wait after the store failed.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest sleep: a clock that was set is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Feeds the pool.
pub(crate) struct Runner {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hand: Arc<Hand>,
    pub(crate) redirects: Arc<Redirects>,
    pub(crate) sorter: Arc<Sorter>,
    /// Tasks that look at redirects: as many as there are such messages in hand.
    pub(crate) looks: Mutex<JoinSet<()>>,
}

/// Finds the targets of a message's copies.
pub(crate) struct Sorter {
    pub(crate) routes: Routes,
    pub(crate) ours: Domain,
    pub(crate) pool: Pool,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
}

impl Runner {
    /// Runs until told to stop. What is left in the hand-over then is taken in hand, so that it is
    /// given back with the rest.
    pub(crate) async fn run(
        &self,
        fresh: Option<mpsc::UnboundedReceiver<Claimed>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut fresh = fresh.unwrap_or_else(|| mpsc::unbounded_channel().1);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.hand_over(&mut fresh) => {}
            () = self.queue() => {}
        }
        while let Ok(claimed) = fresh.try_recv() {
            self.hand.take(claimed);
        }
        self.stop_looking().await;
    }

    /// What was accepted just now.
    async fn hand_over(&self, fresh: &mut mpsc::UnboundedReceiver<Claimed>) {
        let mut batch = Vec::with_capacity(HAND_OVER);
        while fresh.recv_many(&mut batch, HAND_OVER).await > 0 {
            for claimed in batch.drain(..) {
                self.dispatch(claimed);
            }
        }
        // The store gave no end of the hand-over, or dropped its own: the ledger has everything.
        std::future::pending().await
    }

    /// What the ledger has due.
    async fn queue(&self) {
        loop {
            if let Err(error) = self.round().await {
                tracing::error!(%error, "the queue waits");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }

    /// Claims what is due, or sleeps until something may be.
    async fn round(&self) -> Result<(), StoreError> {
        if !self.hand.has_room() {
            self.hand.stirred().await;
            return Ok(());
        }
        let claimed = self.store.claim(CLAIM, LEASE).await?;
        if claimed.is_empty() {
            return self.sleep().await;
        }
        for claimed in claimed {
            self.dispatch(claimed);
        }
        Ok(())
    }

    async fn sleep(&self) -> Result<(), StoreError> {
        let due = self.store.next_due().await?;
        let wait = due.map_or(LONGEST_SLEEP, |due| due.since(self.clock.now()));
        tokio::select! {
            () = tokio::time::sleep(wait.min(LONGEST_SLEEP)) => {}
            () = self.store.changed() => {}
            () = self.hand.stirred() => {}
        }
        Ok(())
    }

    /// Copies with a redirect are looked at first, in a task of their own: DNS may take its time.
    fn dispatch(&self, mut claimed: Claimed) {
        if let Some(redirected) = redirect::apart(&mut claimed)
            && let Some(parcel) = self.hand.take(redirected)
        {
            self.look(parcel);
        }
        if let Some(parcel) = self.hand.take(claimed) {
            self.sorter.sort(parcel, Vec::new());
        }
    }

    fn look(&self, mut parcel: Parcel) {
        let (sorter, redirects) = (Arc::clone(&self.sorter), Arc::clone(&self.redirects));
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        while looks.try_join_next().is_some() {}
        looks.spawn(async move {
            let answered = redirects.settle(&mut parcel.claimed).await;
            sorter.sort(parcel, answered);
        });
    }

    /// Ends what still looks at redirects; its copies are given back with the rest.
    async fn stop_looking(&self) {
        let mut looks = {
            let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *looks)
        };
        looks.shutdown().await;
    }
}

impl Sorter {
    /// One job for each target of a message; some of its copies are answered already.
    fn sort(&self, parcel: Parcel, mut answered: Vec<(usize, Answer)>) {
        let parcel = Arc::new(parcel);
        let mut jobs: HashMap<Target, Vec<usize>> = HashMap::new();
        let open = |at: &usize| answered.iter().all(|(done, _)| done != at);
        let open: Vec<_> = (0..parcel.claimed.recipients.len()).filter(open).collect();
        for at in open {
            let copy = &parcel.claimed.recipients[at];
            match self.routes.target(copy.deliver_to(), copy.kind, &self.ours) {
                Some(target) => jobs.entry(target).or_default().push(at),
                None => answered.push((at, no_route())),
            }
        }
        if !answered.is_empty() {
            let parcel = Arc::clone(&parcel);
            // The receiver outlives the runner.
            let _ = self.reports.send(Report {
                parcel,
                answers: answered,
            });
        }
        for (target, recipients) in jobs {
            self.pool.submit(Job {
                parcel: Arc::clone(&parcel),
                recipients,
                target,
            });
        }
    }
}

/// An operator's mistake, which may be mended in time (RFC 3463 X.4.4).
fn no_route() -> Answer {
    let why = "no route matches; add one for \"*\" to [relay]";
    Answer::own(Fate::Later, Enhanced(4, 4, 4), why, "none")
}
