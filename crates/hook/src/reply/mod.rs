//! Replies: code, enhanced code, text, and whether the session closes. Built here and nowhere else.
//!
//! Each constructor is named after what happened, so that a wrong code is hard to write. Text for
//! the client is short and bland; the cause belongs into the trail and the log.

mod configured;
mod refusal;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use configured::ReplyError;
pub use refusal::Refusal;

/// Longest reply line in octets, code and CRLF included (RFC 5321 §4.5.3.1.5).
pub const MAX_LINE: usize = 512;
/// Where a refusal's text wants its link.
pub const LINK_MARK: &str = "{link}";

/// An enhanced status code (RFC 3463): class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl Enhanced {
    /// Reads `5.7.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let class = parts.next()?.parse().ok()?;
        let subject = parts.next()?.parse().ok()?;
        let detail = parts.next()?.parse().ok()?;
        let whole = parts.next().is_none() && matches!(class, 2 | 4 | 5);
        (whole && subject < 1000 && detail < 1000).then_some(Self(class, subject, detail))
    }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What the server tells the client (RFC 5321 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    lines: Vec<String>,
    close: bool,
}

impl Reply {
    fn new(code: u16, enhanced: Option<Enhanced>, text: impl Into<String>) -> Self {
        Self {
            code,
            enhanced,
            lines: vec![cut(printable(&text.into()))],
            close: false,
        }
    }

    fn positive(code: u16, subject: u16, detail: u16, text: impl Into<String>) -> Self {
        Self::new(code, Some(Enhanced(2, subject, detail)), text)
    }

    fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// 220: the greeting.
    pub fn greeting(hostname: &str) -> Self {
        Self::new(220, None, format!("{hostname} ESMTP Posthouse"))
    }

    /// 250 to HELO.
    pub fn helo(hostname: &str) -> Self {
        Self::new(250, None, hostname)
    }

    /// 250 to EHLO with its keywords, one a line.
    pub fn ehlo(hostname: &str, keywords: &[String]) -> Self {
        let mut reply = Self::helo(hostname);
        reply
            .lines
            .extend(keywords.iter().map(|k| cut(printable(k))));
        reply
    }

    /// 250 to NOOP.
    pub fn ok() -> Self {
        Self::positive(250, 0, 0, "OK")
    }

    /// 250 to RSET.
    pub fn flushed() -> Self {
        Self::positive(250, 0, 0, "Flushed")
    }

    /// 250 to MAIL.
    pub fn sender_ok() -> Self {
        Self::positive(250, 1, 0, "Sender OK")
    }

    /// 250 to RCPT.
    pub fn recipient_ok() -> Self {
        Self::positive(250, 1, 5, "Recipient OK")
    }

    /// 252 to VRFY: addresses are not verified (RFC 5321 §3.5.3).
    pub fn cannot_verify() -> Self {
        Self::positive(252, 5, 0, "Send a message and see")
    }

    /// 214 to HELP.
    pub fn help() -> Self {
        let text = "HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP";
        Self::positive(214, 0, 0, text)
    }

    /// 354: send the message.
    pub fn start_mail_input() -> Self {
        Self::new(354, None, "End data with <CR><LF>.<CR><LF>")
    }

    /// 250 to the end of DATA: the message is durable.
    pub fn queued(id: impl fmt::Display) -> Self {
        Self::positive(250, 6, 0, format!("Queued as {id}"))
    }

    /// 221 to QUIT.
    pub fn bye(hostname: &str) -> Self {
        Self::positive(221, 0, 0, format!("{hostname} closing")).closing()
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Whether the session ends with this reply.
    pub fn closes(&self) -> bool {
        self.close
    }

    /// Appends the reply as it goes over the wire, CRLF after every line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let last = self.lines.len() - 1;
        for (at, line) in self.lines.iter().enumerate() {
            let sep = if at == last { ' ' } else { '-' };
            out.extend_from_slice(
                format!("{}{sep}{}{line}\r\n", self.code, self.prefix()).as_bytes(),
            );
        }
    }

    /// The enhanced code and a space, or nothing.
    fn prefix(&self) -> String {
        self.enhanced.map(|e| format!("{e} ")).unwrap_or_default()
    }
}

impl fmt::Display for Reply {
    /// One line, for logs and trails.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.code, self.prefix(), self.lines.join(" "))
    }
}

/// A reply of one line keeps within the limit, whatever text it was made of.
fn cut(mut line: String) -> String {
    line.truncate(MAX_LINE - "250-5.999.999 \r\n".len());
    line
}

/// Reply text is printable ASCII (RFC 5321 `textstring`): anything else becomes a question mark.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Id, LinkKey, LinkKind};

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn a_held_refusal_carries_its_link_whole() {
        let key = LinkKey::new([7; 32], "https://out.isp.example");
        let link = key.mint(LinkKind::Item, Id(17), "a@b.example", 0);
        let text = "Held, probably spam.\nIf it is not: {link}\n";
        let refusal = Refusal::from_config("552 5.2.1", text, key.link_len()).expect("valid");
        assert!(!format!("{refusal:?}").contains(&link.reveal()));
        let told = wire(&refusal.into_reply(Some(&link)));
        assert_eq!(
            told,
            format!(
                "552-5.2.1 Held, probably spam.\r\n552 5.2.1 If it is not: {}\r\n",
                link.reveal()
            )
        );
    }

    #[test]
    fn configured_replies_must_refuse() {
        let parse = |codes| Refusal::from_config(codes, "x", 0).map(|r| r.code());
        assert_eq!(parse("552 5.7.1"), Ok(552));
        assert_eq!(parse("452 4.2.2"), Ok(452));
        assert_eq!(parse("250 2.0.0"), Err(ReplyError::NotARefusal));
        assert_eq!(parse("552 4.7.1"), Err(ReplyError::NotARefusal));
        assert_eq!(parse("552"), Err(ReplyError::Form));
        assert_eq!(parse("552 5.7"), Err(ReplyError::Form));
        let empty = Refusal::from_config("552 5.7.1", " \n", 0);
        assert_eq!(empty, Err(ReplyError::NoText));
    }

    #[test]
    fn a_link_that_does_not_fit_its_line_is_an_error() {
        let text = format!("{} {LINK_MARK}", "x".repeat(400));
        assert_eq!(
            Refusal::from_config("552 5.7.1", &text, 120),
            Err(ReplyError::NoRoomForLink)
        );
    }

    #[test]
    fn a_greeting_is_refused_with_the_codes_of_a_greeting() {
        let told = wire(&Refusal::policy("no").instead_of_greeting().into_reply(None));
        assert_eq!(told, "554 5.7.1 no\r\n");
        let reply = Refusal::local_error()
            .instead_of_greeting()
            .into_reply(None);
        assert_eq!((reply.code(), reply.closes()), (421, true));
    }

    #[test]
    fn hostile_text_stays_on_its_line() {
        let told = wire(&Refusal::policy("no\r\n250 yes \u{1b}[0m ü").into_reply(None));
        assert_eq!(told, "550 5.7.1 no??250 yes ?[0m ?\r\n");
    }

    #[test]
    fn long_lines_fold_between_words() {
        let text = "word ".repeat(300);
        let refusal = Refusal::from_config("550 5.7.1", &text, 0).expect("valid");
        let told = wire(&refusal.into_reply(None));
        assert!(
            told.split_inclusive("\r\n")
                .all(|line| line.len() <= MAX_LINE)
        );
        assert_eq!(told.matches("word").count(), 300);
    }
}
