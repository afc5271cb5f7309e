//! What all sessions of a listener share: names, limits and ports.

use std::sync::Arc;

use posthouse_hook::{Clock, Commit, CommitError, Domain, Id, IdMaker, Refusal, Reply, Timestamp};

use crate::limits::Limits;
use crate::spool::SpoolDir;

/// The listener's side of every session.
pub(crate) struct Service {
    pub(crate) hostname: Domain,
    pub(crate) limits: Limits,
    pub(crate) spool: SpoolDir,
    pub(crate) commit: Arc<dyn Commit>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<IdMaker>,
}

impl Service {
    /// The moment that is now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id, for a session or a transaction.
    pub(crate) fn next_id(&self) -> Id {
        self.ids.next(self.now())
    }

    /// The reply to HELO, or to EHLO with all that is offered.
    pub(crate) fn hello(&self, esmtp: bool) -> Reply {
        if !esmtp {
            return Reply::helo(self.hostname.as_str());
        }
        let size = format!("SIZE {}", self.limits.message_size);
        let offered = [
            "PIPELINING",
            &size,
            "8BITMIME",
            "ENHANCEDSTATUSCODES",
            "HELP",
        ];
        Reply::ehlo(self.hostname.as_str(), &offered.map(str::to_owned))
    }
}

/// What the client hears of a commit that was not made. The cause is for the log.
pub(crate) fn not_committed(error: &CommitError) -> Refusal {
    tracing::error!(%error, "not committed");
    match error {
        CommitError::Full(_) => Refusal::no_room(),
        CommitError::Failing(_) => Refusal::local_error(),
    }
}
