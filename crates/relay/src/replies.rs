//! The guard over what a next hop sends: replies of a bounded size, only as many as were asked
//! for, in printable ASCII. No I/O: octets in, cleaned lines out.

use std::io;

/// Longest line of a reply in octets; RFC 5321 §4.5.3.1.5 allows 512.
const MAX_LINE: usize = 900;
/// Longest reply in octets, all of its lines together.
const MAX_REPLY: usize = 16 * 1024;

/// How far the next hop has come with its replies.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// Replies that were asked for and are not complete.
    awaited: usize,
    /// The line that has begun.
    line: Vec<u8>,
    /// Octets of the reply that has begun.
    size: usize,
}

impl Replies {
    /// So many more replies are asked for.
    pub(crate) fn expect(&mut self, count: usize) {
        self.awaited += count;
    }

    /// Replies that are still to come.
    pub(crate) fn awaited(&self) -> usize {
        self.awaited
    }

    /// Takes octets as they came and appends the lines that are complete to `out`, each as
    /// `ddd-text` or `ddd text` and CRLF. Octets beyond the last reply that was asked for are an
    /// error: they would be taken for the answer to a command that is yet to be sent.
    pub(crate) fn take(&mut self, mut octets: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while !octets.is_empty() {
            if self.awaited == 0 {
                return Err(bad("sent octets behind a complete reply"));
            }
            let (part, rest) = match memchr::memchr(b'\n', octets) {
                Some(end) => octets.split_at(end + 1),
                None => (octets, &octets[octets.len()..]),
            };
            octets = rest;
            self.grow(part)?;
            if part.ends_with(b"\n") {
                self.close_line(out)?;
            }
        }
        Ok(())
    }

    fn grow(&mut self, part: &[u8]) -> io::Result<()> {
        self.size += part.len();
        if self.line.len() + part.len() > MAX_LINE || self.size > MAX_REPLY {
            return Err(bad("sent a reply that is too long"));
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn close_line(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let line = self.line.trim_ascii_end();
        let (code, rest) = line.split_at_checked(3).ok_or(bad("sent no reply"))?;
        let (last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(bad("sent no reply")),
        };
        if !code.iter().all(u8::is_ascii_digit) {
            return Err(bad("sent no reply"));
        }
        out.extend_from_slice(code);
        out.push(if last { b' ' } else { b'-' });
        out.extend(text.iter().map(|octet| printable(*octet)));
        out.extend_from_slice(b"\r\n");
        self.line.clear();
        if last {
            self.awaited -= 1;
            self.size = 0;
        }
        Ok(())
    }
}

fn printable(octet: u8) -> u8 {
    match octet {
        b' '..=b'~' => octet,
        b'\t' => b' ',
        _ => b'?',
    }
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(awaited: usize, octets: &[u8]) -> Result<String, String> {
        let mut replies = Replies::default();
        replies.expect(awaited);
        let mut out = Vec::new();
        for chunk in octets.chunks(3) {
            replies.take(chunk, &mut out).map_err(|e| e.to_string())?;
        }
        Ok(String::from_utf8(out).expect("ASCII"))
    }

    #[test]
    fn replies_come_out_clean() {
        let got = take(2, b"250-a\x1b[0m\r\n250 \xff\tb\r\n354\n");
        assert_eq!(got, Ok("250-a?[0m\r\n250 ? b\r\n354 \r\n".to_owned()));
    }

    #[test]
    fn what_was_not_asked_for_is_an_error() {
        assert!(take(1, b"250 ok\r\n250 more\r\n").is_err());
        assert!(take(1, b"250 ok\r\nx").is_err());
        assert!(take(0, b"2").is_err());
    }

    #[test]
    fn size_and_form_are_bounded() {
        assert!(take(1, &[b'2'; MAX_LINE + 1]).is_err());
        assert!(take(1, &b"250-more\r\n".repeat(MAX_REPLY / 10 + 1)).is_err());
        for octets in [
            "\r\n",
            "25\r\n",
            "abc d\r\n",
            "250x\r\n",
            "HTTP/1.1 200 OK\r\n",
        ] {
            assert!(take(1, octets.as_bytes()).is_err(), "{octets:?}");
        }
    }
}
