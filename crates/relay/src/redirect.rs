//! Redirects at delivery: a copy goes where its recipient redirects mail only while that choice
//! stands and its target is not filtered, and both are asked before every attempt.
//!
//! A message that was released is never held again: it goes to its own address then. Any other goes
//! back into the quarantine. Writes no state: the answers say what becomes of a copy.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use posthouse_hook::{Enhanced, ForwardPath, LookupError, Row, Rows};
use posthouse_store::{Claimed, ClaimedRecipient, Kind, Store};

use crate::answer::{Answer, Fate};

/// Lookups for one message that are under way at the same time.
const AT_ONCE: usize = 50;

/// Asks after redirects.
pub(crate) struct Redirects {
    pub(crate) store: Store,
    pub(crate) rows: Arc<dyn Rows>,
    /// How long the row of a target may take.
    pub(crate) patience: Duration,
}

/// Where a copy with a redirect goes now.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// To the target.
    There(ForwardPath),
    /// To its own address.
    Home,
    /// Back into the quarantine, and why.
    Back(&'static str),
    /// Nobody knows yet, and why.
    Later(String),
}

/// Takes the copies with a redirect out of a message, as a message of their own: the others need
/// not wait for what is asked about these.
pub(crate) fn apart(claimed: &mut Claimed) -> Option<Claimed> {
    if claimed
        .recipients
        .iter()
        .all(|copy| copy.redirect.is_none())
    {
        return None;
    }
    let all = std::mem::take(&mut claimed.recipients);
    let (redirected, plain) = all.into_iter().partition(|copy| copy.redirect.is_some());
    claimed.recipients = plain;
    Some(Claimed {
        id: claimed.id,
        reverse_path: claimed.reverse_path.clone(),
        since: claimed.since,
        received: claimed.received.clone(),
        eight_bit: claimed.eight_bit,
        dsn_allowed: claimed.dsn_allowed,
        content: claimed.content.clone(),
        recipients: redirected,
        reserved: None,
    })
}

impl Redirects {
    /// Writes into each copy where it goes now. Gives an answer for those, by index, that do not go.
    pub(crate) async fn settle(&self, claimed: &mut Claimed) -> Vec<(usize, Answer)> {
        let mut ways = Vec::with_capacity(claimed.recipients.len());
        for some in claimed.recipients.chunks(AT_ONCE) {
            ways.extend(join_all(some.iter().map(|copy| self.way(copy))).await);
        }
        let mut answers = Vec::new();
        for (at, way) in ways.into_iter().enumerate() {
            let copy = &mut claimed.recipients[at];
            match way {
                Way::There(target) => copy.redirect = Some(target),
                Way::Home => copy.redirect = None,
                Way::Back(why) => answers.push((at, withheld(why))),
                Way::Later(why) => answers.push((at, unknown(&why))),
            }
        }
        answers
    }

    /// Whether a copy may still go where [`Redirects::settle`] sent it: it may have waited since.
    pub(crate) fn stands(&self, copy: &ClaimedRecipient) -> bool {
        let Some(target) = &copy.redirect else {
            return true;
        };
        self.store
            .choices()
            .of_recipient(&copy.forward_path)
            .target()
            == Some(target)
    }

    async fn way(&self, copy: &ClaimedRecipient) -> Way {
        let choices = self.store.choices();
        let target = choices.of_recipient(&copy.forward_path).target();
        let row = match target {
            Some(target) => self.row(target).await,
            None => Ok(Row::Other),
        };
        way(copy.kind, target, row)
    }

    /// A lookup that hangs or panics costs this copy an attempt, and nothing else.
    async fn row(&self, target: &ForwardPath) -> Result<Row, LookupError> {
        let asked = AssertUnwindSafe(self.rows.row(target)).catch_unwind();
        match tokio::time::timeout(self.patience, asked).await {
            Ok(Ok(row)) => row,
            Ok(Err(_)) => Err(LookupError::Temporary("internal error".to_owned())),
            Err(_) => Err(LookupError::Temporary("no answer in time".to_owned())),
        }
    }
}

/// The decision.
fn way(kind: Kind, target: Option<&ForwardPath>, row: Result<Row, LookupError>) -> Way {
    let over = match (target, row) {
        (Some(target), Ok(Row::Other)) => return Way::There(target.clone()),
        (Some(_), Err(error)) => return Way::Later(error.to_string()),
        (Some(_), Ok(Row::Filtered)) => "the target of the redirect is filtered by now",
        (None, _) => "the redirect was ended",
    };
    match kind {
        Kind::Redirected => Way::Back(over),
        Kind::Relayed | Kind::Released | Kind::Letter | Kind::Dsn => Way::Home,
    }
}

fn withheld(why: &str) -> Answer {
    Answer::own(Fate::Withheld, Enhanced(4, 7, 1), why, "none")
}

/// RFC 3463 X.4.3: the directory does not answer.
fn unknown(why: &str) -> Answer {
    let why = format!("whether the target of the redirect is filtered is not known: {why}");
    Answer::own(Fate::Later, Enhanced(4, 4, 3), why, "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_copy_with_a_redirect_goes() {
        let target = ForwardPath::from_address("new@else.example").expect("valid");
        let there = Way::There(target.clone());
        let down = || Err(LookupError::Temporary("down".to_owned()));
        let filtered = Way::Back("the target of the redirect is filtered by now");
        let ended = Way::Back("the redirect was ended");
        let later = Way::Later("DNS did not answer: down".to_owned());
        use Kind::{Redirected, Released};
        for (kind, target, row, want) in [
            (Redirected, Some(&target), Ok(Row::Other), &there),
            (Released, Some(&target), Ok(Row::Other), &there),
            (Redirected, Some(&target), Ok(Row::Filtered), &filtered),
            (Released, Some(&target), Ok(Row::Filtered), &Way::Home),
            (Redirected, Some(&target), down(), &later),
            (Released, Some(&target), down(), &later),
            (Redirected, None, Ok(Row::Other), &ended),
            (Released, None, Ok(Row::Other), &Way::Home),
        ] {
            assert_eq!(&way(kind, target, row), want, "{kind:?} {target:?}");
        }
    }
}
