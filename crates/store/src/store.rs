//! The store as others see it: a handle that any task can use.

mod commit;
mod deeds;
mod erasing;
mod greylisting;
mod lessons;
mod looking;
mod operating;
mod people;
mod relaying;
mod sampling;
mod standing;
mod tidying;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex};

use posthouse_hook::{Clock, CommitError, Content, Id, IdMaker, LinkKey, Live, Timestamp};
use rusqlite::Connection;
use tokio::sync::{Notify, mpsc};

use crate::body::{self, Bytes};
use crate::crowd::Crowd;
use crate::db::at;
use crate::handoff::Budget;
use crate::intake::{DISCARDED_KEY, UNSCANNED_KEY};
use crate::keeping::{self, Bound};
use crate::model::{Choices, Claimed, Counts, Expiries, Settings};
use crate::readers::Readers;
use crate::room::Room;
use crate::samples::NOT_HELD_KEY;
use crate::spool::Spool;
use crate::tally::{self, Window};
use crate::writer::{Haste, Writer};
use crate::{choices, db, feedback, keyfile, letters, observed, queue, rows};

const DAY: Window = Window::Hours(24);

/// Why the store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or less than `min_free` is left.
    #[error("no room: {0}")]
    Full(String),
    /// SQLite or the file system failed.
    #[error("the store fails: {0}")]
    Failing(String),
    /// Another process serves this state directory.
    #[error("{0} is in use by another posthouse process; stop that one first")]
    InUse(String),
    /// There is nothing to read.
    #[error("{0} is not there; was this configuration ever served?")]
    NoLedger(String),
    /// The ledger is gone or empty, but the spool is not.
    #[error(
        "{0} is missing or empty, but the spool beside it holds messages: restore the ledger from a \
         backup, or move the files in the spool away to begin anew"
    )]
    LostLedger(String),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(why) => Self::Full(why),
            error => Self::Failing(error.to_string()),
        }
    }
}

/// A handle to the store. A clone is the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    settings: Settings,
    clock: Arc<dyn Clock>,
    key: LinkKey,
    ids: Arc<IdMaker>,
    /// The writer thread, and the lock on the state directory, released after it has ended. None
    /// when opened for reading only.
    writing: Option<(Writer, File)>,
    readers: Readers,
    spool: Spool,
    room: Room,
    budget: Budget,
    /// When to look whether held mail is over its bounds.
    crowd: Crowd,
    fresh: mpsc::UnboundedSender<Claimed>,
    fresh_end: Mutex<Option<mpsc::UnboundedReceiver<Claimed>>>,
    /// Whether somebody took the receiving end.
    handing_over: AtomicBool,
    changed: Notify,
    /// Whether lessons for scanners are noted, and that one was.
    noting: AtomicBool,
    lessons: Notify,
    /// Somebody asked for mail of ours.
    errands: Notify,
    /// First tries that were noted since the start.
    greylisted: AtomicU32,
    choices: Live<Choices>,
    reloading: tokio::sync::Mutex<()>,
}

