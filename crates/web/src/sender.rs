//! The sender's page: one message that was refused and is held; release it, or discard it.
//!
//! It must never name a cap to the visitor, nor show anything of a recipient's own page.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use hyper::{HeaderMap, StatusCode};
use posthouse_hook::{Judgement, Scan, Scanned, Timestamp};
use posthouse_store::{Item, ItemRecipient, Proven, Released, Selection, State as CopyState};
use serde::Serialize;

use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::pages::{Pages, see_other};
use crate::preview::Reading;
use crate::rules::Rules;
use crate::show::{self, Moment};
use crate::visit::Visit;

/// Names of tests that are shown of one scanner.
const MAX_TESTS: usize = 40;
/// Longest name or short text in characters.
const MAX_TEXT: usize = 300;

/// `GET /i/TOKEN`.
pub(crate) async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Answer {
    let item = item_of(&pages, &visit).await?;
    pages.looked(&visit, item.id).await;
    let choice = Choice::of(&item, &pages.rules);
    page(&pages, &visit, &item, choice).await
}

/// `POST /i/TOKEN`: release or discard.
pub(crate) async fn act(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    headers: HeaderMap,
    posted: Posted,
) -> Answer {
    let item = item_of(&pages, &visit).await?;
    let key = pages.store.link_key();
    let fields = form::proven(posted, &headers, &pages.site.url, key, &visit.claim)?;
    match form::value(&fields, "do") {
        Some("release") => release(&pages, &visit, &item).await,
        Some("discard") => {
            let done = pages.store.discard_held(all_of(&item), visit.actor());
            done.await?;
            Ok(see_other(&visit.path))
        }
        _ => Err(Fault::BadForm),
    }
}

async fn item_of(pages: &Pages, visit: &Visit) -> Result<Box<Item>, Fault> {
    match pages.prove(visit).await? {
        Proven::Item(item) => Ok(item),
        Proven::Address(_) | Proven::Stop(_) => Err(Fault::NotFound),
    }
}

/// Releases what is held, if this sender may; otherwise the page says that the operator decides.
async fn release(pages: &Pages, visit: &Visit, item: &Item) -> Answer {
    let choice = Choice::of(item, &pages.rules);
    if choice == Choice::Operator {
        let page = page(pages, visit, item, choice).await?;
        return Ok((StatusCode::FORBIDDEN, page).into_response());
    }
    let caps = Some(pages.rules.caps.clone());
    match pages
        .store
        .release(all_of(item), caps, visit.actor())
        .await?
    {
        Released::Done(_) => Ok(see_other(&visit.path)),
        Released::Capped(cap) => {
            tracing::warn!(item = %item.id, cap, "release past a cap: the operator decides");
            let page = page(pages, visit, item, Choice::Capped).await?;
            Ok((StatusCode::TOO_MANY_REQUESTS, page).into_response())
        }
    }
}

/// Every copy: the link is about the whole message.
fn all_of(item: &Item) -> Selection {
    Selection {
        item: item.id,
        addresses: Vec::new(),
    }
}

async fn page(pages: &Pages, visit: &Visit, item: &Item, choice: Choice) -> Answer {
    let until = item.received_at.after(pages.rules.retention);
    let mut view = View::of(item, choice, until, pages.now());
    view.form = pages.form_token(visit);
    view.reading = pages.reading(item).await?;
    pages.page("sender.html", &view)
}

/// What the sender can do about held copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Choice {
    /// Nothing is held any more.
    Nothing,
    /// Release or discard.
    Release,
    /// Discard; whether it is released, the operator decides.
    Operator,
    /// As `Operator`, because a cap was reached just now.
    Capped,
}

impl Choice {
    fn of(item: &Item, rules: &Rules) -> Self {
        let column = item.judgement.as_ref().map(|j| j.column);
        if Standing::of(&item.recipients) != Standing::Held {
            Self::Nothing
        } else if column.is_some_and(|column| rules.sender_releases(column)) {
            Self::Release
        } else {
            Self::Operator
        }
    }
}

/// Where the message stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    /// At least one copy is held.
    Held,
    /// None is held, and at least one is still to be delivered.
    Moving,
    /// All were delivered.
    Delivered,
    /// The next hop refused all.
    Failed,
    /// All were discarded.
    Discarded,
    /// All were held for too long.
    Expired,
    /// All is over, in different ways.
    Mixed,
}

impl Standing {
    fn of(copies: &[ItemRecipient]) -> Self {
        let any = |state| copies.iter().any(|copy| copy.state == state);
        let all = |state| copies.iter().all(|copy| copy.state == state);
        if any(CopyState::Held) {
            Self::Held
        } else if copies.iter().any(|copy| !copy.state.is_final()) {
            Self::Moving
        } else if all(CopyState::Delivered) {
            Self::Delivered
        } else if all(CopyState::Failed) {
            Self::Failed
        } else if all(CopyState::Discarded) {
            Self::Discarded
        } else if all(CopyState::Expired) {
            Self::Expired
        } else {
            Self::Mixed
        }
    }
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    standing: Standing,
    choice: Choice,
    subject: String,
    sender: String,
    received: Moment,
    until: Moment,
    size: String,
    findings: Vec<Finding>,
    copies: Vec<CopyView>,
    form: String,
    reading: Option<Reading>,
}

