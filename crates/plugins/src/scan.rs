//! What all scanners share: how a scan is left as a note, and how a message is read for one.
//!
//! A scanner leaves exactly one scan and passes. What could not be scanned says so and why; it is
//! never called clean, and what to do about it is for the policy that reads the notes.

use std::fmt::Display;
use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use posthouse_hook::facts::Scans;
use posthouse_hook::trail::visible;
use posthouse_hook::{Content, Scan, Scanned, Session, Transaction};

/// Most names of tests that a scan keeps, and the longest name in characters.
const MAX_TESTS: usize = 100;
const MAX_NAME: usize = 64;
/// Longest reason in characters.
const MAX_WHY: usize = 200;
/// What a scanner may take beyond its own limit before the chain gives it up: reading the message
/// and looking up names are not the server's doing.
pub(crate) const SLACK: Duration = Duration::from_secs(5);
/// Octets that are read from a spool file at a time.
const BLOCK: u64 = 64 * 1024;

/// Appends a scan to the transaction's notes, and remarks it.
pub(crate) fn leave(session: &mut Session, tx: &mut Transaction, scan: Scan) {
    session.remark(remark(&scan));
    let mut scans = tx.notes.get::<Scans>().cloned().unwrap_or_default();
    scans.0.push(scan);
    tx.notes.put(scans);
}

/// A scan that came to no answer.
pub(crate) fn unscanned(scanner: &str, why: impl Display) -> Scan {
    let why: String = why.to_string().chars().take(MAX_WHY).collect();
    Scan {
        scanner: scanner.to_owned(),
        found: Scanned::Unscanned(visible(&why)),
        score: None,
        limit: None,
        action: None,
        tests: Vec::new(),
    }
}

/// The names of the tests that fired, as many and as much of each as a scan keeps.
pub(crate) fn tests<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let short = |name: &str| visible(&name.chars().take(MAX_NAME).collect::<String>());
    names
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .take(MAX_TESTS)
        .map(short)
        .collect()
}

/// Why a message of this size is not sent to a scanner, if it is not.
pub(crate) fn too_big(content: &Content, max_size: u64) -> Result<(), String> {
    match content.len() {
        size if size > max_size => Err(format!(
            "too big: {size} octets, more than max_size = {max_size}"
        )),
        _ => Ok(()),
    }
}

/// The reason when our own copy of the message cannot be read.
pub(crate) fn unreadable(error: &io::Error) -> String {
    format!("the message cannot be read: {error}")
}

fn remark(scan: &Scan) -> String {
    let mut out = match &scan.found {
        Scanned::Spam => "spam".to_owned(),
        Scanned::Clean => "clean".to_owned(),
        Scanned::Unscanned(why) => return format!("not scanned: {why}"),
    };
    if let Some(score) = scan.score {
        out.push_str(&format!(", score {score}"));
    }
    if let Some(limit) = scan.limit {
        out.push_str(&format!(", limit {limit}"));
    }
    if !scan.tests.is_empty() {
        out.push_str(&format!(", tests {}", scan.tests.join(" ")));
    }
    out
}

/// The bytes of a message, block by block, without blocking the runtime or holding it whole.
pub(crate) struct Chunks(Rest);

enum Rest {
    Unopened(Content),
    Open(Box<dyn Read + Send>),
    Done,
}

impl Chunks {
    /// A message from its first octet.
    pub(crate) fn new(content: Content) -> Self {
        Self(Rest::Unopened(content))
    }

