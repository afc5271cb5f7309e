//! One message of the recipient's list: read it as text, take its bytes home, discard it.

use std::io::Read;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::stream;
use hyper::{HeaderMap, header};
use posthouse_hook::Content;
use posthouse_store::{Address, Item};
use serde::Serialize;

use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::pages::Pages;
use crate::preview::Reading;
use crate::recipient::{Row, address_of, back_to_list, discard as discard_own, own_copy};
use crate::visit::Visit;

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
    let (_, item) = held_message(&pages, &mut visit).await?;
    pages.looked(&visit, item.id).await;
    let view = View {
        message: Row::of(&item, pages.now()),
        path: visit.path.clone(),
        form: pages.form_token(&visit),
        reading: pages.reading(&item).await?,
    };
    pages.page("message.html", visit.language, &view)
}

/// `POST /a/TOKEN/m/ID`: discard it.
pub(crate) async fn discard(
    State(pages): State<Arc<Pages>>,
    mut visit: Visit,
    headers: HeaderMap,
    posted: Posted,
) -> Answer {
    let (address, item) = held_message(&pages, &mut visit).await?;
    let key = pages.store.link_key();
    let fields = form::proven(posted, &headers, &pages.site.url, key, &visit.claim)?;
    if form::value(&fields, "do") != Some("discard") {
        return Err(Fault::BadForm);
    }
    let done = discard_own(&pages, &visit, &address, &[item.id]).await?;
    Ok(back_to_list(&visit, done, None))
}

/// `GET /a/TOKEN/m/ID/message.eml`.
pub(crate) async fn download(State(pages): State<Arc<Pages>>, mut visit: Visit) -> Answer {
    let (_, item) = held_message(&pages, &mut visit).await?;
    pages.looked(&visit, item.id).await;
    let content = pages.store.content(item.id).await?;
    let content = content.ok_or(Fault::NotFound)?;
    let length = [(header::CONTENT_LENGTH, content.len().to_string())];
    let body = body_of(content).await?;
    Ok((DOWNLOAD_HEADERS, length, body).into_response())
}

/// The message that the path names, if it is held for the address of the link.
async fn held_message(pages: &Pages, visit: &mut Visit) -> Result<(Address, Item), Fault> {
    let address = address_of(pages, visit).await?;
    let id = visit.message.ok_or(Fault::NotFound)?;
    let item = pages.store.item(id).await?;
    let item = item.filter(|item| own_copy(item, &address).is_some());
    Ok((address, item.ok_or(Fault::NotFound)?))
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
    /// The path of the list.
    pub(crate) path: String,
    pub(crate) form: String,
    pub(crate) reading: Option<Reading>,
}
