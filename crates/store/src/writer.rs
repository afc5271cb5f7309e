//! The writer thread: gathers what waits and commits it once.
//!
//! Nobody hears of success before the commit is on disk. A job that fails takes the others of its
//! group down with it; each is then run again in a transaction of its own, so jobs can run twice
//! and change nothing but the database.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::StoreError;

/// Most jobs in one commit: bounds how long the first of them waits.
const GROUP: usize = 256;
/// How long a job that is in no haste waits for others to share its commit with.
const LINGER: Duration = Duration::from_millis(10);

/// A handle to the writer thread. The thread ends, its jobs done, when the handle is dropped.
pub(crate) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

/// One unit of work within a commit.
trait Job: Send {
    /// Whether a client waits for it.
    fn urgent(&self) -> bool;
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()>;
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Task<F, T> {
    haste: Haste,
    work: F,
    result: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

/// How soon a job is wanted on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Now: a client waits for it.
    Urgent,
    /// Soon: it may share the commit of an urgent one, which halves the fsyncs of a quiet server.
    Lazy,
}

impl<F, T> Job for Task<F, T>
where
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn urgent(&self) -> bool {
        self.haste == Haste::Urgent
    }

    fn run(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.work)(db)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, answer, .. } = *self;
        let missing = || StoreError::Failing("the job left no result".to_owned());
        let result = committed.and_then(|()| result.ok_or_else(missing));
        // Whoever asked may have gone away; the work is done all the same.
        let _ = answer.send(result);
    }
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(db: Connection) -> Result<Self, StoreError> {
        let (jobs, waiting) = channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || serve(&db, &waiting))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Runs `work` in the next commit and gives its result once that is durable.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        haste: Haste,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let task = Task {
            haste,
            work,
            result: None,
            answer,
        };
        let gone = || StoreError::Failing("the writer thread is gone".to_owned());
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Box::new(task)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(db: &Connection, waiting: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        gather(waiting, &mut group);
        match commit(db, &mut group) {
            Ok(()) => finish(group),
            Err(error) if group.len() == 1 => fail(group, &error),
            Err(_) => one_by_one(db, group),
        }
    }
    // After an orderly stop the ledger is one file, and a copy of it is whole.
    if let Err(error) = db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the ledger's log stays behind; the next start reads it");
    }
}

/// Takes all that waits; lingers only while nothing in the group is urgent.
fn gather(waiting: &Receiver<Box<dyn Job>>, group: &mut Vec<Box<dyn Job>>) {
    let begun = Instant::now();
    let mut urgent = group.iter().any(|job| job.urgent());
    while group.len() < GROUP {
        let patience = match urgent {
            true => Duration::ZERO,
            false => LINGER.saturating_sub(begun.elapsed()),
        };
        match waiting.recv_timeout(patience) {
            Ok(job) => {
                urgent |= job.urgent();
                group.push(job);
            }
            Err(_) => return,
        }
    }
}

fn one_by_one(db: &Connection, group: Vec<Box<dyn Job>>) {
    for job in group {
        let mut alone = vec![job];
        match commit(db, &mut alone) {
            Ok(()) => finish(alone),
            Err(error) => fail(alone, &error),
        }
    }
}

fn finish(group: Vec<Box<dyn Job>>) {
    for job in group {
        job.finish(Ok(()));
    }
}

fn fail(group: Vec<Box<dyn Job>>, error: &StoreError) {
    tracing::error!(%error, "commit failed");
    for job in group {
        job.finish(Err(error.clone()));
    }
}

/// One transaction around all jobs; on any error nothing of it remains.
fn commit(db: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let result = run_all(db, group).and_then(|()| db.prepare_cached("COMMIT")?.execute([]));
    if let Err(error) = result {
        // Some errors have rolled back already; a second rollback does no harm.
        let _ = db.execute_batch("ROLLBACK");
        return Err(error.into());
    }
    Ok(())
}

/// A job that panics has failed, and only it: the thread is the whole server's.
fn run_all(db: &Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    group.iter_mut().try_for_each(|job| {
        let run = AssertUnwindSafe(|| job.run(db));
        catch_unwind(run).unwrap_or_else(|_| Err(rusqlite::Error::UnwindingPanic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Connection {
        let db = Connection::open_in_memory().expect("memory");
        db.execute_batch("CREATE TABLE t (n INTEGER NOT NULL UNIQUE)")
            .expect("table");
        db
    }

    fn task(n: i64) -> (Box<dyn Job>, oneshot::Receiver<Result<usize, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let work = move |db: &Connection| db.execute("INSERT INTO t VALUES (?1)", [n]);
        let task = Task {
            haste: Haste::Urgent,
            work,
            result: None,
            answer,
        };
        (Box::new(task), answered)
    }

    #[test]
    fn a_job_that_panics_does_not_take_the_thread_down() {
        let db = table();
        let (jobs, waiting) = channel();
        let (answer, answered) = oneshot::channel::<Result<usize, StoreError>>();
        let bad = Task {
            haste: Haste::Urgent,
            work: |_: &Connection| -> rusqlite::Result<usize> { panic!("a job panics") },
            result: None,
            answer,
        };
        let (good, done) = task(1);
        jobs.send(Box::new(bad) as Box<dyn Job>)
            .map_err(|_| ())
            .expect("open");
        jobs.send(good).map_err(|_| ()).expect("open");
        drop(jobs);
        serve(&db, &waiting);
        assert!(answered.blocking_recv().expect("answered").is_err());
        assert!(done.blocking_recv().expect("answered").is_ok());
    }

    #[test]
    fn one_bad_job_does_not_take_the_others_down() {
        let db = table();
        let (jobs, waiting) = channel();
        let mut answers = Vec::new();
        for n in [1, 2, 1, 3] {
            let (job, answered) = task(n);
            jobs.send(job).map_err(|_| ()).expect("open");
            answers.push(answered);
        }
        drop(jobs);
        serve(&db, &waiting);
        let fates: Vec<_> = answers
            .into_iter()
            .map(|answered| answered.blocking_recv().expect("answered").is_ok())
            .collect();
        assert_eq!(fates, [true, true, false, true]);
        let sum: i64 = db
            .query_row("SELECT sum(n) FROM t", [], |row| row.get(0))
            .expect("sum");
        assert_eq!(sum, 6);
    }
}
