//! The load generator: sessions that send messages as fast as they are taken, a thread each. It
//! waits for each reply (no pipelining), and writes a message and its end at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use posthouse_tests::smtp::Smtp;

use crate::message::{Form, Number};
use crate::tally::Tally;

/// A session that fails this often in a row gives up.
const MAX_FAILURES: usize = 20;

/// How a system is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Shape {
    /// Sessions at a time.
    pub(crate) sessions: usize,
    /// Octets of a message.
    pub(crate) size: usize,
    /// Whether each message comes over a connection of its own.
    pub(crate) connection_each: bool,
}

/// What the sessions saw.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// From the first word to the last 250.
    pub(crate) took: Duration,
    /// From the end of DATA to its 250, for each message.
    pub(crate) waits: Vec<Duration>,
    /// Replies that refused, and connections that failed, with the last reason.
    pub(crate) failures: usize,
    /// The last reason.
    pub(crate) reason: Option<String>,
}

struct Load<'a> {
    addr: SocketAddr,
    shape: Shape,
    tally: &'a Tally,
    next: AtomicUsize,
    end: usize,
    start: Barrier,
}

/// Sends the messages `range` of the tally's run.
pub(crate) fn send(
    addr: SocketAddr,
    shape: Shape,
    tally: &Tally,
    range: std::ops::Range<usize>,
) -> Sent {
    let load = Load {
        addr,
        shape,
        tally,
        next: AtomicUsize::new(range.start),
        end: range.end,
        start: Barrier::new(shape.sessions + 1),
    };
    std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..shape.sessions)
            .map(|_| scope.spawn(|| load.session()))
            .collect();
        load.start.wait();
        let begun = Instant::now();
        let mut sent = Sent::default();
        for session in sessions {
            sent.add(session.join().expect("a session does not panic"));
        }
        sent.took = begun.elapsed();
        sent
    })
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.waits.extend(other.waits);
        self.failures += other.failures;
        self.reason = other.reason.or(self.reason.take());
    }
}

impl Load<'_> {
    fn session(&self) -> Sent {
        let mut form = Form::new(self.shape.size);
        let mut sent = Sent::default();
        let mut client = None;
        let mut in_a_row = 0;
        self.start.wait();
        while let Some(message) = self.take() {
            match self.deliver(&mut client, &mut form, message) {
                Ok(wait) => {
                    sent.waits.push(wait);
                    in_a_row = 0;
                }
                Err(error) => {
                    client = None;
                    sent.failures += 1;
                    sent.reason = Some(error.to_string());
                    in_a_row += 1;
                }
            }
            if in_a_row == MAX_FAILURES {
                break;
            }
        }
        if let Some(mut client) = client {
            let _ = client.command("QUIT");
        }
        sent
    }

    fn take(&self) -> Option<usize> {
        let message = self.next.fetch_add(1, Relaxed);
        (message < self.end).then_some(message)
    }

    /// One message; how long the end of DATA took.
    fn deliver(
        &self,
        client: &mut Option<Smtp>,
        form: &mut Form,
        message: usize,
    ) -> io::Result<Duration> {
        let mut smtp = match client.take() {
            Some(smtp) => smtp,
            None => Smtp::hello(self.addr)?,
        };
        let number = Number {
            run: self.tally.run(),
            message: u32::try_from(message).map_err(io::Error::other)?,
        };
        let wait = transact(&mut smtp, form.numbered(number))?;
        self.tally.accept(message);
        if self.shape.connection_each {
            smtp.command("QUIT")?;
        } else {
            *client = Some(smtp);
        }
        Ok(wait)
    }
}

fn transact(smtp: &mut Smtp, message: &[u8]) -> io::Result<Duration> {
    ask(smtp, "MAIL FROM:<ann@ours.test>", 250)?;
    ask(smtp, "RCPT TO:<bob@far.test>", 250)?;
    ask(smtp, "DATA", 354)?;
    smtp.say(message)?;
    let said = Instant::now();
    let heard = smtp.hear()?;
    let wait = said.elapsed();
    if heard.code == 250 {
        return Ok(wait);
    }
    Err(io::Error::other(format!(
        "end of DATA: {} {}",
        heard.code, heard.text
    )))
}

fn ask(smtp: &mut Smtp, line: &str, code: u16) -> io::Result<()> {
    let heard = smtp.command(line)?;
    if heard.code == code {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{line}: {} {}",
        heard.code, heard.text
    )))
}
