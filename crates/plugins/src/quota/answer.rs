//! What is known of a mailbox: how full it is, how full it may be, and what follows for a message.
//! Also the line in which backends tell it: `OVERQUOTA user size quota [msgs msgquota]`.
//!
//! Everything here is pure. A line that is not understood is an error, never "has room".

use std::fmt;
use std::str::FromStr;

/// How full a mailbox may be. Zero is no limit, as in Maildir++.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Octets of all messages.
    pub octets: u64,
    /// Number of messages.
    pub messages: u64,
}

/// Why a text is no quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no quota; write octets and messages such as 1000000S,1000C, or octets alone")]
pub struct LimitsError(String);

impl FromStr for Limits {
    type Err = LimitsError;

    /// Reads `1000000S,1000C`, in any order, either alone; a bare number is octets.
    fn from_str(text: &str) -> Result<Self, LimitsError> {
        let error = || LimitsError(text.chars().take(40).collect());
        let mut limits = Self::default();
        for part in text.trim().split(',') {
            let (digits, target) = match part.strip_suffix('C') {
                Some(digits) => (digits, &mut limits.messages),
                None => (part.strip_suffix('S').unwrap_or(part), &mut limits.octets),
            };
            *target = number(digits).ok_or_else(error)?;
        }
        Ok(limits)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}S,{}C", self.octets, self.messages)
    }
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// How full a mailbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Octets of all messages.
    pub octets: u64,
    /// Number of messages, if somebody counted them.
    pub messages: Option<u64>,
    /// How full it may be.
    pub limits: Limits,
}

impl Usage {
    /// Whether one more message of so many octets is too much. A message of unknown size has one.
    pub fn over(&self, size: Option<u64>) -> bool {
        let limits = self.limits;
        let octets = self.octets.saturating_add(size.unwrap_or(0).max(1));
        let messages = self.messages.map_or(0, |n| n.saturating_add(1));
        (limits.octets != 0 && octets > limits.octets)
            || (limits.messages != 0 && messages > limits.messages)
    }
}

impl fmt::Display for Usage {
    /// For trails and logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} octets", self.octets, self.limits.octets)?;
        match self.messages {
            Some(messages) if self.limits.messages != 0 => {
                write!(f, ", {messages} of {} messages", self.limits.messages)
            }
            _ => Ok(()),
        }
    }
}

/// How a mailbox stands to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is room for it.
    Room,
    /// The message would be too much.
    Over,
    /// There is no such mailbox, as far as this source knows.
    Unknown,
}

/// What a source says of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    standing: Standing,
    usage: Option<Usage>,
}

/// What a source says, or why it cannot tell about this one mailbox, though it is alive.
pub type Told = Result<Answer, String>;

impl Answer {
    /// The source's own word, without numbers.
    pub fn of(standing: Standing) -> Self {
        Self {
            standing,
            usage: None,
        }
    }

    /// What follows from numbers.
    pub fn counted(usage: Usage) -> Self {
        let standing = match usage.over(None) {
            true => Standing::Over,
            false => Standing::Room,
        };
        Self {
            standing,
            usage: Some(usage),
        }
    }

    /// How the mailbox stands to a message of that size. A source that says "over" is believed
    /// whatever its numbers are.
    pub fn judge(&self, size: Option<u64>) -> Standing {
        match (self.standing, self.usage) {
            (Standing::Room, Some(usage)) if usage.over(size) => Standing::Over,
            (standing, _) => standing,
        }
    }

    /// Whether there is no such mailbox.
    pub fn is_unknown(&self) -> bool {
        self.standing == Standing::Unknown
    }

    /// The numbers, if the source told them.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// The line about `user`, judged for a message of that size, without a line end.
    pub fn line(&self, user: &str, size: Option<u64>) -> String {
        let word = match self.judge(size) {
            Standing::Room => "OK",
            Standing::Over => "OVERQUOTA",
            Standing::Unknown => "UNKNOWN",
        };
        let numbers = self.usage.map(numbers).unwrap_or_default();
        format!("{word} {user}{numbers}")
    }

    /// Reads a line about `user`. The outer error is a line that is not about this user at all.
    pub fn parse(line: &str, user: &str) -> Result<Told, String> {
        let line = line.trim();
        let garbage = || format!("answers {:?}", line.chars().take(80).collect::<String>());
        let (word, rest) = line.split_once(' ').ok_or_else(garbage)?;
        let rest = without_user(rest, user).ok_or_else(garbage)?;
        let standing = match word {
            "OK" => Standing::Room,
            "OVERQUOTA" => Standing::Over,
            "UNKNOWN" => Standing::Unknown,
            "TEMPFAIL" => return Ok(Err("the backend cannot tell".to_owned())),
            _ => return Err(garbage()),
        };
        let usage = parse_numbers(rest).ok_or_else(garbage)?;
        Ok(Ok(Self { standing, usage }))
    }
}

