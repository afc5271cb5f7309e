//! `access`: allow and deny lists for clients, HELO names, senders and recipients. It refuses, or
//! says nothing: an allowed client is spared this plugin's denials, and is no closer to relaying.

mod files;
mod list;

use std::sync::Arc;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::{AllowedClient, AllowedRecipient, AllowedSender, ReverseName};
use posthouse_hook::{
    Domain, HookPoint, Live, Plugin, Recipient, Refusal, Resolver, Session, Transaction, Verdict,
};
use serde::Deserialize;

use self::files::Replies;
use self::list::{AccessList, Line};
use crate::options::{BadValue, BuildError, ListSpec, Options};
use crate::reverse_dns::look;
use crate::stranger::DEADLINE;
use crate::surroundings::Surroundings;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    deny: ListSpec,
    #[serde(default)]
    allow: ListSpec,
    #[serde(default = "default_reply")]
    reply: String,
}

fn default_reply() -> String {
    "550 5.7.1 Access denied".to_owned()
}

struct Access {
    name: String,
    deny: Live<AccessList>,
    allow: Live<AccessList>,
    reply: Refusal,
    resolver: Arc<dyn Resolver>,
}

pub(crate) fn build(
    name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let Config { deny, allow, reply } = options.read()?;
    let refusal = list::refusal(&reply).map_err(|error| {
        BadValue::new(
            "reply",
            &reply,
            error,
            "write it as 550 5.7.1 Access denied",
        )
    })?;
    Ok(Arc::new(Access {
        name: name.to_owned(),
        deny: files::keep(parts, "deny", deny, Replies::Taken)?,
        allow: files::keep(parts, "allow", allow, Replies::Refused)?,
        reply: refusal,
        resolver: Arc::clone(&parts.common().resolver),
    }))
}

#[async_trait]
impl Plugin for Access {
    fn points(&self) -> &[HookPoint] {
        &[
            HookPoint::Connect,
            HookPoint::Helo,
            HookPoint::Mail,
            HookPoint::Rcpt,
        ]
    }

    fn nature(&self) -> Nature {
        Nature::Refuses
    }

    async fn connect(&self, session: &mut Session) -> Answer {
        self.look_up(session).await;
        if let Some(entry) = self.client_allowed(session) {
            session.remark(format_args!("the client is allowed by {entry}"));
            session.notes.put(AllowedClient(entry));
            return Ok(Verdict::Pass);
        }
        let deny = self.deny.load();
        let line = deny.client(session.client_ip(), host(session));
        Ok(self.answer(session, "client", line))
    }

    async fn helo(&self, session: &mut Session) -> Answer {
        let name = session.helo.clone().unwrap_or_default();
        let allowed = self.allow.load().helo(&name).is_some();
        if allowed || self.client_allowed(session).is_some() {
            return Ok(Verdict::Pass);
        }
        Ok(self.answer(session, "helo", self.deny.load().helo(&name)))
    }

    async fn mail(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        if let Some(line) = self.allow.load().sender(&tx.reverse_path) {
            session.remark(format_args!("the sender is allowed by {}", line.entry));
            tx.notes.put(AllowedSender(line.entry.to_string()));
            return Ok(Verdict::Pass);
        }
        if self.client_allowed(session).is_some() {
            return Ok(Verdict::Pass);
        }
        Ok(self.answer(session, "sender", self.deny.load().sender(&tx.reverse_path)))
    }

    async fn rcpt(
        &self,
        session: &mut Session,
        tx: &mut Transaction,
        recipient: &Recipient,
    ) -> Answer {
        let mailbox = recipient.forward_path.mailbox();
        if let Some(line) = self.allow.load().recipient(mailbox) {
            session.remark(format_args!("the recipient is allowed by {}", line.entry));
            tx.notes
                .put(AllowedRecipient(recipient.forward_path.clone()));
            return Ok(Verdict::Pass);
        }
        if self.client_allowed(session).is_some() {
            return Ok(Verdict::Pass);
        }
        Ok(self.answer(session, "recipient", self.deny.load().recipient(mailbox)))
    }
}

impl Access {
    /// Looks the client's name up if a list names hosts and nobody has looked yet.
    async fn look_up(&self, session: &mut Session) {
        let wanted = self.deny.load().has_hosts() || self.allow.load().has_hosts();
        if wanted && session.notes.get::<ReverseName>().is_none() {
            let found = look(&*self.resolver, session.client_ip(), DEADLINE.0).await;
            session.notes.put(found.name);
        }
    }

    /// The line of the allow list as it is now. A client that it has is spared at every point.
    fn client_allowed(&self, session: &Session) -> Option<String> {
        let allow = self.allow.load();
        let line = allow.client(session.client_ip(), host(session))?;
        Some(line.entry.to_string())
    }

    fn answer(&self, session: &mut Session, what: &'static str, line: Option<&Line>) -> Verdict {
        let Some(line) = line else {
            return Verdict::Pass;
        };
        let (plugin, entry, client) = (&self.name, &line.entry, session.client_ip());
        tracing::info!(session = %session.id, plugin, %client, what, %entry, "access denied");
        session.remark(format_args!("the {what} is denied by {entry}"));
        Verdict::Refuse(line.reply.as_deref().unwrap_or(&self.reply).clone())
    }
}

fn host(session: &Session) -> Option<&Domain> {
    session.notes.get::<ReverseName>()?.confirmed()
}

#[cfg(test)]
mod tests;