impl Store {
    /// Opens or makes the ledger in the state directory, migrates it, sweeps orphans, and returns
    /// every lease to the queue. The lock on the directory is held until the last clone is gone.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        private_dir(&settings.state).map_err(at(&settings.state))?;
        let lock = lock(&settings.state)?;
        let spool = Spool::open(settings.state.join("spool"))?;
        let secret = keyfile::load_or_make(&settings.state)?;
        let ledger = settings.state.join("ledger.db");
        refuse_orphans(&ledger, &spool)?;
        let db = db::open_writer(&ledger)?;
        let swept = spool.sweep(&body::spooled(&db)?)?;
        let returned = return_leases(&db, clock.now())?;
        tracing::info!(state = %settings.state.display(), swept, returned, "store is open");
        let choices = choices::all(&db)?;
        let writer = Writer::start(db)?;
        let writing = Some((writer, lock));
        Ok(Self::assemble(
            settings, clock, spool, secret, choices, writing,
        ))
    }

    /// Opens the ledger for reading only, beside a server that may be running. Whatever would
    /// change something fails.
    pub fn open_read_only(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let ledger = settings.state.join("ledger.db");
        if !ledger.exists() {
            return Err(StoreError::NoLedger(ledger.display().to_string()));
        }
        let spool = Spool::at(settings.state.join("spool"));
        let secret = keyfile::load(&settings.state)?;
        let choices = choices::all(&db::open_reader(&ledger)?)?;
        Ok(Self::assemble(
            settings, clock, spool, secret, choices, None,
        ))
    }

    fn assemble(
        settings: Settings,
        clock: Arc<dyn Clock>,
        spool: Spool,
        secret: [u8; 32],
        choices: Choices,
        writing: Option<(Writer, File)>,
    ) -> Self {
        let (fresh, fresh_end) = mpsc::unbounded_channel();
        Self(Arc::new(Inner {
            key: LinkKey::new(secret, &settings.link_base),
            ids: Arc::new(IdMaker::new(settings.node)),
            readers: Readers::new(settings.state.join("ledger.db")),
            room: Room::new(settings.state.clone(), settings.min_free),
            budget: Budget::new(settings.handoff_bytes),
            crowd: Crowd::new(settings.bounds),
            fresh,
            fresh_end: Mutex::new(Some(fresh_end)),
            handing_over: AtomicBool::new(false),
            changed: Notify::new(),
            noting: AtomicBool::new(false),
            lessons: Notify::new(),
            errands: Notify::new(),
            greylisted: AtomicU32::new(0),
            choices: Live::new(choices),
            reloading: tokio::sync::Mutex::new(()),
            writing,
            spool,
            clock,
            settings,
        }))
    }

    /// Whether whatever would change something fails.
    pub fn is_read_only(&self) -> bool {
        self.0.writing.is_none()
    }

    /// The key of all links.
    pub fn link_key(&self) -> &LinkKey {
        &self.0.key
    }

    /// The maker of this node's ids: one for the whole process.
    pub fn ids(&self) -> Arc<IdMaker> {
        Arc::clone(&self.0.ids)
    }

    /// The bytes of a message, while they are kept.
    pub async fn content(&self, id: Id) -> Result<Option<Content>, StoreError> {
        match self.0.readers.read(move |db| body::of(db, id)).await? {
            None => Ok(None),
            Some(Bytes::Row(bytes)) => Ok(Some(Content::Memory(bytes.into()))),
            Some(Bytes::File(size)) => Ok(Some(self.0.spool.content(id, size)?)),
        }
    }

    /// Counts one more of `what` about a held item if fewer than `limit` were counted since it came,
    /// and says whether it did.
    pub async fn count_about(&self, item: Id, what: &str, limit: u32) -> Result<bool, StoreError> {
        let (key, now) = (tally::item_key(item, what), self.now());
        self.write(move |db| {
            let room = tally::sum(db, &key, Window::Ever, now)? < limit;
            if room {
                tally::count(db, &key, now)?;
            }
            Ok(room)
        })
        .await
    }

    /// How much is in which state.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let (now, bounds) = (self.now(), self.0.settings.bounds);
        self.0
            .readers
            .read(move |db| {
                Ok(Counts {
                    states: rows::counts(db)?,
                    letters_capped: tally::sum(db, letters::CAPPED_KEY, DAY, now)?.into(),
                    letters_kept_back: letters::kept_back(db)?,
                    discarded: tally::sum(db, DISCARDED_KEY, DAY, now)?.into(),
                    relayed_unscanned: tally::sum(db, UNSCANNED_KEY, DAY, now)?.into(),
                    spam_not_held: tally::sum(db, NOT_HELD_KEY, DAY, now)?.into(),
                    lessons_learned: tally::sum(db, feedback::LEARNED_KEY, DAY, now)?.into(),
                    lessons_given_up: tally::sum(db, feedback::GIVEN_UP_KEY, DAY, now)?.into(),
                    held_octets: keeping::held_octets(db)?,
                    sample_octets: keeping::sample_octets(db)?,
                    max_size: bounds.max_size,
                    expired: expired(db, now)?,
                    observed: tally::sum(db, observed::OBSERVED_KEY, DAY, now)?.into(),
                })
            })
            .await
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(Haste::Urgent, work).await
    }

    async fn write_with<T: Send + 'static>(
        &self,
        haste: Haste,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.0.writing {
            Some((writer, _lock)) => writer.write(haste, work).await,
            None => Err(StoreError::Failing("opened for reading only".to_owned())),
        }
    }

    /// Removes spool files whose rows are gone. A file that stays behind is swept at start.
    fn remove_files(&self, files: impl IntoIterator<Item = Id>) {
        for id in files {
            self.0.spool.remove(id);
        }
    }
}

/// Copies that expired in the last day, by the bound that they met.
fn expired(db: &Connection, now: Timestamp) -> rusqlite::Result<Expiries> {
    let count = |bound: Bound| tally::sum(db, bound.key(), DAY, now).map(u64::from);
    Ok(Expiries {
        age: count(Bound::Age)?,
        size: count(Bound::Size)?,
        share: count(Bound::Share)?,
    })
}

/// Makes a directory that only we can enter: there is other people's mail in it. One that is there
/// already keeps the rights that its owner gave it.
pub(crate) fn private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// A ledger that is not there, or empty, while the spool holds messages was lost: to begin anew
/// would sweep them all as orphans.
fn refuse_orphans(ledger: &Path, spool: &Spool) -> Result<(), StoreError> {
    let begins = std::fs::metadata(ledger).map_or(0, |meta| meta.len()) == 0;
    if !begins || spool.is_empty()? {
        return Ok(());
    }
    Err(StoreError::LostLedger(ledger.display().to_string()))
}

fn lock(state: &Path) -> Result<File, StoreError> {
    use rustix::fs::{FlockOperation, flock};
    let path = state.join("lock");
    let file = File::create(&path).map_err(at(&path))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| StoreError::InUse(state.display().to_string()))?;
    Ok(file)
}

/// Returns every lease to the queue, because no worker of a former run lives. In one commit: after a
/// crash there can be thousands.
fn return_leases(db: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
    let all = db.unchecked_transaction()?;
    let ever = Timestamp(i64::MAX);
    let sending = queue::sending_since(&all, ever)?;
    queue::void_leases(&all, &sending, ever, now)?;
    all.commit()?;
    Ok(sending.len())
}
