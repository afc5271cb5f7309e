//! Parses a command line into a closed set of commands (RFC 5321 §4.1.1).
//!
//! What comes out is well-formed: paths are paths, sizes are numbers. What is not gets its refusal
//! here. Whether a command fits the state of the session is not asked here.

use posthouse_hook::{BodyType, ForwardPath, Host, Refusal, ReversePath};

/// A well-formed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// HELO with the client's name, a domain or an address literal, as the client wrote it.
    Helo(String),
    /// EHLO, likewise.
    Ehlo(String),
    /// MAIL.
    Mail(Mail),
    /// RCPT; it has no parameters that are offered.
    Rcpt(ForwardPath),
    /// DATA.
    Data,
    /// RSET.
    Rset,
    /// NOOP; its argument is ignored.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY; its argument is not looked up.
    Vrfy,
    /// HELP; its argument is ignored.
    Help,
}

/// What MAIL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The reverse-path.
    pub reverse_path: ReversePath,
    /// `SIZE=` in octets (RFC 1870).
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152).
    pub body: Option<BodyType>,
}

impl Mail {
    /// Whether there were parameters, which only a client that said EHLO may use.
    pub fn has_parameters(&self) -> bool {
        self.size.is_some() || self.body.is_some()
    }
}

/// Commands that exist, and that are not offered here.
const NOT_OFFERED: [&str; 10] = [
    "AUTH", "BDAT", "ETRN", "EXPN", "SAML", "SEND", "SOML", "STARTTLS", "TURN", "XCLIENT",
];

impl Command {
    /// Parses a line without its CRLF. The refusal says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, Refusal> {
        // Octets that are not UTF-8 become characters outside ASCII, which no argument may have.
        let line = String::from_utf8_lossy(line);
        let (verb, argument) = split_verb(&line);
        match verb.to_ascii_uppercase().as_str() {
            "HELO" => client_name(argument).map(Self::Helo),
            "EHLO" => client_name(argument).map(Self::Ehlo),
            "MAIL" => mail(argument).map(Self::Mail),
            "RCPT" => rcpt(argument).map(Self::Rcpt),
            "DATA" => alone(argument, Self::Data),
            "RSET" => alone(argument, Self::Rset),
            "QUIT" => alone(argument, Self::Quit),
            "NOOP" => Ok(Self::Noop),
            "HELP" => Ok(Self::Help),
            "VRFY" if argument.is_empty() => Err(Refusal::bad_argument()),
            "VRFY" => Ok(Self::Vrfy),
            verb if NOT_OFFERED.contains(&verb) => Err(Refusal::not_implemented()),
            _ => Err(Refusal::unknown_command()),
        }
    }
}

/// What a line that is no well-formed command would have been, by its verb: what follows from its
/// refusal depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kin {
    /// RCPT: the transaction had a recipient, if not a valid one.
    Recipient,
    /// DATA or BDAT: what already stands behind it is no command and must not run as one.
    Message,
    /// Any other.
    Other,
}

impl Kin {
    /// Looks at the verb of a line, however malformed the rest.
    pub fn of(line: &[u8]) -> Self {
        let verb = line.get(..4).unwrap_or_default();
        match verb.to_ascii_uppercase().as_slice() {
            b"RCPT" => Self::Recipient,
            b"DATA" | b"BDAT" => Self::Message,
            _ => Self::Other,
        }
    }
}

/// The verb, and the argument without the white space around it (RFC 5321 §4.1.1 lets a server
/// tolerate it at the end).
fn split_verb(line: &str) -> (&str, &str) {
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    (
        verb.trim_end_matches('\t'),
        argument.trim_matches([' ', '\t']),
    )
}

fn alone(argument: &str, command: Command) -> Result<Command, Refusal> {
    if argument.is_empty() {
        Ok(command)
    } else {
        Err(Refusal::bad_argument())
    }
}

fn client_name(argument: &str) -> Result<String, Refusal> {
    match Host::parse(argument) {
        Ok(_) => Ok(argument.to_owned()),
        Err(_) => Err(Refusal::bad_helo()),
    }
}

fn mail(argument: &str) -> Result<Mail, Refusal> {
    let (path, parameters) = path_and_parameters(argument, "FROM:")?;
    let reverse_path = ReversePath::parse(path).map_err(|_| Refusal::bad_sender_syntax())?;
    let mut mail = Mail {
        reverse_path,
        size: None,
        body: None,
    };
    for parameter in parameters.split_ascii_whitespace() {
        set_parameter(&mut mail, parameter)?;
    }
    Ok(mail)
}

fn rcpt(argument: &str) -> Result<ForwardPath, Refusal> {
    let (path, parameters) = path_and_parameters(argument, "TO:")?;
    let forward_path = ForwardPath::parse(path).map_err(|_| Refusal::bad_recipient_syntax())?;
    if parameters.is_empty() {
        Ok(forward_path)
    } else {
        Err(Refusal::bad_parameter())
    }
}

/// Splits `FROM:<path> PARAMETERS`. White space behind the colon is no syntax of RFC 5321's, but
/// common, and harmless.
fn path_and_parameters<'a>(
    argument: &'a str,
    keyword: &str,
) -> Result<(&'a str, &'a str), Refusal> {
    let head = argument.get(..keyword.len());
    if !head.is_some_and(|head| head.eq_ignore_ascii_case(keyword)) {
        return Err(Refusal::bad_argument());
    }
    let rest = argument[keyword.len()..].trim_start_matches(' ');
    let (path, parameters) = rest.split_at(end_of_path(rest));
    if parameters.is_empty() || parameters.starts_with(' ') {
        Ok((path, parameters.trim()))
    } else {
        Err(Refusal::bad_argument())
    }
}

