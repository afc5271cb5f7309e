//! Where quota answers come from. One place that knows all sources; each has a file of its own.

use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::Clock;

use super::answer::{Limits, Told};
use super::dovecot::Dovecot;
use super::http::Http;
use super::local::{Form, Mailboxes};
use super::names::Names;
use super::udp::Udp;
use crate::backend::Dead;

/// What is asked of a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) names: Names,
    /// What MAIL declared, for sources whose answer depends on it; so that equal questions have
    /// equal answers.
    pub(super) size: Option<u64>,
}

/// Who answers.
pub(super) enum Source {
    Http(Http),
    Udp(Udp),
    Dovecot(Dovecot),
    Local(Arc<Mailboxes>, Arc<dyn Clock>),
}

/// What the local sources need beside their path.
pub(super) struct Local<'a> {
    pub(super) default: Limits,
    pub(super) quotas: Option<&'a std::path::Path>,
    pub(super) clock: &'a Arc<dyn Clock>,
}

impl Source {
    pub(super) fn parse(text: &str, local: &Local<'_>) -> Result<Self, String> {
        let mailboxes = |form, path| {
            let mailboxes = Mailboxes::new(form, path, local.default, local.quotas)?;
            Ok(Self::Local(Arc::new(mailboxes), Arc::clone(local.clock)))
        };
        match text.split_once(':') {
            Some(("http", rest)) => Http::parse(rest).map(Self::Http),
            Some(("udp", rest)) => Udp::parse(rest).map(Self::Udp),
            Some(("dovecot", rest)) => Dovecot::parse(rest).map(Self::Dovecot),
            Some(("maildir", path)) => mailboxes(Form::Maildir, path),
            Some(("mbox", path)) => mailboxes(Form::Mbox, path),
            _ => Err("a source of no known kind".to_owned()),
        }
    }

    /// Whether it is files of this machine, for which quotas can be written.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Local(..))
    }

    /// Whether its answers depend on the size of the message.
    pub(super) fn judges_sizes(&self) -> bool {
        match self {
            Self::Http(http) => http.tells_size(),
            Self::Udp(udp) => udp.tells_size(),
            Self::Dovecot(_) => true,
            Self::Local(..) => false,
        }
    }

    /// Asks, for at most `limit`.
    pub(super) async fn ask(&self, question: &Question, limit: Duration) -> Result<Told, Dead> {
        let ask = async {
            match self {
                Self::Http(http) => http.ask(question).await,
                Self::Udp(udp) => udp.ask(question, limit).await,
                Self::Dovecot(dovecot) => dovecot.ask(question, limit).await,
                Self::Local(mailboxes, clock) => {
                    mailboxes.ask(&question.names, clock.now(), limit).await
                }
            }
        };
        match tokio::time::timeout(limit, ask).await {
            Ok(told) => told.map_err(Dead),
            Err(_) => Err(Dead(format!("no answer within {limit:?}"))),
        }
    }
}

/// `//host:port/rest`, as `host:port` and `/rest`.
pub(super) fn authority(text: &str) -> Result<(&str, &str), String> {
    let behind = text.strip_prefix("//");
    let behind = behind.ok_or("a source without // behind its kind")?;
    let at = behind.find('/').unwrap_or(behind.len());
    let (authority, rest) = behind.split_at(at);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    if authority.is_empty() || !authority.bytes().all(plain) {
        return Err(format!("`{authority}` is no host with a port"));
    }
    Ok((authority, rest))
}