impl View {
    /// The facts of one message, as seen `now`.
    pub(crate) fn of(item: &Item, choice: Choice, until: Timestamp, now: Timestamp) -> Self {
        Self {
            standing: Standing::of(&item.recipients),
            choice,
            subject: show::line(&item.subject, MAX_TEXT),
            sender: show::line(&item.reverse_path.address(), MAX_TEXT),
            received: show::moment(item.received_at, now),
            until: show::moment(until, now),
            size: show::size(item.size),
            findings: item.judgement.as_ref().map(findings).unwrap_or_default(),
            copies: item.recipients.iter().map(|r| copy(r, now)).collect(),
            form: String::new(),
            reading: None,
        }
    }

    /// The same with the text of the message.
    pub(crate) fn with_reading(mut self, reading: Option<Reading>) -> Self {
        self.reading = reading;
        self
    }
}

/// What one scanner found, for people. Why one could not scan is the operator's business.
#[derive(Debug, PartialEq, Serialize)]
struct Finding {
    scanner: String,
    found: Found,
    score: Option<String>,
    limit: Option<String>,
    tests: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Found {
    Spam,
    Clean,
    Unscanned,
}

fn findings(judgement: &Judgement) -> Vec<Finding> {
    judgement.scans.0.iter().map(finding).collect()
}

fn finding(scan: &Scan) -> Finding {
    let names = scan.tests.iter().take(MAX_TESTS);
    Finding {
        scanner: show::line(&scan.scanner, MAX_TEXT),
        found: match scan.found {
            Scanned::Spam => Found::Spam,
            Scanned::Clean => Found::Clean,
            Scanned::Unscanned(_) => Found::Unscanned,
        },
        score: scan.score.map(show::score),
        limit: scan.limit.map(show::score),
        tests: names.map(|name| show::line(name, MAX_TEXT)).collect(),
    }
}

/// One recipient's copy.
#[derive(Debug, PartialEq, Serialize)]
struct CopyView {
    address: String,
    state: CopyState,
    /// The next hop's words, if they are about this state.
    said: String,
    changed: Moment,
    next: Option<Moment>,
}

fn copy(recipient: &ItemRecipient, now: Timestamp) -> CopyView {
    use CopyState::{Deferred, Delivered, Failed};
    let spoken = matches!(recipient.state, Deferred | Delivered | Failed);
    let said = if spoken { recipient.said.as_str() } else { "" };
    CopyView {
        address: show::line(&recipient.address.address(), MAX_TEXT),
        state: recipient.state,
        said: show::line(said, MAX_TEXT),
        changed: show::moment(recipient.changed_at, now),
        next: recipient.next_attempt.map(|at| show::moment(at, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::SelfRelease;
    use crate::samples;
    use posthouse_hook::{Column, Vouched};
    use posthouse_store::ReleaseCaps;
    use std::time::Duration;

    fn rules(words: &[SelfRelease]) -> Rules {
        Rules {
            self_release: words.to_vec(),
            caps: ReleaseCaps::default(),
            retention: Duration::from_secs(86_400),
        }
    }

    #[test]
    fn the_standing_of_a_message_is_that_of_its_slowest_copy() {
        use CopyState::{Deferred, Delivered, Discarded, Expired, Failed, Held, Queued};
        for (states, want) in [
            (&[Held, Delivered][..], Standing::Held),
            (&[Queued, Delivered], Standing::Moving),
            (&[Deferred], Standing::Moving),
            (&[Delivered, Delivered], Standing::Delivered),
            (&[Failed], Standing::Failed),
            (&[Discarded], Standing::Discarded),
            (&[Expired], Standing::Expired),
            (&[Delivered, Failed], Standing::Mixed),
        ] {
            let item = samples::item(states);
            assert_eq!(Standing::of(&item.recipients), want, "{states:?}");
        }
    }

    #[test]
    fn who_may_release_depends_on_what_vouches() {
        let mut item = samples::item(&[CopyState::Held]);
        let column = |item: &mut Item, column| {
            item.judgement.as_mut().expect("judged").column = column;
        };
        column(&mut item, Column::Vouched(Vouched::Spf));
        let spf = rules(&[SelfRelease::Spf]);
        assert_eq!(Choice::of(&item, &spf), Choice::Release);
        assert_eq!(
            Choice::of(&item, &rules(&[SelfRelease::Ours])),
            Choice::Operator
        );
        column(&mut item, Column::NotVouched);
        assert_eq!(Choice::of(&item, &spf), Choice::Operator);
        item.judgement = None;
        assert_eq!(Choice::of(&item, &spf), Choice::Operator);
        let gone = samples::item(&[CopyState::Delivered]);
        assert_eq!(Choice::of(&gone, &spf), Choice::Nothing);
    }

    #[test]
    fn who_discarded_a_copy_stays_between_us_and_them() {
        let mut item = samples::item(&[CopyState::Discarded]);
        item.recipients[0].said = "recipient link".to_owned();
        let shown = copy(&item.recipients[0], Timestamp(0));
        assert_eq!(shown.said, "");
    }

    #[test]
    fn why_a_scanner_failed_is_not_shown() {
        let scan = Scan {
            scanner: "spamassassin".to_owned(),
            found: Scanned::Unscanned("10.0.0.7 refused".to_owned()),
            score: None,
            limit: None,
            tests: vec!["T".to_owned(); 1000],
        };
        let shown = finding(&scan);
        assert!(!format!("{shown:?}").contains("10.0.0.7"));
        assert_eq!(shown.tests.len(), MAX_TESTS);
    }
}
