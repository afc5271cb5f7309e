//! Directories: who knows which addresses exist. One small trait, one file a source.
//!
//! A directory answers or is dead; it decides nothing, and whoever asks it keeps its answers
//! ([`crate::backend`]). No octet of a question may change what is asked.

mod callout;
mod cdb;
mod file;
mod http;
mod ldap;
mod settings;
mod sqlite;

use async_trait::async_trait;
use posthouse_hook::{Domain, Mailbox};

use crate::backend::Dead;

pub(crate) use callout::CalloutSettings;
pub(crate) use ldap::{LdapSettings, Scope};
pub(crate) use settings::{Settings, open};

/// What a directory is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// Whether the addresses of this domain stand in it.
    Domain(Domain),
    /// Whether this address exists, as [`written`] spells it.
    Address(String),
}

/// What a directory answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is there.
    Yes,
    /// It is not.
    No,
    /// The directory is not the one to be asked about it.
    Elsewhere,
}

impl From<bool> for Found {
    fn from(there: bool) -> Self {
        if there { Self::Yes } else { Self::No }
    }
}

/// Knows which addresses exist.
#[async_trait]
pub(crate) trait Directory: Send + Sync {
    /// The source without its secrets, for logs.
    fn name(&self) -> String;

    /// Whether it can be asked about domains.
    fn lists_domains(&self) -> bool {
        false
    }

    /// Whether it is asked at no cost, so that its answers need not be kept.
    fn is_at_hand(&self) -> bool {
        false
    }

    /// The answer. Whoever asks sets a limit of time, and drops the question when it has passed.
    async fn find(&self, question: &Question) -> Result<Found, Dead>;
}

/// How the local-part is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Case {
    /// In lower case: `Ann@x` is `ann@x`.
    #[default]
    Fold,
    /// As the client wrote it.
    Keep,
}

/// The one spelling of an address under which it is looked up: the domain in lower case, the
/// local-part as `case` says, quoted only where RFC 5321 §4.1.2 needs it.
pub(crate) fn written(mailbox: &Mailbox, case: Case) -> String {
    let plain = requoted(mailbox).unwrap_or_else(|| mailbox.clone());
    match case {
        Case::Fold => plain.key(),
        Case::Keep => plain.to_string(),
    }
}

/// A quoted local-part without needless quotes and backslashes; none if it is not quoted.
fn requoted(mailbox: &Mailbox) -> Option<Mailbox> {
    let inside = mailbox.local().strip_prefix('"')?.strip_suffix('"')?;
    let mut local = String::from('"');
    let mut octets = inside.chars();
    while let Some(c) = octets.next() {
        let c = if c == '\\' { octets.next()? } else { c };
        if matches!(c, '"' | '\\') {
            local.push('\\');
        }
        local.push(c);
    }
    Mailbox::parse(&format!("{local}\"@{}", mailbox.host())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_up_under_one_spelling() {
        for (text, fold, keep) in [
            ("Ann@X.Example", "ann@x.example", "Ann@x.example"),
            ("\"ann\"@x.example", "ann@x.example", "ann@x.example"),
            ("\"\\a\\n\\n\"@x.example", "ann@x.example", "ann@x.example"),
            (
                "\"A b\"@x.example",
                "\"a b\"@x.example",
                "\"A b\"@x.example",
            ),
            (
                "\"a\\\"\\\\b\"@x.example",
                "\"a\\\"\\\\b\"@x.example",
                "\"a\\\"\\\\b\"@x.example",
            ),
        ] {
            let mailbox = Mailbox::parse(text).expect("an address");
            assert_eq!(written(&mailbox, Case::Fold), fold);
            assert_eq!(written(&mailbox, Case::Keep), keep);
        }
    }
}
