//! A connection's two buffers: octets read ahead, and replies not yet written.
//!
//! Replies gather until the session must read again, so a pipelined batch is answered in one write
//! (RFC 2920 §3.2). The buffers are small while the client is idle.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use posthouse_hook::Reply;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

/// Octets of room to read into while nothing is under way.
pub(crate) const IDLE_ROOM: usize = 512;
/// Octets of replies that may gather: a client which never reads cannot make them pile up.
const MOST_GATHERED: usize = 8_192;
/// How long a closing connection is read on, and how much, so that the last reply is not lost to
/// the reset that unread octets would cause.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_OCTETS: u64 = 1_048_576;

/// One connection.
pub(crate) struct Wire<S> {
    stream: S,
    /// What was read and not yet understood.
    pub(crate) inbox: BytesMut,
    outbox: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A connection on which nothing was said.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            inbox: BytesMut::new(),
            outbox: Vec::new(),
        }
    }

    /// Adds a reply to those that will be written.
    pub(crate) fn push(&mut self, reply: &Reply) {
        reply.write_to(&mut self.outbox);
    }

    /// Whether so many replies gathered that they should be written now.
    pub(crate) fn is_crowded(&self) -> bool {
        self.outbox.len() > MOST_GATHERED
    }

    /// Writes what gathered.
    pub(crate) async fn flush(&mut self, limit: Duration) -> io::Result<()> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        timeout(limit, self.stream.write_all(&self.outbox)).await??;
        self.outbox.clear();
        self.outbox.shrink_to(IDLE_ROOM);
        Ok(())
    }

    /// Reads what is there, at least one octet, at most about `room`. 0 means the end.
    pub(crate) async fn fill(&mut self, room: usize) -> io::Result<usize> {
        // Reserving also wins back the room of what was understood, so only now it shows whether
        // the buffer is far too large for what is to come.
        self.inbox.reserve(room);
        if self.inbox.is_empty() && self.inbox.capacity() > 8 * room {
            self.inbox = BytesMut::with_capacity(room);
        }
        self.stream.read_buf(&mut self.inbox).await
    }

    /// Whether octets stand behind those that were understood, without waiting for any.
    pub(crate) async fn has_more(&mut self) -> bool {
        if !self.inbox.is_empty() {
            return true;
        }
        let mut octets = [0; 64];
        let mut read = ReadBuf::new(&mut octets);
        let look = poll_fn(|context| {
            let read = Pin::new(&mut self.stream).poll_read(context, &mut read);
            Poll::Ready(matches!(read, Poll::Ready(Ok(()))))
        });
        let ready = look.await;
        self.inbox.extend_from_slice(read.filled());
        ready && !self.inbox.is_empty()
    }

    /// Writes what gathered and closes the connection so that the client can still read it.
    pub(crate) async fn close(&mut self, limit: Duration) {
        let farewell = async {
            self.flush(limit).await?;
            self.stream.shutdown().await
        };
        if farewell.await.is_ok() {
            let (mut rest, mut nowhere) =
                ((&mut self.stream).take(LINGER_OCTETS), tokio::io::sink());
            let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut nowhere)).await;
        }
    }
}
