//! The retry identity: by it, the same message sent again finds the item that is already held.
//!
//! Same = unwrapped sender, recipient set, and the message from the first header field that is not
//! in our servers' own trace block: what they prepend differs at each try.

use std::io::{self, Read};
use std::sync::Arc;

use posthouse_hook::{Content, ForwardPath, ReversePath};
use sha2::{Digest as _, Sha256};

/// SHA-256 over sender, recipients and the message from `start` on. A spooled message is read on
/// a thread that may block.
pub(super) async fn identity(
    sender: &ReversePath,
    recipients: &[&ForwardPath],
    content: &Content,
    start: usize,
) -> io::Result<[u8; 32]> {
    let mut hash = envelope(sender, recipients);
    match content {
        Content::Memory(bytes) => {
            hash.update(bytes.get(start..).unwrap_or_default());
            Ok(hash.finalize().into())
        }
        Content::Spooled(file) => {
            let file = Arc::clone(file);
            tokio::task::spawn_blocking(move || rest(hash, file.open()?, start))
                .await
                .map_err(io::Error::other)?
        }
    }
}

/// The addresses in one case, the recipients as a set, each behind its length.
fn envelope(sender: &ReversePath, recipients: &[&ForwardPath]) -> Sha256 {
    let mut keys: Vec<_> = recipients.iter().map(|path| path.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    let sender = sender.address().to_ascii_lowercase();
    let mut hash = Sha256::new();
    hash.update((keys.len() as u64).to_be_bytes());
    for part in std::iter::once(sender).chain(keys) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash
}

fn rest(mut hash: Sha256, mut file: Box<dyn Read + Send>, start: usize) -> io::Result<[u8; 32]> {
    io::copy(&mut file.by_ref().take(start as u64), &mut io::sink())?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use posthouse_hook::Spooled;

    use super::*;

    struct Kept(Vec<u8>);

    impl Spooled for Kept {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn open(&self) -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(io::Cursor::new(self.0.clone())))
        }
        fn path(&self) -> &Path {
            Path::new("nowhere")
        }
    }

    async fn of(sender: &str, to: &[&str], content: Content, start: usize) -> [u8; 32] {
        let sender = ReversePath::parse(sender).expect("a path");
        let paths: Vec<_> = to
            .iter()
            .map(|t| ForwardPath::parse(t).expect("a path"))
            .collect();
        let paths: Vec<_> = paths.iter().collect();
        identity(&sender, &paths, &content, start)
            .await
            .expect("readable")
    }

    fn memory(text: &str) -> Content {
        Content::Memory(Bytes::from(text.to_owned()))
    }

    #[tokio::test]
    async fn the_same_message_by_another_try_is_the_same() {
        let to = ["<x@b.example>", "<y@b.example>"];
        let first = of(
            "<a@a.example>",
            &to,
            memory("Received: 1\r\nS: s\r\n\r\n"),
            13,
        )
        .await;
        let swapped = ["<Y@b.example>", "<x@b.example>", "<x@b.example>"];
        let again = of(
            "<A@a.example>",
            &swapped,
            memory("Received: 22\r\nS: s\r\n\r\n"),
            14,
        )
        .await;
        assert_eq!(first, again);
    }

    #[tokio::test]
    async fn any_difference_is_another_message() {
        let one = of("<a@a.example>", &["<x@b.example>"], memory("S: s\r\n"), 0).await;
        let others = [
            of("<b@a.example>", &["<x@b.example>"], memory("S: s\r\n"), 0).await,
            of("<a@a.example>", &["<y@b.example>"], memory("S: s\r\n"), 0).await,
            of(
                "<a@a.example>",
                &["<x@b.example>", "<y@b.example>"],
                memory("S: s\r\n"),
                0,
            )
            .await,
            of("<a@a.example>", &["<x@b.example>"], memory("S: t\r\n"), 0).await,
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[tokio::test]
    async fn a_spooled_message_is_the_same_as_in_memory() {
        let text = "Received: x\r\n".to_owned() + &"line\r\n".repeat(50_000);
        let memory = of("<>", &["<x@b.example>"], memory(&text), 13).await;
        let spooled = Content::Spooled(Arc::new(Kept(text.into_bytes())));
        assert_eq!(of("<>", &["<x@b.example>"], spooled, 13).await, memory);
    }
}
