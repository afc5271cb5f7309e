//! The stream to a next hop: ours on both sides of lettre's connection.
//!
//! lettre speaks through one clone of a [`Wire`] while we hold another: so a reply's size is
//! bounded, octets that nobody asked for are an error, commands are held until the next read (MAIL,
//! RCPT and DATA leave in one segment), and the message goes out past lettre. No deadline is kept
//! here: whoever awaits sets one.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::replies::Replies;
use crate::transport::Transport;

/// Octets that are read at a time: the replies of a whole batch.
const CHUNK: usize = 4096;

/// A handle to the stream. A clone is the same stream.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Mutex<Inner>>);

struct Inner {
    /// Absent while the TLS handshake has it.
    transport: Option<Transport>,
    peer: SocketAddr,
    replies: Replies,
    /// Cleaned replies that were not read yet.
    heard: Vec<u8>,
    /// Commands that were not sent yet.
    held: Vec<u8>,
    /// How much of `held` is sent.
    sent: usize,
    /// Whether the next write is dropped: its answer is in `heard` already.
    rehearsed: bool,
}

impl Wire {
    /// A stream over a transport; the next hop owes so many replies (1: its greeting).
    pub(crate) fn new(transport: Transport, peer: SocketAddr, owed: usize) -> Self {
        let mut replies = Replies::default();
        replies.expect(owed);
        Self(Arc::new(Mutex::new(Inner {
            transport: Some(transport),
            peer,
            replies,
            heard: Vec::new(),
            held: Vec::new(),
            sent: 0,
            rehearsed: false,
        })))
    }

    /// A panic leaves no half-changed state that matters: the connection is dropped with it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a command until the next read.
    pub(crate) fn say(&self, command: &str) {
        self.lock().hold(command.as_bytes());
    }

    /// Sends what is held and reads until no reply is awaited; gives the cleaned text of them.
    pub(crate) async fn hear(&self) -> io::Result<String> {
        std::future::poll_fn(|cx| {
            let mut inner = self.lock();
            while inner.replies.awaited() > 0 {
                ready!(inner.poll_fill(cx))?;
            }
            let heard = std::mem::take(&mut inner.heard);
            Poll::Ready(String::from_utf8(heard).map_err(io::Error::other))
        })
        .await
    }

    /// Writes parts of the message past whoever else holds the stream; returns how many octets
    /// went. Nothing may be held.
    pub(crate) async fn write_parts(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let write = |cx: &mut Context<'_>| self.lock().poll_parts(cx, parts);
        match std::future::poll_fn(write).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }

    /// Announces the message: its final dot is owed a reply.
    pub(crate) fn expect_reply(&self) {
        self.lock().replies.expect(1);
    }

    /// Pushes what TLS may have kept back.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.lock().poll_flush_transport(cx)).await
    }

    /// Whether the next hop is silent, as it should be between two transactions: no notice that it
    /// closes, no end of the stream, no error. Asks the kernel only if something has come.
    pub(crate) fn is_silent(&self) -> bool {
        let mut inner = self.lock();
        let mut cx = Context::from_waker(Waker::noop());
        inner.heard.is_empty() && inner.poll_fill(&mut cx).is_pending()
    }

    /// Puts replies in front that were heard before lettre got the stream: to `greetings` it reads
    /// at once, and the answer to its first command, which is not sent.
    pub(crate) fn rehearse(&self, greeting: &str, answer: &str) {
        let mut inner = self.lock();
        inner.heard.extend_from_slice(greeting.as_bytes());
        inner.heard.extend_from_slice(answer.as_bytes());
        inner.rehearsed = true;
    }

    /// Takes the plain socket out for a TLS handshake. `None` if it is gone or already inside TLS,
    /// or if the next hop has said more than it was asked.
    pub(crate) fn take_plain(&self) -> Option<TcpStream> {
        let mut inner = self.lock();
        let silent = inner.heard.is_empty() && inner.replies.awaited() == 0;
        match inner.transport.take() {
            Some(Transport::Plain(socket)) if silent => Some(socket),
            other => {
                inner.transport = other;
                None
            }
        }
    }
}

