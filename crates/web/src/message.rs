//! One message of the recipient's list: read it as text, take its bytes home, discard it; where the
//! operator allows that, have it delivered after all.
//!
//! It must never show another recipient, nor the bytes of a copy that is not held any more.

use std::io::Read;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::stream;
use hyper::{HeaderMap, StatusCode, header};
use posthouse_hook::{Content, Id};
use posthouse_store::{Address, Filter, Item, ItemRecipient, Released, State as CopyState};
use serde::Serialize;

pub(crate) use self::fate::Fate;
use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::pages::{Pages, see_other};
use crate::preview::Reading;
use crate::recipient::{Row, address_of, back_to_list, discard as discard_own, own_copy};
use crate::show;
use crate::visit::Visit;

mod fate;

/// Longest address that is shown, in characters.
const MAX_ADDRESS: usize = 320;
/// Octets that are read at once for a download.
const CHUNK: u64 = 64 * 1024;

/// The bytes of a message are a stranger's: saved, never shown, and powerless if they were.
const DOWNLOAD_HEADERS: [(header::HeaderName, &str); 3] = [
    (header::CONTENT_TYPE, "application/octet-stream"),
    (
        header::CONTENT_DISPOSITION,
        "attachment; filename=\"message.eml\"",
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; sandbox",
    ),
];

/// `GET /a/TOKEN/m/ID`.
pub(crate) async fn show(State(pages): State<Arc<Pages>>, mut visit: Visit) -> Answer {
    let own = own_message(&pages, &mut visit).await?;
    pages.looked(&visit, own.item.id).await;
    page(&pages, &visit, &own, false).await
}

/// `POST /a/TOKEN/m/ID`: discard it, or, where the operator allows that, release it.
pub(crate) async fn act(
    State(pages): State<Arc<Pages>>,
    mut visit: Visit,
    headers: HeaderMap,
    posted: Posted,
) -> Answer {
    let own = own_message(&pages, &mut visit).await?;
    let key = pages.store.link_key();
    let fields = form::proven(posted, &headers, &pages.site.url, key, &visit.claim)?;
    match (form::value(&fields, "do"), pages.rules.recipient_releases) {
        (Some("discard"), _) => {
            let done = discard_own(&pages, &visit, &own.address, &[own.item.id]).await?;
            Ok(back_to_list(&visit, done, None))
        }
        (Some("release"), Some(daily)) => release(&pages, &visit, &own, daily).await,
        _ => Err(Fault::BadForm),
    }
}

/// Releases this address's copy to the address itself.
async fn release(pages: &Pages, visit: &Visit, own: &Own, daily: NonZeroU32) -> Answer {
    let (item, by) = (own.item.id, visit.actor());
    let released = pages.store.release_own(&own.address, item, daily.get(), by);
    match released.await? {
        Released::Done(_) => Ok(see_other(&format!("{}/m/{item}", visit.path))),
        Released::Capped(cap) => {
            tracing::warn!(%item, cap, "release past a cap: the message stays held");
            let page = page(pages, visit, own, true).await?;
            Ok((StatusCode::TOO_MANY_REQUESTS, page).into_response())
        }
    }
}

/// `GET /a/TOKEN/m/ID/message.eml`.
pub(crate) async fn download(State(pages): State<Arc<Pages>>, mut visit: Visit) -> Answer {
    let own = own_message(&pages, &mut visit).await?;
    if own.copy.state != CopyState::Held {
        return Err(Fault::NotFound);
    }
    pages.looked(&visit, own.item.id).await;
    let content = pages.store.content(own.item.id).await?;
    let content = content.ok_or(Fault::NotFound)?;
    let length = [(header::CONTENT_LENGTH, content.len().to_string())];
    let body = body_of(content).await?;
    Ok((DOWNLOAD_HEADERS, length, body).into_response())
}

/// A message of which a copy is or was held for the address of the link, and that copy.
struct Own {
    address: Address,
    item: Item,
    copy: ItemRecipient,
}

/// The message that the path names. What was never held for the address is as unknown as what
/// never was.
async fn own_message(pages: &Pages, visit: &mut Visit) -> Result<Own, Fault> {
    let address = address_of(pages, visit).await?;
    let id = visit.message.ok_or(Fault::NotFound)?;
    let newest_up_to_id = Filter {
        before: Some(Id(id.0.saturating_add(1))),
        limit: 1,
        ..Filter::default()
    };
    let mut found = pages.store.items_of(&address, newest_up_to_id).await?;
    let item = found.pop().filter(|item| item.id == id);
    let item = item.ok_or(Fault::NotFound)?;
    let copy = own_copy(&item, &address).or(item.recipients.first());
    let copy = copy.ok_or(Fault::NotFound)?.clone();
    Ok(Own {
        address,
        item,
        copy,
    })
}

/// The page; with a notice if a release met the cap. The text is shown while the copy is held.
async fn page(pages: &Pages, visit: &Visit, own: &Own, capped: bool) -> Answer {
    let audit = pages.store.audit(own.item.id).await?;
    let fate = Fate::of(&own.copy, &audit, pages.now());
    let reading = match fate {
        None => pages.reading(&own.item).await?,
        Some(_) => None,
    };
    let view = View {
        message: Row::of(&own.item, pages.now()),
        address: show::line(&own.address.address, MAX_ADDRESS),
        path: visit.path.clone(),
        form: pages.form_token(visit),
        fate,
        releases: pages.rules.recipient_releases,
        capped,
        reading,
    };
    pages.page("message.html", visit.language, &view)
}

/// The bytes; those of a file chunk by chunk, read without blocking the runtime.
async fn body_of(content: Content) -> Result<Body, Fault> {
    if let Content::Memory(bytes) = content {
        return Ok(Body::from(bytes));
    }
    let opened = tokio::task::spawn_blocking(move || content.reader()).await;
    let reader = opened.map_err(std::io::Error::other)??;
    let chunks = stream::try_unfold(reader, |reader| async {
        let read = tokio::task::spawn_blocking(move || next_chunk(reader)).await;
        read.map_err(std::io::Error::other)?
    });
    Ok(Body::from_stream(chunks))
}

type Reader = Box<dyn Read + Send>;

fn next_chunk(mut reader: Reader) -> std::io::Result<Option<(Bytes, Reader)>> {
    let mut chunk = Vec::new();
    reader.by_ref().take(CHUNK).read_to_end(&mut chunk)?;
    let more = !chunk.is_empty();
    Ok(more.then(|| (Bytes::from(chunk), reader)))
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    pub(crate) message: Row,
    pub(crate) address: String,
    /// The path of the list.
    pub(crate) path: String,
    pub(crate) form: String,
    /// What became of it; none while it is held.
    pub(crate) fate: Option<Fate>,
    /// How many messages a day the owner may release to the address itself; none if none.
    pub(crate) releases: Option<NonZeroU32>,
    /// Whether a release just met that cap.
    pub(crate) capped: bool,
    pub(crate) reading: Option<Reading>,
}
