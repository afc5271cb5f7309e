//! One transaction with a next hop: MAIL, a RCPT for each recipient, DATA, the message; in one
//! segment up to DATA if the next hop offers PIPELINING (RFC 2920). Nothing here connects, retries
//! or writes a state: what was heard is turned into one answer for each recipient.

use std::fmt::Write as _;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use posthouse_hook::Enhanced;
use posthouse_store::Claimed;
use tokio::time::timeout;

use crate::answer::{Answer, Class, Fate, Heard};
use crate::body::{self, BodyError};
use crate::config::Timeouts;
use crate::connect::{Connection, Standing};
use crate::route::EightBit;
use crate::told::{Broken, Hearing, Step, Told};

/// How long we listen for the last words of a next hop that went away in the middle of the message.
const PARTING: Duration = Duration::from_secs(5);

/// What a transaction came to.
#[derive(Debug)]
pub(crate) struct Transacted {
    /// One for each recipient, in order.
    pub(crate) answers: Vec<Answer>,
    pub(crate) heard: Hearing,
}

/// A transaction that is about to begin.
pub(crate) struct Transaction<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) claimed: &'a Claimed,
    /// Which of the claimed recipients, by index.
    pub(crate) recipients: &'a [usize],
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) eight_bit: EightBit,
}

