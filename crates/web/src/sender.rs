//! The sender's page: one message that was refused and is held; release it, or discard it.
//!
//! It must never name a cap to the visitor, nor show anything of a recipient's own page.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use hyper::{HeaderMap, StatusCode};
use posthouse_store::{Item, Proven, Released, Selection};

pub(crate) use self::view::{Choice, View};
use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::pages::{Pages, see_other};
use crate::visit::Visit;

mod view;

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
        _ => Err(Fault::NotFound),
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
    let view = View::of(item, choice, until, pages.now())
        .with_form(pages.form_token(visit))
        .with_reading(pages.reading(item).await?);
    pages.page("sender.html", visit.language, &view)
}
