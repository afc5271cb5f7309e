//! The message that is explained: a file, or standard input.

use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use crate::commands::Failure;

/// Largest message that is explained, in octets.
const MAX_MESSAGE: u64 = 256 << 20;

/// The message with CRLF line ends, as a client would send it.
pub(in crate::commands) fn read(file: &Path) -> Result<Bytes, Failure> {
    let open = || -> io::Result<Box<dyn Read>> {
        match file.to_str() {
            Some("-") => Ok(Box::new(io::stdin())),
            _ => Ok(Box::new(std::fs::File::open(file)?)),
        }
    };
    open()
        .and_then(|source| read_whole(source, MAX_MESSAGE))
        .map(|raw| with_crlf(&raw))
        .map_err(|error| Failure::Because(format!("{}: {error}", file.display())))
}

/// All of it: half a message would be explained wrongly.
fn read_whole(source: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    source.take(most + 1).read_to_end(&mut raw)?;
    if raw.len() as u64 > most {
        return Err(io::Error::other(format!("more than {most} octets")));
    }
    Ok(raw)
}

fn with_crlf(raw: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(raw.len());
    for line in raw.split_inclusive(|b| *b == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        bytes.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_ends_in_crlf() {
        assert_eq!(with_crlf(b"a\nb\r\n\nc"), &b"a\r\nb\r\n\r\nc\r\n"[..]);
        assert_eq!(with_crlf(b""), &b""[..]);
    }

    #[test]
    fn what_is_too_big_is_not_cut() {
        assert_eq!(read_whole(&b"abc"[..], 3).expect("fits"), b"abc");
        assert!(read_whole(&b"abcd"[..], 3).is_err());
    }
}
