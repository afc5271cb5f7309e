//! Refusals in an operator's own words, checked when the configuration is read.

use super::{Enhanced, LINK_MARK, MAX_LINE, Refusal, Reply, printable};

/// Why a configured reply cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It does not start with a code and an enhanced code.
    #[error("a reply starts with a code and an enhanced code, such as 552 5.7.1")]
    Form,
    /// It would accept what it must refuse.
    #[error("a refusal's code starts with 4 or 5, and its enhanced code with the same digit")]
    NotARefusal,
    /// There is nothing behind the codes.
    #[error("a refusal needs words; write at least one line")]
    NoText,
    /// The line that holds the link leaves no room for it.
    #[error("the line with {LINK_MARK} is longer than {MAX_LINE} octets once the link is in it")]
    NoRoomForLink,
}

impl Refusal {
    /// A refusal from an operator's words: `552 5.7.1`, and the text, a line each.
    ///
    /// `link_len` is the length of the link that will stand for [`LINK_MARK`]. Lines that are too
    /// long are folded between words, but a link is never broken.
    pub fn from_config(codes: &str, text: &str, link_len: usize) -> Result<Self, ReplyError> {
        let (code, enhanced) = parse_codes(codes)?;
        let room = MAX_LINE - "552-".len() - format!("{enhanced} \r\n").len();
        let lines = parse_text(text, room, link_len)?;
        Ok(Self(Reply {
            code,
            enhanced: Some(enhanced),
            lines,
            close: false,
        }))
    }
}

/// The lines of the reply, each of at most `room` octets once the link is in it.
fn parse_text(text: &str, room: usize, link_len: usize) -> Result<Vec<String>, ReplyError> {
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = printable(line);
        let links = line.matches(LINK_MARK).count();
        if links == 0 {
            lines.extend(fold(&line, room));
        } else if line.len() + links * link_len.saturating_sub(LINK_MARK.len()) <= room {
            lines.push(line);
        } else {
            return Err(ReplyError::NoRoomForLink);
        }
    }
    if lines.is_empty() {
        return Err(ReplyError::NoText);
    }
    Ok(lines)
}

fn parse_codes(codes: &str) -> Result<(u16, Enhanced), ReplyError> {
    let mut words = codes.split_ascii_whitespace();
    let code: u16 = words
        .next()
        .and_then(|w| w.parse().ok())
        .ok_or(ReplyError::Form)?;
    let enhanced = words
        .next()
        .and_then(Enhanced::parse)
        .ok_or(ReplyError::Form)?;
    if words.next().is_some() {
        return Err(ReplyError::Form);
    }
    let refuses = matches!(code, 400..=599) && code / 100 == u16::from(enhanced.0);
    refuses
        .then_some((code, enhanced))
        .ok_or(ReplyError::NotARefusal)
}

/// Folds text between words so that no piece is over `room` octets; longer words are cut.
fn fold(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_ascii_whitespace() {
        let word = word.get(..room).unwrap_or(word);
        if !line.is_empty() && line.len() + 1 + word.len() > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
