//! The confirm page: one standing choice that waits for its link to be used. A look shows what would
//! change; the button changes it, and nothing else.
//!
//! The page of a redirect is seen by the holder of its target. It must never lead to the owner's page.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use hyper::{HeaderMap, StatusCode};
use posthouse_hook::Row;
use posthouse_store::{Confirmed, Objection, Owner, Pending, Proven};

pub(crate) use self::view::{Hindrance, View};
use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::pages::{Pages, see_other};
use crate::visit::Visit;

mod view;

/// `GET /c/TOKEN`.
pub(crate) async fn show(State(pages): State<Arc<Pages>>, visit: Visit) -> Answer {
    let pending = pending_of(&pages, &visit).await?;
    pages.looked(&visit, pending.id).await;
    page(&pages, &visit, &pending, None).await
}

/// `POST /c/TOKEN`: puts the choice in force.
pub(crate) async fn act(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    headers: HeaderMap,
    posted: Posted,
) -> Answer {
    let pending = pending_of(&pages, &visit).await?;
    let key = pages.store.link_key();
    let fields = form::proven(posted, &headers, &pages.site.url, key, &visit.claim)?;
    if form::value(&fields, "do") != Some("confirm") {
        return Err(Fault::BadForm);
    }
    if pending.done_at.is_some() {
        return Ok(see_other(&visit.path));
    }
    if let Some(hindrance) = hindered(&pages, &pending).await {
        return refusal(&pages, &visit, &pending, hindrance).await;
    }
    let confirmed = pages.store.confirm(pending.id, visit.actor()).await?;
    match confirmed.ok_or(Fault::NotFound)? {
        Confirmed::Done(_) | Confirmed::Already => Ok(see_other(&visit.path)),
        Confirmed::Refused(why) => {
            refusal(&pages, &visit, &pending, Hindrance::Objection(why)).await
        }
    }
}

async fn pending_of(pages: &Pages, visit: &Visit) -> Result<Box<Pending>, Fault> {
    match pages.prove(visit).await? {
        Proven::Confirm(pending) => Ok(pending),
        _ => Err(Fault::NotFound),
    }
}

/// What forbids a redirect that the store cannot know: whether its target is filtered by now.
async fn hindered(pages: &Pages, pending: &Pending) -> Option<Hindrance> {
    let Owner::Recipient(_, choice) = &pending.owner else {
        return None;
    };
    match pages.rows.row(choice.target()?).await {
        Ok(Row::Other) => None,
        Ok(Row::Filtered) => Some(Hindrance::Objection(Objection::Filtered)),
        Err(error) => {
            tracing::warn!(%error, "the target of a redirect cannot be looked up");
            Some(Hindrance::Lookup)
        }
    }
}

async fn refusal(pages: &Pages, visit: &Visit, pending: &Pending, why: Hindrance) -> Answer {
    let status = match why {
        Hindrance::Objection(_) => StatusCode::CONFLICT,
        Hindrance::Lookup => StatusCode::SERVICE_UNAVAILABLE,
    };
    let page = page(pages, visit, pending, Some(why)).await?;
    Ok((status, page).into_response())
}

async fn page(
    pages: &Pages,
    visit: &Visit,
    pending: &Pending,
    hindrance: Option<Hindrance>,
) -> Answer {
    let view = View::of(pending, hindrance, pages.now()).with_form(pages.form_token(visit));
    pages.page("confirm.html", visit.language, &view)
}
