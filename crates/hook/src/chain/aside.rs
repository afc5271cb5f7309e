//! A chain that is run aside: on a fork, from which only verdict, notes and trail come back.

use super::{Chain, Subject};
use crate::notes::Notes;
use crate::outcome::Verdict;
use crate::point::HookPoint;
use crate::session::Session;
use crate::trail::Trail;
use crate::transaction::Transaction;

/// What a chain that was run aside gives back. Nothing else of the fork remains.
#[derive(Debug)]
pub struct Aside {
    /// Its last word.
    pub verdict: Verdict,
    /// The transaction notes of the fork, those it began with included.
    pub notes: Notes,
    /// What its plugins said.
    pub trail: Trail,
}

impl Chain {
    /// Runs this chain on a fork, from connect up to `last`, as if the session came to it: a client
    /// that did not authenticate does not meet auth.
    pub async fn aside(&self, session: &Session, tx: &Transaction, last: HookPoint) -> Aside {
        let mut fork = session.clone();
        fork.trail = Trail::default();
        let mut tx = tx.clone();
        let verdict = self.replay(&mut fork, &mut tx, last).await;
        Aside {
            verdict,
            notes: tx.notes,
            trail: fork.trail,
        }
    }

    async fn replay(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        last: HookPoint,
    ) -> Verdict {
        use HookPoint::{Auth, Connect, Data, Headers, Helo, Mail, Queue, Rcpt};
        let mut verdict = Verdict::Pass;
        for point in [Connect, Helo, Auth, Mail, Rcpt, Headers, Data, Queue] {
            if point > last || matches!(verdict, Verdict::Refuse(_)) {
                break;
            }
            verdict = match point {
                Auth if session.auth.is_none() => Verdict::Pass,
                Connect | Helo | Auth => self.ask(point, session, Subject::Session).await,
                Rcpt => self.replay_recipients(session, tx).await,
                _ => self.ask(point, session, Subject::Transaction(tx)).await,
            };
        }
        verdict
    }

    async fn replay_recipients(&self, session: &mut Session, tx: &mut Transaction) -> Verdict {
        for recipient in tx.recipients.clone() {
            let subject = Subject::Recipient(tx, &recipient);
            let verdict = self.ask(HookPoint::Rcpt, session, subject).await;
            if matches!(verdict, Verdict::Refuse(_)) {
                return verdict;
            }
        }
        Verdict::Pass
    }
}