/// The line with which a backend says that it cannot tell about `user`.
pub fn cannot_tell(user: &str) -> String {
    format!("TEMPFAIL {user}")
}

fn numbers(usage: Usage) -> String {
    let sizes = format!(" {} {}", usage.octets, usage.limits.octets);
    match usage.messages {
        Some(messages) => format!("{sizes} {messages} {}", usage.limits.messages),
        None => sizes,
    }
}

/// What follows the user's name, which may have spaces and any case.
fn without_user<'a>(rest: &'a str, user: &str) -> Option<&'a str> {
    let (name, rest) = rest.split_at_checked(user.len())?;
    let whole = name.eq_ignore_ascii_case(user) && (rest.is_empty() || rest.starts_with(' '));
    whole.then_some(rest)
}

/// Nothing, `size quota`, or `size quota msgs msgquota`.
fn parse_numbers(text: &str) -> Option<Option<Usage>> {
    let numbers: Option<Vec<u64>> = text.split_ascii_whitespace().map(number).collect();
    let (octets, messages, limits) = match numbers?[..] {
        [] => return Some(None),
        [octets, limit] => (octets, None, (limit, 0)),
        [octets, limit, messages, most] => (octets, Some(messages), (limit, most)),
        _ => return None,
    };
    Some(Some(Usage {
        octets,
        messages,
        limits: Limits {
            octets: limits.0,
            messages: limits.1,
        },
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Result<Told, String> {
        Answer::parse(line, "ann")
    }

    fn judged(line: &str, size: Option<u64>) -> Standing {
        parse(line).expect("understood").expect("told").judge(size)
    }

    #[test]
    fn the_lines_of_a_backend() {
        assert_eq!(judged("OK ann 10 100\n", None), Standing::Room);
        assert_eq!(judged("OK ann", Some(u64::MAX)), Standing::Room);
        assert_eq!(judged("OVERQUOTA ann 200 100", None), Standing::Over);
        assert_eq!(judged("OVERQUOTA Ann", None), Standing::Over);
        assert_eq!(judged("OVERQUOTA ann 10 100 9 9\r\n", None), Standing::Over);
        assert_eq!(judged("UNKNOWN ann", None), Standing::Unknown);
        assert!(parse("TEMPFAIL ann").expect("understood").is_err());
    }

    #[test]
    fn the_declared_size_counts() {
        for (line, size, standing) in [
            ("OK ann 90 100", Some(10), Standing::Room),
            ("OK ann 90 100", Some(11), Standing::Over),
            ("OK ann 99 100", None, Standing::Room),
            ("OK ann 100 100", None, Standing::Over),
            ("OK ann 90 0", Some(u64::MAX), Standing::Room),
            ("OK ann 90 100 7 7", Some(1), Standing::Over),
            ("OK ann 90 100 6 7", Some(1), Standing::Room),
            ("OK ann 90 0 6 0", Some(1), Standing::Room),
            (
                "OK ann 18446744073709551615 100",
                Some(u64::MAX),
                Standing::Over,
            ),
        ] {
            assert_eq!(judged(line, size), standing, "{line} {size:?}");
        }
    }

    #[test]
    fn what_is_not_about_the_user_is_no_answer() {
        for line in [
            "",
            "OK",
            "OK ",
            "OK anna 1 2",
            "OK bob 1 2",
            "OK ann 1",
            "OK ann 1 2 3",
            "OK ann 1 2 3 4 5",
            "OK ann -1 2",
            "OK ann 1 99999999999999999999",
            "OK ann one two",
            "ok ann 1 2",
            "<html>OK ann 1 2",
            "PASS ann 1 2",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn quotas_as_they_are_written() {
        let limits = |octets, messages| Ok(Limits { octets, messages });
        assert_eq!("1000S,10C".parse(), limits(1000, 10));
        assert_eq!("10C,1000S".parse(), limits(1000, 10));
        assert_eq!("1000S".parse(), limits(1000, 0));
        assert_eq!("1000".parse(), limits(1000, 0));
        for bad in [
            "",
            "S",
            "1000K",
            "-1S",
            "+1S",
            "1S,",
            "99999999999999999999S",
        ] {
            assert!(bad.parse::<Limits>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_line_is_read_as_it_was_written(
            octets: u64, limit: u64, messages: Option<u64>, most: u64, user in "[!-~][ -~]{0,20}[!-~]",
        ) {
            let most = if messages.is_some() { most } else { 0 };
            let limits = Limits { octets: limit, messages: most };
            let answer = Answer::counted(Usage { octets, messages, limits });
            let read = Answer::parse(&answer.line(&user, None), &user);
            prop_assert_eq!(read, Ok(Ok(answer)));
        }

        #[test]
        fn no_line_breaks_the_reader(line in ".{0,200}", user in ".{0,20}") {
            let _ = Answer::parse(&line, &user);
        }
    }
}
