//! One HTTP exchange over a connection of its own. It knows nothing of mail.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use crate::scan_server::Stream;

/// Longest reply that is read, in octets: a verdict with several hundred symbols.
const MAX_REPLY: usize = 1024 * 1024;

/// Sends the request and takes the whole reply: its status and its body.
pub(super) async fn exchange<B>(
    stream: Box<dyn Stream>,
    request: Request<B>,
) -> Result<(StatusCode, Bytes), String>
where
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| said(&error))?;
    // Ends with this function, whatever becomes of the exchange.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let reply = sender.send_request(request).await.map_err(|e| said(&e))?;
    let status = reply.status();
    let body = Limited::new(reply.into_body(), MAX_REPLY).collect().await;
    let body = body.map_err(|error| said(&*error))?.to_bytes();
    Ok((status, body))
}

/// The error with its causes: hyper tells the outermost only.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |out, cause| format!("{out}: {cause}"))
}
