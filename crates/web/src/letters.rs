//! The stop page: ends letters to one address, and nothing else.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use futures_util::StreamExt as _;
use posthouse_store::{Address, Letters, Proven};
use serde::Serialize;

use crate::fault::{Answer, Fault};
use crate::pages::Pages;
use crate::show;
use crate::visit::Visit;

/// Octets of a body that are read for nothing.
const READ_AWAY: usize = 256 * 1024;

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
/// No redirect, for the same reason. Whatever the body is, it says nothing that matters here.
pub(crate) async fn stop(State(pages): State<Arc<Pages>>, mut visit: Visit, body: Body) -> Answer {
    let address = address_of(&pages, &mut visit).await?;
    let set = pages.store.stop_letters(address.id, visit.actor());
    set.await?;
    read_away(body).await;
    pages.page(
        "letters.html",
        visit.language,
        &View::of(&address, Letters::Stopped),
    )
}

/// Reads a body that nobody wants, so that its sender hears the answer; of a long one the beginning.
async fn read_away(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut read = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        read += chunk.len();
        if read > READ_AWAY {
            break;
        }
    }
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
