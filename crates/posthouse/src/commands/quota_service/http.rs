//! The HTTP side: `GET /anything?u=USER`, perhaps with `&size=OCTETS`.
//!
//! Connections are bounded in number; on each, a request has a time limit from its first octet on,
//! and so has silence between two. Bodies of requests are never read.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Line, Service};

/// Connections at the same time.
const CONNECTIONS: usize = 256;
/// Octets of a request's header section; the least that hyper takes.
const MAX_HEADER: usize = 8_192;
/// How long a client may take for a request's header section, or be silent between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may last: then the client opens another.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(600);
/// How long running requests may take after a stop.
const GRACE: Duration = Duration::from_secs(2);
/// Pause after a failed accept: it fails again at once while file descriptors are short.
const PAUSE: Duration = Duration::from_millis(100);

type Answer = Response<Full<Bytes>>;

/// Answers until `stop` says true.
pub(super) async fn run(listener: TcpListener, service: Service, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accept(&listener, &slots, &service) => accepted,
        };
        match accepted {
            Ok(Some((stream, slot))) => {
                let (service, watcher) = (service.clone(), graceful.watcher());
                tokio::spawn(serve(stream, service, watcher, slot));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

/// The next connection, once there is a slot for it; none if that client may not ask.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    service: &Service,
) -> std::io::Result<Option<(TcpStream, OwnedSemaphorePermit)>> {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok(service.allows(peer.ip()).then_some((stream, slot)))
}

/// One connection. Errors are the peer's: it went away, or it did not speak HTTP.
async fn serve(stream: TcpStream, service: Service, watcher: Watcher, slot: OwnedSemaphorePermit) {
    // An answer that waits for its acknowledgement is slower, not wrong.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(&service, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER)
        .serve_connection(TokioIo::new(stream), answer);
    let ended = tokio::time::timeout(CONNECTION_TIMEOUT, watcher.watch(connection)).await;
    if let Ok(Err(error)) = ended {
        tracing::debug!(%error, "a connection failed");
    }
    drop(slot);
}

async fn answer(service: &Service, request: &Request<Incoming>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "GET it".to_owned());
        let methods = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, methods);
        return answer;
    }
    let query = request.uri().query().unwrap_or_default();
    let line = match question(query) {
        Some((user, size)) => service.line(&user, size).await,
        None => None,
    };
    match line {
        Some(Line::Known(line)) => text(StatusCode::OK, line),
        Some(Line::Unknown(line)) => text(StatusCode::NOT_FOUND, line),
        Some(Line::CannotTell(line)) => text(StatusCode::SERVICE_UNAVAILABLE, line),
        None => text(StatusCode::BAD_REQUEST, "ask with ?u=USER".to_owned()),
    }
}

fn text(status: StatusCode, line: String) -> Answer {
    let mut answer = Response::new(Full::from(line + "\n"));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=us-ascii");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer
}

/// The user, and the size if there is one. None if either is not what it should be, or comes twice.
fn question(query: &str) -> Option<(String, Option<u64>)> {
    let (mut user, mut size) = (None, None);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = || decoded(value);
        let twice = match name {
            "u" => user.replace(value()?).is_some(),
            "size" => size.replace(value()?.parse().ok()?).is_some(),
            _ => false,
        };
        if twice {
            return None;
        }
    }
    Some((user?, size))
}

/// Undoes percent-encoding and, as in forms, `+` for a space.
fn decoded(value: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(octets).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_one_user() {
        let asked = |query: &str| question(query);
        let ann = |size| Some(("ann".to_owned(), size));
        assert_eq!(asked("u=ann"), ann(None));
        assert_eq!(asked("x=1&u=%61nn&size=7"), ann(Some(7)));
        assert_eq!(asked("u=a+b%2B%40c"), Some(("a b+@c".to_owned(), None)));
        for bad in [
            "",
            "u",
            "user=ann",
            "u=a&u=b",
            "u=%",
            "u=%4",
            "u=%zz",
            "u=%ff",
            "u=ann&size=x",
            "u=ann&size=-1",
        ] {
            assert_eq!(asked(bad), None, "{bad}");
        }
    }
}
