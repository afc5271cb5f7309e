//! The plainest HTTP client: one request a connection, and the answer as it stands.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One request, and all that comes back until the server closes. A POST carries a form.
pub(crate) async fn ask(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if method == "POST" {
        request.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let mut stream = TcpStream::connect(server).await.expect("it listens");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("the server reads");
    let mut whole = Vec::new();
    let got = stream.read_to_end(&mut whole).await;
    got.expect("an answer and its end");
    Answer::parse(&whole)
}

/// What the server said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(whole: &[u8]) -> Self {
        let end = whole.windows(4).position(|w| w == b"\r\n\r\n");
        let (head, body) = whole.split_at(end.expect("a header section") + 4);
        let head = String::from_utf8(head.to_vec()).expect("ASCII");
        let status = head.get(9..12).and_then(|code| code.parse().ok());
        Self {
            status: status.expect("a status"),
            head,
            body: body.to_vec(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Everything but the time of day, which no two answers share.
    pub(crate) fn timeless(&self) -> (String, &[u8]) {
        let lines = self.head.lines().filter(|line| !line.starts_with("date: "));
        (lines.collect::<Vec<_>>().join("\n"), &self.body)
    }
}
