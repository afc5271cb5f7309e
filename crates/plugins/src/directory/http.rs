//! `http://…{address}`: a server that is asked with GET and answers by the status: 200 yes, 404 or 410
//! no, anything else is no answer. Connections are kept.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Directory, Found, Question};
use crate::backend::Dead;

/// Octets of a body that are read to keep the connection; the body says nothing.
const MAX_BODY: usize = 64 * 1024;
/// Idle connections that are kept.
const KEPT: usize = 8;
const PLACE: &str = "{address}";

pub(super) struct Http {
    name: String,
    /// `host:port`.
    server: String,
    host: HeaderValue,
    /// The path with its query, before and behind the address.
    around: (String, String),
    idle: Mutex<Vec<Connection>>,
}

/// A connection; it ends when dropped.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    _driver: JoinSet<()>,
}

impl Http {
    /// Reads `http://host[:port]/path…{address}…`; the error is for the operator.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        let rest = source.strip_prefix("http://").ok_or("no http:// address")?;
        let slash = rest.find('/').ok_or("the path is missing")?;
        let (authority, path) = rest.split_at(slash);
        let (before, behind) = path
            .split_once(PLACE)
            .ok_or("{address} does not stand in it")?;
        let sample: Uri = format!("http://{authority}{before}x{behind}")
            .parse()
            .map_err(|error| format!("no address of a page: {error}"))?;
        let host = sample
            .host()
            .filter(|_| !authority.contains('@'))
            .ok_or("the host is missing")?;
        let port = port(authority)?;
        Ok(Self {
            name: source.to_owned(),
            server: format!("{host}:{port}"),
            host: HeaderValue::from_str(authority).map_err(|error| error.to_string())?,
            around: (before.to_owned(), behind.to_owned()),
            idle: Mutex::default(),
        })
    }

    async fn ask(&self, address: &str) -> Result<Found, String> {
        if let Some(kept) = self.kept()
            && let Ok(found) = self.exchange(kept, address).await
        {
            return found;
        }
        self.exchange(self.connect().await?, address).await?
    }

    /// The answer; the outer error is that of a connection that is no more.
    async fn exchange(
        &self,
        mut connection: Connection,
        address: &str,
    ) -> Result<Result<Found, String>, String> {
        let reply = connection.sender.send_request(self.request(address)?).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let found = meaning(reply.status());
        let body = Limited::new(reply.into_body(), MAX_BODY).collect().await;
        if body.is_ok() {
            self.keep(connection);
        }
        Ok(found)
    }

    fn request(&self, address: &str) -> Result<Request<Empty<Bytes>>, String> {
        let (before, behind) = &self.around;
        let path = format!("{before}{}{behind}", escaped(address));
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = path.parse().map_err(|error| format!("{path}: {error}"))?;
        request.headers_mut().insert(HOST, self.host.clone());
        Ok(request)
    }

    async fn connect(&self) -> Result<Connection, String> {
        let stream = TcpStream::connect(&self.server).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| error.to_string())?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Whoever asks hears of its end.
            let _ = connection.await;
        });
        Ok(Connection {
            sender,
            _driver: driver,
        })
    }

    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(|kept| kept.sender.is_ready())
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port, 80 if there is none.
fn port(authority: &str) -> Result<u16, String> {
    match authority.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port
            .parse()
            .map_err(|error| format!("port {port}: {error}")),
        _ => Ok(80),
    }
}

fn meaning(status: StatusCode) -> Result<Found, String> {
    match status {
        StatusCode::OK => Ok(Found::Yes),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Found::No),
        other => Err(format!("the server says {other}")),
    }
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
fn escaped(address: &str) -> String {
    let mut out = String::with_capacity(address.len() * 3);
    for octet in address.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(octet));
            }
            // Writing to a String cannot fail.
            _ => drop(write!(out, "%{octet:02X}")),
        }
    }
    out
}

#[async_trait]
impl Directory for Http {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn find(&self, question: &Question) -> Result<Found, Dead> {
        match question {
            Question::Address(address) => self.ask(address).await.map_err(Dead),
            Question::Domain(_) => Ok(Found::Elsewhere),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stays_one_word_of_the_path() {
        assert_eq!(escaped("a.b-c_d~e@x"), "a.b-c_d~e%40x");
        assert_eq!(escaped("\"a b\"@x"), "%22a%20b%22%40x");
        assert_eq!(escaped("../?&#%=+@x"), "..%2F%3F%26%23%25%3D%2B%40x");
    }

    #[test]
    fn addresses_of_pages() {
        let http = Http::parse("http://[::1]:8080/u?a={address}&b=1").expect("valid");
        assert_eq!(http.server, "[::1]:8080");
        let request = http.request("a@x").expect("valid");
        assert_eq!(request.uri(), "/u?a=a%40x&b=1");
        assert_eq!(
            Http::parse("http://h/{address}").expect("valid").server,
            "h:80"
        );
        for (source, why) in [
            ("https://h/{address}", "no http://"),
            ("http://h", "path is missing"),
            ("http://h/x", "does not stand"),
            ("http:///{address}", "no address of a page"),
            ("http://u:p@h/{address}", "host is missing"),
            ("http://h:99999/{address}", "port 99999"),
        ] {
            let error = Http::parse(source).err().expect(source);
            assert!(error.contains(why), "{source}: {error}");
        }
    }
}
