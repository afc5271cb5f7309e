//! The language of the dialogues, a line a step:
//!
//! ```text
//! # a comment
//! limit: errors = 3              a limit of the listener, as the configuration writes it
//! client: 127.0.0.9              the address that the client comes from
//! C: EHLO client.example         the client sends a line; lines in a row go out in one write
//! C*3: RCPT TO:<u{n}@x.example>  the same three times, {n} counting from 1
//! C-raw: a\r\n\0\xff{9*x}         the client sends exactly these octets, nine times x at the end
//! S: 250 2.1.0                   the server's next line starts so
//! S*3: 250 2.1.5                 so do its next three
//! S-end                          the server closes
//! kept: 1                        so many messages were committed
//! kept-message: a\r\n            the last one, octet for octet
//! kept-envelope: <a@b> <c@d>     its reverse-path and its forward-paths
//! kept-received: Received: from  how our own Received field of it starts
//! ```

use std::net::Ipv4Addr;

use posthouse_front::Limits;

/// A parsed dialogue.
pub(super) struct Script {
    pub(super) limits: Limits,
    pub(super) client: Ipv4Addr,
    /// With the number of the line on which each stands.
    pub(super) steps: Vec<(usize, Step)>,
}

/// What the client does, or finds.
pub(super) enum Step {
    Send(Vec<u8>),
    Hear(String),
    End,
    Kept(usize),
    KeptMessage(Vec<u8>),
    KeptEnvelope(String),
    KeptReceived(String),
}

impl Script {
    /// Reads a file. The error names the line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut limits, mut client) = (String::new(), Ipv4Addr::LOCALHOST);
        let mut steps = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let (key, value) = split(line);
            match key {
                "" => {}
                "limit" => limits += &format!("{value}\n"),
                "client" => client = value.parse().map_err(|_| bad(at, line))?,
                _ => {
                    let parsed = parse_step(key, value).ok_or_else(|| bad(at, line))?;
                    steps.extend(parsed.into_iter().map(|step| (at + 1, step)));
                }
            }
        }
        let limits = toml::from_str(&limits).map_err(|e| e.to_string())?;
        Ok(Self {
            limits,
            client,
            steps: joined(steps),
        })
    }

    /// Whether the session is over when the script is.
    pub(super) fn ends_itself(&self) -> bool {
        self.steps.iter().any(|(_, step)| matches!(step, Step::End))
    }
}

fn bad(at: usize, line: &str) -> String {
    format!("line {}: `{line}` is no step of a dialogue", at + 1)
}

/// The key before the colon, and the value; nothing for comments and empty lines.
fn split(line: &str) -> (&str, &str) {
    if line.trim().is_empty() || line.starts_with('#') {
        return ("", "");
    }
    let (key, value) = line.split_once(':').unwrap_or((line, ""));
    (key.trim(), value.strip_prefix(' ').unwrap_or(value))
}

/// The step, as often as the key says; nothing if it is none.
fn parse_step(key: &str, value: &str) -> Option<Vec<Step>> {
    let (key, times) = key.split_once('*').unwrap_or((key, "1"));
    let times: usize = times.parse().ok()?;
    (1..=times).map(|n| one_step(key, value, n)).collect()
}

fn one_step(key: &str, value: &str, n: usize) -> Option<Step> {
    Some(match key {
        "C" => Step::Send(format!("{}\r\n", value.replace("{n}", &n.to_string())).into_bytes()),
        "C-raw" => Step::Send(unescape(value)?),
        "S" => Step::Hear(value.to_owned()),
        "S-end" => Step::End,
        "kept" => Step::Kept(value.parse().ok()?),
        "kept-message" => Step::KeptMessage(unescape(value)?),
        "kept-envelope" => Step::KeptEnvelope(value.to_owned()),
        "kept-received" => Step::KeptReceived(String::from_utf8(unescape(value)?).ok()?),
        _ => return None,
    })
}

/// Lines of the client in a row become one write: a pipelined batch.
fn joined(steps: Vec<(usize, Step)>) -> Vec<(usize, Step)> {
    let mut out: Vec<(usize, Step)> = Vec::new();
    for (at, step) in steps {
        match (out.last_mut(), step) {
            (Some((_, Step::Send(before))), Step::Send(more)) => before.extend(more),
            (_, step) => out.push((at, step)),
        }
    }
    out
}

/// Reads `\r`, `\n`, `\0`, `\t`, `\\`, `\xff`, and `{1000*x}` for a thousand of x.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (octets, used) = match first {
            b'\\' => escape(tail)?,
            b'{' => repetition(tail)?,
            octet => (vec![octet], 0),
        };
        out.extend(octets);
        rest = &tail[used..];
    }
    Some(out)
}

fn escape(tail: &[u8]) -> Option<(Vec<u8>, usize)> {
    Some(match tail.first()? {
        b'r' => (b"\r".to_vec(), 1),
        b'n' => (b"\n".to_vec(), 1),
        b't' => (b"\t".to_vec(), 1),
        b'0' => (b"\0".to_vec(), 1),
        b'\\' => (b"\\".to_vec(), 1),
        b'x' => {
            let digits = std::str::from_utf8(tail.get(1..3)?).ok()?;
            (vec![u8::from_str_radix(digits, 16).ok()?], 3)
        }
        _ => return None,
    })
}

fn repetition(tail: &[u8]) -> Option<(Vec<u8>, usize)> {
    let close = tail.iter().position(|b| *b == b'}')?;
    let (times, what) = std::str::from_utf8(&tail[..close]).ok()?.split_once('*')?;
    Some((unescape(what)?.repeat(times.parse().ok()?), close + 1))
}
