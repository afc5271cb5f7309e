//! The message on its way out: our Received field, every other octet as it came, the final dot.
//! In big blocks, from memory or from a spool file; nothing is kept that was sent.

use std::io::{self, IoSlice, Read};
use std::time::Duration;

use bytes::Bytes;
use posthouse_hook::Content;
use posthouse_store::Claimed;
use tokio::time::timeout;

use crate::stream::Wire;
use crate::stuffing::{BareLineEnd, Stuffing};

/// Octets of a spool file that are read at a time.
const BLOCK: usize = 256 * 1024;
/// Slices that one write may have (`UIO_MAXIOV` on Linux).
const MAX_SLICES: usize = 1024;

/// Why the message was not sent to its end. The next hop has no final dot, so it has no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Never to be sent.
    #[error(transparent)]
    Bare(#[from] BareLineEnd),
    /// Our spool file cannot be read.
    #[error("the spool file cannot be read: {0}")]
    Spool(io::Error),
    /// The next hop went away.
    #[error("{0}")]
    Wire(io::Error),
    /// The next hop takes nothing any more.
    #[error("took no more of the message within {0:?}")]
    Slow(Duration),
}

/// Sends the message and the dot. `patience` is for each piece that the next hop takes.
pub(crate) async fn send(
    wire: &Wire,
    claimed: &Claimed,
    patience: Duration,
) -> Result<(), BodyError> {
    wire.expect_reply();
    match &claimed.content {
        Content::Memory(bytes) => send_memory(wire, &claimed.received, bytes, patience).await?,
        Content::Spooled(_) => send_spooled(wire, claimed, patience).await?,
    }
    let flush = timeout(patience, wire.flush()).await;
    flush
        .map_err(|_| BodyError::Slow(patience))?
        .map_err(BodyError::Wire)
}

async fn send_memory(
    wire: &Wire,
    received: &str,
    bytes: &Bytes,
    patience: Duration,
) -> Result<(), BodyError> {
    let mut stuffing = Stuffing::default();
    let mut slices = vec![IoSlice::new(received.as_bytes())];
    stuffing.push(bytes, &mut slices)?;
    slices.push(IoSlice::new(stuffing.finish()?));
    write_all(wire, slices, patience).await
}

async fn send_spooled(wire: &Wire, claimed: &Claimed, patience: Duration) -> Result<(), BodyError> {
    let mut stuffing = Stuffing::default();
    let mut reader = Blocks::open(claimed.content.clone());
    let received = vec![IoSlice::new(claimed.received.as_bytes())];
    write_all(wire, received, patience).await?;
    loop {
        let (block, next) = reader.read().await.map_err(BodyError::Spool)?;
        if block.is_empty() {
            break;
        }
        let mut slices = Vec::new();
        stuffing.push(&block, &mut slices)?;
        write_all(wire, slices, patience).await?;
        reader = next;
    }
    let dot = vec![IoSlice::new(stuffing.finish()?)];
    write_all(wire, dot, patience).await
}

async fn write_all(
    wire: &Wire,
    mut slices: Vec<IoSlice<'_>>,
    patience: Duration,
) -> Result<(), BodyError> {
    let mut left = &mut slices[..];
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let some = &left[..left.len().min(MAX_SLICES)];
        let written = timeout(patience, wire.write_parts(some))
            .await
            .map_err(|_| BodyError::Slow(patience))?
            .map_err(BodyError::Wire)?;
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}

/// A spool file, read off the runtime.
pub(crate) enum Blocks {
    Closed(Content),
    Open(Box<dyn Read + Send>),
}

impl Blocks {
    pub(crate) fn open(content: Content) -> Self {
        Self::Closed(content)
    }

    /// The next block, and where to go on; an empty block is the end.
    pub(crate) async fn read(self) -> io::Result<(Vec<u8>, Self)> {
        let read = move || {
            let reader = match self {
                Self::Closed(content) => content.reader()?,
                Self::Open(reader) => reader,
            };
            let mut block = Vec::with_capacity(BLOCK);
            let mut part = reader.take(BLOCK as u64);
            part.read_to_end(&mut block)?;
            Ok((block, Self::Open(part.into_inner())))
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(io::Error::other)?
    }
}

/// Whether the message has octets beyond ASCII.
pub(crate) async fn is_eight_bit(content: &Content) -> io::Result<bool> {
    if let Content::Memory(bytes) = content {
        return Ok(!bytes.is_ascii());
    }
    let mut reader = Blocks::open(content.clone());
    loop {
        let (block, next) = reader.read().await?;
        if block.is_empty() || !block.is_ascii() {
            return Ok(!block.is_empty());
        }
        reader = next;
    }
}
