//! The stop page: ends letters to one address, and nothing else.

use std::sync::Arc;

use axum::extract::State;
use posthouse_store::{Address, Letters, Proven};
use serde::Serialize;

use crate::fault::{Answer, Fault};
use crate::form::Posted;
use crate::pages::Pages;
use crate::show;
use crate::visit::Visit;

/// `GET /s/TOKEN`.
pub(crate) async fn show(State(pages): State<Arc<Pages>>, mut visit: Visit) -> Answer {
    let address = address_of(&pages, &mut visit).await?;
    pages.looked(&visit, address.id).await;
    pages.page(
        "letters.html",
        visit.language,
        &View::of(&address, address.letters),
    )
}

/// `POST /s/TOKEN`. Works from anywhere and without a form token, because a mail program may send
/// it (RFC 8058 §3.1): the secret in the path is the proof, and stopping letters is all it does.
/// No redirect, for the same reason. The body is read, so that the sender hears the answer, and
/// otherwise ignored.
pub(crate) async fn stop(
    State(pages): State<Arc<Pages>>,
    mut visit: Visit,
    _posted: Posted,
) -> Answer {
    let address = address_of(&pages, &mut visit).await?;
    let set = pages.store.stop_letters(address.id, visit.actor());
    set.await?;
    pages.page(
        "letters.html",
        visit.language,
        &View::of(&address, Letters::Stopped),
    )
}

/// The address of the link. Its owner's language wins over the browser's.
async fn address_of(pages: &Pages, visit: &mut Visit) -> Result<Address, Fault> {
    let Proven::Stop(address) = pages.prove(visit).await? else {
        return Err(Fault::NotFound);
    };
    visit.language = address.language.unwrap_or(visit.language);
    Ok(address)
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    address: String,
    letters: Letters,
}

impl View {
    /// The page of an address, letters standing so.
    pub(crate) fn of(address: &Address, letters: Letters) -> Self {
        Self {
            address: show::line(&address.address, 300),
            letters,
        }
    }
}
