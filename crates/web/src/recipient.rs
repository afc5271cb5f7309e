//! The recipient's page: all that is held for one address; read it, discard it, stop letters.
//!
//! It must never show another recipient, the sender's link, or a way to release to this address.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use futures_util::future::try_join_all;
use hyper::HeaderMap;
use posthouse_hook::{Id, Timestamp};
use posthouse_store::{
    Address, Filter, Item, ItemRecipient, Letters, Proven, Selection, State as CopyState,
    StoreError,
};
use serde::{Deserialize, Serialize};

use crate::fault::{Answer, Fault};
use crate::form::{self, Fields, Posted};
use crate::pages::{Pages, see_other};
use crate::show::{self, Moment};
use crate::visit::Visit;

/// Messages on one page.
const PAGE: usize = 25;
/// Messages that are discarded together.
const BATCH: usize = 100;
/// Messages that one *discard all* discards; what is left stays on the page.
const MAX_DISCARDED: usize = 10_000;
/// Longest name or subject in characters.
const MAX_TEXT: usize = 200;

/// Which part of the list is wanted, and what was done just before.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    before: Option<Id>,
    done: Option<Done>,
}

/// What a deed came to, told on the page behind the redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Done {
    /// Messages were discarded.
    Discarded,
    /// No message was selected, or none of them was held any more.
    Nothing,
    /// Letters end.
    Stopped,
    /// Letters begin again.
    Started,
}

/// `GET /a/TOKEN`.
pub(crate) async fn show(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Answer {
    let address = address_of(&pages, &visit).await?;
    let Query(wanted) = wanted.map_err(|_| Fault::BadForm)?;
    pages.looked(&visit, address.id).await;
    let items = held(&pages, &address, wanted.before, PAGE + 1).await?;
    let mut view = View::of(&address, &items, &visit.path, pages.now());
    view.form = pages.form_token(&visit);
    view.later = wanted.before.is_some();
    view.done = wanted.done;
    pages.page("recipient.html", &view)
}

/// `POST /a/TOKEN`: discard some or all, stop or start letters.
pub(crate) async fn act(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    headers: HeaderMap,
    posted: Posted,
) -> Answer {
    let address = address_of(&pages, &visit).await?;
    let key = pages.store.link_key();
    let fields = form::proven(posted, &headers, &pages.site.url, key, &visit.claim)?;
    let deed = Deed::read(&fields).ok_or(Fault::BadForm)?;
    let done = perform(&pages, &visit, &address, deed).await?;
    Ok(back_to_list(&visit, done))
}

/// The list, which tells what was done.
pub(crate) fn back_to_list(visit: &Visit, done: Done) -> axum::response::Response {
    let word = match done {
        Done::Discarded => "discarded",
        Done::Nothing => "nothing",
        Done::Stopped => "stopped",
        Done::Started => "started",
    };
    see_other(&format!("{}?done={word}", visit.path))
}

/// The address that the visitor's link is about.
pub(crate) async fn address_of(pages: &Pages, visit: &Visit) -> Result<Address, Fault> {
    match pages.prove(visit).await? {
        Proven::Address(address) => Ok(address),
        Proven::Item(_) | Proven::Stop(_) => Err(Fault::NotFound),
    }
}

/// The copy that is held for the address; nobody else's.
pub(crate) fn own_copy<'a>(item: &'a Item, address: &Address) -> Option<&'a ItemRecipient> {
    item.recipients
        .iter()
        .find(|copy| copy.state == CopyState::Held && copy.address.key() == address.address)
}

/// What is held for the address, newest first.
async fn held(
    pages: &Pages,
    address: &Address,
    before: Option<Id>,
    limit: usize,
) -> Result<Vec<Item>, StoreError> {
    let filter = Filter {
        recipient: Some(address.address.clone()),
        states: vec![CopyState::Held],
        before,
        limit,
        ..Filter::default()
    };
    pages.store.items(filter).await
}

/// What the form asks for.
#[derive(Debug, PartialEq)]
enum Deed {
    /// Discard these.
    Discard(Vec<Id>),
    /// Discard everything up to the newest message that the visitor saw.
    DiscardUpTo(Id),
    /// Stop letters, or begin them again.
    Letters(Letters),
}

impl Deed {
    fn read(fields: &Fields) -> Option<Self> {
        if let Some(one) = form::value(fields, "one") {
            return Some(Self::Discard(vec![one.parse().ok()?]));
        }
        match form::value(fields, "do")? {
            "discard" => {
                let ids = form::values(fields, "item").map(|id| id.parse().ok());
                ids.take(BATCH).collect::<Option<_>>().map(Self::Discard)
            }
            "discard_all" => {
                let newest = form::value(fields, "newest")?.parse().ok()?;
                Some(Self::DiscardUpTo(newest))
            }
            "stop_letters" => Some(Self::Letters(Letters::Stopped)),
            "start_letters" => Some(Self::Letters(Letters::On)),
            _ => None,
        }
    }
}

async fn perform(
    pages: &Pages,
    visit: &Visit,
    address: &Address,
    deed: Deed,
) -> Result<Done, StoreError> {
    match deed {
        Deed::Discard(ids) => discard(pages, visit, address, &ids).await,
        Deed::DiscardUpTo(newest) => discard_up_to(pages, visit, address, newest).await,
        Deed::Letters(letters) => {
            let on = letters == Letters::On;
            let set = pages.store.set_letters(address.id, on, visit.actor());
            set.await?;
            Ok(if on { Done::Started } else { Done::Stopped })
        }
    }
}

