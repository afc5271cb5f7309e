//! The messages: of an exact size, each with a number by which the sink knows it again.

/// Where the number stands, between these.
const BEFORE: &[u8] = b"Message-ID: <";
const AFTER: &[u8] = b"@ours.test>";
/// Digits of the run's number and of the message's number within it.
const RUN_DIGITS: usize = 4;
const DIGITS: usize = 8;
/// Octets of a body's line, its end included.
const LINE: usize = 78;

/// The number of a message: which run of the benchmark, and which message in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    /// The run.
    pub(crate) run: u32,
    /// The message, from 0.
    pub(crate) message: u32,
}

/// A message with room for its number, and the end of DATA behind it.
#[derive(Clone)]
pub(crate) struct Form {
    octets: Vec<u8>,
    at: usize,
}

impl Form {
    /// A message of `size` octets, or as many as its header section takes.
    pub(crate) fn new(size: usize) -> Self {
        let zeros = "0".repeat(RUN_DIGITS + 1 + DIGITS);
        let mut octets = b"Date: Fri, 20 Nov 2026 06:00:00 +0000\r\n".to_vec();
        octets.extend_from_slice(BEFORE);
        let at = octets.len();
        octets.extend_from_slice(zeros.as_bytes());
        octets.extend_from_slice(AFTER);
        octets.extend_from_slice(b"\r\nFrom: <ann@ours.test>\r\nTo: <bob@far.test>\r\n");
        octets.extend_from_slice(b"Subject: a message of the benchmark\r\n\r\n");
        while octets.len() < size {
            fill_line(&mut octets, size);
        }
        octets.extend_from_slice(b".\r\n");
        Self { octets, at }
    }

    /// The message under this number.
    pub(crate) fn numbered(&mut self, number: Number) -> &[u8] {
        let Number { run, message } = number;
        let text = format!("{run:0RUN_DIGITS$}.{message:0DIGITS$}");
        self.octets[self.at..self.at + text.len()].copy_from_slice(text.as_bytes());
        &self.octets
    }
}

/// One more line, or a shorter one that ends where the message should.
fn fill_line(octets: &mut Vec<u8>, size: usize) {
    let room = size - octets.len();
    let whole = if (LINE..LINE + 3).contains(&room) {
        LINE - 3
    } else {
        LINE
    };
    let text = whole.min(room).max(3) - 2;
    octets.extend((b'a'..=b'z').cycle().take(text));
    octets.extend_from_slice(b"\r\n");
}

/// The number in the first octets of a message as it was delivered.
pub(crate) fn number_in(head: &[u8]) -> Option<Number> {
    let at = memchr::memmem::find(head, BEFORE)? + BEFORE.len();
    let text = head.get(at..at + RUN_DIGITS + 1 + DIGITS)?;
    let (run, message) = std::str::from_utf8(text).ok()?.split_once('.')?;
    Some(Number {
        run: run.parse().ok()?,
        message: message.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_size_and_number() {
        for size in [400, 4096, 4097, 4098, 65_536] {
            let mut form = Form::new(size);
            let number = Number {
                run: 7,
                message: 123,
            };
            let octets = form.numbered(number);
            assert_eq!(octets.len(), size + b".\r\n".len());
            assert!(octets.ends_with(b"\r\n.\r\n"));
            assert_eq!(number_in(octets), Some(number));
        }
        assert_eq!(number_in(b"Message-ID: <x@ours.test>\r\n"), None);
    }
}
