//! A source behind HTTP: one GET a question, over connections that are kept.
//!
//! Whatever stands in an address, it is percent-encoded: nothing in it can end the query.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::answer::{Answer, Told};
use super::names::{Names, Template};
use super::source::{Question, authority};

/// Longest answer that is read, in octets; its header section may have [`MAX_HEADER`].
const MAX_ANSWER: usize = 4_096;
/// Least that hyper takes.
const MAX_HEADER: usize = 8_192;
/// Connections at the same time; all of them are kept.
const CONNECTIONS: usize = 16;

pub(super) struct Http {
    /// `host:port`.
    server: String,
    host: HeaderValue,
    target: Template,
    idle: Mutex<Vec<Connection>>,
    slots: Semaphore,
}

/// A connection and the task that drives it, which ends with it.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    _driver: JoinSet<hyper::Result<()>>,
}

impl Http {
    /// Reads `//host[:port]/path?query`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (host, target) = authority(text)?;
        let port = host.rsplit_once(':').map_or("", |(_, port)| port);
        let server = match port.parse::<u16>() {
            Ok(_) => host.to_owned(),
            Err(_) if port.is_empty() || port.ends_with(']') => format!("{host}:80"),
            Err(_) => return Err(format!("`{port}` is no port")),
        };
        let target = Template::parse(target)?;
        if !target.names_somebody() {
            return Err("the same URL for everybody; it needs {user} or {address}".to_owned());
        }
        let http = Self {
            server,
            host: HeaderValue::from_str(host).map_err(|error| error.to_string())?,
            target,
            idle: Mutex::default(),
            slots: Semaphore::new(CONNECTIONS),
        };
        let sample = Names::asked("ann@b.example").ok_or("no sample")?;
        http.request(&Question {
            names: sample,
            size: None,
        })?;
        Ok(http)
    }

    pub(super) fn tells_size(&self) -> bool {
        self.target.has_size()
    }

    pub(super) async fn ask(&self, question: &Question) -> Result<Told, String> {
        let _slot = self.slots.acquire().await.map_err(|e| e.to_string())?;
        let body = self.exchange(question).await?;
        let text = String::from_utf8_lossy(&body);
        let line = text.trim_start().lines().next().unwrap_or_default();
        let names = [question.names.user().to_owned(), question.names.address()];
        let read = names.iter().find_map(|name| Answer::parse(line, name).ok());
        // It is alive; what it says is of no use.
        let quoted: String = line.chars().take(80).collect();
        Ok(read.unwrap_or_else(|| Err(format!("{} answers {quoted:?}", self.server))))
    }

    /// A connection that was kept may have been closed meanwhile: then there is one more try.
    async fn exchange(&self, question: &Question) -> Result<Bytes, String> {
        if let Some(kept) = self.kept() {
            let sent = self.over(kept, self.request(question)?).await;
            if let Ok(body) = sent {
                return Ok(body);
            }
        }
        let fresh = self.connect().await?;
        self.over(fresh, self.request(question)?).await
    }

    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|kept| kept.sender.is_ready())
    }

    async fn connect(&self) -> Result<Connection, String> {
        let fault = |error: std::io::Error| format!("no connection to {}: {error}", self.server);
        let stream = TcpStream::connect(&self.server).await.map_err(fault)?;
        stream.set_nodelay(true).map_err(fault)?;
        let mut builder = Builder::new();
        builder.max_buf_size(MAX_HEADER);
        let (sender, driver) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        Ok(Connection {
            sender,
            _driver: tasks,
        })
    }

    async fn over(
        &self,
        mut connection: Connection,
        request: Request<Empty<Bytes>>,
    ) -> Result<Bytes, String> {
        let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", self.server);
        let response: Response<Incoming> = connection
            .sender
            .send_request(request)
            .await
            .map_err(|error| fault(&error))?;
        let body = Limited::new(response.into_body(), MAX_ANSWER);
        let body = body.collect().await.map_err(|error| fault(&error))?;
        // Ready again once the driver has seen the end of the answer.
        if connection.sender.ready().await.is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(connection);
        }
        Ok(body.to_bytes())
    }

    fn request(&self, question: &Question) -> Result<Request<Empty<Bytes>>, String> {
        let Question { names, size } = question;
        let target = self.target.fill(names, *size, percent_encoded);
        let target = target.filter(|t| t.starts_with('/'));
        let target: Uri = target
            .ok_or("a URL without a path behind the host")?
            .parse()
            .map_err(|error| format!("no URL: {error}"))?;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = target;
        request.headers_mut().insert(HOST, self.host.clone());
        Ok(request)
    }
}

/// Everything but RFC 3986's unreserved characters is encoded.
fn percent_encoded(value: &str) -> String {
    let encode = |b: u8| match b {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(b).to_string()
        }
        b => format!("%{b:02X}"),
    };
    value.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(source: &str, name: &str) -> String {
        let http = Http::parse(source).expect("a source");
        let names = Names::asked(name).expect("a name");
        let size = Some(7);
        let request = http.request(&Question { names, size });
        request.expect("a request").uri().to_string()
    }

    #[test]
    fn whatever_stands_in_an_address_stays_in_its_place() {
        let source = "//backend:8080/cgi-bin/quota.cgi?u={user}&a={address}&d={domain}&s={size}";
        assert_eq!(
            uri(source, "a&u=b#%/?+ @b.example"),
            "/cgi-bin/quota.cgi?u=a%26u%3Db%23%25%2F%3F%2B%20&a=a%26u%3Db%23%25%2F%3F%2B%20%40b.example&d=b.example&s=7"
        );
    }

    #[test]
    fn a_source_is_a_url() {
        for (text, server) in [
            ("//backend/q?u={user}", "backend:80"),
            ("//backend:81/q?u={user}", "backend:81"),
            ("//[::1]/q?u={user}", "[::1]:80"),
            ("//[::1]:81/q?u={address}", "[::1]:81"),
        ] {
            assert_eq!(Http::parse(text).expect("a source").server, server);
        }
        for bad in [
            "backend/{user}",
            "//",
            "///{user}",
            "//backend",
            "//backend/q",
            "//backend:port/{user}",
            "//u@backend/{user}",
            "//{user}/",
            "//backend/{user} x",
            "//backend/{name}",
        ] {
            assert!(Http::parse(bad).is_err(), "{bad}");
        }
    }
}