impl Transaction<'_> {
    /// Carries it out. The connection's standing tells whether it can be used again.
    pub(crate) async fn run(mut self) -> Transacted {
        if let Some(answer) = self.misfit().await {
            return Transacted {
                answers: vec![answer; self.recipients.len()],
                heard: Hearing::Heard,
            };
        }
        let mut told = Told::default();
        let broken = self.converse(&mut told).await.err();
        self.connection.standing = told.standing(broken.is_some());
        self.connection.served += 1;
        let peer = &self.connection.peer;
        let answer = |at| told.answer(at, broken.as_ref(), peer);
        Transacted {
            answers: (0..self.recipients.len()).map(answer).collect(),
            heard: told.hearing(),
        }
    }

    /// Why the message cannot go through this next hop at all.
    async fn misfit(&self) -> Option<Answer> {
        let offers = &self.connection.offers;
        let peer = &self.connection.peer;
        let size = self.octets();
        if let Some(limit) = offers.size.filter(|limit| *limit > 0 && *limit < size) {
            let why = format!("message of {size} octets is over the next hop's limit of {limit}");
            return Some(Answer::own(Fate::Never, Enhanced(5, 3, 4), why, peer));
        }
        if offers.eight_bit || self.eight_bit == EightBit::Send {
            return None;
        }
        match body::is_eight_bit(&self.claimed.content).await {
            Ok(false) => None,
            Ok(true) => {
                let why = "8-bit message, and the next hop does not offer 8BITMIME";
                Some(Answer::own(Fate::Never, Enhanced(5, 6, 3), why, peer))
            }
            Err(error) => Some(Broken::from(BodyError::Spool(error)).answer(peer)),
        }
    }

    /// Octets as RFC 1870 counts them: before dot-stuffing.
    fn octets(&self) -> u64 {
        self.claimed.content.len() + self.claimed.received.len() as u64
    }

    async fn converse(&mut self, told: &mut Told) -> Result<(), Broken> {
        if self.connection.offers.pipelining {
            self.envelope_at_once(told).await?;
        } else {
            self.envelope_by_steps(told).await?;
        }
        if !told.wants_message() {
            return Ok(());
        }
        if told.takers() == 0 {
            return self.end_empty().await;
        }
        self.message(told).await
    }

    /// RFC 2920: everything up to DATA in one write, then one reply each.
    async fn envelope_at_once(&mut self, told: &mut Told) -> Result<(), Broken> {
        let reset = self.connection.standing == Standing::Open;
        let mut batch = String::with_capacity(64 * (self.recipients.len() + 2));
        if reset {
            batch.push_str("RSET\r\n");
        }
        batch.push_str(&self.mail());
        for at in self.recipients {
            batch.push_str(&self.rcpt(*at));
        }
        batch.push_str("DATA\r\n");
        let mut batch = Some(batch);
        if reset {
            self.ask(Step::Reset, batch.take()).await?;
        }
        told.mail = Some(self.ask(Step::Mail, batch).await?);
        for _ in self.recipients {
            told.rcpt.push(self.ask(Step::Rcpt, None).await?);
        }
        told.data = Some(self.ask(Step::Data, None).await?);
        Ok(())
    }

    async fn envelope_by_steps(&mut self, told: &mut Told) -> Result<(), Broken> {
        if self.connection.standing == Standing::Open {
            self.ask(Step::Reset, Some("RSET\r\n".to_owned())).await?;
        }
        let mail = self.mail();
        let mail = told.mail.insert(self.ask(Step::Mail, Some(mail)).await?);
        if mail.class() != Class::Yes {
            return Ok(());
        }
        for at in self.recipients {
            let rcpt = self.rcpt(*at);
            told.rcpt.push(self.ask(Step::Rcpt, Some(rcpt)).await?);
        }
        if told.takers() > 0 {
            let data = self.ask(Step::Data, Some("DATA\r\n".to_owned())).await?;
            told.data = Some(data);
        }
        Ok(())
    }

    /// MAIL with SIZE (RFC 1870) and BODY (RFC 6152) where they are offered.
    fn mail(&self) -> String {
        let offers = &self.connection.offers;
        let mut line = format!("MAIL FROM:{}", self.claimed.reverse_path);
        if offers.size.is_some() {
            // Writing to a String cannot fail.
            let _ = write!(line, " SIZE={}", self.octets());
        }
        if offers.eight_bit && self.declares_eight_bit() {
            line.push_str(" BODY=8BITMIME");
        }
        line.push_str("\r\n");
        line
    }

    /// As the client declared; a message in memory is looked at as well, for that costs nothing.
    fn declares_eight_bit(&self) -> bool {
        let seen = match &self.claimed.content {
            posthouse_hook::Content::Memory(bytes) => !bytes.is_ascii(),
            posthouse_hook::Content::Spooled(_) => false,
        };
        self.claimed.eight_bit || seen
    }

    fn rcpt(&self, at: usize) -> String {
        format!("RCPT TO:{}\r\n", self.claimed.recipients[at].deliver_to())
    }

    /// Sends the message and hears what the next hop says to the dot.
    async fn message(&mut self, told: &mut Told) -> Result<(), Broken> {
        let sent = body::send(&self.connection.wire, self.claimed, self.timeouts.block.0).await;
        if let Err(error) = sent {
            if let BodyError::Wire(_) = error {
                told.dot = self.parting_words().await;
            }
            return Err(error.into());
        }
        told.dot = Some(self.ask(Step::Dot, None).await?);
        Ok(())
    }

    /// Some next hops refuse in the middle of a message and close: the refusal is worth hearing.
    /// A yes is not: it cannot be about a message that it did not get.
    async fn parting_words(&mut self) -> Option<Heard> {
        let last = self.connection.smtp.read_response();
        let heard = Heard::from_lettre(timeout(PARTING, last).await.ok()?).ok()?;
        matches!(heard.class(), Class::NotNow | Class::No).then_some(heard)
    }

    /// RFC 2920 §3.1: DATA was taken though every RCPT was refused; a dot ends it.
    async fn end_empty(&mut self) -> Result<(), Broken> {
        self.ask(Step::Dot, Some(".\r\n".to_owned())).await?;
        Ok(())
    }

    /// Says something, if there is something to say, and hears one reply.
    async fn ask(&mut self, step: Step, say: Option<String>) -> Result<Heard, Broken> {
        let limit = step.limit(self.timeouts);
        let reply = timeout(limit, exchange(&mut self.connection.smtp, say)).await;
        let late = || Broken::at(step, &format!("no reply within {limit:?}"));
        let heard = Heard::from_lettre(reply.map_err(|_| late())?);
        let heard = heard.map_err(|words| Broken::at(step, &words))?;
        let wrong = match heard.class() {
            Class::Yes => step == Step::Data,
            Class::GoOn => step != Step::Data,
            Class::NotNow | Class::No => false,
        };
        if wrong {
            return Err(Broken::at(step, &format!("said {heard}")));
        }
        Ok(heard)
    }
}

async fn exchange(
    smtp: &mut AsyncSmtpConnection,
    say: Option<String>,
) -> Result<lettre::transport::smtp::response::Response, lettre::transport::smtp::Error> {
    match say {
        Some(text) => smtp.command(text).await,
        None => smtp.read_response().await,
    }
}