impl Inner {
    /// Each line that is sent is a command, and each command is owed a reply.
    fn hold(&mut self, commands: &[u8]) {
        let lines = memchr::memchr_iter(b'\n', commands).count();
        self.replies.expect(lines);
        self.held.extend_from_slice(commands);
    }

    fn transport(&mut self) -> io::Result<&mut Transport> {
        self.transport
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Sends what is held, then reads one chunk into `heard`.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        let mut space = [std::mem::MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut space);
        ready!(self.transport()?.poll_read(cx, &mut chunk))?;
        if chunk.filled().is_empty() {
            let closed = "closed the connection";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, closed)));
        }
        let result = self.replies.take(chunk.filled(), &mut self.heard);
        Poll::Ready(result)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            transport: Some(transport),
            held,
            sent,
            ..
        } = self
        else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while *sent < held.len() {
            match ready!(transport.poll_write(cx, &held[*sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => *sent += written,
            }
        }
        held.clear();
        *sent = 0;
        transport.poll_flush(cx)
    }

    fn poll_parts(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.transport()?.poll_write_vectored(cx, parts)
    }

    fn poll_flush_transport(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport()?.poll_flush(cx)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        while inner.heard.is_empty() {
            ready!(inner.poll_fill(cx))?;
        }
        let count = inner.heard.len().min(buf.remaining());
        buf.put_slice(&inner.heard[..count]);
        inner.heard.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        if !std::mem::take(&mut inner.rehearsed) {
            inner.hold(octets);
        }
        Poll::Ready(Ok(octets.len()))
    }

    /// Nothing: what is held goes out with the next read.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(inner.poll_send(cx))?;
        inner.transport()?.poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.lock().peer)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream to {}", self.lock().peer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair(owed: usize) -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let peer = listener.local_addr().expect("bound");
        let socket = TcpStream::connect(peer).await.expect("listening");
        let (server, _) = listener.accept().await.expect("a client");
        (Wire::new(Transport::Plain(socket), peer, owed), server)
    }

    #[tokio::test]
    async fn commands_wait_for_the_next_read_and_leave_as_one() {
        let (wire, mut server) = pair(0).await;
        wire.say("MAIL\r\n");
        wire.clone()
            .write_all(b"RCPT\r\nDATA\r\n")
            .await
            .expect("held");
        let mut seen = [0; 100];
        let nothing = server.try_read(&mut seen).map_err(|e| e.kind());
        assert_eq!(nothing, Err(io::ErrorKind::WouldBlock));
        let answer = async {
            let count = server.read(&mut seen).await.expect("commands");
            server
                .write_all(b"250 a\r\n250 b\r\n354 c\r\n")
                .await
                .expect("open");
            count
        };
        let (heard, count) = tokio::join!(wire.hear(), answer);
        assert_eq!(&seen[..count], b"MAIL\r\nRCPT\r\nDATA\r\n");
        assert_eq!(heard.expect("replies"), "250 a\r\n250 b\r\n354 c\r\n");
    }

    #[tokio::test]
    async fn a_next_hop_that_speaks_unasked_is_not_silent() {
        let (wire, mut server) = pair(0).await;
        assert!(wire.is_silent());
        server.write_all(b"421 idle\r\n").await.expect("open");
        let noticed = async {
            while wire.is_silent() {
                tokio::task::yield_now().await;
            }
        };
        let limit = std::time::Duration::from_secs(10);
        assert!(tokio::time::timeout(limit, noticed).await.is_ok());
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_an_error() {
        let (wire, server) = pair(1).await;
        drop(server);
        let error = wire.hear().await.expect_err("closed");
        assert_eq!(error.to_string(), "closed the connection");
    }
}
