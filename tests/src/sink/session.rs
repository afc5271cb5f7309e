//! One connection to a sink.

use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Act, Delivery, Script, Seen};

/// Octets that are read at a time.
const CHUNK: usize = 64 * 1024;

/// Plain or through TLS.
enum Io {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    Gone,
}

struct Session<'a> {
    io: Io,
    number: usize,
    from: IpAddr,
    script: &'a Script,
    seen: &'a Mutex<Seen>,
    /// Octets that came and were not looked at yet.
    input: Vec<u8>,
    mail: String,
    rcpt: Vec<String>,
}

/// What follows a command.
enum Next {
    Command,
    Message,
    Tls,
    Close,
}

/// Serves one connection to its end.
pub(super) async fn run(
    socket: TcpStream,
    number: usize,
    script: &Script,
    seen: &Mutex<Seen>,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let from = socket.peer_addr()?.ip();
    let mut session = Session {
        from,
        io: Io::Plain(socket),
        number,
        script,
        seen,
        input: Vec::new(),
        mail: String::new(),
        rcpt: Vec::new(),
    };
    session.answer("CONNECT", "220 sink.test ESMTP\r\n").await?;
    loop {
        let line = session.line().await?;
        match session.command(&line).await? {
            Next::Command => {}
            Next::Message => session.message().await?,
            Next::Tls => session.start_tls().await?,
            Next::Close => return Ok(()),
        }
    }
}

impl Session<'_> {
    async fn command(&mut self, line: &str) -> io::Result<Next> {
        self.note(|seen| seen.commands.push(line.to_owned()));
        let verb: String = line.split(' ').next().unwrap_or("").to_ascii_uppercase();
        let friendly = match verb.as_str() {
            "EHLO" => self.ehlo(),
            "HELO" => "250 sink.test\r\n".to_owned(),
            "DATA" if self.rcpt.is_empty() => "554 5.5.1 No valid recipients\r\n".to_owned(),
            "DATA" => "354 Go on\r\n".to_owned(),
            "QUIT" => "221 2.0.0 Bye\r\n".to_owned(),
            "STARTTLS" => "220 2.0.0 Go on\r\n".to_owned(),
            "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 2.0.0 Ok\r\n".to_owned(),
            _ => "500 5.5.2 What?\r\n".to_owned(),
        };
        let said = self.answer(line, &friendly).await?;
        let yes = said.starts_with('2');
        Ok(match verb.as_str() {
            "MAIL" if yes => {
                self.mail = line.to_owned();
                self.rcpt.clear();
                Next::Command
            }
            "RCPT" if yes => {
                self.rcpt.push(line.to_owned());
                Next::Command
            }
            "DATA" if said.starts_with('3') => Next::Message,
            "STARTTLS" if yes => Next::Tls,
            "QUIT" => Next::Close,
            _ => Next::Command,
        })
    }

    fn ehlo(&self) -> String {
        let mut text = String::new();
        for offer in &self.script.offers {
            if offer != "STARTTLS" || matches!(self.io, Io::Plain(_)) {
                text.push_str(&format!("250-{offer}\r\n"));
            }
        }
        format!("250-sink.test\r\n{text}250 HELP\r\n")
    }

    /// Says what the script wants, or else the friendly reply; gives what was said.
    async fn answer(&mut self, command: &str, friendly: &str) -> io::Result<String> {
        let act = self.script.act_for(command);
        let (octets, close) = match act {
            None => (friendly.as_bytes().to_vec(), false),
            Some(Act::Say(octets)) => (octets, false),
            Some(Act::SayAndClose(octets)) => (octets, true),
            Some(Act::Hang) => return self.hang().await,
            Some(Act::Die) => return self.die(),
        };
        self.write(&octets).await?;
        if close {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }

    async fn hang(&mut self) -> io::Result<String> {
        loop {
            self.read().await?;
        }
    }

    /// With a reset, as a host that crashed would.
    fn die(&mut self) -> io::Result<String> {
        if let Io::Plain(socket) = &self.io {
            socket.set_zero_linger()?;
        }
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// Takes a message up to the dot that stands alone between CRLFs.
    async fn message(&mut self) -> io::Result<()> {
        while self.input.is_empty() {
            self.read().await?;
        }
        self.answer("BODY", "").await?;
        let mut raw = b"\r\n".to_vec();
        let end = loop {
            let from = raw.len().saturating_sub(4);
            raw.append(&mut self.input);
            if let Some(at) = memchr::memmem::find(&raw[from..], b"\r\n.\r\n") {
                break from + at;
            }
            self.read().await?;
        };
        self.input = raw.split_off(end + 5);
        raw.truncate(end + 2);
        raw.drain(..2.min(raw.len()));
        let said = self.answer(".", "250 2.0.0 Taken\r\n").await?;
        if said.starts_with('2') {
            self.keep(raw);
        }
        Ok(())
    }

    fn keep(&mut self, raw: Vec<u8>) {
        let delivery = Delivery {
            mail: std::mem::take(&mut self.mail),
            rcpt: std::mem::take(&mut self.rcpt),
            message: unstuffed(&raw),
            raw,
            tls: matches!(self.io, Io::Tls(_)),
            connection: self.number,
            from: self.from,
        };
        self.note(|seen| seen.deliveries.push(delivery));
    }

    async fn start_tls(&mut self) -> io::Result<()> {
        let acceptor = self.script.acceptor().ok_or(io::ErrorKind::Unsupported)?;
        let Io::Plain(socket) = std::mem::replace(&mut self.io, Io::Gone) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        self.input.clear();
        self.io = Io::Tls(Box::new(acceptor.accept(socket).await?));
        Ok(())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.input, b"\r\n") {
                let rest = self.input.split_off(end + 2);
                let line = std::mem::replace(&mut self.input, rest);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        let count = match &mut self.io {
            Io::Plain(io) => io.read(&mut chunk).await?,
            Io::Tls(io) => io.read(&mut chunk).await?,
            Io::Gone => 0,
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        chunk.truncate(count);
        self.input.extend_from_slice(&chunk);
        self.note(|seen| seen.reads.push(chunk));
        Ok(())
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.io {
            Io::Plain(io) => write(io, octets).await,
            Io::Tls(io) => write(io, octets).await,
            Io::Gone => Ok(()),
        }
    }

    fn note(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

async fn write(io: &mut (impl AsyncRead + AsyncWrite + Unpin), octets: &[u8]) -> io::Result<()> {
    io.write_all(octets).await?;
    io.flush().await
}

/// Undoes dot-stuffing (RFC 5321 §4.5.2), line by line.
fn unstuffed(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut line_start = true;
    for &octet in raw {
        if !(line_start && octet == b'.') {
            out.push(octet);
        }
        line_start = octet == b'\n' && out.ends_with(b"\r\n");
    }
    out
}
