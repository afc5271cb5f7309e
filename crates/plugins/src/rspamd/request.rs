//! The request: the envelope and the client in header fields, the message as the body.
//!
//! Nothing that a peer said can end a header field or begin another.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::Request;
use hyper::body::{Body, Frame};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use posthouse_hook::proofs::ReverseName;
use posthouse_hook::{Content, Domain, Lesson, Resolver, Session, Transaction};

use crate::reverse_dns;
use crate::scan::Chunks;

/// Longest value of a header field, in octets: an address has at most 254 (RFC 5321 §4.5.3.1.3).
const MAX_VALUE: usize = 512;
/// How long the client's name may be looked up.
const NAME_LIMIT: Duration = Duration::from_secs(2);

/// The request that has a message checked.
pub(super) fn check(
    session: &Session,
    tx: &Transaction,
    hostname: Option<&Domain>,
    password: Option<&str>,
) -> Request<impl Body<Data = Bytes, Error = io::Error> + Send + use<>> {
    let mut request = post("/checkv2", &tx.message.content, password);
    describe(request.headers_mut(), session, tx, hostname);
    request
}

/// The request that has a message learned.
pub(super) fn learn(
    content: &Content,
    lesson: Lesson,
    password: Option<&str>,
) -> Request<impl Body<Data = Bytes, Error = io::Error> + Send + use<>> {
    let path = match lesson {
        Lesson::Ham => "/learnham",
        Lesson::Spam => "/learnspam",
    };
    post(path, content, password)
}

fn post(
    path: &'static str,
    content: &Content,
    password: Option<&str>,
) -> Request<impl Body<Data = Bytes, Error = io::Error> + Send + use<>> {
    let mut request = Request::new(body(content));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = hyper::Uri::from_static(path);
    let fields = request.headers_mut();
    fields.insert(HOST, HeaderValue::from_static("rspamd"));
    fields.insert(CONTENT_LENGTH, content.len().into());
    if let Some(password) = password {
        let mut value = value(password);
        value.set_sensitive(true);
        fields.insert("password", value);
    }
    request
}

fn describe(
    fields: &mut HeaderMap,
    session: &Session,
    tx: &Transaction,
    hostname: Option<&Domain>,
) {
    let mut put = |name, text: &str| {
        fields.append(HeaderName::from_static(name), value(text));
    };
    put("queue-id", &tx.id.to_string());
    put("ip", &session.client_ip().to_string());
    put("from", &tx.reverse_path.to_string());
    for recipient in &tx.recipients {
        put("rcpt", &recipient.forward_path.to_string());
    }
    if let Some(helo) = &session.helo {
        put("helo", helo);
    }
    if let Some(hostname) = hostname {
        put("hostname", hostname.as_str());
    }
    if let Some(user) = &session.auth {
        put("user", user);
    }
}

/// The text as a field's value: printable ASCII, anything else becomes a question mark.
fn value(text: &str) -> HeaderValue {
    let printable = |c| if matches!(c, ' '..='~') { c } else { '?' };
    let text: String = text.chars().take(MAX_VALUE).map(printable).collect();
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("?"))
}

/// The message, block by block.
fn body(content: &Content) -> impl Body<Data = Bytes, Error = io::Error> + Send + use<> {
    let chunks = Chunks::new(content.clone());
    StreamBody::new(stream::unfold(chunks, async |mut chunks| {
        let frame = chunks.next().await.transpose()?.map(Frame::data);
        Some((frame, chunks))
    }))
}

/// The client's name, if the name leads back to its address: as noted, or looked up now. rspamd
/// counts a missing one as suspicious and never looks itself.
pub(super) async fn hostname(resolver: &dyn Resolver, session: &Session) -> Option<Domain> {
    if let Some(noted) = session.notes.get::<ReverseName>() {
        return noted.confirmed().cloned();
    }
    let found = reverse_dns::look(resolver, session.client_ip(), NAME_LIMIT).await;
    found.name.confirmed().cloned()
}

#[cfg(test)]
mod tests {
    use posthouse_hook::{ForwardPath, Id, Recipient, ReversePath, Timestamp};

    use super::*;

    fn fields(helo: &str, hostname: Option<&Domain>) -> HeaderMap {
        let client = "192.0.2.1:4711".parse().expect("an address");
        let mut session = Session::new(Id(1), client, client, Timestamp(0));
        session.helo = Some(helo.to_owned());
        let mut tx = Transaction::new(Id(2), Timestamp(0), ReversePath::Null);
        for to in ["<a@x.test>", "<b@y.test>"] {
            let path = ForwardPath::parse(to).expect("valid");
            tx.recipients.push(Recipient::new(path));
        }
        check(&session, &tx, hostname, Some("secret"))
            .headers()
            .clone()
    }

    #[test]
    fn the_envelope_is_in_the_fields() {
        let name = Domain::parse("mail.x.test").expect("valid");
        let fields = fields("client.test", Some(&name));
        let all = |name| fields.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(all("rcpt"), ["<a@x.test>", "<b@y.test>"]);
        assert_eq!(all("from"), ["<>"]);
        assert_eq!(all("ip"), ["192.0.2.1"]);
        assert_eq!(all("hostname"), ["mail.x.test"]);
        assert_eq!(all("queue-id"), ["2"]);
        assert_eq!(all("content-length"), ["0"]);
        assert!(all("user").is_empty());
    }

    #[test]
    fn a_peer_cannot_add_a_field() {
        let fields = fields("x\r\nUser: root\u{0}\u{f6}", None);
        assert_eq!(fields["helo"], "x??User: root??");
        let long = self::fields(&"x".repeat(100_000), None);
        assert_eq!(long["helo"].len(), MAX_VALUE);
    }

    #[test]
    fn the_password_is_not_printed() {
        assert!(!format!("{:?}", fields("x", None)).contains("secret"));
    }
}
