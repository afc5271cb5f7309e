//! What an attempt comes to for one recipient, in the next hop's words or in ours.

use std::fmt;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::response::Response;
use posthouse_hook::link::redact;
use posthouse_hook::trail::cut;
use posthouse_hook::{Enhanced, Timestamp};

/// Longest text of a reply that is kept, in octets.
const MAX_TEXT: usize = 500;

/// What becomes of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The next hop has it.
    Delivered,
    /// To be tried again.
    Later,
    /// To be given up.
    Never,
    /// Back into the quarantine: its redirect is over.
    Withheld,
    /// No attempt was made, and one is due: its redirect has changed while it waited.
    Again,
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// The next hop, in a reply.
    NextHop,
    /// We.
    Relay,
}

/// What an attempt came to for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) fate: Fate,
    /// RFC 3463, for DSNs.
    pub(crate) status: Enhanced,
    pub(crate) speaker: Speaker,
    /// The reply in one line, or our own words behind the status.
    pub(crate) said: String,
    /// The next hop as it is known: `host[ip]:port`, or the target if no host was reached.
    pub(crate) next_hop: String,
    /// When to try again, if the usual wait does not fit: no attempt was made.
    pub(crate) retry_at: Option<Timestamp>,
}

impl Answer {
    /// The next hop's reply to RCPT, DATA or the like decides.
    pub(crate) fn heard(heard: &Heard, next_hop: &str) -> Self {
        let fate = match heard.class() {
            Class::Yes => Fate::Delivered,
            Class::No => Fate::Never,
            Class::GoOn | Class::NotNow => Fate::Later,
        };
        Self {
            fate,
            status: heard.status(),
            speaker: Speaker::NextHop,
            said: heard.to_string(),
            next_hop: next_hop.to_owned(),
            retry_at: None,
        }
    }

    /// We decide, without a reply.
    pub(crate) fn own(
        fate: Fate,
        status: Enhanced,
        why: impl fmt::Display,
        next_hop: &str,
    ) -> Self {
        Self {
            fate,
            status,
            speaker: Speaker::Relay,
            said: format!("{status} {why}"),
            next_hop: next_hop.to_owned(),
            retry_at: None,
        }
    }

    /// The copy's redirect has changed since its way was chosen.
    pub(crate) fn again() -> Self {
        let why = "the redirect has changed meanwhile";
        Self::own(Fate::Again, Enhanced(4, 4, 5), why, "none")
    }

    /// The time in the queue is over (RFC 3463 X.4.7): what was to be tried again has failed.
    pub(crate) fn expired(self) -> Self {
        let said = format!(
            "5.4.7 gave up after too many attempts; the last one: {}",
            self.said
        );
        Self {
            fate: Fate::Never,
            status: Enhanced(5, 4, 7),
            said,
            ..self
        }
    }
}

/// The classes of replies (RFC 5321 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// 2yz.
    Yes,
    /// 3yz.
    GoOn,
    /// 4yz.
    NotNow,
    /// 5yz.
    No,
}

/// A reply of the next hop, its lines joined, in printable ASCII, shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Heard {
    pub(crate) fn new(code: u16, text: &str) -> Self {
        Self {
            code,
            text: cut(&redact(text), MAX_TEXT).to_owned(),
        }
    }

    /// Takes lettre's two ways to tell of a reply. What is no reply comes back as words.
    pub(crate) fn from_lettre(result: Result<Response, Error>) -> Result<Self, String> {
        let error = match result {
            Ok(response) => return Ok(Self::from_response(&response)),
            Err(error) => error,
        };
        let words = std::error::Error::source(&error).map(ToString::to_string);
        let words = words.unwrap_or_else(|| error.to_string());
        match error.status() {
            Some(code) => Ok(Self::new(code.into(), &words)),
            None => Err(words),
        }
    }

    /// A whole reply that we read ourselves.
    pub(crate) fn from_response(response: &Response) -> Self {
        let lines: Vec<_> = response.message().collect();
        Self::new(response.code().into(), &lines.join(" "))
    }

    pub(crate) fn class(&self) -> Class {
        match self.code / 100 {
            2 => Class::Yes,
            3 => Class::GoOn,
            4 => Class::NotNow,
            _ => Class::No,
        }
    }

    /// 421: the next hop closes the connection (RFC 5321 §3.8).
    pub(crate) fn closes(&self) -> bool {
        self.code == 421
    }

    /// The enhanced code at the start of the text (RFC 2034), if it agrees with the code.
    fn status(&self) -> Enhanced {
        let class = u8::try_from(self.code / 100).unwrap_or(5);
        let word = self.text.split(' ').next().unwrap_or("");
        Enhanced::parse(word)
            .filter(|status| status.0 == class)
            .unwrap_or(Enhanced(class, 0, 0))
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_decide_by_their_class() {
        for (code, text, fate, status) in [
            (250, "2.0.0 Ok", Fate::Delivered, Enhanced(2, 0, 0)),
            (451, "4.7.1 Greylisted", Fate::Later, Enhanced(4, 7, 1)),
            (550, "5.1.1 Nobody", Fate::Never, Enhanced(5, 1, 1)),
            (550, "4.1.1 at odds", Fate::Never, Enhanced(5, 0, 0)),
            (554, "", Fate::Never, Enhanced(5, 0, 0)),
        ] {
            let answer = Answer::heard(&Heard::new(code, text), "mx.example[192.0.2.1]:25");
            assert_eq!(
                (answer.fate, answer.status),
                (fate, status),
                "{code} {text}"
            );
            assert_eq!(answer.said, format!("{code} {text}"));
        }
    }

    #[test]
    fn long_replies_are_shortened() {
        let heard = Heard::new(550, &"x".repeat(10 * MAX_TEXT));
        assert_eq!(heard.text.len(), MAX_TEXT);
    }
}
