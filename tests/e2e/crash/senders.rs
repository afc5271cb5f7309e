//! The senders: each sends one message after the other, and remembers what was acknowledged. What
//! was not is never sent again, so every message may arrive once at the most by the sender's doing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use posthouse_tests::smtp::{Heard, Smtp};

use super::mail::{Fate, Mail};
use super::record::Record;

const SENDERS: usize = 4;
/// Between two attempts to connect while the server is down.
const PAUSE: Duration = Duration::from_millis(5);

/// The senders at work.
pub(super) struct Senders {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Senders {
    pub(super) fn start(addr: SocketAddr, record: &Arc<Record>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |sender| {
            let (stop, record) = (Arc::clone(&stop), Arc::clone(record));
            std::thread::spawn(move || work(addr, sender, &stop, &record))
        };
        let threads = (0..SENDERS).map(start).collect();
        Self { stop, threads }
    }

    /// Lets each end the message that it is at.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a sender does not panic");
        }
    }
}

fn work(addr: SocketAddr, sender: usize, stop: &AtomicBool, record: &Record) {
    let mut client = None;
    for number in 0.. {
        while client.is_none() && !stop.load(Ordering::Relaxed) {
            client = Smtp::hello(addr).ok();
            std::thread::sleep(PAUSE);
        }
        let Some(smtp) = client.as_mut().filter(|_| !stop.load(Ordering::Relaxed)) else {
            return;
        };
        let mail = Mail { sender, number };
        match send(smtp, mail) {
            Ok(heard) => judge(mail, &heard, record),
            Err(_crashed) => client = None,
        }
    }
}

fn send(smtp: &mut Smtp, mail: Mail) -> io::Result<Heard> {
    let (from, to) = mail.envelope();
    smtp.send(from, &[to], &mail.octets())
}

/// A server that lives gives the reply that belongs to the message's fate, and no other.
fn judge(mail: Mail, heard: &Heard, record: &Record) {
    let as_it_should = match mail.fate() {
        Fate::Relayed | Fate::Held => heard.code == 250,
        Fate::Refused => heard.code == 552 && heard.text.contains("http://"),
    };
    if as_it_should {
        record.acknowledged(mail);
    } else {
        record.surprised(format!("{mail:?}: {heard:?}"));
    }
}
