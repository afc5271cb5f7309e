//! Replies: code, enhanced code, text, and whether the session closes. Built here and nowhere else.
//!
//! Each constructor is named after what happened, so that a wrong code is hard to write. Text for
//! the client is short and bland; the cause belongs into the trail and the log.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::link::Link;

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

/// Why a configured reply cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It does not start with a code and an enhanced code.
    #[error("a reply starts with a code and an enhanced code, such as 552 5.7.1")]
    Form,
    /// It would accept what it must refuse.
    #[error("a refusal's code starts with 4 or 5, and its enhanced code with the same digit")]
    NotARefusal,
    /// The line that holds the link leaves no room for it.
    #[error("the line with {LINK_MARK} is longer than {MAX_LINE} octets once the link is in it")]
    NoRoomForLink,
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

    /// The enhanced code, if the reply has one.
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
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

/// A reply that refuses: 4xx or 5xx, by construction. Its text may want a link, which is filled in
/// only after the commit ([`Refusal::into_reply`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal(Reply);

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $code:literal $class:literal.$subject:literal.$detail:literal $text:literal $($close:ident)?;)*) => {
        impl Refusal {
            $($(#[$doc])* pub fn $name() -> Self {
                Self(Reply::new($code, Some(Enhanced($class, $subject, $detail)), $text)$(.$close())?)
            })*
        }
    };
}

refusals! {
    /// 500: no such command, or one with a bare CR or LF.
    unknown_command: 500 5 . 5 . 2 "Command not recognized";
    /// 500: a command line over its limit; the session closes.
    line_too_long: 500 5 . 5 . 6 "Line too long" closing;
    /// 501: the argument is not of the command's form.
    bad_argument: 501 5 . 5 . 4 "Syntax error in argument";
    /// 501: the HELO or EHLO name is neither a domain nor an address literal.
    bad_helo: 501 5 . 5 . 4 "Syntax error in domain or address literal";
    /// 501: the sender's address is not RFC 5321's.
    bad_sender_syntax: 501 5 . 1 . 7 "Bad sender address syntax";
    /// 501: the recipient's address is not RFC 5321's.
    bad_recipient_syntax: 501 5 . 1 . 3 "Bad recipient address syntax";
    /// 502: a known command that is not offered here.
    not_implemented: 502 5 . 5 . 1 "Command not implemented";
    /// 503: the command does not fit the state of the session.
    bad_sequence: 503 5 . 5 . 1 "Bad sequence of commands";
    /// 503 to DATA without any RCPT.
    no_recipients: 503 5 . 5 . 1 "Need RCPT before DATA";
    /// 554 to DATA when every RCPT was refused (RFC 5321 §3.3).
    no_valid_recipients: 554 5 . 5 . 1 "No valid recipients";
    /// 555: a MAIL or RCPT parameter that is not known.
    bad_parameter: 555 5 . 5 . 4 "Parameter not recognized";
    /// 550: nobody answered for this recipient; the default at rcpt.
    relaying_denied: 550 5 . 7 . 1 "Relaying denied";
    /// 452: this recipient is one too many for the transaction.
    too_many_recipients: 452 4 . 5 . 3 "Too many recipients";
    /// 552: over the size limit, by declaration or by count (RFC 1870).
    message_too_big: 552 5 . 3 . 4 "Message size exceeds the limit";
    /// 552: the header section is over its limit.
    header_too_big: 552 5 . 3 . 4 "Header section exceeds the limit";
    /// 554: bare CR or LF in a message.
    bare_line_end: 554 5 . 6 . 0 "Message has a bare CR or LF";
    /// 554: a mail loop, by the count of Received fields (RFC 5321 §6.3).
    too_many_hops: 554 5 . 4 . 6 "Too many hops";
    /// 452: no room in the store.
    no_room: 452 4 . 3 . 1 "Insufficient system storage";
    /// 451: the store or a plugin failed, or the deadline passed.
    local_error: 451 4 . 3 . 0 "Local error, try again later";
    /// 421: too many sessions; closes.
    too_many_sessions: 421 4 . 7 . 0 "Too many connections, try again later" closing;
    /// 421: too many errors; closes.
    too_many_errors: 421 4 . 7 . 0 "Too many errors" closing;
    /// 421: the client was silent for too long; closes.
    idle_timeout: 421 4 . 4 . 2 "Timeout" closing;
    /// 421: the server is going down; closes.
    shutting_down: 421 4 . 3 . 2 "Service shutting down" closing;
}

impl Refusal {
    /// A refusal from an operator's words: `552 5.7.1`, and the text, a line each.
    ///
    /// `link_len` is the length of the link that will stand for [`LINK_MARK`]. Lines that are too
    /// long are folded between words, but a link is never broken.
    pub fn from_config(codes: &str, text: &str, link_len: usize) -> Result<Self, ReplyError> {
        let (code, enhanced) = parse_codes(codes)?;
        let room = MAX_LINE - "552-".len() - format!("{enhanced} \r\n").len();
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
            return Err(ReplyError::Form);
        }
        Ok(Self(Reply {
            code,
            enhanced: Some(enhanced),
            lines,
            close: false,
        }))
    }

    /// 550 5.7.1 with a plugin's own words.
    pub fn policy(text: impl Into<String>) -> Self {
        Self(Reply::new(550, Some(Enhanced(5, 7, 1)), text))
    }

    /// Whether the client may try again (4xx).
    pub fn is_transient(&self) -> bool {
        self.0.code < 500
    }

    /// The same refusal, after which the session closes.
    pub fn and_close(self) -> Self {
        Self(self.0.closing())
    }

    /// The same refusal in place of the greeting: 554 or 421 are the codes that RFC 5321 §3.1 and
    /// §3.8 know there, and the session closes.
    pub fn instead_of_greeting(mut self) -> Self {
        self.0.code = if self.is_transient() { 421 } else { 554 };
        self.and_close()
    }

    /// The code, for logs.
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// Whether the text has a place for a link.
    pub fn wants_link(&self) -> bool {
        self.0.lines.iter().any(|line| line.contains(LINK_MARK))
    }

    /// The reply, with the link in its place. Without a link, lines that want one are left out.
    pub fn into_reply(self, link: Option<&Link>) -> Reply {
        let mut reply = self.0;
        match link {
            Some(link) => {
                let url = link.reveal();
                for line in &mut reply.lines {
                    *line = line.replace(LINK_MARK, &url);
                }
            }
            None => reply.lines.retain(|line| !line.contains(LINK_MARK)),
        }
        if reply.lines.is_empty() {
            reply.lines.push("Refused".to_owned());
        }
        reply
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
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
