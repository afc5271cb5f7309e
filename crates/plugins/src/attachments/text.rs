//! Files written into text: uuencode (POSIX), its variant in base64, and yEnc.

use super::blob::Blob;
use super::decode::{Base64, uu_line};
use super::look::{Go, Look};
use super::words;

/// Octets of a line that are kept; more are passed over.
const MAX_LINE: usize = 4096;

/// A text, line by line.
pub(super) struct Text {
    place: String,
    depth: usize,
    line: Vec<u8>,
    file: Option<(Code, Blob)>,
    out: Vec<u8>,
}

/// How a file is written.
enum Code {
    Uu,
    Base64(Base64),
    Yenc,
}

impl Text {
    pub(super) fn new(place: &str, depth: usize) -> Self {
        Self {
            place: place.to_owned(),
            depth,
            line: Vec::new(),
            file: None,
            out: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], look: &mut Look<'_>) -> Go {
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            self.add(&bytes[..end]);
            self.line(look)?;
            bytes = &bytes[end + 1..];
        }
        self.add(bytes);
        Ok(())
    }

    pub(super) fn end(&mut self, look: &mut Look<'_>) -> Go {
        self.line(look)?;
        self.close(look)
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn line(&mut self, look: &mut Look<'_>) -> Go {
        let mut line = std::mem::take(&mut self.line);
        let went = match begins(&line) {
            Some((code, name)) => self.begin(code, name, look),
            None => self.content(&line, look),
        };
        line.clear();
        self.line = line;
        went
    }

    /// A file begins, even inside of another one.
    fn begin(&mut self, code: Code, name: &[u8], look: &mut Look<'_>) -> Go {
        self.close(look)?;
        let place = format!("{}/{}", self.place, String::from_utf8_lossy(name));
        for name in words::readings(name) {
            look.name(&name, &place)?;
        }
        look.member()?;
        let blob = Blob::new(&String::from_utf8_lossy(name), &place, self.depth + 1);
        self.file = Some((code, blob));
        Ok(())
    }

    fn content(&mut self, line: &[u8], look: &mut Look<'_>) -> Go {
        let Some((code, blob)) = &mut self.file else {
            return Ok(());
        };
        let ended = match code {
            Code::Uu => line.trim_ascii() == b"end",
            Code::Base64(_) => line.starts_with(b"===="),
            Code::Yenc => line.starts_with(b"=yend"),
        };
        if ended {
            return self.close(look);
        }
        self.out.clear();
        match code {
            Code::Uu => uu_line(line, &mut self.out),
            Code::Base64(decoder) => decoder.feed(line, &mut self.out),
            Code::Yenc if line.starts_with(b"=ypart") => {}
            Code::Yenc => yenc_line(line, &mut self.out),
        }
        blob.feed(&self.out, look)
    }

    fn close(&mut self, look: &mut Look<'_>) -> Go {
        match self.file.take() {
            Some((_, mut blob)) => blob.end(look),
            None => Ok(()),
        }
    }
}

/// The name of the file that begins with this line.
fn begins(line: &[u8]) -> Option<(Code, &[u8])> {
    if let Some(rest) = line.strip_prefix(b"=ybegin ") {
        let at = memchr::memmem::find(rest, b"name=")?;
        return Some((Code::Yenc, &rest[at + 5..]));
    }
    let rest = line.strip_prefix(b"begin")?;
    let (code, rest) = match rest.strip_prefix(b"-base64") {
        Some(rest) => (Code::Base64(Base64::default()), rest),
        None => (Code::Uu, rest),
    };
    // Outlook Express took two spaces and no mode for a file too.
    if let Some(name) = rest.strip_prefix(b"  ") {
        return (!name.trim_ascii().is_empty()).then_some((code, name));
    }
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let name = rest[digits..].strip_prefix(b" ")?;
    ((3..=6).contains(&digits) && !name.is_empty()).then_some((code, name))
}

/// Every octet is 42 more than it was; an equals sign adds 64 to the next.
fn yenc_line(line: &[u8], out: &mut Vec<u8>) {
    let mut escaped = false;
    for byte in line {
        match (escaped, byte) {
            (false, b'=') => escaped = true,
            (false, _) => out.push(byte.wrapping_sub(42)),
            (true, _) => {
                out.push(byte.wrapping_sub(106));
                escaped = false;
            }
        }
    }
}
