//! The workers and their connections: a lane for each target, a worker for each connection.
//!
//! A worker keeps its connection for the next message of its lane. A panic in an attempt costs the
//! connection, neither the worker nor the message. A target that cannot be reached rests: what
//! waits for it is put off without more attempts, so that it holds up nobody.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use posthouse_hook::{Clock, Enhanced, Timestamp};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc, watch};
use tokio::task::JoinSet;

use crate::answer::{Answer, Fate};
use crate::attempt::{Attempts, Done, Job};
use crate::connect::Connection;
use crate::hand::Parcel;
use crate::route::Target;

/// What attempts came to: an answer for some of a message's recipients, by index.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) parcel: Arc<Parcel>,
    pub(crate) answers: Vec<(usize, Answer)>,
}

/// The limits of the pool.
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) per_lane: usize,
    pub(crate) idle: Duration,
    pub(crate) rest: Duration,
}

/// The lanes. A clone is the same pool.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    attempts: Attempts,
    limits: Limits,
    clock: Arc<dyn Clock>,
    reports: mpsc::UnboundedSender<Report>,
    stop: watch::Receiver<bool>,
    lanes: Mutex<HashMap<Target, Lane>>,
    resting: Mutex<HashMap<Target, Rest>>,
    /// Connections that may still be opened.
    slots: Semaphore,
    /// Somebody waits for a slot: an idle worker should leave.
    wanted: Notify,
    workers: Mutex<JoinSet<()>>,
}

/// What waits for one target, and who works on it. Exists while there is either.
#[derive(Default)]
struct Lane {
    queue: VecDeque<Job>,
    workers: usize,
    idle: usize,
    wake: Arc<Notify>,
}

struct Rest {
    until: Timestamp,
    why: Answer,
}

impl Pool {
    pub(crate) fn new(
        attempts: Attempts,
        limits: Limits,
        clock: Arc<dyn Clock>,
        reports: mpsc::UnboundedSender<Report>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self(Arc::new(Shared {
            slots: Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)),
            attempts,
            limits,
            clock,
            reports,
            stop,
            lanes: Mutex::default(),
            resting: Mutex::default(),
            wanted: Notify::new(),
            workers: Mutex::default(),
        }))
    }

    /// Puts a job into its lane and calls or hires a worker.
    pub(crate) fn submit(&self, job: Job) {
        if let Some(why) = self.0.resting(&job.target) {
            self.0.report(job, |job| job.all(&why));
            return;
        }
        let target = job.target.clone();
        let hired = self.0.enqueue(job);
        if let Some(wake) = hired {
            let worker = work(Arc::clone(&self.0), target, wake);
            let mut workers = lock(&self.0.workers);
            while workers.try_join_next().is_some() {}
            workers.spawn(worker);
        }
    }

    /// Lets running transactions end within `grace`, then ends them. Call it after stop was told.
    pub(crate) async fn finish(&self, grace: Duration) {
        let mut workers = std::mem::take(&mut *lock(&self.0.workers));
        let all = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::warn!(running = workers.len(), "transactions are cut off");
            workers.shutdown().await;
        }
        lock(&self.0.lanes).clear();
    }
}

/// A worker's life: a slot, jobs of its lane, QUIT.
async fn work(shared: Arc<Shared>, target: Target, wake: Arc<Notify>) {
    let Some(_slot) = shared.slot().await else {
        shared.leave(&target);
        return;
    };
    let mut connection = None;
    while let Some(job) = shared.next(&target, &wake, connection.is_some()).await {
        shared.serve(job, &mut connection).await;
    }
    if let Some(connection) = connection {
        connection.quit().await;
    }
}

impl Shared {
    /// The lane's bell, if a worker is to be hired.
    fn enqueue(&self, job: Job) -> Option<Arc<Notify>> {
        let mut lanes = lock(&self.lanes);
        let lane = lanes.entry(job.target.clone()).or_default();
        lane.queue.push_back(job);
        lane.wake.notify_one();
        if lane.queue.len() <= lane.idle || lane.workers >= self.limits.per_lane {
            return None;
        }
        lane.workers += 1;
        Some(Arc::clone(&lane.wake))
    }

