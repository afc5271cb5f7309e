//! `verify_recipient`: a recipient in a domain of ours must exist. Refuses at rcpt; says yes to
//! nobody, so it stands above the plugin that does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{HookPoint, Plugin, Recipient, Session, Transaction, Verdict};

use super::config::RecipientTable;
use super::verifier::{Verifier, Wording};
use crate::exempt::{self, Exempt};
use crate::options::{BadValue, BuildError, Options};
use crate::surroundings::Surroundings;

const WORDING: Wording = Wording {
    codes: "550 5.1.1",
    text: "Recipient {address} does not exist",
};

struct VerifyRecipient(Verifier);

pub(crate) fn build(
    name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let table: RecipientTable = options.read()?;
    check_exempt(&table.exempt)?;
    let verifier = Verifier::build(name, table.into(), &WORDING, parts)?;
    Ok(Arc::new(VerifyRecipient(verifier)))
}

/// Who the sender is proves nothing about the recipient.
fn check_exempt(exempt: &[Exempt]) -> Result<(), BuildError> {
    let sender = |word: &&Exempt| !matches!(word, Exempt::Auth | Exempt::RelayClients);
    let Some(word) = exempt.iter().find(sender) else {
        return Ok(());
    };
    let problem = "a proof of the sender is none of the recipient";
    let way_out = "of auth and relay_clients, name those that you need";
    Err(BadValue::new("exempt", word.word(), problem, way_out).into())
}

#[async_trait]
impl Plugin for VerifyRecipient {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Rcpt]
    }

    fn nature(&self) -> Nature {
        Nature::Refuses
    }

    fn default_timeout(&self) -> Duration {
        self.0.step_timeout()
    }

    async fn rcpt(
        &self,
        session: &mut Session,
        _tx: &mut Transaction,
        recipient: &Recipient,
    ) -> Answer {
        let Some(mailbox) = recipient.forward_path.mailbox() else {
            session.remark("postmaster always exists");
            return Ok(Verdict::Pass);
        };
        if let Some(word) = exempt::client(&self.0.policy().exempt, session) {
            session.remark(format_args!("exempt: {}", word.word()));
            return Ok(Verdict::Pass);
        }
        self.0.judge(session, mailbox).await
    }
}
