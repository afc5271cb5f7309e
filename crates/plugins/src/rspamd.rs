//! `rspamd`: asks rspamd for a score, over HTTP, with the envelope in the request's header fields.
//!
//! It measures and passes. Whatever rspamd does (refuses, hangs, ends, talks nonsense, skips the
//! message), the message is then one that was not scanned.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::StatusCode;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::time::patience;
use posthouse_hook::trail::visible;
use posthouse_hook::{
    Content, HookPoint, Lesson, Plugin, PluginError, Resolver, Scan, Scanned, Session, Span,
    Transaction, Verdict,
};
use serde::Deserialize;

use crate::options::{BadValue, BuildError, Options};
use crate::scan;
use crate::scan_server::Address;
use crate::surroundings::Surroundings;

mod http;
mod reply;
mod request;

use reply::{Reply, SpamFrom};

/// Octets of a complaint that are quoted.
const MAX_WORDS: usize = 200;
/// What versions of rspamd say of a lesson that they had before.
const KNOWN: [&str; 2] = ["already been learned", "already learned"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where rspamd's normal worker listens.
    address: Address,
    /// Larger messages are not scanned, in octets.
    #[serde(default = "default_max_size")]
    max_size: u64,
    /// How long rspamd may take from the connection to the end of its reply.
    #[serde(default = "default_scan_timeout", deserialize_with = "patience")]
    scan_timeout: Span,
    /// How long the connection may take.
    #[serde(default = "default_connect_timeout", deserialize_with = "patience")]
    connect_timeout: Span,
    /// From which action or score on a message is spam.
    #[serde(default)]
    spam_from: SpamFrom,
    /// The worker's password, or `file:` and the absolute path of a file with it.
    password: Option<String>,
    /// Whether it learns from what people release and discard.
    #[serde(default)]
    feedback: bool,
    /// Where rspamd's controller listens, which takes lessons.
    controller: Option<Address>,
    /// The controller's password, written as `password`; that one if there is none.
    controller_password: Option<String>,
}

/// What rspamd itself takes at the most by default.
fn default_max_size() -> u64 {
    50 * 1024 * 1024
}

fn default_scan_timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn default_connect_timeout() -> Span {
    Span(Duration::from_secs(3))
}

struct Rspamd {
    name: String,
    config: Config,
    resolver: Arc<dyn Resolver>,
}

pub(crate) fn build(
    name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let mut config: Config = options.read()?;
    let read = |key, written: &Option<String>| {
        let written = written.as_deref();
        written.map(|text| password(key, text)).transpose()
    };
    config.password = read("password", &config.password)?;
    config.controller_password = read("controller_password", &config.controller_password)?;
    check_feedback(&config)?;
    Ok(Arc::new(Rspamd {
        name: name.to_owned(),
        config,
        resolver: Arc::clone(&parts.common().resolver),
    }))
}

/// Lessons go to the controller, so it has to be named.
fn check_feedback(config: &Config) -> Result<(), BuildError> {
    if !config.feedback || config.controller.is_some() {
        return Ok(());
    }
    let way_out = "name rspamd's controller too: controller = \"127.0.0.1:11334\"";
    Err(BadValue::new("feedback", true, "nobody to take lessons", way_out).into())
}

/// Whether rspamd took a lesson. One that it knew already is no fault, though it calls it one: by
/// its words alone, for the status is that of any other fault.
fn taught(status: StatusCode, body: &[u8]) -> Result<(), String> {
    let words = visible(&String::from_utf8_lossy(&body[..body.len().min(MAX_WORDS)]));
    match status.is_success() || KNOWN.iter().any(|known| words.contains(known)) {
        true => Ok(()),
        false => Err(format!("rspamd says {}: {words}", status.as_u16())),
    }
}

