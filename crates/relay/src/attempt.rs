//! One attempt: a message, some of its recipients, one target. Finds the addresses, connects or
//! reuses a connection, and lets the transaction speak. Writes no state and never tries twice,
//! except where the next hop had closed a kept connection before it heard anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use posthouse_hook::{Enhanced, Resolver};

use crate::answer::{Answer, Fate};
use crate::connect::{ConnectError, Connection, Opener, Standing};
use crate::hand::Parcel;
use crate::mx::{Candidate, Place};
use crate::redirect::Redirects;
use crate::route::Target;
use crate::told::Hearing;
use crate::transaction::{Transacted, Transaction};

/// Recipients of one transaction at the most: what every server must take (RFC 5321 §4.5.3.1.8).
const MAX_RECIPIENTS: usize = 100;

/// What is to be attempted.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) parcel: Arc<Parcel>,
    /// Which of the claimed recipients, by index.
    pub(crate) recipients: Vec<usize>,
    pub(crate) target: Target,
}

/// What an attempt came to.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// One for each recipient of the job, in order.
    pub(crate) answers: Vec<Answer>,
    /// No address of the target could be reached, or none answers, for a reason that may pass.
    pub(crate) unreached: Option<Answer>,
}

/// Makes attempts.
pub(crate) struct Attempts {
    pub(crate) opener: Opener,
    pub(crate) redirects: Arc<Redirects>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) mx_port: u16,
    pub(crate) messages_per_connection: u32,
    /// Turns mail hosts of equal preference.
    pub(crate) turn: AtomicUsize,
}

impl Job {
    /// The same answer for every recipient.
    pub(crate) fn all(&self, answer: &Answer) -> Vec<Answer> {
        vec![answer.clone(); self.recipients.len()]
    }
}

impl Attempts {
    /// Attempts a job over the connection in `slot` or a new one, which stays in `slot`.
    pub(crate) async fn deliver(&self, job: &Job, slot: &mut Option<Connection>) -> Done {
        let mut done = Done::default();
        for part in job.recipients.chunks(MAX_RECIPIENTS) {
            match self.transact(job, part, slot).await {
                Ok(answers) => done.answers.extend(answers),
                Err(unreached) => {
                    let left = job.recipients.len() - done.answers.len();
                    let same = std::iter::repeat_n(&unreached, left).cloned();
                    done.answers.extend(same);
                    done.unreached = Some(unreached).filter(|a| a.fate == Fate::Later);
                    break;
                }
            }
        }
        done
    }

    /// One transaction. A kept connection on which the next hop does not take up the message is
    /// given up for a new one; if it does not even there, it counts as unreached: the error.
    async fn transact(
        &self,
        job: &Job,
        part: &[usize],
        slot: &mut Option<Connection>,
    ) -> Result<Vec<Answer>, Answer> {
        loop {
            let connection = match self.kept(slot) {
                Some(connection) => connection,
                None => self.connect(&job.target).await?,
            };
            let going = self.going(job, part);
            if going.is_empty() {
                *slot = Some(connection);
                return Ok(vec![Answer::again(); part.len()]);
            }
            let reused = connection.served > 0;
            let transaction = Transaction {
                connection: slot.insert(connection),
                claimed: &job.parcel.claimed,
                recipients: &going,
                timeouts: &self.opener.timeouts,
                eight_bit: job.target.eight_bit,
            };
            let Transacted { mut answers, heard } = transaction.run().await;
            match heard {
                Hearing::Closed | Hearing::Deaf if reused => *slot = None,
                Hearing::Deaf => return Err(answers.swap_remove(0)),
                Hearing::Heard | Hearing::Closed => return Ok(in_order(part, &going, answers)),
            }
        }
    }

    /// Those of these copies that may still go where their recipients redirect them.
    fn going(&self, job: &Job, part: &[usize]) -> Vec<usize> {
        let copies = &job.parcel.claimed.recipients;
        let stands = |at: &usize| self.redirects.stands(&copies[*at]);
        part.iter().copied().filter(stands).collect()
    }

    /// The connection in the slot, if it can take another message; else it is left politely.
    fn kept(&self, slot: &mut Option<Connection>) -> Option<Connection> {
        let connection = slot.take()?;
        if connection.is_usable(self.messages_per_connection) {
            return Some(connection);
        }
        if connection.standing != Standing::Broken {
            tokio::spawn(connection.quit());
        }
        None
    }

    async fn connect(&self, target: &Target) -> Result<Connection, Answer> {
        let place = Place {
            resolver: &*self.resolver,
            ours: &self.opener.ours,
            mx_port: self.mx_port,
            turn: self.turn.fetch_add(1, Ordering::Relaxed),
            source: target.source,
        };
        let candidates = place.candidates(&target.hop).await;
        let candidates = candidates.map_err(|unroutable| unroutable.answer(&target.hop))?;
        let mut last = None;
        for candidate in &candidates {
            match self.opener.open(candidate, target).await {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    tracing::debug!(next_hop = %candidate, %error, "not reached");
                    last = Some(not_reached(candidate, &error));
                }
            }
        }
        let none = || {
            Answer::own(
                Fate::Later,
                Enhanced(4, 4, 1),
                "no address",
                &target.to_string(),
            )
        };
        Err(last.unwrap_or_else(none))
    }
}

/// The answers for those that went, and for the others that they are due again.
fn in_order(part: &[usize], went: &[usize], answers: Vec<Answer>) -> Vec<Answer> {
    if part.len() == went.len() {
        return answers;
    }
    let mut answers = answers.into_iter();
    let answer = |at| {
        let answer = went.contains(at).then(|| answers.next()).flatten();
        answer.unwrap_or_else(Answer::again)
    };
    part.iter().map(answer).collect()
}

fn not_reached(candidate: &Candidate, error: &ConnectError) -> Answer {
    let (fate, status) = match error {
        ConnectError::Ourselves => (Fate::Never, Enhanced(5, 4, 6)),
        ConnectError::Handshake(_) => (Fate::Later, Enhanced(4, 7, 5)),
        ConnectError::Other(_) => (Fate::Later, Enhanced(4, 4, 1)),
    };
    Answer::own(fate, status, error, &candidate.to_string())
}
