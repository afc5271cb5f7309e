//! What a directory may say to the LDAP library: whole messages, of bounded size and depth, and only
//! so much for each question. The library reads on without a bound, and deep nesting would end the
//! process; behind this door neither can happen. Also StartTLS, which comes before the library.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Largest message in octets: an entry without attributes is its name and little more.
const MAX_MESSAGE: usize = 64 * 1024;
/// Octets that may come for one question.
const MAX_ANSWER: usize = 256 * 1024;
/// Deepest nesting: a referral with controls needs about six.
const MAX_DEPTH: usize = 16;
/// Octets that are read at a time.
const CHUNK: usize = 4096;

const SEQUENCE: u8 = 0x30;
const ENUMERATED: u8 = 0x0a;
const EXTENDED_RESPONSE: u8 = 0x78;
const CONSTRUCTED: u8 = 0x20;

/// Message 1, an extended request: 1.3.6.1.4.1.1466.20037 (RFC 4511 §4.14).
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Messages as they come in.
#[derive(Default)]
pub(super) struct Messages {
    read: Vec<u8>,
    /// Octets since the last question.
    answered: usize,
}

impl Messages {
    /// Takes the next whole message out, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(len) = message_len(&self.read)? else {
            return Ok(None);
        };
        if self.read.len() < len {
            return Ok(None);
        }
        self.answered += len;
        if self.answered > MAX_ANSWER {
            return Err("the answer has no end".to_owned());
        }
        let rest = self.read.split_off(len);
        let message = std::mem::replace(&mut self.read, rest);
        match is_shallow(&message, MAX_DEPTH) {
            true => Ok(Some(message)),
            false => Err("the answer is no LDAP".to_owned()),
        }
    }

    /// Reads more. Cancelled, it has read nothing.
    pub(super) async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<(), String> {
        self.read.reserve(CHUNK);
        match from.read_buf(&mut self.read).await {
            Ok(0) => Err("the server closed the connection".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn asked_again(&mut self) {
        self.answered = 0;
    }
}

/// The length of the message that begins here, as soon as it is known.
fn message_len(octets: &[u8]) -> Result<Option<usize>, String> {
    let garbage = || Err("the answer is no LDAP".to_owned());
    match octets {
        [] => Ok(None),
        [SEQUENCE] => Ok(None),
        [SEQUENCE, rest @ ..] => match length(rest) {
            Length::Known(content, of) if 1 + of + content <= MAX_MESSAGE => {
                Ok(Some(1 + of + content))
            }
            Length::Unfinished => Ok(None),
            Length::Known(..) | Length::Wrong => garbage(),
        },
        _ => garbage(),
    }
}

/// A definite length (X.690 §8.1.3).
enum Length {
    /// Octets of the content, and of the length itself.
    Known(usize, usize),
    Unfinished,
    Wrong,
}

fn length(octets: &[u8]) -> Length {
    let Some((first, rest)) = octets.split_first() else {
        return Length::Unfinished;
    };
    let count = match first {
        0..=0x7f => return Length::Known(usize::from(*first), 1),
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Length::Wrong,
    };
    match rest.get(..count) {
        Some(octets) => {
            let value = octets
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            Length::Known(value, 1 + count)
        }
        None => Length::Unfinished,
    }
}

/// One element: its tag, its content, and what follows it. Tags of several octets are not LDAP's.
fn element(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = octets.split_first()?;
    let Length::Known(content, of) = length(rest) else {
        return None;
    };
    let content = rest.get(of..of.checked_add(content)?)?;
    let next = rest.get(of + content.len()..)?;
    (tag & 0x1f != 0x1f).then_some((*tag, content, next))
}

/// Whether these are whole elements, nested no deeper than that.
fn is_shallow(mut octets: &[u8], depth: usize) -> bool {
    while !octets.is_empty() {
        let Some((tag, content, next)) = element(octets) else {
            return false;
        };
        let inside = || depth > 0 && is_shallow(content, depth - 1);
        if tag & CONSTRUCTED != 0 && !inside() {
            return false;
        }
        octets = next;
    }
    true
}

/// Carries octets between the library and a server until either has ended; the error is why.
pub(super) async fn carry(server: impl AsyncRead + AsyncWrite, library: UnixStream) -> String {
    match carry_on(server, library).await {
        Ok(()) => "the connection was closed".to_owned(),
        Err(why) => why,
    }
}

async fn carry_on(
    server: impl AsyncRead + AsyncWrite,
    mut library: UnixStream,
) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_us, mut to_us) = library.split();
    let mut messages = Messages::default();
    let mut chunk = [0; CHUNK];
    loop {
        tokio::select! {
            count = from_us.read(&mut chunk) => {
                let count = count.map_err(said)?;
                if count == 0 {
                    return Ok(());
                }
                messages.asked_again();
                to_server.write_all(&chunk[..count]).await.map_err(said)?;
                to_server.flush().await.map_err(said)?;
            }
            filled = messages.fill(&mut from_server) => {
                filled?;
                while let Some(message) = messages.next()? {
                    to_us.write_all(&message).await.map_err(said)?;
                }
            }
        }
    }
}