/// The password itself. It goes into a header field of the request and nowhere else.
fn password(key: &str, written: &str) -> Result<String, BuildError> {
    let Some(path) = written.strip_prefix("file:") else {
        return check_password(key, "the password in the configuration", written);
    };
    let bad = |problem: String| {
        let way_out = "write file: and the absolute path of a file that holds the password";
        BuildError::from(BadValue::new(key, written, problem, way_out))
    };
    if !path.starts_with('/') {
        return Err(bad("not an absolute path".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    check_password(key, written, text.trim_end())
}

/// `shown` stands in the error instead of the password.
fn check_password(key: &str, shown: &str, password: &str) -> Result<String, BuildError> {
    if !password.is_empty() && password.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Ok(password.to_owned());
    }
    let problem = "no password that fits into a header field";
    Err(BadValue::new(key, shown, problem, "use printable ASCII").into())
}

#[async_trait]
impl Plugin for Rspamd {
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

    fn judge_again(&self, scan: &Scan) -> Option<Scan> {
        self.config.spam_from.again(scan)
    }

    fn learns(&self) -> bool {
        self.config.feedback
    }

    async fn learn(&self, content: &Content, lesson: Lesson) -> Result<(), PluginError> {
        if scan::too_big(content, self.config.max_size).is_err() {
            return Ok(());
        }
        self.teach(content, lesson).await.map_err(PluginError)
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let scan = match self.ask(session, tx).await {
            Ok((reply, found)) => self.scan(reply, found),
            Err(why) => scan::unscanned(&self.name, why),
        };
        scan::leave(session, tx, scan);
        Ok(Verdict::Pass)
    }
}

impl Rspamd {
    async fn ask(&self, session: &Session, tx: &Transaction) -> Result<(Reply, Scanned), String> {
        scan::too_big(&tx.message.content, self.config.max_size)?;
        let Span(limit) = self.config.scan_timeout;
        let reply = tokio::time::timeout(limit, self.exchange(session, tx))
            .await
            .map_err(|_| format!("no answer from {} within {limit:?}", self.config.address))??;
        let found = self.config.spam_from.judge(&reply)?;
        Ok((reply, found))
    }

    async fn exchange(&self, session: &Session, tx: &Transaction) -> Result<Reply, String> {
        let Span(limit) = self.config.connect_timeout;
        let stream = self.config.address.connect(limit).await?;
        let hostname = request::hostname(&*self.resolver, session).await;
        let password = self.config.password.as_deref();
        let request = request::check(session, tx, hostname.as_ref(), password);
        match http::exchange(stream, request).await? {
            (StatusCode::OK, body) => Reply::parse(&body),
            (status, _) => Err(format!("rspamd says {status}")),
        }
    }

    async fn teach(&self, content: &Content, lesson: Lesson) -> Result<(), String> {
        let (Span(limit), Span(connect)) = (self.config.scan_timeout, self.config.connect_timeout);
        let controller = self.config.controller.as_ref();
        let controller = controller.ok_or("no controller is named")?;
        let password = self.config.controller_password.as_deref();
        let password = password.or(self.config.password.as_deref());
        let exchange = async {
            let stream = controller.connect(connect).await?;
            http::exchange(stream, request::learn(content, lesson, password)).await
        };
        let answer = tokio::time::timeout(limit, exchange).await;
        let late = |_| format!("no answer from {controller} within {limit:?}");
        let (status, body) = answer.map_err(late)??;
        taught(status, &body)
    }

    fn scan(&self, reply: Reply, found: Scanned) -> Scan {
        Scan {
            scanner: self.name.clone(),
            found,
            score: Some(reply.score),
            limit: self.config.spam_from.limit(&reply),
            action: Some(reply.action()),
            tests: reply.tests(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let error = password("password", "hunter\n2")
            .expect_err("a line end")
            .to_string();
        assert!(!error.contains("hunter"), "{error}");
        let error = password("password", "file:secret")
            .expect_err("relative")
            .to_string();
        assert!(error.contains("absolute"), "{error}");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "hunter 2\n").expect("a file");
        let written = format!("file:{}", file.path().display());
        assert_eq!(password("password", &written).expect("valid"), "hunter 2");
    }
}