    /// The next octets; none at the end. What is in memory comes whole, and is not copied.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match std::mem::replace(&mut self.0, Rest::Done) {
            Rest::Done => Ok(None),
            Rest::Unopened(Content::Memory(bytes)) => {
                Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
            }
            Rest::Unopened(content) => self.read(move || content.reader()).await,
            Rest::Open(reader) => self.read(move || Ok(reader)).await,
        }
    }

    async fn read(
        &mut self,
        reader: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static,
    ) -> io::Result<Option<Bytes>> {
        let read = move || {
            let mut reader = reader()?;
            let mut block = Vec::new();
            reader.by_ref().take(BLOCK).read_to_end(&mut block)?;
            Ok::<_, io::Error>((reader, Bytes::from(block)))
        };
        let (reader, block) = tokio::task::spawn_blocking(read)
            .await
            .map_err(io::Error::other)??;
        if block.is_empty() {
            return Ok(None);
        }
        self.0 = Rest::Open(reader);
        Ok(Some(block))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A spooled message that comes in pieces of the test's choosing.

    use std::io::{self, Cursor, Read};
    use std::path::Path;
    use std::sync::Arc;

    use posthouse_hook::{Content, Spooled};

    pub(crate) struct Trickle(Vec<Vec<u8>>);

    impl Trickle {
        /// Each part fills the block that it is in, so that the next part begins another.
        pub(crate) fn content(parts: &[&[u8]]) -> Content {
            let parts = parts.iter().filter(|part| !part.is_empty());
            Content::Spooled(Arc::new(Self(parts.map(|part| part.to_vec()).collect())))
        }
    }

    impl Spooled for Trickle {
        fn len(&self) -> u64 {
            self.0.iter().map(|part| part.len() as u64).sum()
        }

        fn open(&self) -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(Parts(
                self.0.clone().into_iter(),
                Cursor::default(),
            )))
        }

        fn path(&self) -> &Path {
            Path::new("")
        }
    }

    /// Says "end" once after each part.
    struct Parts(std::vec::IntoIter<Vec<u8>>, Cursor<Vec<u8>>);

    impl Read for Parts {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let done = self.1.position() == self.1.get_ref().len() as u64;
            if done && !self.1.get_ref().is_empty() {
                self.1 = Cursor::default();
                return Ok(0);
            }
            if done && let Some(part) = self.0.next() {
                self.1 = Cursor::new(part);
            }
            self.1.read(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use posthouse_hook::{Id, ReversePath, Timestamp};

    use super::*;

    #[test]
    fn scans_are_appended_in_order() {
        let client = "192.0.2.1:1".parse().expect("an address");
        let mut session = Session::new(Id(1), client, client, Timestamp(0));
        let mut tx = Transaction::new(Id(2), Timestamp(0), ReversePath::Null);
        leave(&mut session, &mut tx, unscanned("a", "down\r\n250 OK"));
        leave(&mut session, &mut tx, unscanned("b", "x".repeat(999)));
        let Scans(scans) = tx.notes.get().expect("a note");
        assert_eq!(scans.len(), 2);
        let Scanned::Unscanned(why) = &scans[0].found else {
            panic!("{scans:?}");
        };
        assert_eq!(why, "down\u{fffd}\u{fffd}250 OK");
        assert_eq!(scans[1].scanner, "b");
    }

    #[test]
    fn a_scan_keeps_a_bounded_list_of_tests() {
        let long = "T".repeat(500);
        let many: Vec<&str> = std::iter::repeat_n(long.as_str(), 500).collect();
        let kept = tests(["", " A "].into_iter().chain(many));
        assert_eq!(kept.len(), MAX_TESTS);
        assert_eq!(kept[0], "A");
        assert_eq!(kept[1].len(), MAX_NAME);
    }

    #[tokio::test]
    async fn chunks_give_every_octet_once() {
        let whole: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        for content in [
            Content::Memory(whole.clone().into()),
            testing::Trickle::content(&[&whole]),
        ] {
            let mut chunks = Chunks::new(content);
            let mut seen = Vec::new();
            while let Some(chunk) = chunks.next().await.expect("readable") {
                seen.extend_from_slice(&chunk);
            }
            assert_eq!(seen, whole);
            assert!(chunks.next().await.expect("the end").is_none());
        }
    }
}
