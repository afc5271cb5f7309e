//! One session from greeting to farewell (RFC 5321 §3, §4.1.4): reads commands, keeps the state,
//! speaks the replies.
//!
//! What single commands do is in [`commands`], what happens from DATA to its end in [`data`]. The
//! order is always the same: understand, ask the chain, reply; replies are written when the session
//! would have to wait for the client.

mod commands;
mod data;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use posthouse_hook::chain::Decision;
use posthouse_hook::early::EarlyTalk;
use posthouse_hook::{Chain, Refusal, Reply, Session, Trail, Transaction};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::codec::line::{self, Line};
use crate::command::{Command, Kin};
use crate::end::End;
use crate::phase::{Phase, reached};
use crate::service::Service;
use crate::wire::{IDLE_ROOM, Wire};

/// Octets of room to read into while a transaction gets its recipients.
const ENVELOPE_ROOM: usize = 4_096;
/// Commands after which the others get their turn, however many stand in the buffer already.
const TURN: u32 = 64;

/// The server's side of one session.
pub(crate) struct Conversation<S> {
    wire: Wire<S>,
    session: Session,
    chain: Arc<Chain>,
    service: Arc<Service>,
    phase: watch::Receiver<Phase>,
    open: Option<Box<Open>>,
    /// Entries of the trail that belong to the connection, not to a HELO.
    connected: usize,
    errors: u32,
    refused_recipients: u32,
}

/// A transaction that MAIL began.
struct Open {
    tx: Transaction,
    /// Entries of the trail from before MAIL.
    mark: usize,
    /// Whether a RCPT was refused: then DATA without recipients is no protocol error.
    any_refused: bool,
}

