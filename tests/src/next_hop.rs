//! A next hop that takes everything at once and shows each message to the test, octet by octet as
//! it was sent, dot-stuffing undone. It refuses nothing and keeps nothing.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use memchr::memmem::Finder;

/// Octets of a command line that are read.
const LINE: u64 = 4096;
/// What ends a message.
const END: &[u8] = b"\r\n.\r\n";

/// One message as it arrived. It is acknowledged when the function that sees it returns.
#[derive(Debug)]
pub struct Taken<'a> {
    /// What stood between the brackets of MAIL.
    pub from: &'a str,
    /// What stood between the brackets of each RCPT.
    pub to: &'a [String],
    /// The message.
    pub message: &'a [u8],
}

type See = dyn Fn(&Taken<'_>) + Send + Sync;

/// A running next hop; it listens until the process ends.
#[derive(Debug, Clone, Copy)]
pub struct NextHop {
    addr: SocketAddr,
}

impl NextHop {
    /// Listens on this port of 127.0.0.1 (0 takes any), a thread for each connection.
    pub fn start(port: u16, see: impl Fn(&Taken<'_>) + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let addr = listener.local_addr()?;
        let see: Arc<See> = Arc::new(see);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let see = Arc::clone(&see);
                // A connection that breaks is the peer's affair.
                std::thread::spawn(move || Session::new(stream, see)?.run());
            }
        });
        Ok(Self { addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

struct Session {
    input: BufReader<TcpStream>,
    output: TcpStream,
    /// Replies that wait until the peer has said all that it wanted to say at once.
    waiting: Vec<u8>,
    from: String,
    to: Vec<String>,
    message: Vec<u8>,
    see: Arc<See>,
}

impl Session {
    fn new(stream: TcpStream, see: Arc<See>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            output: stream.try_clone()?,
            input: BufReader::with_capacity(64 * 1024, stream),
            waiting: b"220 next.test ESMTP\r\n".to_vec(),
            from: String::new(),
            to: Vec::new(),
            message: Vec::new(),
            see,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            if self.input.buffer().is_empty() {
                self.flush()?;
            }
            line.clear();
            let input = self.input.by_ref();
            if input.take(LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if self.command(&String::from_utf8_lossy(&line))? {
                return self.flush();
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// Answers one command; says whether it was QUIT.
    fn command(&mut self, line: &str) -> io::Result<bool> {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply: &[u8] = match verb.as_str() {
            "EHLO" => b"250-next.test\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME\r\n",
            "MAIL" => self.begin(path(line)),
            "RCPT" => self.add(path(line)),
            "RSET" => self.begin(""),
            "DATA" => return self.data().map(|()| false),
            "HELO" | "NOOP" => b"250 OK\r\n",
            "QUIT" => b"221 next.test\r\n",
            _ => b"500 What?\r\n",
        };
        self.waiting.extend_from_slice(reply);
        Ok(verb == "QUIT")
    }

    fn begin(&mut self, from: &str) -> &'static [u8] {
        from.clone_into(&mut self.from);
        self.to.clear();
        b"250 OK\r\n"
    }

    fn add(&mut self, to: &str) -> &'static [u8] {
        self.to.push(to.to_owned());
        b"250 OK\r\n"
    }

    fn data(&mut self) -> io::Result<()> {
        self.waiting.extend_from_slice(b"354 Go on\r\n");
        self.flush()?;
        read_message(&mut self.input, &mut self.message)?;
        (self.see)(&Taken {
            from: &self.from,
            to: &self.to,
            message: &self.message,
        });
        self.waiting.extend_from_slice(b"250 OK\r\n");
        Ok(())
    }
}

/// What stands between the brackets of a command.
fn path(line: &str) -> &str {
    let inside = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or("", |(path, _)| path)
}

/// Reads up to and with the end of DATA.
fn read_message(input: &mut impl BufRead, message: &mut Vec<u8>) -> io::Result<()> {
    let finder = Finder::new(END);
    // As if there were a line before, so that a message may be empty.
    message.clear();
    message.extend_from_slice(b"\r\n");
    loop {
        let block = input.fill_buf()?;
        if block.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = message.len();
        message.extend_from_slice(block);
        let seam = before.saturating_sub(END.len() - 1);
        if let Some(at) = finder.find(&message[seam..]) {
            let end = seam + at;
            input.consume(end + END.len() - before);
            message.truncate(end + 2);
            unstuff(message);
            return Ok(());
        }
        let used = block.len();
        input.consume(used);
    }
}

/// Takes the line in front away, and the dot in front of each dot that begins a line.
fn unstuff(message: &mut Vec<u8>) {
    let finder = Finder::new(b"\r\n.");
    let dots: Vec<usize> = finder.find_iter(message).map(|at| at + 2).collect();
    let stuffed = std::mem::take(message);
    let mut from = 2;
    for dot in dots {
        message.extend_from_slice(&stuffed[from..dot]);
        from = dot + 1;
    }
    message.extend_from_slice(&stuffed[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &[u8], capacity: usize) -> (Vec<u8>, Vec<u8>) {
        let mut input = BufReader::with_capacity(capacity, stream);
        let mut message = Vec::new();
        read_message(&mut input, &mut message).expect("a whole message");
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).expect("memory");
        (message, rest)
    }

    #[test]
    fn the_end_is_found_wherever_the_blocks_end() {
        let stream = b"Subject: x\r\n\r\n..x\r\n.\r\nQUIT\r\n";
        for capacity in 1..=stream.len() {
            let (message, rest) = read(stream, capacity);
            assert_eq!(message, b"Subject: x\r\n\r\n.x\r\n", "{capacity}");
            assert_eq!(rest, b"QUIT\r\n", "{capacity}");
        }
    }

    #[test]
    fn a_message_may_be_empty_or_begin_with_a_dot() {
        assert_eq!(
            read(b".\r\nRSET\r\n", 64),
            (Vec::new(), b"RSET\r\n".to_vec())
        );
        assert_eq!(read(b"..\r\n.\r\n", 64).0, b".\r\n");
    }

    #[test]
    fn paths_stand_between_brackets() {
        assert_eq!(path("MAIL FROM:<a@b> SIZE=3\r\n"), "a@b");
        assert_eq!(path("MAIL FROM:<>\r\n"), "");
        assert_eq!(path("nonsense"), "");
    }
}
