//! `spamassassin`: asks SpamAssassin's spamd for a score, over the SPAMC protocol.
//!
//! It measures and passes. Whatever spamd does (refuses, hangs, ends, talks nonsense), the message
//! is then one that was not scanned. spamd sees the message as it would be relayed: with our own
//! Received field in front, from which its rules learn who the client is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::time::patience;
use posthouse_hook::{
    Content, HookPoint, Lesson, Plugin, PluginError, Scan, Scanned, Session, Span, Transaction,
    Verdict,
};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::options::{BadValue, BuildError, Options};
use crate::scan::{self, Chunks};
use crate::scan_server::{Address, Stream};
use crate::surroundings::Surroundings;

/// Longest reply that is read, in octets: a status, three fields and the names of tests.
const MAX_REPLY: u64 = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where spamd listens.
    address: Address,
    /// Larger messages are not scanned, in octets.
    #[serde(default = "default_max_size")]
    max_size: u64,
    /// How long spamd may take from the connection to the end of its reply.
    #[serde(default = "default_scan_timeout", deserialize_with = "patience")]
    scan_timeout: Span,
    /// How long the connection may take.
    #[serde(default = "default_connect_timeout", deserialize_with = "patience")]
    connect_timeout: Span,
    /// Whose preferences spamd applies.
    user: Option<String>,
    /// Whether it learns from what people release and discard.
    #[serde(default)]
    feedback: bool,
}

fn default_max_size() -> u64 {
    512_000
}

fn default_scan_timeout() -> Span {
    Span(Duration::from_secs(15))
}

fn default_connect_timeout() -> Span {
    Span(Duration::from_secs(3))
}

struct SpamAssassin {
    name: String,
    config: Config,
}

pub(crate) fn build(
    name: &str,
    options: Options<'_>,
    _parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    if let Some(user) = &config.user {
        check_user(user)?;
    }
    Ok(Arc::new(SpamAssassin {
        name: name.to_owned(),
        config,
    }))
}

/// The user's name becomes a line of the request.
fn check_user(user: &str) -> Result<(), BuildError> {
    if !user.is_empty() && user.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let problem = "not a user's name";
    Err(BadValue::new(
        "user",
        user,
        problem,
        "write printable ASCII without spaces",
    )
    .into())
}

#[async_trait]
impl Plugin for SpamAssassin {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Measures
    }

    /// The plugin's own limit comes first, so that a slow server is no failure of ours.
    fn default_timeout(&self) -> Duration {
        let Span(limit) = self.config.scan_timeout;
        limit.saturating_add(scan::SLACK)
    }

    fn learns(&self) -> bool {
        self.config.feedback
    }

    async fn learn(&self, content: &Content, lesson: Lesson) -> Result<(), PluginError> {
        if scan::too_big(content, self.config.max_size).is_err() {
            return Ok(());
        }
        let head = self.lesson(lesson, content.len());
        self.in_time(self.exchange(head, content))
            .await
            .and_then(|reply| taught(&reply))
            .map_err(PluginError)
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let scan = match self.ask(tx).await {
            Ok(reply) => self.scan(reply),
            Err(why) => scan::unscanned(&self.name, why),
        };
        scan::leave(session, tx, scan);
        Ok(Verdict::Pass)
    }
}

impl SpamAssassin {
    async fn ask(&self, tx: &Transaction) -> Result<Reply, String> {
        let content = &tx.message.content;
        scan::too_big(content, self.config.max_size)?;
        let reply = self.in_time(self.exchange(self.request(tx), content));
        parse(&reply.await?)
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let Span(limit) = self.config.scan_timeout;
        tokio::time::timeout(limit, work)
            .await
            .map_err(|_| format!("no answer from {} within {limit:?}", self.config.address))?
    }

    async fn exchange(&self, head: String, content: &Content) -> Result<Vec<u8>, String> {
        let Span(limit) = self.config.connect_timeout;
        let mut stream = self.config.address.connect(limit).await?;
        let sent = send(&mut *stream, head, content).await;
        let mut reply = Vec::new();
        let heard = stream.take(MAX_REPLY).read_to_end(&mut reply).await;
        match (reply.is_empty(), sent, heard) {
            (true, Err(why), _) => Err(why),
            (true, Ok(()), Err(error)) => Err(error.to_string()),
            _ => Ok(reply),
        }
    }

    /// The request's head, the empty line, and our Received field: the message's first octets.
    fn request(&self, tx: &Transaction) -> String {
        let length = tx.received.len() as u64 + tx.message.content.len();
        let mut out = format!("SYMBOLS SPAMC/1.5\r\nContent-length: {length}\r\n");
        out.push_str(&self.user());
        out.push_str("\r\n");
        out.push_str(&tx.received);
        out
    }

    /// The head of a request to learn the message, and the empty line.
    fn lesson(&self, lesson: Lesson, length: u64) -> String {
        let class = match lesson {
            Lesson::Ham => "ham",
            Lesson::Spam => "spam",
        };
        let user = self.user();
        format!(
            "TELL SPAMC/1.5\r\nContent-length: {length}\r\nMessage-class: {class}\r\nSet: local\r\n{user}\r\n"
        )
    }

