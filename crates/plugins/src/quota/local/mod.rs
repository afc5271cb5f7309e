//! Mailboxes on this machine: how full a Maildir++ or an mbox is. Reads only.

mod maildir;
mod maildirsize;
mod path;
mod quotas;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use posthouse_hook::Timestamp;
use rustix::fs::{FileType, fstat};
use tokio::sync::Semaphore;

use super::answer::{Answer, Limits, Standing, Told, Usage};
use super::names::Names;
use maildir::{Bounds, Quota};
use path::MailboxPath;
use quotas::Quotas;

/// Files and directories of one mailbox that are looked at before counting is given up.
const MAX_ENTRIES: u64 = 1_000_000;
/// Mailboxes that are read at the same time: a file system that hangs takes no more threads.
const READERS: usize = 8;

/// What a mailbox is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A directory (Maildir++).
    Maildir,
    /// One file.
    Mbox,
}

/// The mailboxes of this machine.
#[derive(Debug)]
pub struct Mailboxes {
    form: Form,
    path: MailboxPath,
    quotas: Quotas,
    readers: Arc<Semaphore>,
}

impl Mailboxes {
    /// Mailboxes at a path such as `/var/mail/{user}/Maildir`. `default` is the quota of those of
    /// whom no other is known, `quotas` a file of `user,octets[,messages]`. The error is for the
    /// operator.
    pub fn new(
        form: Form,
        path: &str,
        default: Limits,
        quotas: Option<&Path>,
    ) -> Result<Self, String> {
        Ok(Self {
            form,
            path: MailboxPath::parse(path)?,
            quotas: Quotas::new(default, quotas)?,
            readers: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// How full a mailbox is. The outer error is none of the mailbox's: nothing could be read
    /// within `limit`.
    pub async fn ask(
        self: &Arc<Self>,
        names: &Names,
        now: Timestamp,
        limit: Duration,
    ) -> Result<Told, String> {
        let until = Instant::now() + limit;
        let late = |_| format!("no mailbox could be read within {limit:?}");
        let (this, names) = (Arc::clone(self), names.clone());
        let read = async {
            let readers = Arc::clone(&self.readers);
            let reader = readers.acquire_owned().await.map_err(|e| e.to_string())?;
            let work = move || {
                let told = this.read(&names, now, until);
                drop(reader);
                told
            };
            let done = tokio::task::spawn_blocking(work).await;
            done.map_err(|error| error.to_string())
        };
        tokio::time::timeout(limit, read).await.map_err(late)?
    }

    /// Reads one mailbox. It blocks.
    fn read(&self, names: &Names, now: Timestamp, until: Instant) -> Told {
        let quota = Quota {
            own: self.quotas.of(names),
            default: self.quotas.default,
        };
        let usage = match self.form {
            Form::Maildir => self.maildir(names, quota, now, until)?,
            Form::Mbox => self.mbox(names, quota)?,
        };
        Ok(usage.map_or(Answer::of(Standing::Unknown), Answer::counted))
    }

    fn maildir(
        &self,
        names: &Names,
        quota: Quota,
        now: Timestamp,
        until: Instant,
    ) -> Result<Option<Usage>, String> {
        let Some(dir) = self.path.open_dir(names)? else {
            return Ok(None);
        };
        let bounds = Bounds {
            entries: MAX_ENTRIES,
            until,
        };
        maildir::usage(&dir, quota, now, bounds).map(Some)
    }

    fn mbox(&self, names: &Names, quota: Quota) -> Result<Option<Usage>, String> {
        let Some(file) = self.path.open_file(names)? else {
            return Ok(None);
        };
        let stat = fstat(&file).map_err(|error| error.to_string())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err("the mailbox is no file".to_owned());
        }
        Ok(Some(Usage {
            octets: u64::try_from(stat.st_size).unwrap_or_default(),
            messages: None,
            limits: quota.own.unwrap_or(quota.default),
        }))
    }
}
