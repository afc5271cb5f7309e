//! The least of an SMTP client: for readiness, and for tests that must say exact octets.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a step may take.
const STEP: Duration = Duration::from_secs(60);

/// A connection over which a test speaks SMTP itself.
pub struct Smtp {
    stream: BufReader<TcpStream>,
}

/// A reply: its code and all of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The three digits.
    pub code: u16,
    /// The lines without code and line end, joined by LF.
    pub text: String,
}

impl Smtp {
    /// Connects and takes the greeting, which must be 220.
    pub fn connect(addr: SocketAddr) -> io::Result<Self> {
        let mut this = Self::over(TcpStream::connect_timeout(&addr, STEP)?)?;
        expect(this.hear()?, 220)?;
        Ok(this)
    }

    /// Connects from an address of this machine, and hears nothing yet.
    pub fn from(source: IpAddr, addr: SocketAddr) -> io::Result<Self> {
        let domain = socket2::Domain::for_address(addr);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&addr.into(), STEP)?;
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(STEP))?;
        stream.set_write_timeout(Some(STEP))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Connects and says EHLO.
    pub fn hello(addr: SocketAddr) -> io::Result<Self> {
        let mut this = Self::connect(addr)?;
        expect(this.command("EHLO client.test")?, 250)?;
        Ok(this)
    }

    /// Says octets as they are.
    pub fn say(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// Takes one whole reply.
    pub fn hear(&mut self) -> io::Result<Heard> {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (code, rest) = parse(&line)?;
            text.push_str(rest.get(1..).unwrap_or("").trim_end());
            if !rest.starts_with('-') {
                return Ok(Heard { code, text });
            }
            text.push('\n');
        }
    }

    /// Says one command line and takes the reply.
    pub fn command(&mut self, line: &str) -> io::Result<Heard> {
        self.say(format!("{line}\r\n").as_bytes())?;
        self.hear()
    }

    /// One transaction up to the reply to the end of DATA. Refused earlier, that reply is given.
    /// `message` ends in CRLF and holds no line that starts with a dot.
    pub fn send(&mut self, from: &str, to: &[&str], message: &[u8]) -> io::Result<Heard> {
        let mut heard = self.command(&format!("MAIL FROM:<{from}>"))?;
        for to in to {
            if heard.code >= 300 {
                return Ok(heard);
            }
            heard = self.command(&format!("RCPT TO:<{to}>"))?;
        }
        if heard.code >= 300 {
            return Ok(heard);
        }
        heard = self.command("DATA")?;
        if heard.code != 354 {
            return Ok(heard);
        }
        self.say(message)?;
        self.say(b".\r\n")?;
        self.hear()
    }
}

fn parse(line: &str) -> io::Result<(u16, &str)> {
    let garbage = || io::Error::other(format!("no reply: {line:?}"));
    let (code, rest) = line.split_at_checked(3).ok_or_else(garbage)?;
    Ok((code.parse().map_err(|_| garbage())?, rest))
}

fn expect(heard: Heard, code: u16) -> io::Result<()> {
    if heard.code == code {
        return Ok(());
    }
    Err(io::Error::other(format!("wanted {code}, heard {heard:?}")))
}

/// Whether an SMTP server greets there.
pub fn greets(addr: SocketAddr) -> bool {
    Smtp::connect(addr).is_ok()
}
