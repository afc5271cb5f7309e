//! The counting sink: an SMTP server that takes everything at once and keeps nothing.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use memchr::memmem::Finder;

use crate::message::{Number, number_in};
use crate::tally::Tally;

/// Octets of a message in which its number is looked for.
const HEAD: usize = 4096;
/// Octets of a command line that are read.
const LINE: u64 = 4096;
const END: &[u8] = b"\r\n.\r\n";

/// A running sink.
pub(crate) struct Sink {
    addr: SocketAddr,
    current: Arc<Mutex<Arc<Tally>>>,
}

impl Sink {
    /// Listens on this loopback port; 0 takes any.
    pub(crate) fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let addr = listener.local_addr()?;
        let current = Arc::new(Mutex::new(Arc::new(Tally::new(0, 0))));
        let tallies = Arc::clone(&current);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tallies = Arc::clone(&tallies);
                std::thread::spawn(move || Session::new(stream, tallies)?.run());
            }
        });
        Ok(Self { addr, current })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Counts for this run from now on.
    pub(crate) fn count_for(&self, tally: &Arc<Tally>) {
        *self.current.lock().expect("nobody panics with it") = Arc::clone(tally);
    }
}

struct Session {
    input: BufReader<TcpStream>,
    output: TcpStream,
    /// Replies that wait until the peer has said all that it wanted to say at once.
    waiting: Vec<u8>,
    tallies: Arc<Mutex<Arc<Tally>>>,
}

impl Session {
    fn new(stream: TcpStream, tallies: Arc<Mutex<Arc<Tally>>>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            output: stream.try_clone()?,
            input: BufReader::with_capacity(64 * 1024, stream),
            waiting: b"220 sink.test ESMTP\r\n".to_vec(),
            tallies,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            if self.input.buffer().is_empty() {
                self.output.write_all(&self.waiting)?;
                self.waiting.clear();
            }
            line.clear();
            let input = self.input.by_ref();
            if input.take(LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if self.command(&line.to_ascii_uppercase())? {
                return self.output.write_all(&self.waiting);
            }
        }
    }

    /// Answers one command; says whether it was QUIT.
    fn command(&mut self, line: &[u8]) -> io::Result<bool> {
        let reply: &[u8] = match line.get(..4).unwrap_or_default() {
            b"EHLO" => b"250-sink.test\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME\r\n",
            b"DATA" => return self.data().map(|()| false),
            b"QUIT" => b"221 sink.test\r\n",
            b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" => b"250 OK\r\n",
            _ => b"500 What?\r\n",
        };
        self.waiting.extend_from_slice(reply);
        Ok(line.starts_with(b"QUIT"))
    }

    fn data(&mut self) -> io::Result<()> {
        self.waiting.extend_from_slice(b"354 Go on\r\n");
        self.output.write_all(&self.waiting)?;
        self.waiting.clear();
        let number = read_message(&mut self.input)?;
        let tally = Arc::clone(&self.tallies.lock().expect("nobody panics with it"));
        tally.deliver(number);
        self.waiting.extend_from_slice(b"250 OK\r\n");
        Ok(())
    }
}

/// Reads up to and with the end of DATA, and finds the message's number.
fn read_message(input: &mut impl BufRead) -> io::Result<Option<Number>> {
    let finder = Finder::new(END);
    let mut head = Vec::with_capacity(HEAD);
    let mut seam = b"\r\n".to_vec();
    loop {
        let block = input.fill_buf()?;
        if block.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let room = HEAD.saturating_sub(head.len()).min(block.len());
        head.extend_from_slice(&block[..room]);
        if let Some(used) = end_in(&finder, &mut seam, block) {
            input.consume(used);
            return Ok(number_in(&head));
        }
        let used = block.len();
        input.consume(used);
    }
}

/// How much of the block belongs to the message, if it ends here. `seam` keeps the octets before.
fn end_in(finder: &Finder<'_>, seam: &mut Vec<u8>, block: &[u8]) -> Option<usize> {
    let kept = seam.len();
    seam.extend_from_slice(&block[..block.len().min(END.len() - 1)]);
    if let Some(at) = finder.find(seam) {
        return Some(at + END.len() - kept);
    }
    if let Some(at) = finder.find(block) {
        return Some(at + END.len());
    }
    if block.len() >= END.len() {
        seam.clear();
        seam.extend_from_slice(&block[block.len() - (END.len() - 1)..]);
    } else {
        seam.drain(..seam.len().saturating_sub(END.len() - 1));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_wherever_the_blocks_end() {
        let stream = b"Message-ID: <0001.00000002@ours.test>\r\n\r\n.x\r\n.\r\nQUIT\r\n";
        for capacity in 1..stream.len() + 1 {
            let mut input = BufReader::with_capacity(capacity, &stream[..]);
            let number = read_message(&mut input).expect("whole");
            assert_eq!(number, Some(Number { run: 1, message: 2 }), "{capacity}");
            let mut rest = Vec::new();
            input.read_to_end(&mut rest).expect("memory");
            assert_eq!(rest, b"QUIT\r\n", "{capacity}");
        }
    }

    #[test]
    fn an_empty_message_ends_too() {
        let mut input = BufReader::new(&b".\r\nRSET\r\n"[..]);
        assert_eq!(read_message(&mut input).expect("whole"), None);
        assert_eq!(input.buffer(), b"RSET\r\n");
    }
}