/// StartTLS in plain text, up to the server's yes. What it says beyond that is an error: it could be
/// anybody's.
pub(super) async fn start_tls(
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(), String> {
    let asked = server.write_all(START_TLS).await;
    asked.map_err(|error| error.to_string())?;
    let mut messages = Messages::default();
    let answer = loop {
        match messages.next()? {
            Some(answer) => break answer,
            None => messages.fill(server).await?,
        }
    };
    if !messages.read.is_empty() {
        return Err("the server speaks in plain text behind StartTLS".to_owned());
    }
    match result_of_start_tls(&answer) {
        Some(0) => Ok(()),
        Some(code) => Err(format!("the server refuses StartTLS with result {code}")),
        None => Err("the answer to StartTLS is none".to_owned()),
    }
}

/// The result code (RFC 4511 §4.1.9).
fn result_of_start_tls(message: &[u8]) -> Option<u8> {
    let (_, message, _) = element(message)?;
    let (_, _id, rest) = element(message)?;
    let (tag, response, _) = element(rest)?;
    let (kind, code, _) = element(response)?;
    (tag == EXTENDED_RESPONSE && kind == ENUMERATED).then_some(())?;
    match code {
        [code] => Some(*code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(octets: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut messages = Messages {
            read: octets.to_vec(),
            answered: 0,
        };
        let mut whole = Vec::new();
        while let Some(message) = messages.next()? {
            whole.push(message);
        }
        Ok(whole)
    }

    const DONE: &[u8] = b"\x30\x0c\x02\x01\x02\x65\x07\x0a\x01\x00\x04\x00\x04\x00";

    #[test]
    fn whole_messages_come_out_one_by_one() {
        let two = [DONE, DONE, &DONE[..5]].concat();
        assert_eq!(read(&two), Ok(vec![DONE.to_vec(), DONE.to_vec()]));
        assert_eq!(read(&[]), Ok(vec![]));
    }

    #[test]
    fn what_is_no_ldap_is_refused() {
        for octets in [
            &b"220 mail.example ESMTP\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\x30\x80\x00\x00",
            b"\x30\x84\x7f\xff\xff\xff",
            b"\x30\x89\x01\x01\x01\x01\x01\x01\x01\x01\x01",
            b"\x30\x02\x02\x05",
            b"\x30\x03\x1f\x81\x00",
        ] {
            assert!(read(octets).is_err(), "{octets:x?}");
        }
    }

    /// Far less than the library would need to end the process.
    #[test]
    fn deep_nesting_is_refused() {
        let mut deep = Vec::new();
        while deep.len() < MAX_MESSAGE - 8 {
            let len = u32::try_from(deep.len()).expect("small");
            let mut outer = vec![SEQUENCE, 0x84];
            outer.extend(len.to_be_bytes());
            deep.splice(..0, outer);
        }
        assert!(read(&deep).is_err());
    }

    #[test]
    fn an_endless_answer_is_cut() {
        let endless = DONE.repeat(MAX_ANSWER / DONE.len() + 1);
        assert_eq!(read(&endless), Err("the answer has no end".to_owned()));
    }

    #[test]
    fn start_tls_needs_a_yes() {
        let yes = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(result_of_start_tls(yes), Some(0));
        let no = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00";
        assert_eq!(result_of_start_tls(no), Some(2));
        assert_eq!(result_of_start_tls(DONE), None);
    }

    proptest! {
        #[test]
        fn no_octets_break_it(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read(&octets);
            let _ = read(&[&[SEQUENCE, 0x82, 0x01, 0x00], &octets[..]].concat());
            let _ = result_of_start_tls(&octets);
        }
    }
}