/// A line from the client, understood or not.
struct Heard {
    command: Result<Command, Refusal>,
    kin: Kin,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    /// A session with a client that has just connected. It keeps this chain to its end.
    pub(crate) fn new(
        stream: S,
        [client, local]: [SocketAddr; 2],
        chain: Arc<Chain>,
        service: Arc<Service>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            wire: Wire::new(stream),
            session: Session::new(service.next_id(), client, local, service.now()),
            chain,
            service,
            phase,
            open: None,
            connected: 0,
            errors: 0,
            refused_recipients: 0,
        }
    }

    /// The session as plugins see it.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Serves the client until one side ends the session. In a box, because a future that owns its
    /// argument holds it twice, and there may be thousands of idle sessions.
    pub(crate) async fn run(mut self: Box<Self>) {
        let Err(end) = self.talk().await;
        tracing::debug!(%end, "session ends");
        match end {
            End::Silent => self.wire.push(&Refusal::idle_timeout().into_reply(None)),
            End::Stopping => self.wire.push(&Refusal::shutting_down().into_reply(None)),
            End::Said | End::Left | End::Broken(_) => {}
        }
        self.reset();
        self.chain.disconnect(&self.session);
        if !matches!(end, End::Broken(_)) {
            Box::pin(self.wire.close(self.service.limits.command_timeout)).await;
        }
    }

    async fn talk(&mut self) -> Result<Infallible, End> {
        Box::pin(self.greet()).await?;
        let mut turn = 0_u32;
        loop {
            turn = (turn + 1) % TURN;
            if turn == 0 {
                tokio::task::yield_now().await;
            }
            let heard = self.hear().await?;
            // What a command needs to be obeyed is not kept while the client is idle.
            Box::pin(self.obey(heard)).await?;
            if self.wire.is_crowded() {
                self.wire.flush(self.service.limits.command_timeout).await?;
            }
        }
    }

    async fn greet(&mut self) -> Result<(), End> {
        if let Err(refusal) = self.ask_at_connect().await? {
            tracing::info!(%refusal, "client refused");
            return self.refuse_uncounted(refusal.instead_of_greeting());
        }
        self.connected = self.session.trail.entries.len();
        self.say(&Reply::greeting(self.service.hostname.as_str()))
    }

    /// Asks the chain with an ear to the client, who should be silent until it is greeted. Neither a
    /// stop nor a client that left waits for an answer.
    async fn ask_at_connect(&mut self) -> Result<Decision, End> {
        let (ear, talk) = EarlyTalk::new();
        self.session.notes.put(talk);
        let wire = &mut self.wire;
        let listen = async {
            match wire.fill(IDLE_ROOM).await {
                Ok(0) => End::Left,
                Ok(_) => {
                    ear.hears(&wire.inbox);
                    std::future::pending().await
                }
                Err(error) => End::Broken(error),
            }
        };
        tokio::select! {
            biased;
            decision = self.chain.connect(&mut self.session) => Ok(decision),
            end = listen => Err(end),
            () = reached(&mut self.phase, Phase::Closing) => Err(End::Stopping),
        }
    }

    /// The next line of the client. Between transactions a stop of the server comes first. The
    /// timeout is for the whole line, so that a client which drips octets gains nothing.
    async fn hear(&mut self) -> Result<Heard, End> {
        let limits = &self.service.limits;
        let (most, deadline) = (limits.command_line, Instant::now() + limits.command_timeout);
        let (room, until) = match self.open {
            None => (IDLE_ROOM, Phase::Closing),
            Some(_) => (ENVELOPE_ROOM, Phase::Over),
        };
        loop {
            if *self.phase.borrow() >= until {
                return Err(End::Stopping);
            }
            if let Some(heard) = next_line(&mut self.wire.inbox, most) {
                return Ok(heard);
            }
            self.read(room, deadline, until).await?;
        }
    }

    /// Writes what gathered, then waits for the client: not beyond the deadline, and not beyond the
    /// phase `until` of a stop.
    async fn read(&mut self, room: usize, deadline: Instant, until: Phase) -> Result<(), End> {
        self.wire.flush(self.service.limits.command_timeout).await?;
        tokio::select! {
            biased;
            read = timeout_at(deadline, self.wire.fill(room)) => match read {
                Err(_) => Err(End::Silent),
                Ok(Ok(0)) => Err(End::Left),
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(End::Broken(error)),
            },
            () = reached(&mut self.phase, until) => Err(End::Stopping),
        }
    }

    /// Says a reply. It is written when the session reads next, or ends.
    fn say(&mut self, reply: &Reply) -> Result<(), End> {
        self.wire.push(reply);
        if reply.closes() {
            Err(End::Said)
        } else {
            Ok(())
        }
    }

    /// Refuses, and counts what is refused for good; the last that is allowed closes the session.
    fn refuse(&mut self, refusal: Refusal) -> Result<(), End> {
        if !refusal.is_transient() {
            self.errors += 1;
        }
        if self.errors >= self.service.limits.errors {
            return self.refuse_uncounted(Refusal::too_many_errors());
        }
        self.refuse_uncounted(refusal)
    }

    fn refuse_uncounted(&mut self, refusal: Refusal) -> Result<(), End> {
        self.say(&refusal.into_reply(None))
    }

    /// Drops the transaction, if there is one.
    fn reset(&mut self) {
        if let Some(open) = self.open.take() {
            self.over(&open);
        }
    }

    /// Tells that a transaction is over, logs what was said of it, and forgets that.
    fn over(&mut self, open: &Open) {
        self.chain.reset(&self.session);
        log_trail(&self.session.trail, open.mark);
        self.session.trail.truncate(open.mark);
    }
}

/// What the plugins said of one transaction.
fn log_trail(trail: &Trail, mark: usize) {
    for entry in trail.entries.iter().skip(mark) {
        let (plugin, point, said) = (&entry.plugin, entry.point, &entry.said);
        tracing::debug!(plugin, %point, said, remarks = ?entry.remarks, micros = entry.micros, "asked");
    }
}

/// Takes a line out of the inbox, if a whole one is there.
fn next_line(inbox: &mut BytesMut, most: usize) -> Option<Heard> {
    let (line, octets) = line::first(inbox, most)?;
    let heard = match line {
        Line::Whole(text) => Heard {
            command: Command::parse(text),
            kin: Kin::of(text),
        },
        Line::BareLineEnd(text) => Heard {
            command: Err(Refusal::unknown_command()),
            kin: Kin::of(text),
        },
        Line::TooLong => Heard {
            command: Err(Refusal::line_too_long()),
            kin: Kin::Other,
        },
    };
    inbox.advance(octets);
    Some(heard)
}
