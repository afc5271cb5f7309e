//! `verify_sender`: the envelope sender, if its domain is ours, must exist. Refuses at mail.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{HookPoint, Mailbox, Plugin, Session, Transaction, Verdict};

use super::config::SenderTable;
use super::verifier::{Verifier, Wording};
use crate::exempt::{self, Exempt};
use crate::options::{BadValue, BuildError, Options};
use crate::surroundings::Surroundings;

const WORDING: Wording = Wording {
    codes: "550 5.7.1",
    text: "Reject: your From address {address} does not exist.",
};

pub(super) struct VerifySender(pub(super) Verifier);

pub(crate) fn build(
    name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let table: SenderTable = options.read()?;
    Ok(Arc::new(VerifySender(verifier(name, table, parts)?)))
}

pub(super) fn verifier(
    name: &str,
    table: SenderTable,
    parts: &mut dyn Surroundings,
) -> Result<Verifier, BuildError> {
    check_exempt(&table.exempt)?;
    Verifier::build(name, table.into(), &WORDING, parts)
}

/// Nothing of the message is known at mail.
fn check_exempt(exempt: &[Exempt]) -> Result<(), BuildError> {
    let late = |word: &&Exempt| matches!(word, Exempt::Dkim | Exempt::Dmarc);
    let Some(word) = exempt.iter().find(late) else {
        return Ok(());
    };
    let problem = "senders are verified before there is a message to prove anything";
    let way_out = "of auth, relay_clients and spf, name those that you need";
    Err(BadValue::new("exempt", word.word(), problem, way_out).into())
}

#[async_trait]
impl Plugin for VerifySender {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Mail]
    }

    fn nature(&self) -> Nature {
        Nature::Refuses
    }

    fn default_timeout(&self) -> Duration {
        self.0.step_timeout()
    }

    async fn mail(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let Some(mailbox) = tx.reverse_path.mailbox() else {
            session.remark("the null sender is nobody's to verify");
            return Ok(Verdict::Pass);
        };
        if let Some(word) = self.exempts(session, tx, mailbox) {
            session.remark(format_args!("exempt: {}", word.word()));
            return Ok(Verdict::Pass);
        }
        self.0.judge(session, mailbox).await
    }
}

impl VerifySender {
    fn exempts(&self, session: &Session, tx: &Transaction, mailbox: &Mailbox) -> Option<Exempt> {
        let words = &self.0.policy().exempt;
        let proves = |word: &Exempt| mailbox.domain().is_some_and(|d| word.sender(tx, d));
        let sender = || words.iter().copied().find(proves);
        exempt::client(words, session).or_else(sender)
    }
}
