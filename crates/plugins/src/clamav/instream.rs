//! One message over one connection to clamd: `zINSTREAM`, pieces behind their lengths, an empty
//! piece, and the answer (clamd(8)).
//!
//! The crate clamav-client 2.3 was tried. It hears clamd only when it has sent everything, so that an
//! early "size limit exceeded" is lost in a broken pipe; it reads an answer of any length; and to it
//! every answer is clean that has "OK" somewhere in it and no "FOUND".

use std::pin::pin;

use posthouse_hook::Content;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::reply::{MAX_ANSWER, Said, parse};
use crate::scan::{self, Chunks};
use crate::scan_server::Stream;

/// Stands before the message. clamd looks at the first octets to see what a file is: to a message
/// that begins with `MZ: x` it says OK without having looked for attachments at all.
pub(super) const LEAD: &[u8] = b"Received: by posthouse\r\n";
/// Octets of one piece.
const PIECE: usize = 64 * 1024;

/// Our own copy of the message cannot be read: no fault of clamd's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

/// Why not all of the message was sent.
enum Stopped {
    Unreadable(Unreadable),
    Wire(std::io::Error),
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Wire(error)
    }
}

/// Sends the message and hears the answer. The error is clamd's, or that of the connection.
pub(super) async fn scan(
    stream: Box<dyn Stream>,
    content: &Content,
) -> Result<Result<Said, Unreadable>, String> {
    let (reader, writer) = tokio::io::split(stream);
    let mut answer = pin!(hear(reader));
    let sent = tokio::select! {
        biased;
        sent = send(writer, content) => sent,
        answer = &mut answer => return early(&answer?),
    };
    match sent {
        Ok(_open) => parse(&answer.await?).map(Ok),
        Err(Stopped::Unreadable(why)) => Ok(Err(why)),
        Err(Stopped::Wire(error)) => match answer.await {
            Ok(answer) => early(&answer),
            Err(_) => Err(format!("clamd stopped reading: {error}")),
        },
    }
}

/// An answer to a part of the message: it cannot say that all of it is clean.
fn early(answer: &[u8]) -> Result<Result<Said, Unreadable>, String> {
    match parse(answer)? {
        Said::Clean => Err("clamd answered before it had the message".to_owned()),
        said => Ok(Ok(said)),
    }
}

/// Gives the connection back, so that it stays open for the answer.
async fn send<W: AsyncWrite + Unpin>(mut out: W, content: &Content) -> Result<W, Stopped> {
    out.write_all(b"zINSTREAM\0").await?;
    send_piece(&mut out, LEAD).await?;
    let mut chunks = Chunks::new(content.clone());
    let unreadable =
        |error: std::io::Error| Stopped::Unreadable(Unreadable(scan::unreadable(&error)));
    while let Some(chunk) = chunks.next().await.map_err(unreadable)? {
        for piece in chunk.chunks(PIECE) {
            send_piece(&mut out, piece).await?;
        }
    }
    send_piece(&mut out, &[]).await?;
    out.flush().await?;
    Ok(out)
}

async fn send_piece(
    out: &mut (impl AsyncWrite + Unpin),
    piece: &[u8],
) -> Result<(), std::io::Error> {
    let length = u32::try_from(piece.len()).map_err(std::io::Error::other)?;
    out.write_all(&length.to_be_bytes()).await?;
    out.write_all(piece).await
}

/// Reads up to the NUL that ends an answer, or to the end, but no more than an answer can have.
async fn hear(mut from: impl AsyncRead + Unpin) -> Result<Vec<u8>, String> {
    let mut answer = Vec::with_capacity(MAX_ANSWER);
    while !answer.contains(&0) {
        let read = from.read_buf(&mut answer).await;
        match read.map_err(|error| format!("no answer of clamd: {error}"))? {
            0 if answer.is_empty() => return Err("clamd closed without an answer".to_owned()),
            0 => return Ok(answer),
            _ if answer.len() > MAX_ANSWER => {
                return Err(format!("clamd's answer is over {MAX_ANSWER} octets"));
            }
            _ => {}
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;
    use crate::scan::testing::Trickle;

    /// A clamd that reads `octets` of the request, answers, and closes.
    async fn clamd(mut wire: DuplexStream, octets: usize, answer: &[u8]) -> Vec<u8> {
        let mut asked = vec![0; octets];
        wire.read_exact(&mut asked).await.expect("a request");
        // The client need not hear all of it.
        let _ = wire.write_all(answer).await;
        asked
    }

    async fn ask(content: Content, octets: usize, answer: &[u8]) -> (Answer, Vec<u8>) {
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::join!(
            scan(Box::new(ours), &content),
            clamd(theirs, octets, answer)
        )
    }

    type Answer = Result<Result<Said, Unreadable>, String>;

    fn big() -> Content {
        Content::Memory(vec![b'x'; 1 << 20].into())
    }

    #[tokio::test]
    async fn the_message_goes_out_in_pieces_behind_our_own_first_line() {
        let mut want = b"zINSTREAM\0\0\0\0\x18".to_vec();
        want.extend_from_slice(LEAD);
        want.extend_from_slice(b"\0\0\0\x05MZ: x\0\0\0\x02\r\n\0\0\0\0");
        let content = Trickle::content(&[b"MZ: x", b"\r\n"]);
        let (said, asked) = ask(content, want.len(), b"stream: OK\0").await;
        assert_eq!(asked, want);
        assert_eq!(said, Ok(Ok(Said::Clean)));
    }

    #[tokio::test]
    async fn an_early_answer_is_heard_and_never_clean() {
        let (said, _) = ask(big(), 1000, b"INSTREAM size limit exceeded. ERROR\0").await;
        assert_eq!(said, Ok(Ok(Said::TooBig)));
        let (said, _) = ask(big(), 1000, b"stream: OK\0").await;
        assert!(said.is_err_and(|why| why.contains("before it had")));
    }

    #[tokio::test]
    async fn an_answer_is_bounded_and_whole() {
        let small = || Content::Memory("Subject: x\r\n".into());
        let whole = 10 + 4 + LEAD.len() + 4 + 12 + 4;
        for answer in [
            &[b'x'; 100_000][..],
            b"",
            b"stream: OK",
            b"stream: OK\0more",
        ] {
            let (said, _) = ask(small(), whole, answer).await;
            assert!(said.is_err(), "{said:?}");
        }
        let (said, _) = ask(big(), 10, b"").await;
        assert!(said.is_err(), "{said:?}");
    }
}
