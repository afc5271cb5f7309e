//! The recipient's page: all that is held for one address, and what becomes of such mail.
//!
//! It must never show another recipient or the sender's link, nor put a choice in force that was not
//! confirmed by mail.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use futures_util::future::try_join_all;
use hyper::HeaderMap;
use posthouse_hook::Id;
use posthouse_store::{
    Address, Filter, Item, Proven, RecipientChoice, Selection, State as CopyState, StoreError,
};
use serde::Deserialize;

pub(crate) use self::deed::Done;
use self::deed::{BATCH, Deed};
use self::search::{Sought, path_with};
pub(crate) use self::standing::Standing;
pub(crate) use self::view::{PAGE, Part, Row, View, own_copy};
use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::pages::{Pages, see_other};
use crate::visit::Visit;

mod deed;
mod search;
mod standing;
mod view;
mod wish;

/// Messages that one *discard all* discards; what is left stays on the page.
const MAX_DISCARDED: usize = 10_000;

/// Which part of the list is wanted, and what was done just before.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    before: Option<Id>,
    q: Option<Sought>,
    done: Option<Done>,
}

/// The query of a request for the list.
type Asked = Result<Query<Wanted>, QueryRejection>;

impl Wanted {
    fn of(query: Asked) -> Result<Self, Fault> {
        query
            .map(|Query(wanted)| wanted)
            .map_err(|_| Fault::BadForm)
    }

    fn part(self) -> Part {
        Part {
            before: self.before,
            sought: self.q.and_then(Sought::text),
        }
    }
}

/// `GET /a/TOKEN`.
pub(crate) async fn show(
    State(pages): State<Arc<Pages>>,
    mut visit: Visit,
    wanted: Asked,
) -> Answer {
    let address = address_of(&pages, &mut visit).await?;
    let wanted = Wanted::of(wanted)?;
    pages.looked(&visit, address.id).await;
    let (done, part) = (wanted.done, wanted.part());
    let items = held(&pages, &address, &part, PAGE + 1).await?;
    let standing = standing(&pages, &address).await?;
    let view = View::of(&address, &items, &visit.path, pages.now())
        .at(part)
        .with_standing(standing)
        .with_form(pages.form_token(&visit), done);
    pages.page("recipient.html", visit.language, &view)
}

/// `POST /a/TOKEN`: discard some or all, choose, stop or start letters.
pub(crate) async fn act(
    State(pages): State<Arc<Pages>>,
    mut visit: Visit,
    wanted: Asked,
    headers: HeaderMap,
    posted: Posted,
) -> Answer {
    let address = address_of(&pages, &mut visit).await?;
    let key = pages.store.link_key();
    let fields = form::proven(posted, &headers, &pages.site.url, key, &visit.claim)?;
    let deed = Deed::read(&fields).ok_or(Fault::BadForm)?;
    let sought = Wanted::of(wanted)?.part().sought;
    let done = perform(&pages, &visit, &address, deed).await?;
    Ok(back_to_list(&visit, done, sought.as_deref()))
}

/// The list, which tells what was done and what was looked for.
pub(crate) fn back_to_list(visit: &Visit, done: Done, sought: Option<&str>) -> Response {
    let query = [("q", sought), ("done", Some(done.word()))];
    see_other(&path_with(&visit.path, &query))
}

/// The address that the visitor's link is about. Its owner's language wins over the browser's.
pub(crate) async fn address_of(pages: &Pages, visit: &mut Visit) -> Result<Address, Fault> {
    let Proven::Address(address) = pages.prove(visit).await? else {
        return Err(Fault::NotFound);
    };
    visit.language = address.language.unwrap_or(visit.language);
    Ok(address)
}

/// What its owner has chosen, and what waits to be confirmed.
async fn standing(pages: &Pages, address: &Address) -> Result<Standing, StoreError> {
    let waiting = pages.store.waiting_choice(address.id).await?;
    let (_, discarded) = pages.store.discarded(&address.address).await?;
    Ok(Standing::of(
        address,
        waiting.as_ref(),
        discarded,
        pages.now(),
    ))
}

/// What is held for the address, newest first.
async fn held(
    pages: &Pages,
    address: &Address,
    part: &Part,
    limit: usize,
) -> Result<Vec<Item>, StoreError> {
    let filter = Filter {
        states: vec![CopyState::Held],
        text: part.sought.clone(),
        before: part.before,
        limit,
        ..Filter::default()
    };
    pages.store.items_of(address, filter).await
}

async fn perform(
    pages: &Pages,
    visit: &Visit,
    address: &Address,
    deed: Deed,
) -> Result<Done, StoreError> {
    let (id, by) = (address.id, visit.actor());
    match deed {
        Deed::Discard(ids) => discard(pages, visit, address, &ids).await,
        Deed::DiscardUpTo(newest) => discard_up_to(pages, visit, address, newest).await,
        Deed::Redirect(to) => wish::redirect(pages, visit, address, &to).await,
        Deed::DiscardFuture => wish::ask(pages, visit, address, RecipientChoice::Discard).await,
        Deed::Undo => wish::undo(pages, visit, address).await,
        Deed::Withdraw => wish::withdraw(pages, visit, address).await,
        Deed::StartLetters => {
            let begun = pages.store.resume_letters(id, by).await;
            begun.map(|()| Done::Started)
        }
        Deed::StopLetters => {
            let ended = pages.store.stop_letters(id, by).await;
            ended.map(|()| Done::Stopped)
        }
        Deed::Correspond(days, language) => {
            let set = pages.store.set_correspondence(id, days, language, by);
            set.await.map(|()| Done::Saved)
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
    let mut part = Part {
        before: Some(Id(newest.0.saturating_add(1))),
        sought: None,
    };
    let mut done = Done::Nothing;
    for _ in 0..MAX_DISCARDED / BATCH {
        let items = held(pages, address, &part, BATCH).await?;
        let ids: Vec<_> = items.iter().map(|item| item.id).collect();
        let Some(oldest) = ids.last() else { break };
        part.before = Some(*oldest);
        if discard(pages, visit, address, &ids).await? == Done::Discarded {
            done = Done::Discarded;
        }
    }
    Ok(done)
}
