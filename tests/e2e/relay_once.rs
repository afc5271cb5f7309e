//! A ledger that cannot be written to for a while is no reason to deliver a message twice.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use posthouse_tests::proc::require;

use crate::relay_site::{Site, mail};

/// Longer than the store waits for a lock before it says that it fails.
const OUTAGE: Duration = Duration::from_secs(7);

/// A next hop that waits for a word before it answers the end of a message.
fn slow_next_hop(messages: mpsc::Sender<()>, go_on: mpsc::Receiver<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    // It ends when the relay does not come any more, at the latest with the process.
    std::thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            if serve(client, &messages, &go_on).is_err() {
                return;
            }
        }
    });
    addr
}

fn serve(
    client: std::net::TcpStream,
    messages: &mpsc::Sender<()>,
    go_on: &mpsc::Receiver<()>,
) -> io::Result<()> {
    let mut say = client.try_clone()?;
    say.write_all(b"220 slow.test\r\n")?;
    let mut in_message = false;
    for line in BufReader::new(client).lines() {
        let line = line?;
        let reply: &[u8] = match line.as_str() {
            "." => {
                in_message = false;
                messages.send(()).map_err(io::Error::other)?;
                go_on.recv().map_err(io::Error::other)?;
                b"250 2.0.0 Taken\r\n"
            }
            _ if in_message => continue,
            "DATA" => {
                in_message = true;
                b"354 Go on\r\n"
            }
            _ => b"250 2.0.0 Ok\r\n",
        };
        say.write_all(reply)?;
    }
    Ok(())
}

/// Holds the ledger's write lock until dropped.
pub(crate) struct Lock(Child);

impl Lock {
    pub(crate) fn take(ledger: &std::path::Path) -> Self {
        let program = "import sqlite3, sys\n\
            db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
            db.execute('BEGIN IMMEDIATE')\n\
            print('locked', flush=True)\n\
            sys.stdin.read()";
        let mut child = Command::new(require("python3", "python3"))
            .arg("-c")
            .arg(program)
            .arg(ledger)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let said = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).expect("it says");
        assert_eq!(line, "locked\n");
        Self(child)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn what_was_delivered_while_the_ledger_fails_is_delivered_once() {
    let (message, messages) = mpsc::channel();
    let (go, go_on) = mpsc::channel();
    let next_hop = slow_next_hop(message, go_on);
    let site = Site::to(next_hop, "timeout = {}");
    let id = site.submit(&mail(&["bob@b.example"], b"Subject: once\r\n\r\n"));
    messages.recv().expect("the message comes");
    let lock = Lock::take(&site.ledger());
    go.send(()).expect("the next hop waits");
    // The outage has to last: nothing else tells that the store has given up once.
    std::thread::sleep(OUTAGE);
    drop(lock);
    site.said(id, "deliver");
    assert!(messages.try_recv().is_err(), "the message came again");
    assert!(site.audited(id, "claim").len() <= 1);
}
