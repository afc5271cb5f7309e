//! Canonicalization (RFC 6376 §3.4): what is signed of a header field, and the hash of a body,
//! made while the body streams by.

use std::io;

use posthouse_hook::{Content, Field};
use sha2::{Digest as _, Sha256};

use super::Fault;
use crate::scan::Chunks;
use posthouse_hook::proofs::Verified;

/// How much of a change on the way a signature survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Canon {
    Simple,
    Relaxed,
}

/// Appends a field as it is signed, its line end included.
pub(crate) fn field(out: &mut Vec<u8>, canon: Canon, field: Field<'_>) {
    match canon {
        Canon::Simple => out.extend_from_slice(field.raw),
        Canon::Relaxed => {
            relaxed(out, field.name, field.value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends the field that holds the signature: the value without its `b`, and no line end.
pub(crate) fn own_field(out: &mut Vec<u8>, canon: Canon, field: Field<'_>) {
    let value = super::tags::without_signature(field.value);
    match canon {
        Canon::Simple => {
            let name = &field.raw[..field.raw.len() - field.value.len()];
            out.extend_from_slice(name);
            out.extend_from_slice(value.strip_suffix(b"\r\n").unwrap_or(&value));
        }
        Canon::Relaxed => relaxed(out, field.name, &value),
    }
}

/// The name in lower case, the value unfolded, each run of white space one space, none at its ends.
fn relaxed(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.to_ascii_lowercase().as_bytes());
    out.push(b':');
    let flat: Vec<u8> = value
        .iter()
        .copied()
        .filter(|b| !b"\r\n".contains(b))
        .collect();
    let words = flat
        .split(|b| b" \t".contains(b))
        .filter(|word| !word.is_empty());
    for (nth, word) in words.enumerate() {
        if nth > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// How a body is hashed: canonicalized how, and how much of it.
pub(crate) type BodyForm = (Canon, Option<u64>);

/// The hash of a body in each of these forms, read once. `start` is where the body begins.
pub(crate) async fn body_hashes(
    content: &Content,
    start: usize,
    forms: &[BodyForm],
) -> io::Result<Vec<Result<[u8; 32], Fault>>> {
    let mut bodies: Vec<Body> = forms.iter().map(|form| Body::new(*form)).collect();
    let mut chunks = Chunks::new(content.clone());
    let mut skip = start;
    while let Some(chunk) = chunks.next().await? {
        let from = skip.min(chunk.len());
        skip -= from;
        for body in &mut bodies {
            body.update(&chunk[from..]);
        }
    }
    Ok(bodies.into_iter().map(Body::finish).collect())
}

/// A body on its way into a hash.
struct Body {
    canon: Canon,
    /// Octets that are still to be hashed, if not all are.
    left: Option<u64>,
    hash: Sha256,
    out: Vec<u8>,
    /// Line ends that count only if text follows.
    line_ends: u64,
    /// White space that counts only if text follows on its line.
    space: bool,
    /// A CR that may begin a line end.
    cr: bool,
    /// Whether there has been any text.
    text: bool,
}

/// Octets that are gathered before they are hashed.
const BLOCK: usize = 8 * 1024;

impl Body {
    fn new((canon, left): BodyForm) -> Self {
        Self {
            canon,
            left,
            hash: Sha256::new(),
            out: Vec::with_capacity(BLOCK + 2),
            line_ends: 0,
            space: false,
            cr: false,
            text: false,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.octet(*b);
        }
    }

    fn octet(&mut self, b: u8) {
        if std::mem::take(&mut self.cr) {
            if b == b'\n' {
                self.line_ends += 1;
                self.space = false;
                return;
            }
            self.put_text(b'\r');
        }
        match (b, self.canon) {
            (b'\r', _) => self.cr = true,
            (b' ' | b'\t', Canon::Relaxed) => self.space = true,
            _ => self.put_text(b),
        }
    }

    fn put_text(&mut self, b: u8) {
        self.text = true;
        for _ in 0..std::mem::take(&mut self.line_ends) {
            self.put(b'\r');
            self.put(b'\n');
        }
        if std::mem::take(&mut self.space) {
            self.put(b' ');
        }
        self.put(b);
    }

    fn put(&mut self, b: u8) {
        self.out.push(b);
        if self.out.len() >= BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let most = self
            .left
            .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let take = self.out.len().min(most);
        self.hash.update(&self.out[..take]);
        self.left = self.left.map(|left| left - take as u64);
        self.out.clear();
    }

    /// Ends the body: empty lines at its end are none, and what is left ends in one line end.
    fn finish(mut self) -> Result<[u8; 32], Fault> {
        if std::mem::take(&mut self.cr) {
            self.put_text(b'\r');
        }
        if self.text || self.canon == Canon::Simple {
            self.put(b'\r');
            self.put(b'\n');
        }
        self.flush();
        match self.left {
            Some(1..) => Err(Fault(Verified::PermError, "l= is more than there is")),
            _ => Ok(self.hash.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use posthouse_hook::Header;

    use super::*;
    use crate::scan::testing::Trickle;

    /// RFC 6376 §3.4.5, examples 1 and 2.
    #[test]
    fn fields_are_as_in_the_rfc() {
        let header = Header::parse(Bytes::from_static(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n"));
        let (mut simple, mut relaxed) = (Vec::new(), Vec::new());
        for f in header.fields() {
            field(&mut simple, Canon::Simple, f);
            field(&mut relaxed, Canon::Relaxed, f);
        }
        assert_eq!(simple, b"A: X\r\nB : Y\t\r\n\tZ  \r\n");
        assert_eq!(relaxed, b"a:X\r\nb:Y Z\r\n");
    }

    async fn hash(parts: &[&[u8]], form: BodyForm) -> Result<[u8; 32], Fault> {
        let content = Trickle::content(parts);
        body_hashes(&content, 0, &[form])
            .await
            .expect("reads")
            .remove(0)
    }

    #[tokio::test]
    async fn bodies_are_as_in_the_rfc() {
        let body = b" C \r\nD \t E\r\n\r\n\r\n";
        for (canon, body, want) in [
            (Canon::Relaxed, &body[..], " C\r\nD E\r\n"),
            (Canon::Simple, &body[..], " C \r\nD \t E\r\n"),
            (Canon::Simple, b"", "\r\n"),
            (Canon::Relaxed, b"", ""),
            (Canon::Relaxed, b" \t\r\n \r\n", ""),
            (Canon::Simple, b"\r\n\r\n", "\r\n"),
            (Canon::Relaxed, b"\r\n\r\nx", "\r\n\r\nx\r\n"),
            (Canon::Simple, b"a\rb\nc\r", "a\rb\nc\r\r\n"),
        ] {
            let want: [u8; 32] = Sha256::digest(want.as_bytes()).into();
            for cut in 0..=body.len() {
                let (a, b) = body.split_at(cut);
                assert_eq!(
                    hash(&[a, b], (canon, None)).await,
                    Ok(want),
                    "{body:?} at {cut}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_length_counts_what_is_canonical() {
        let body: &[u8] = b"a  b\r\n\r\nc\r\n";
        let want: [u8; 32] = Sha256::digest(b"a b\r\n").into();
        assert_eq!(hash(&[body], (Canon::Relaxed, Some(5))).await, Ok(want));
        let whole: [u8; 32] = Sha256::digest(b"a b\r\n\r\nc\r\n").into();
        assert_eq!(hash(&[body], (Canon::Relaxed, Some(10))).await, Ok(whole));
        assert!(hash(&[body], (Canon::Relaxed, Some(11))).await.is_err());
    }
}
