//! What each command but DATA does (RFC 5321 §4.1.1).

use std::sync::Arc;

use posthouse_hook::early::EarlyPipelining;
use posthouse_hook::{ForwardPath, Recipient, Refusal, Reply, Transaction};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Conversation, Heard, Open};
use crate::command::{Command, Kin, Mail};
use crate::end::End;
use crate::service::not_committed;

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    /// Does what was asked, or refuses it.
    pub(super) async fn obey(&mut self, heard: Heard) -> Result<(), End> {
        match heard.command {
            Err(refusal) => self.not_understood(heard.kin, refusal).await,
            Ok(Command::Helo(name)) => self.hello(name, false).await,
            Ok(Command::Ehlo(name)) => self.hello(name, true).await,
            Ok(Command::Mail(mail)) => self.mail(mail).await,
            Ok(Command::Rcpt(path)) => self.rcpt(path).await,
            Ok(Command::Data) => self.data().await,
            Ok(Command::Rset) => {
                self.reset();
                self.say(&Reply::flushed())
            }
            Ok(Command::Noop) => self.say(&Reply::ok()),
            Ok(Command::Vrfy) => self.say(&Reply::cannot_verify()),
            Ok(Command::Help) => self.say(&Reply::help()),
            Ok(Command::Quit) => self.say(&Reply::bye(self.service.hostname.as_str())),
        }
    }

    async fn not_understood(&mut self, kin: Kin, refusal: Refusal) -> Result<(), End> {
        match (kin, &mut self.open) {
            (Kin::Message, _) => return self.refuse_message(refusal).await,
            (Kin::Recipient, Some(open)) => open.any_refused = true,
            _ => {}
        }
        self.refuse(refusal)
    }

    /// HELO and EHLO also reset (§4.1.4).
    async fn hello(&mut self, name: String, esmtp: bool) -> Result<(), End> {
        self.reset();
        self.session.trail.truncate(self.connected);
        self.session.helo = Some(name);
        self.session.esmtp = esmtp;
        if !self.wire.inbox.is_empty() {
            self.session.notes.put(EarlyPipelining);
        }
        match self.chain.helo(&mut self.session).await {
            Ok(()) => self.say(&self.service.hello(esmtp)),
            Err(refusal) => {
                tracing::info!(helo = self.session.helo, %refusal, "client's name refused");
                self.session.helo = None;
                self.refuse(refusal)
            }
        }
    }

    async fn mail(&mut self, mail: Mail) -> Result<(), End> {
        if let Err(refusal) = self.may_begin(&mail) {
            return self.refuse(refusal);
        }
        if let Err(error) = self.service.commit.room(mail.size.unwrap_or(0)) {
            return self.refuse(not_committed(&error));
        }
        let mark = self.session.trail.entries.len();
        let mut tx = self.begin(mail);
        match self.chain.mail(&mut self.session, &mut tx).await {
            Ok(()) => {
                let any_refused = false;
                self.open = Some(Box::new(Open {
                    tx,
                    mark,
                    any_refused,
                }));
                self.say(&Reply::sender_ok())
            }
            Err(refusal) => {
                tracing::info!(from = %tx.reverse_path, %refusal, "sender refused");
                self.session.trail.truncate(mark);
                self.refuse(refusal)
            }
        }
    }

    fn may_begin(&self, mail: &Mail) -> Result<(), Refusal> {
        if self.session.helo.is_none() || self.open.is_some() {
            return Err(Refusal::bad_sequence());
        }
        if mail.has_parameters() && !self.session.esmtp {
            return Err(Refusal::bad_parameter());
        }
        match mail.size {
            Some(size) if size > self.service.limits.message_size => {
                Err(Refusal::message_too_big())
            }
            _ => Ok(()),
        }
    }

    fn begin(&self, mail: Mail) -> Transaction {
        let now = self.service.now();
        let id = self.service.ids.next(now);
        let mut tx = Transaction::new(id, now, mail.reverse_path);
        tx.declared_size = mail.size;
        tx.body_type = mail.body.unwrap_or_default();
        tx
    }

    async fn rcpt(&mut self, path: ForwardPath) -> Result<(), End> {
        let Some(open) = &mut self.open else {
            return self.refuse(Refusal::bad_sequence());
        };
        let mut named = open.tx.recipients.iter();
        if named.any(|recipient| recipient.forward_path == path) {
            return self.say(&Reply::recipient_ok());
        }
        if open.tx.recipients.len() >= self.service.limits.recipients {
            return self.refuse(Refusal::too_many_recipients());
        }
        let recipient = Recipient::new(path);
        let chain = Arc::clone(&self.chain);
        match chain
            .rcpt(&mut self.session, &mut open.tx, &recipient)
            .await
        {
            Ok(()) => {
                open.tx.recipients.push(recipient);
                self.say(&Reply::recipient_ok())
            }
            Err(refusal) => {
                open.any_refused = true;
                let (from, to) = (&open.tx.reverse_path, &recipient.forward_path);
                tracing::info!(%from, %to, %refusal, "recipient refused");
                self.refuse_recipient(refusal)
            }
        }
    }

    /// A few refused recipients are the life of a mailing list; very many are a guesser.
    fn refuse_recipient(&mut self, refusal: Refusal) -> Result<(), End> {
        self.refused_recipients = self.refused_recipients.saturating_add(1);
        if self.refused_recipients > self.service.limits.refused_recipients {
            return self.refuse(refusal);
        }
        self.refuse_uncounted(refusal)
    }
}
