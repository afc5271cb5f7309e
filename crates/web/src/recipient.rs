//! The recipient's page: all that is held for one address; read it, discard it, stop letters.
//!
//! It must never show another recipient, the sender's link, or a way to release to this address.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use futures_util::future::try_join_all;
use hyper::HeaderMap;
use posthouse_hook::Id;
use posthouse_store::{Address, Filter, Item, Proven, Selection, State as CopyState, StoreError};
use serde::Deserialize;

pub(crate) use self::deed::Done;
use self::deed::{BATCH, Deed};
pub(crate) use self::view::{PAGE, Row, View, own_copy};
use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::pages::{Pages, see_other};
use crate::visit::Visit;

mod deed;
mod view;

/// Messages that one *discard all* discards; what is left stays on the page.
const MAX_DISCARDED: usize = 10_000;

/// Which part of the list is wanted, and what was done just before.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    before: Option<Id>,
    done: Option<Done>,
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
    let view = View::of(&address, &items, &visit.path, pages.now())
        .with_form(pages.form_token(&visit))
        .after(wanted.before, wanted.done);
    pages.page("recipient.html", visit.language, &view)
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
    see_other(&format!("{}?done={}", visit.path, done.word()))
}

/// The address that the visitor's link is about.
pub(crate) async fn address_of(pages: &Pages, visit: &Visit) -> Result<Address, Fault> {
    match pages.prove(visit).await? {
        Proven::Address(address) => Ok(address),
        _ => Err(Fault::NotFound),
    }
}

/// What is held for the address, newest first.
async fn held(
    pages: &Pages,
    address: &Address,
    before: Option<Id>,
    limit: usize,
) -> Result<Vec<Item>, StoreError> {
    let filter = Filter {
        states: vec![CopyState::Held],
        before,
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
    match deed {
        Deed::Discard(ids) => discard(pages, visit, address, &ids).await,
        Deed::DiscardUpTo(newest) => discard_up_to(pages, visit, address, newest).await,
        Deed::StartLetters => {
            let begun = pages.store.resume_letters(address.id, visit.actor());
            begun.await.map(|()| Done::Started)
        }
        Deed::StopLetters => {
            let ended = pages.store.stop_letters(address.id, visit.actor());
            ended.await.map(|()| Done::Stopped)
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