    fn user(&self) -> String {
        let user = self.config.user.iter();
        user.map(|user| format!("User: {user}\r\n")).collect()
    }

    fn scan(&self, reply: Reply) -> Scan {
        Scan {
            scanner: self.name.clone(),
            found: reply.found,
            score: Some(reply.score),
            limit: Some(reply.limit),
            action: None,
            tests: reply.tests,
        }
    }
}

/// The request's head and the message. spamd may refuse, and close, before it has read all of it.
async fn send(stream: &mut dyn Stream, head: String, content: &Content) -> Result<(), String> {
    let wire = |error: std::io::Error| format!("spamd stopped reading: {error}");
    stream.write_all(head.as_bytes()).await.map_err(wire)?;
    let mut chunks = Chunks::new(content.clone());
    while let Some(chunk) = chunks.next().await.map_err(|e| scan::unreadable(&e))? {
        stream.write_all(&chunk).await.map_err(wire)?;
    }
    stream.shutdown().await.map_err(wire)
}

/// Whether spamd took a lesson: one that it knew already is no fault.
fn taught(reply: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(reply);
    check_status(text.lines().next().unwrap_or_default())
}

/// What spamd answered.
#[derive(Debug, PartialEq)]
struct Reply {
    found: Scanned,
    score: f64,
    limit: f64,
    tests: Vec<String>,
}

/// Reads `SPAMD/1.1 0 EX_OK`, the fields, an empty line, and the names of tests.
fn parse(reply: &[u8]) -> Result<Reply, String> {
    let garbage = |what: &str| format!("spamd's reply has no {what}");
    let reply = str::from_utf8(reply).map_err(|_| garbage("text"))?;
    let status = reply.lines().next().unwrap_or_default();
    check_status(status)?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or(garbage("end"))?;
    let length = field(head, "content-length").ok_or(garbage("length"))?;
    if length.parse() != Ok(body.len()) {
        return Err(garbage("end"));
    }
    let spam = field(head, "spam").ok_or(garbage("score"))?;
    let (found, score, limit) = parse_spam(spam).ok_or(garbage("score"))?;
    Ok(Reply {
        found,
        score,
        limit,
        tests: scan::tests(body.split(',')),
    })
}

/// The status line has to say that all went well.
fn check_status(line: &str) -> Result<(), String> {
    let mut words = line.split_ascii_whitespace();
    let version = words.next().unwrap_or_default();
    match (version.starts_with("SPAMD/"), words.next()) {
        (true, Some("0")) => Ok(()),
        (true, Some(_)) => Err(format!("spamd says {line}")),
        _ => Err(format!("this is not spamd: {line}")),
    }
}

/// The value of a header field of the reply.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields
        .into_iter()
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Reads `True ; 1000.0 / 5.0`.
fn parse_spam(value: &str) -> Option<(Scanned, f64, f64)> {
    let (found, numbers) = value.split_once(';')?;
    let (score, limit) = numbers.split_once('/')?;
    let found = match found.trim() {
        word if word.eq_ignore_ascii_case("true") => Scanned::Spam,
        word if word.eq_ignore_ascii_case("false") => Scanned::Clean,
        _ => return None,
    };
    let number = |text: &str| text.trim().parse().ok().filter(|n: &f64| n.is_finite());
    Some((found, number(score)?, number(limit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAM: &str = "SPAMD/1.1 0 EX_OK\r\nContent-length: 13\r\n\
                        Spam: True ; 1000.0 / 5.0\r\n\r\nGTUBE,NO_DATE";

    #[test]
    fn a_whole_reply_is_read() {
        let want = Reply {
            found: Scanned::Spam,
            score: 1000.0,
            limit: 5.0,
            tests: vec!["GTUBE".into(), "NO_DATE".into()],
        };
        assert_eq!(parse(SPAM.as_bytes()), Ok(want));
        let clean = "SPAMD/1.1 0 EX_OK\r\nspam: False ; -0.1 / 5.0\r\ncontent-length: 0\r\n\r\n";
        let reply = parse(clean.as_bytes()).expect("whole");
        assert_eq!(reply.found, Scanned::Clean);
        assert!(reply.tests.is_empty());
    }

    #[test]
    fn no_part_of_a_reply_passes_for_a_whole() {
        for end in 0..SPAM.len() {
            assert!(parse(&SPAM.as_bytes()[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn nonsense_is_an_error_that_quotes_it() {
        let error = |reply: &[u8]| parse(reply).expect_err("nonsense");
        assert!(error(b"HTTP/1.1 400 Bad\r\n\r\n").contains("HTTP/1.1 400"));
        assert!(error(b"SPAMD/1.0 76 Bad header line\r\n").contains("76 Bad header"));
        error(b"\xff\xfe");
        for spam in [
            "Maybe ; 1 / 5",
            "True ; x / 5",
            "True ; NaN / 5",
            "True ; 1",
            "True",
        ] {
            let reply = format!("SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: {spam}\r\n\r\n");
            error(reply.as_bytes());
        }
    }

    #[test]
    fn a_user_cannot_add_a_line() {
        assert!(check_user("bob").is_ok());
        for user in ["", "bob\r\nX: y", "bob smith", "b\u{f6}b"] {
            assert!(check_user(user).is_err(), "{user}");
        }
    }
}
