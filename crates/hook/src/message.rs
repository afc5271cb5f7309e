//! A message (RFC 5322): its header section in memory, its bytes in memory or in a spool file.
//!
//! Nobody changes a byte of it: there is no method that could.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// A message as it was received, without any field of ours.
#[derive(Debug, Clone)]
pub struct Message {
    /// The header section, parsed as far as names and values.
    pub header: Arc<Header>,
    /// All bytes, header section included, dot-stuffing undone.
    pub content: Content,
}

/// Message bytes that live in a file. Implemented by whoever owns the file.
pub trait Spooled: Send + Sync {
    /// Its length in octets.
    fn len(&self) -> u64;
    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Opens it for reading from the start.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
    /// Where the file is, so that the store can link it into its own place.
    fn path(&self) -> &Path;
}

/// The bytes of a message. A clone shares them.
#[derive(Clone)]
pub enum Content {
    /// Small enough to be kept in memory.
    Memory(Bytes),
    /// In a file.
    Spooled(Arc<dyn Spooled>),
}

impl Default for Content {
    fn default() -> Self {
        Self::Memory(Bytes::new())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.len())
    }
}

impl Content {
    /// Length in octets.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spooled(file) => file.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A reader from the start. Reading a spooled message blocks: see [`Content::head`].
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
            Self::Spooled(file) => file.open(),
        }
    }

    /// The first `limit` octets, read without blocking the runtime.
    pub async fn head(&self, limit: u64) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => {
                let end = bytes
                    .len()
                    .min(usize::try_from(limit).unwrap_or(usize::MAX));
                Ok(bytes.slice(..end))
            }
            Self::Spooled(file) => {
                let file = Arc::clone(file);
                let read = move || {
                    let mut out = Vec::new();
                    file.open()?.take(limit).read_to_end(&mut out)?;
                    Ok(Bytes::from(out))
                };
                tokio::task::spawn_blocking(read)
                    .await
                    .map_err(io::Error::other)?
            }
        }
    }
}

/// A header section: the raw bytes up to and including the empty line, and where its fields are.
#[derive(Debug, Clone, Default)]
pub struct Header {
    raw: Bytes,
    fields: Vec<FieldSpan>,
}

#[derive(Debug, Clone, Copy)]
struct FieldSpan {
    start: usize,
    colon: usize,
    end: usize,
}

/// One header field, as received.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The name before the colon, as written, without trailing white space.
    pub name: &'a str,
    /// Everything behind the colon, folds and final CRLF included.
    pub value: &'a [u8],
    /// The whole field, name, colon and final CRLF included.
    pub raw: &'a [u8],
    /// Where the field starts in the message.
    pub offset: usize,
}

impl Field<'_> {
    /// The value unfolded, white space around it removed, broken UTF-8 replaced.
    pub fn text(&self) -> String {
        let flat: Vec<u8> = self
            .value
            .iter()
            .copied()
            .filter(|b| *b != b'\r' && *b != b'\n')
            .collect();
        String::from_utf8_lossy(&flat).trim().to_owned()
    }
}

impl Header {
    /// Finds the fields. Lines without a colon before any white space are passed over, with what
    /// continues them: they are nobody's field, but the bytes stay.
    pub fn parse(raw: Bytes) -> Self {
        let mut fields = Vec::new();
        let mut start = 0;
        while start < raw.len() {
            let end = end_of_field(&raw, start);
            if let Some(colon) = name_end(&raw[start..end]) {
                fields.push(FieldSpan {
                    start,
                    colon: start + colon,
                    end,
                });
            }
            start = end;
        }
        Self { raw, fields }
    }

    /// The bytes, the empty line included if there was one.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Every field, top down.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|span| Field {
            name: std::str::from_utf8(&self.raw[span.start..span.colon])
                .unwrap_or("")
                .trim_end(),
            value: &self.raw[span.colon + 1..span.end],
            raw: &self.raw[span.start..span.end],
            offset: span.start,
        })
    }

    /// Every field of that name, top down; the case does not matter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Field<'a>> {
        self.fields()
            .filter(move |f| f.name.eq_ignore_ascii_case(name))
    }

    /// The first field of that name.
    pub fn first(&self, name: &str) -> Option<Field<'_>> {
        self.fields().find(|f| f.name.eq_ignore_ascii_case(name))
    }
}

/// The index behind the field that starts at `start`: a line and the lines that continue it.
fn end_of_field(raw: &[u8], start: usize) -> usize {
    let mut end = end_of_line(raw, start);
    while matches!(raw.get(end), Some(b' ' | b'\t')) {
        end = end_of_line(raw, end);
    }
    end
}

fn end_of_line(raw: &[u8], start: usize) -> usize {
    raw[start..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(raw.len(), |at| start + at + 1)
}

/// Where the field's name ends: printable ASCII, then perhaps white space, then a colon.
fn name_end(field: &[u8]) -> Option<usize> {
    let colon = field.iter().position(|b| *b == b':')?;
    let name = field[..colon].trim_ascii_end();
    let printable = name.iter().all(|b| (33..=126).contains(b));
    (!name.is_empty() && printable).then_some(colon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_fold_and_junk_is_passed_over() {
        let raw = "Received: from a\r\n\tby b\r\njunk line\r\nSubject : hi\r\n there\r\nX:\r\n\r\n";
        let header = Header::parse(Bytes::from_static(raw.as_bytes()));
        let seen: Vec<_> = header
            .fields()
            .map(|f| (f.name.to_owned(), f.text()))
            .collect();
        let want = [
            ("Received", "from a\tby b"),
            ("Subject", "hi there"),
            ("X", ""),
        ];
        assert_eq!(seen, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(header.first("subject").map(|f| f.offset), Some(36));
        assert_eq!(header.raw().len(), raw.len());
    }

    /// A message in a file, without the file.
    struct InFile(&'static [u8]);

    impl Spooled for InFile {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn open(&self) -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(self.0))
        }
        fn path(&self) -> &Path {
            Path::new("nowhere")
        }
    }

    #[tokio::test]
    async fn the_head_is_the_same_wherever_the_message_lives() {
        let memory = Content::Memory(Bytes::from_static(b"0123456789"));
        let file = Content::Spooled(Arc::new(InFile(b"0123456789")));
        for content in [memory, file] {
            assert_eq!(content.len(), 10);
            assert_eq!(content.head(4).await.expect("reads"), "0123");
            assert_eq!(content.head(u64::MAX).await.expect("reads"), "0123456789");
            let mut whole = String::new();
            let reader = content.reader();
            reader
                .expect("opens")
                .read_to_string(&mut whole)
                .expect("reads");
            assert_eq!(whole, "0123456789");
        }
    }

    #[test]
    fn hostile_headers_have_the_fields_that_they_have() {
        for (raw, want) in [
            ("", 0),
            ("\r\n", 0),
            (" X: folded from nothing\r\n", 0),
            (": no name\r\n", 0),
            ("X\u{e9}: 8 bit name\r\n", 0),
            ("X: no line end", 1),
            ("X: a\nY: bare line feeds\n", 2),
        ] {
            let header = Header::parse(Bytes::from_static(raw.as_bytes()));
            assert_eq!(header.fields().count(), want, "{raw:?}");
        }
    }
}
