//! Received fields (RFC 5321 §4.4), as mail servers really write them: which address a host says
//! it got the message from.
//!
//! The HELO name is the client's own word and stands in the same field, so an address is taken
//! only from where the host itself writes it. Whatever is ambiguous is not understood: better no
//! origin than one that a client chose. The forms are in tests/vectors/received.

use std::net::IpAddr;

/// What a field says about the way to the host that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hop {
    /// Over the network, from this address.
    From {
        /// The client's address.
        ip: IpAddr,
        /// The name that the client gave.
        helo: String,
    },
    /// From another part of the same host's mail system; the next field is the same host's.
    Within,
    /// From a user or a program on the host itself.
    Submitted,
}

/// Reads a field's value, unfolded. `None` if it is not understood.
pub(super) fn parse(value: &str) -> Option<Hop> {
    let tokens = tokens(value)?;
    match tokens.as_slice() {
        [Comment(text), ..] if text.starts_with("qmail ") => qmail(text),
        [Comment(text), Word(by), ..] if text.starts_with("from ") && is(by, "by") => {
            Some(Hop::Submitted)
        }
        [Word(by), Word(_), Comment(system), ..] if is(by, "by") => postfix_without_from(system),
        [Word(from), Word(name), rest @ ..] if is(from, "from") => from_clause(name, rest),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    /// What stands between the parentheses.
    Comment(&'a str),
}

use Token::{Comment, Word};

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

/// Words and comments up to the `;` before the date. A parenthesis inside a word, or anything but
/// a date behind the `;`, is not understood: no server writes it, but a client may say it in HELO.
fn tokens(value: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = value.trim_ascii();
    while !rest.is_empty() && !rest.starts_with(';') {
        let (token, after) = match rest.starts_with('(') {
            true => comment(rest)?,
            false => word(rest)?,
        };
        tokens.push(token);
        rest = after.trim_ascii_start();
    }
    let date = rest.strip_prefix(';').unwrap_or_default();
    (!date.contains([';', '['])).then_some(tokens)
}

fn word(text: &str) -> Option<(Token<'_>, &str)> {
    let ends = |c: char| c.is_ascii_whitespace() || matches!(c, ';' | '(' | ')');
    let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    (!rest.starts_with(['(', ')'])).then_some((Word(word), rest))
}

/// A comment with what is nested in it (RFC 5322 §3.2.2). One that does not end is no comment.
fn comment(text: &str) -> Option<(Token<'_>, &str)> {
    let (mut depth, mut escaped) = (0_u32, false);
    for (at, b) in text.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth == 1 => return Some((Comment(&text[1..at]), &text[at + 1..])),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `(qmail 12 invoked from network)`, `… by uid 89)`, `… by alias)`, `… for bounce)`.
fn qmail(comment: &str) -> Option<Hop> {
    let (_, invoked) = comment.split_once(" invoked ")?;
    Some(match invoked {
        "from network" => Hop::Within,
        _ => Hop::Submitted,
    })
}

/// `by HOST (Postfix) id …`: local(8) forwards; `(Postfix, from userid 33)`: sendmail(1).
fn postfix_without_from(system: &str) -> Option<Hop> {
    match system {
        "Postfix" => Some(Hop::Within),
        system if system.starts_with("Postfix, from userid ") => Some(Hop::Submitted),
        _ => None,
    }
}

/// `from NAME comments by HOST …`.
fn from_clause(name: &str, rest: &[Token<'_>]) -> Option<Hop> {
    let by = rest.iter().position(|token| matches!(token, Word(_)))?;
    let (comments, clauses) = rest.split_at(by);
    match clauses {
        [Word(by), Word(_), Word(with), Word("local"), ..] if is(by, "by") && is(with, "with") => {
            return Some(Hop::Submitted);
        }
        // A second `by` means that a client's words have made a first one.
        [Word(by), Word(_), more @ ..] if is(by, "by") && !more.iter().any(is_by) => {}
        _ => return None,
    }
    let (helo, info) = about_client(name, comments)?;
    let ip = match info.ip {
        Some(ip) => ip,
        None => exim_literal(name, clauses)?,
    };
    let helo = info.helo.unwrap_or(helo).to_owned();
    Some(Hop::From { ip, helo })
}

/// The HELO name, and what the first comment says of the connection. qmail has a comment of its
/// own for HELO: `from RDNS (HELO NAME) (ADDRESS)`.
fn about_client<'a>(name: &'a str, comments: &[Token<'a>]) -> Option<(&'a str, TcpInfo<'a>)> {
    let mut helo = name;
    let mut texts = comments.iter().map(|token| match token {
        Comment(text) | Word(text) => *text,
    });
    let mut info = texts.next().unwrap_or_default();
    if let Some(("HELO" | "EHLO", name)) = info.split_once(' ') {
        helo = name;
        info = texts.next().unwrap_or_default();
    }
    Some((helo, TcpInfo::parse(info)?))
}

fn is_by(token: &Token<'_>) -> bool {
    matches!(token, Word(word) if is(word, "by"))
}

/// What a server wrote about the connection.
struct TcpInfo<'a> {
    ip: Option<IpAddr>,
    helo: Option<&'a str>,
}

impl<'a> TcpInfo<'a> {
    /// Reads the comment behind the name: `RDNS [IP]`, `[IP]:PORT helo=NAME`, `user@IP`, `IP`.
    /// From the first `KEY=` on, the words may be the client's. `None` if the address is broken,
    /// or if there are two.
    fn parse(comment: &'a str) -> Option<Self> {
        let flat = comment
            .split_once('(')
            .map_or(comment, |(before, _)| before);
        let words: Vec<&str> = flat.split_ascii_whitespace().collect();
        let helo = words.iter().find_map(|word| word.strip_prefix("helo="));
        let own = words.iter().take_while(|word| !word.contains('='));
        let plain: Vec<&str> = own.copied().collect();
        let literals: Vec<&&str> = plain.iter().filter(|w| w.starts_with('[')).collect();
        let ip = match (literals.as_slice(), plain.as_slice()) {
            ([literal], _) => Some(literal_address(literal)?),
            ([], [bare]) => Some(bare_address(bare)?),
            ([], []) => None,
            _ => return None,
        };
        Some(Self { ip, helo })
    }
}

/// `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `[fe80::1%4]`, a port behind it or not.
fn literal_address(word: &str) -> Option<IpAddr> {
    let (inner, after) = word.strip_prefix('[')?.split_once(']')?;
    let port = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
    port.then(|| address(inner))?
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// qmail's and Exchange's form: no brackets, perhaps a user from ident before it.
fn bare_address(word: &str) -> Option<IpAddr> {
    address(word.rsplit_once('@').map_or(word, |(_, ip)| ip))
}

fn address(text: &str) -> Option<IpAddr> {
    let text = match text.split_at_checked(5) {
        Some((tag, rest)) if is(tag, "IPv6:") => rest,
        _ => text,
    };
    let text = text.split_once('%').map_or(text, |(ip, _zone)| ip);
    text.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// Exim alone writes an address without a name in the name's place: `from [IP] (helo=NAME) by`.
/// From other servers a literal there would be the client's own HELO.
fn exim_literal(name: &str, clauses: &[Token<'_>]) -> Option<IpAddr> {
    let exim = |token: &Token<'_>| matches!(token, Comment(text) if text.starts_with("Exim "));
    clauses.iter().any(exim).then(|| literal_address(name))?
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Reads `tests/vectors/received/*.txt`: a line `= …` says what the field below it means.
    fn vectors() -> Vec<(String, String, String)> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/received");
        let mut all = Vec::new();
        for file in std::fs::read_dir(dir).expect("the vectors") {
            let path = file.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            for block in text.split("\n= ").skip(1) {
                let (want, field) = block.split_once('\n').expect("a field");
                let value = field.strip_prefix("Received:").expect("a Received field");
                let value = value.split("\n#").next().unwrap_or(value);
                all.push((
                    path.display().to_string(),
                    want.to_owned(),
                    value.to_owned(),
                ));
            }
        }
        all
    }

    fn said(hop: Option<Hop>) -> String {
        match hop {
            None => "not understood".to_owned(),
            Some(Hop::Within) => "within".to_owned(),
            Some(Hop::Submitted) => "submitted".to_owned(),
            Some(Hop::From { ip, helo }) => format!("from {ip} helo {helo}"),
        }
    }

    #[test]
    fn every_vector() {
        let vectors = vectors();
        assert!(vectors.len() > 50, "only {} vectors", vectors.len());
        let mut wrong = String::new();
        for (file, want, value) in vectors {
            let got = said(parse(&value.replace(['\r', '\n'], "")));
            if got != want {
                wrong.push_str(&format!("{file}:{value}\ngot {got}, not {want}\n"));
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    proptest::proptest! {
        /// Whatever comes is survived, and no address comes from nowhere.
        #[test]
        fn no_field_invents_an_address(
            text in "(from|by|with|local|HELO|helo=|192\\.0\\.2\\.1|[ ()\\[\\]\\\\;:@%=é]){0,40}"
        ) {
            if let Some(Hop::From { ip, .. }) = parse(&text) {
                proptest::prop_assert!(text.contains(&ip.to_string()), "{ip} of {text}");
            }
        }
    }

    #[test]
    fn deep_nesting_is_not_followed() {
        assert_eq!(parse(&"(".repeat(100_000)), None);
        let deep = format!("from x {}{} by y", "(".repeat(50_000), ")".repeat(50_000));
        assert_eq!(parse(&deep), None);
    }
}