/// The index behind the `>` that closes a path, one in a quoted local-part aside; the end of the
/// word if the path is not closed, which is for the path's own parser to refuse.
fn end_of_path(text: &str) -> usize {
    if !text.starts_with('<') {
        return text.find(' ').unwrap_or(text.len());
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn set_parameter(mail: &mut Mail, parameter: &str) -> Result<(), Refusal> {
    let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    match keyword.to_ascii_uppercase().as_str() {
        "SIZE" => once(&mut mail.size, size(value)),
        "BODY" => once(&mut mail.body, body(value)),
        _ => Err(Refusal::bad_parameter()),
    }
}

/// A parameter is given at most once, and with a value that makes sense.
fn once<T>(slot: &mut Option<T>, value: Option<T>) -> Result<(), Refusal> {
    match (slot.is_some(), value) {
        (false, Some(value)) => {
            *slot = Some(value);
            Ok(())
        }
        _ => Err(Refusal::bad_argument()),
    }
}

/// RFC 1870: 1 to 20 digits. What does not fit a number is larger than any limit all the same.
fn size(value: &str) -> Option<u64> {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}

fn body(value: &str) -> Option<BodyType> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Some(BodyType::SevenBit),
        "8BITMIME" => Some(BodyType::EightBitMime),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(line: &str) -> (u16, String) {
        let refusal = Command::parse(line.as_bytes()).expect_err(line);
        (refusal.code(), refusal.to_string())
    }

    #[test]
    fn verbs() {
        for (line, want) in [
            ("data", Command::Data),
            ("RSET ", Command::Rset),
            ("QuiT\t", Command::Quit),
            ("NOOP any thing", Command::Noop),
            ("HELP MAIL", Command::Help),
            ("VRFY ann", Command::Vrfy),
            (
                "HELO Mail.Example.",
                Command::Helo("Mail.Example.".to_owned()),
            ),
            ("EHLO [IPv6:::1]", Command::Ehlo("[IPv6:::1]".to_owned())),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(want), "{line}");
        }
    }

    #[test]
    fn refusals() {
        for (line, code) in [
            ("", 500),
            ("MAILFROM:<a@b>", 500),
            ("NOOP\0", 500),
            ("EXPN list", 502),
            ("STARTTLS", 502),
            ("VRFY", 501),
            ("DATA now", 501),
            ("QUIT now", 501),
            ("HELO", 501),
            ("EHLO two names", 501),
            ("EHLO [1.2.3]", 501),
            ("EHLO (comment)", 501),
            ("MAIL", 501),
            ("MAIL TO:<a@b>", 501),
            ("MAIL FROM", 501),
            ("MAIL FROM: a@b", 501),
            ("MAIL FROM:<a@b", 501),
            ("MAIL FROM:<a@b>SIZE=1", 501),
            ("MAIL FROM:<a@b> SIZE=", 501),
            ("MAIL FROM:<a@b> SIZE=1k", 501),
            ("MAIL FROM:<a@b> SIZE=-1", 501),
            ("MAIL FROM:<a@b> SIZE=1 SIZE=1", 501),
            ("MAIL FROM:<a@b> BODY=BINARYMIME", 501),
            ("MAIL FROM:<a@b> SMTPUTF8", 555),
            ("MAIL FROM:<a@b> AUTH=<>", 555),
            ("RCPT TO:<>", 501),
            ("RCPT TO:<a@b> NOTIFY=NEVER", 555),
            ("RCPT TO:<\u{fc}@b>", 501),
        ] {
            assert_eq!(refused(line).0, code, "{line}");
        }
    }

    #[test]
    fn the_right_party_is_blamed() {
        assert!(refused("MAIL FROM:<a@>").1.starts_with("501 5.1.7"));
        assert!(refused("RCPT TO:<a@>").1.starts_with("501 5.1.3"));
        assert!(refused("MAIL FROM:<a@b> SIZE=x").1.starts_with("501 5.5.4"));
    }

    #[test]
    fn mail_with_everything() {
        let line = "mail from: <\"a >b\\\"\"@x.example>  size=99999999999999999999 Body=8bitmime";
        let Ok(Command::Mail(mail)) = Command::parse(line.as_bytes()) else {
            panic!("{line}");
        };
        assert_eq!(mail.reverse_path.address(), "\"a >b\\\"\"@x.example");
        assert_eq!(mail.size, Some(u64::MAX));
        assert_eq!(mail.body, Some(BodyType::EightBitMime));
        assert!(mail.has_parameters());
    }

    #[test]
    fn a_message_behind_a_refused_line_is_foreseen() {
        assert_eq!(Kin::of(b"data now"), Kin::Message);
        assert_eq!(Kin::of(b"BDAT 86 LAST"), Kin::Message);
        assert_eq!(Kin::of(b"DAT"), Kin::Other);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Command::parse(&line);
        }

        #[test]
        fn no_argument_panics(
            verb in "(MAIL FROM:|RCPT TO:|EHLO |HELO )",
            argument in "[<>\"\\\\@a-z.,: =\u{fc}\\[\\]]{0,24}",
        ) {
            let _ = Command::parse(format!("{verb}{argument}").as_bytes());
        }
    }
}