    /// A connection's place; none if we stop first.
    async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Some(slot);
        }
        self.wanted.notify_one();
        tokio::select! {
            slot = self.slots.acquire() => slot.ok(),
            () = self.stopped() => None,
        }
    }

    /// The lane's next job. None: the worker has left the lane, because there is nothing to do and
    /// no connection worth keeping, or because we stop.
    async fn next(&self, target: &Target, wake: &Notify, connected: bool) -> Option<Job> {
        loop {
            if *self.stop.borrow() {
                self.leave(target);
                return None;
            }
            if let Some(job) = self.pop(target, connected)? {
                return Some(job);
            }
            let patient = tokio::select! {
                () = wake.notified() => true,
                () = tokio::time::sleep(self.limits.idle) => false,
                () = self.wanted.notified() => false,
                () = self.stopped() => false,
            };
            self.awake(target, patient)?;
        }
    }

    /// A job, or `Some(None)`: the worker counts as idle. None: it has left.
    fn pop(&self, target: &Target, connected: bool) -> Option<Option<Job>> {
        let mut lanes = lock(&self.lanes);
        let lane = lanes.get_mut(target)?;
        let job = lane.queue.pop_front();
        if job.is_none() {
            if !connected {
                leave(&mut lanes, target);
                return None;
            }
            lane.idle += 1;
        }
        Some(job)
    }

    /// The worker is idle no more. None: it has left, because it waited in vain.
    fn awake(&self, target: &Target, patient: bool) -> Option<()> {
        let mut lanes = lock(&self.lanes);
        let lane = lanes.get_mut(target)?;
        lane.idle -= 1;
        if !patient && lane.queue.is_empty() {
            leave(&mut lanes, target);
            return None;
        }
        Some(())
    }

    fn leave(&self, target: &Target) {
        leave(&mut lock(&self.lanes), target);
    }

    async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error means that nobody can tell us any more: then we stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    async fn serve(&self, job: Job, connection: &mut Option<Connection>) {
        let attempt = self.attempts.deliver(&job, connection);
        let done = AssertUnwindSafe(attempt).catch_unwind().await;
        let done = done.unwrap_or_else(|_| {
            *connection = None;
            panicked(&job)
        });
        if let Some(why) = &done.unreached {
            self.rest(&job.target, why);
        }
        self.report(job, |_| done.answers);
    }

    fn report(&self, job: Job, answers: impl FnOnce(&Job) -> Vec<Answer>) {
        let answers = answers(&job);
        // The receiver outlives the pool.
        let _ = self.reports.send(Report {
            answers: job.recipients.into_iter().zip(answers).collect(),
            parcel: job.parcel,
        });
    }

    /// Leaves a target alone for a while and puts off what waits for it.
    fn rest(&self, target: &Target, why: &Answer) {
        let now = self.clock.now();
        let until = now.after(self.limits.rest);
        let mut resting = lock(&self.resting);
        resting.retain(|_, rest| rest.until > now);
        if until > now {
            let why = why.clone();
            resting.insert(target.clone(), Rest { until, why });
        }
        drop(resting);
        let mut lanes = lock(&self.lanes);
        let waiting = lanes
            .get_mut(target)
            .map(|lane| std::mem::take(&mut lane.queue));
        drop(lanes);
        for job in waiting.into_iter().flatten() {
            self.report(job, |job| job.all(why));
        }
    }

    /// Why and until when a target is left alone, if it is.
    fn resting(&self, target: &Target) -> Option<Answer> {
        let resting = lock(&self.resting);
        let rest = resting.get(target)?;
        (rest.until > self.clock.now()).then(|| Answer {
            retry_at: Some(rest.until),
            ..rest.why.clone()
        })
    }
}

fn leave(lanes: &mut HashMap<Target, Lane>, target: &Target) {
    if let Some(lane) = lanes.get_mut(target) {
        lane.workers -= 1;
        if lane.workers == 0 && lane.queue.is_empty() {
            lanes.remove(target);
        }
    }
}

/// An attempt that panicked: whether the next hop has the message, nobody knows. Tried again.
fn panicked(job: &Job) -> Done {
    tracing::error!(message = %job.parcel.claimed.id, target = %job.target, "an attempt panicked");
    let why = "internal error during the attempt";
    let answer = Answer::own(Fate::Later, Enhanced(4, 3, 0), why, &job.target.to_string());
    Done {
        answers: job.all(&answer),
        unreached: None,
    }
}

/// No state here is half changed when a panic passes: every section is a few plain steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
