//! The page without a link: says what this service is, and mails people their links again.
//!
//! What it answers must never depend on what is known of an address, nor may the time that it takes.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use hyper::HeaderMap;
use posthouse_hook::{ForwardPath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::pages::{Pages, see_other};
use crate::visit::Visitor;

/// Questions that are worked on at one time; what is over is dropped.
pub(crate) const AT_ONCE: usize = 16;
/// A form token holds for the day on which it was made and for the next.
const DAY: i64 = 86_400_000;

/// What was done just before.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Behind {
    #[serde(default)]
    done: Option<Done>,
}

/// What came of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Done {
    /// If there is a link, it is on its way.
    Asked,
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    pub(crate) form: String,
    pub(crate) done: Option<Done>,
}

/// `GET /`.
pub(crate) async fn show(
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    behind: Result<Query<Behind>, QueryRejection>,
) -> Answer {
    let Query(behind) = behind.map_err(|_| Fault::BadForm)?;
    let view = View {
        form: pages.store.link_key().site_form_token(day_of(pages.now())),
        done: behind.done,
    };
    pages.page("home.html", visitor.language, &view)
}

/// `POST /`: mails the links of an address to it. The work is handed over, so that the answer says
/// nothing of it.
pub(crate) async fn ask(
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    headers: HeaderMap,
    posted: Posted,
) -> Answer {
    let (key, today) = (pages.store.link_key(), day_of(pages.now()));
    let proves =
        |token: &str| key.proves_site_form(token, today) || key.proves_site_form(token, today - 1);
    let fields = form::own(posted, &headers, &pages.site.url, proves)?;
    let address = form::value(&fields, "address").ok_or(Fault::BadForm)?;
    hand_over(&pages, visitor, address.trim().to_owned());
    Ok(see_other("/?done=asked"))
}

/// The day of a moment, counted from 1970.
fn day_of(now: Timestamp) -> i64 {
    now.millis().div_euclid(DAY)
}

fn hand_over(pages: &Arc<Pages>, visitor: Visitor, address: String) {
    let Ok(permit) = Arc::clone(&pages.asking).try_acquire_owned() else {
        tracing::warn!("too many ask for their links at one time: dropped");
        return;
    };
    let pages = Arc::clone(pages);
    tokio::spawn(async move {
        let _permit = permit;
        mail_links(&pages, &visitor, &address).await;
    });
}

async fn mail_links(pages: &Pages, visitor: &Visitor, address: &str) {
    let Ok(to) = ForwardPath::from_address(address) else {
        return;
    };
    let asked = pages
        .store
        .ask_links(&to, Some(visitor.language), visitor.actor());
    if let Err(error) = asked.await {
        tracing::error!(%error, "links that were asked for are not mailed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight() {
        for (at, want) in [(0, 0), (DAY - 1, 0), (DAY, 1), (-1, -1)] {
            assert_eq!(day_of(Timestamp(at)), want);
        }
    }
}