/// Discards this address's copies of the messages. The selection names the address, so an id that
/// is somebody else's changes nothing.
pub(crate) async fn discard(
    pages: &Pages,
    visit: &Visit,
    address: &Address,
    ids: &[Id],
) -> Result<Done, StoreError> {
    let one = |id: &Id| {
        let own = Selection {
            item: *id,
            addresses: vec![address.address.clone()],
        };
        pages.store.discard_held(own, visit.actor())
    };
    let done = try_join_all(ids.iter().map(one)).await?;
    let changed = done.iter().any(|d| d.changed > 0);
    Ok(if changed {
        Done::Discarded
    } else {
        Done::Nothing
    })
}

/// Discards batch by batch. What came in after the visitor looked stays.
async fn discard_up_to(
    pages: &Pages,
    visit: &Visit,
    address: &Address,
    newest: Id,
) -> Result<Done, StoreError> {
    let mut before = Id(newest.0.saturating_add(1));
    let mut done = Done::Nothing;
    for _ in 0..MAX_DISCARDED / BATCH {
        let items = held(pages, address, Some(before), BATCH).await?;
        let ids: Vec<_> = items.iter().map(|item| item.id).collect();
        let Some(oldest) = ids.last() else { break };
        before = *oldest;
        if discard(pages, visit, address, &ids).await? == Done::Discarded {
            done = Done::Discarded;
        }
    }
    Ok(done)
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    address: String,
    letters: Letters,
    last_letter: Option<Moment>,
    rows: Vec<Row>,
    /// The id of the newest message shown.
    newest: Option<Id>,
    /// The next page's path.
    more: Option<String>,
    /// Whether this is not the first page.
    later: bool,
    path: String,
    form: String,
    done: Option<Done>,
}

impl View {
    /// The list of an address; one item more than a page says that there is a next page.
    pub(crate) fn of(address: &Address, items: &[Item], path: &str, now: Timestamp) -> Self {
        let shown = &items[..items.len().min(PAGE)];
        let own = shown.iter().filter(|i| own_copy(i, address).is_some());
        let last = shown.last().filter(|_| items.len() > PAGE);
        Self {
            address: show::line(&address.address, MAX_TEXT),
            letters: address.letters,
            last_letter: address.last_letter.map(|at| show::moment(at, now)),
            rows: own.map(|item| Row::of(item, now)).collect(),
            newest: shown.first().map(|item| item.id),
            more: last.map(|item| format!("{path}?before={}", item.id)),
            later: false,
            path: path.to_owned(),
            form: String::new(),
            done: None,
        }
    }
}

/// One held message.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    id: Id,
    from: String,
    subject: String,
    received: Moment,
    size: String,
}

impl Row {
    /// What an address's owner may know of a message before reading it.
    pub(crate) fn of(item: &Item, now: Timestamp) -> Self {
        let from = match item.from.trim() {
            "" => item.reverse_path.address(),
            from => from.to_owned(),
        };
        Self {
            id: item.id,
            from: show::line(&from, MAX_TEXT),
            subject: show::line(&item.subject, MAX_TEXT),
            received: show::moment(item.received_at, now),
            size: show::size(item.size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let own = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn forms_are_read_strictly() {
        for (pairs, want) in [
            (&[("one", "7")][..], Some(Deed::Discard(vec![Id(7)]))),
            (&[("do", "discard")], Some(Deed::Discard(vec![]))),
            (
                &[("do", "discard"), ("item", "1"), ("item", "2")],
                Some(Deed::Discard(vec![Id(1), Id(2)])),
            ),
            (&[("do", "discard"), ("item", "x")], None),
            (&[("do", "discard_all")], None),
            (
                &[("do", "discard_all"), ("newest", "9")],
                Some(Deed::DiscardUpTo(Id(9))),
            ),
            (
                &[("do", "stop_letters")],
                Some(Deed::Letters(Letters::Stopped)),
            ),
            (&[("do", "release")], None),
            (&[("one", "99999999999999999999")], None),
            (&[], None),
        ] {
            assert_eq!(Deed::read(&fields(pairs)), want, "{pairs:?}");
        }
    }

    #[test]
    fn nobody_elses_copy_is_listed() {
        let address = samples::address("second@y.example");
        let mut item = samples::item(&[CopyState::Held, CopyState::Delivered]);
        item.recipients[1].address = samples::forward_path("Second@y.example");
        assert!(own_copy(&item, &address).is_none());
        item.recipients[1].state = CopyState::Held;
        let own = own_copy(&item, &address).expect("held");
        assert_eq!(own.id, item.recipients[1].id);
        let view = View::of(&address, &[item], "/a/x", Timestamp(0));
        let json = serde_json::to_string(&view).expect("a view");
        assert!(!json.contains("first@"), "{json}");
    }

    #[test]
    fn one_more_than_a_page_makes_a_next_page() {
        let address = samples::address("first@y.example");
        let items: Vec<_> = (0..=PAGE)
            .map(|n| {
                let mut item = samples::item(&[CopyState::Held]);
                item.id = Id(100 - i64::try_from(n).expect("small"));
                item
            })
            .collect();
        let full = View::of(&address, &items[..PAGE], "/a/x", Timestamp(0));
        assert_eq!((full.rows.len(), full.more), (PAGE, None));
        let more = View::of(&address, &items, "/a/x", Timestamp(0));
        assert_eq!(more.rows.len(), PAGE);
        assert_eq!(more.newest, Some(Id(100)));
        assert_eq!(more.more.as_deref(), Some("/a/x?before=76"));
    }
}
