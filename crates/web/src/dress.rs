//! What every response wears: the page of a fault, the security headers, a line in the log.
//!
//! The log line holds no secret: see [`without_secret`].

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use posthouse_hook::Language;

use crate::client::{self, Peer};
use crate::fault::Fault;
use crate::pages::{Pages, spoken};
use crate::visit::{language_of, without_secret};

/// Nothing may be loaded but our own style sheet and pictures; forms go only to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// The headers of every response. `same-origin` and not `no-referrer`: with the latter, browsers
/// send `Origin: null` with our own forms.
const HEADERS: [(HeaderName, &str); 9] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
];

/// Two years, once people reach the pages through TLS.
const STRICT_TRANSPORT: &str = "max-age=63072000";

/// Answers within the time limit, and dresses the answer.
pub(crate) async fn dress(
    State(pages): State<Arc<Pages>>,
    request: Request,
    next: Next,
) -> Response {
    let asked = Asked::of(&request, &pages);
    let language = language_of(request.headers());
    let answer = tokio::time::timeout(pages.time_limit, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| Fault::TooSlow.into_response());
    if let Some(fault) = response.extensions_mut().remove::<Fault>() {
        put_page(&mut response, &pages, fault, language);
    }
    put_headers(response.headers_mut(), pages.site.url.is_tls());
    asked.log(&response);
    response
}

/// What the log says of a request.
struct Asked {
    method: Method,
    path: &'static str,
    client: String,
}

impl Asked {
    fn of(request: &Request, pages: &Pages) -> Self {
        let peer = request.extensions().get::<Peer>();
        let client = peer.map(|p| client::client(p.0.ip(), request.headers(), &pages.trusted));
        Self {
            method: request.method().clone(),
            path: without_secret(request.uri().path()),
            client: client.map(|ip| ip.to_string()).unwrap_or_default(),
        }
    }

    fn log(&self, response: &Response) {
        let status = response.status().as_u16();
        let (method, path, client) = (self.shown_method(), self.path, &self.client);
        tracing::info!(client, method, path, status, "page");
    }

    /// The method, unless a stranger made it up.
    fn shown_method(&self) -> &str {
        match self.method {
            Method::GET | Method::HEAD | Method::POST | Method::OPTIONS => self.method.as_str(),
            _ => "<other>",
        }
    }
}

/// Replaces the empty body of a fault by its page; its status and headers stay.
fn put_page(response: &mut Response, pages: &Pages, fault: Fault, language: Language) {
    let page = pages.fault_page(fault, language);
    *response.body_mut() = Body::from(page);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    for (name, value) in spoken(language) {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
}

/// Puts on every header that the handler has not set more strictly itself.
fn put_headers(headers: &mut HeaderMap, tls: bool) {
    for (name, value) in HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if tls {
        let value = HeaderValue::from_static(STRICT_TRANSPORT);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_transport_is_asked_for_only_under_tls() {
        for tls in [false, true] {
            let mut headers = HeaderMap::new();
            put_headers(&mut headers, tls);
            let asked = headers.contains_key(header::STRICT_TRANSPORT_SECURITY);
            assert_eq!(asked, tls);
        }
    }

    #[test]
    fn a_stricter_policy_stays() {
        let mut headers = HeaderMap::new();
        let own = HeaderValue::from_static("sandbox");
        headers.insert(header::CONTENT_SECURITY_POLICY, own.clone());
        put_headers(&mut headers, false);
        assert_eq!(headers.get(header::CONTENT_SECURITY_POLICY), Some(&own));
        assert_eq!(headers.len(), HEADERS.len());
    }
}
