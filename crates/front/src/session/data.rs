//! From DATA to the reply at the end of the message (RFC 5321 §4.1.1.4).
//!
//! 250, or a refusal with a link, is said only after the commit. A message is always read to its
//! real end before it is refused, and its octets never run as commands.

use std::sync::Arc;

use posthouse_hook::{Content, Header, Outcome, Receipt, Refusal, Reply, Transaction};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

use super::{Conversation, Open};
use crate::end::End;
use crate::incoming::{Incoming, Progress};
use crate::phase::Phase;
use crate::received::received;
use crate::service::not_committed;

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(super) async fn data(&mut self) -> Result<(), End> {
        let mut open = match self.open.take() {
            Some(open) if !open.tx.recipients.is_empty() => open,
            other => {
                let refusal = no_message(other.as_deref());
                self.open = other;
                return self.refuse_message(refusal).await;
            }
        };
        self.say(&Reply::start_mail_input())?;
        let reply = self.message(&mut open.tx).await;
        self.over(&open);
        self.say(&reply?)
    }

    /// Refuses DATA. If the client did not wait for the reply, what stands behind is a message, and
    /// the session must not go on as if it were commands.
    pub(super) async fn refuse_message(&mut self, refusal: Refusal) -> Result<(), End> {
        if self.wire.has_more().await {
            return self.refuse(refusal.and_close());
        }
        self.refuse(refusal)
    }

    async fn message(&mut self, tx: &mut Transaction) -> Result<Reply, End> {
        tx.received = received(
            &self.session,
            &self.service.hostname,
            tx.id,
            self.service.now(),
        );
        let incoming = self.receive(tx).await?;
        let octets = incoming.octets();
        let result = match incoming.finish().await {
            Ok(content) => self.conclude(tx, content).await,
            Err(refusal) => Err(refusal),
        };
        log(tx, octets, &result);
        Ok(result.unwrap_or_else(|refusal| refusal.into_reply(None)))
    }

    /// Reads the message to its end, and has its header section judged on the way.
    async fn receive(&mut self, tx: &mut Transaction) -> Result<Incoming, End> {
        let limits = &self.service.limits;
        let (piece, whole) = (limits.data_timeout, Instant::now() + limits.message_timeout);
        let mut incoming = Incoming::new(Arc::clone(&self.service), tx.id, tx.declared_size);
        loop {
            let progress = incoming.decode(&mut self.wire.inbox);
            if let Some(header) = incoming.take_header(progress)
                && let Err(refusal) = self.judge_header(tx, header).await
            {
                incoming.refuse(refusal);
            }
            incoming.spill().await;
            match progress {
                Progress::Open => {
                    let deadline = whole.min(Instant::now() + piece);
                    self.read(incoming.room(), deadline, Phase::Over).await?;
                }
                Progress::Ended => return Ok(incoming),
                Progress::Endless => return Err(self.cut_off()),
            }
        }
    }

    /// Ends the session in the middle of a message that has no end in sight.
    fn cut_off(&mut self) -> End {
        let refusal = Refusal::message_too_big().and_close();
        self.wire.push(&refusal.into_reply(None));
        End::Said
    }

    async fn judge_header(&mut self, tx: &mut Transaction, header: Header) -> Result<(), Refusal> {
        tx.message.header = Arc::new(header);
        let hops = tx.message.header.all("Received").count();
        if hops > self.service.limits.received_hops {
            return Err(Refusal::too_many_hops());
        }
        let judged = self.chain.headers(&mut self.session, tx);
        timeout(self.service.limits.data_deadline, judged)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// One deadline for all that happens at the end of DATA.
    async fn conclude(&mut self, tx: &mut Transaction, content: Content) -> Result<Reply, Refusal> {
        tx.message.content = content;
        timeout(self.service.limits.data_deadline, self.decide(tx))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Asks the chain, makes what it comes to durable, and only then knows the reply.
    async fn decide(&mut self, tx: &mut Transaction) -> Result<Reply, Refusal> {
        let verdict = self.chain.data(&mut self.session, tx).await;
        let outcome = Outcome::decide(verdict, tx.dispositions());
        match outcome {
            Outcome::Accepted(_) => {
                let receipt = self.commit(tx, &outcome).await?;
                Ok(Reply::queued(receipt.id))
            }
            Outcome::Refused { ref refusal, .. } if outcome.keeps_something() => {
                let receipt = self.commit(tx, &outcome).await?;
                Ok(refusal.clone().into_reply(receipt.link.as_ref()))
            }
            Outcome::Refused { refusal, .. } => Err(refusal),
        }
    }

    async fn commit(&self, tx: &Transaction, outcome: &Outcome) -> Result<Receipt, Refusal> {
        let committed = self.service.commit.commit(&self.session, tx, outcome).await;
        committed.map_err(|error| not_committed(&error))
    }
}

/// Why there is no message to be sent now (RFC 5321 §3.3).
fn no_message(open: Option<&Open>) -> Refusal {
    match open {
        None => Refusal::bad_sequence(),
        Some(open) if open.any_refused => Refusal::no_valid_recipients(),
        Some(_) => Refusal::no_recipients(),
    }
}

fn late() -> Refusal {
    tracing::error!("no decision before the deadline");
    Refusal::local_error()
}

/// One line a message. The reply's text stays out of it: it may hold a link.
fn log(tx: &Transaction, octets: u64, result: &Result<Reply, Refusal>) {
    let code = result.as_ref().map_or_else(Refusal::code, Reply::code);
    let (id, from, recipients) = (tx.id, &tx.reverse_path, tx.recipients.len());
    match result {
        Ok(_) => tracing::info!(%id, %from, recipients, octets, code, "message committed"),
        Err(why) => tracing::info!(%id, %from, recipients, octets, code, %why, "message refused"),
    }
}
