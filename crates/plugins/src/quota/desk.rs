//! The backend's side: answers questions about the mailboxes of this machine, through a cache.
//!
//! It knows no protocol. A question that nobody waits for any more is still worked to its end, so
//! that the next one finds its answer.

use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::Clock;

use super::answer::Told;
use super::local::Mailboxes;
use super::names::Names;
use crate::backend::{Backend, Dead, Keeping};

/// Mailboxes whose answers are kept.
const ENTRIES: usize = 100_000;
/// How long mailboxes that cannot be read at all are left alone.
const REST: Duration = Duration::from_secs(5);

/// Answers about mailboxes. A clone is the same desk.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    mailboxes: Arc<Mailboxes>,
    answers: Backend<Names, Told>,
    clock: Arc<dyn Clock>,
    keep: Duration,
    limit: Duration,
}

impl Desk {
    /// Answers are kept for `keep`; reading one mailbox may take `limit`.
    pub fn new(
        mailboxes: Mailboxes,
        keep: Duration,
        limit: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let keeping = Keeping {
            entries: ENTRIES,
            rest: REST,
        };
        Self(Arc::new(Inner {
            mailboxes: Arc::new(mailboxes),
            answers: Backend::new(keeping, Arc::clone(&clock)),
            clock,
            keep,
            limit,
        }))
    }

    /// How full a mailbox is, or why that cannot be told.
    pub async fn answer(&self, names: Names) -> Told {
        let this = Arc::clone(&self.0);
        let work = tokio::spawn(async move { this.answer(&names).await });
        work.await.map_err(|error| error.to_string())?
    }
}

impl Inner {
    async fn answer(&self, names: &Names) -> Told {
        let told = self.answers.get(names, self.read(names)).await;
        told.map_err(|Dead(why)| why)?
    }

    /// What cannot be told is not kept.
    async fn read(&self, names: &Names) -> Result<(Told, Duration), Dead> {
        let told = self.mailboxes.ask(names, self.clock.now(), self.limit);
        let told = told.await.map_err(Dead)?;
        let keep = match &told {
            Ok(_) => self.keep,
            Err(_) => Duration::ZERO,
        };
        Ok((told, keep))
    }
}
