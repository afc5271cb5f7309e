//! The session that a client would have, without a socket.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use posthouse_hook::{
    Chain, Clock as _, Content, ForwardPath, Header, Id, Message, Outcome, Recipient, Refusal,
    ReversePath, Session, SystemClock, Transaction, Verdict,
};

/// From whom, and to whom.
pub(super) struct Envelope {
    pub(super) from: ReversePath,
    pub(super) to: Vec<ForwardPath>,
}

/// A session with that client, under its HELO name and as the user that it authenticated as.
pub(in crate::commands) fn of(client: IpAddr, helo: &str, auth: Option<&String>) -> Session {
    let client = SocketAddr::new(client, 0);
    let local = SocketAddr::from(([127, 0, 0, 1], 25));
    let mut session = Session::new(Id(0), client, local, SystemClock.now());
    session.helo = Some(helo.to_owned());
    session.esmtp = true;
    session.auth = auth.cloned();
    session
}

/// Where a session ended, and with what.
pub(super) enum Ended {
    Refused(Refusal),
    Decided(Box<Transaction>, Outcome),
}

/// Runs the chain over the session.
pub(super) async fn converse(
    chain: &Chain,
    session: &mut Session,
    envelope: Envelope,
    message: Bytes,
) -> Ended {
    match transact(chain, session, envelope, message).await {
        Ok((tx, verdict)) => {
            let outcome = Outcome::decide(verdict, tx.dispositions());
            Ended::Decided(Box::new(tx), outcome)
        }
        Err(refusal) => Ended::Refused(refusal),
    }
}

async fn transact(
    chain: &Chain,
    session: &mut Session,
    envelope: Envelope,
    message: Bytes,
) -> Result<(Transaction, Verdict), Refusal> {
    greet(chain, session).await?;
    let mut tx = Transaction::new(Id(0), SystemClock.now(), envelope.from);
    chain.mail(session, &mut tx).await?;
    take_recipients(chain, session, &mut tx, envelope.to).await?;
    tx.message = header_of(&message);
    chain.headers(session, &mut tx).await?;
    tx.message.content = Content::Memory(message);
    let verdict = chain.data(session, &mut tx).await;
    Ok((tx, verdict))
}

/// Connects, says HELO, and authenticates if there is a user.
pub(in crate::commands) async fn greet(
    chain: &Chain,
    session: &mut Session,
) -> Result<(), Refusal> {
    chain.connect(session).await?;
    chain.helo(session).await?;
    if session.auth.is_some() {
        chain.auth(session).await?;
    }
    Ok(())
}

/// Refused only if no recipient was taken; then as the last one was.
async fn take_recipients(
    chain: &Chain,
    session: &mut Session,
    tx: &mut Transaction,
    to: Vec<ForwardPath>,
) -> Result<(), Refusal> {
    let mut last = Refusal::no_recipients();
    for forward_path in to {
        let recipient = Recipient::new(forward_path);
        match chain.rcpt(session, tx, &recipient).await {
            Ok(()) => tx.recipients.push(recipient),
            Err(refusal) => last = refusal,
        }
    }
    if tx.recipients.is_empty() {
        return Err(last);
    }
    Ok(())
}

/// A message of which there is only the header section yet.
pub(in crate::commands) fn header_of(message: &Bytes) -> Message {
    let end = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 4);
    Message {
        header: Arc::new(Header::parse(message.slice(..end))),
        content: Content::default(),
    }
}
