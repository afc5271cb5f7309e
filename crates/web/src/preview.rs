//! A held message as text: its main header fields decoded, its words, nothing that could act.
//!
//! HTML is turned into text and never shown as HTML; nothing is fetched; what is read is bounded by
//! the caller, what is shown is made visible character by character. A link of ours that a message
//! quotes never shows its secret, nor a part of it.

use std::borrow::Cow;

use mail_parser::{Address, Message, MessageParser, MimeHeaders as _, PartType};
use posthouse_hook::link::TOKEN_LEN;
use serde::Serialize;

use crate::show::{line, lines};

/// Longest decoded header field in characters.
const MAX_FIELD: usize = 500;
/// Addresses of one field, and attachments, that are named.
const MAX_NAMED: usize = 20;
/// Octets of the header section that are shown as they stand.
const MAX_HEADER: usize = 16 * 1024;

/// What a page shows of a message.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Reading {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) date: String,
    pub(crate) subject: String,
    /// The words, lines ended by LF.
    pub(crate) text: String,
    /// Where the words come from.
    pub(crate) source: Source,
    /// Whether the message is longer than what was read.
    pub(crate) cut: bool,
    /// Names of attachments; empty for one without a name.
    pub(crate) attachments: Vec<String>,
    /// The header section as it stands, lines ended by LF.
    pub(crate) header: String,
}

/// Where the words of a [`Reading`] come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// A text part.
    Text,
    /// An HTML part, of which only the words are left.
    Html,
    /// There is no text in what was read.
    #[default]
    Nothing,
}

/// Reads the first octets of a message that is `whole` octets long.
pub(crate) fn read(head: &[u8], whole: u64) -> Reading {
    let cut = whole > head.len() as u64;
    let header = header_lines(head, cut);
    let Some(message) = MessageParser::default().parse(head) else {
        return Reading {
            header,
            cut,
            ..Reading::default()
        };
    };
    let (text, source) = words(&message, cut);
    Reading {
        from: addresses(message.from()),
        to: addresses(message.to()),
        date: line(message.header_raw("Date").unwrap_or(""), MAX_FIELD),
        subject: line(message.subject().unwrap_or(""), MAX_FIELD),
        text,
        source,
        cut,
        attachments: attachments(&message),
        header,
    }
}

/// All text parts; where a part exists as text and as HTML, the parser names the text.
fn words(message: &Message<'_>, cut: bool) -> (String, Source) {
    let mut text = String::new();
    let mut source = Source::Nothing;
    for (at, part) in message.text_bodies().enumerate() {
        if matches!(part.body, PartType::Html(_)) {
            source = Source::Html;
        } else if source == Source::Nothing {
            source = Source::Text;
        }
        text.push_str(&message.body_text(at).unwrap_or_default());
        text.push('\n');
    }
    let text = lines(if cut { before_half_link(&text) } else { &text });
    let source = if text.is_empty() {
        Source::Nothing
    } else {
        source
    };
    (text, source)
}

/// `Name <address>, address`, shortened.
fn addresses(field: Option<&Address<'_>>) -> String {
    let named: Vec<_> = field
        .into_iter()
        .flat_map(|list| list.iter())
        .take(MAX_NAMED)
        .map(|a| match (a.name(), a.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (name, address) => name.or(address).unwrap_or("").to_owned(),
        })
        .collect();
    line(&named.join(", "), MAX_FIELD)
}

fn attachments(message: &Message<'_>) -> Vec<String> {
    let named = |part: &mail_parser::MessagePart<'_>| {
        let name = part.attachment_name().unwrap_or("");
        line(name, MAX_FIELD)
    };
    message.attachments().take(MAX_NAMED).map(named).collect()
}

/// The header section up to the first empty line.
fn header_lines(head: &[u8], cut: bool) -> String {
    let shown = &head[..head.len().min(MAX_HEADER)];
    let text: Cow<'_, str> = String::from_utf8_lossy(shown);
    let cut = cut || shown.len() < head.len();
    let text = if cut { before_half_link(&text) } else { &text };
    let section: Vec<_> = text.lines().take_while(|line| !line.is_empty()).collect();
    lines(&section.join("\n"))
}

/// Text that was cut off, without what could be the first part of a link's token at its end.
fn before_half_link(text: &str) -> &str {
    let text = text.trim_end();
    let half =
        |word: &str| word.len() < TOKEN_LEN && word.chars().all(|c| c.is_ascii_alphanumeric());
    match text.rfind('/') {
        Some(slash) if half(&text[slash + 1..]) => &text[..=slash],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use posthouse_hook::{Id, LinkKey, LinkKind};

    use super::*;

    fn whole(text: &str) -> Reading {
        read(text.as_bytes(), text.len() as u64)
    }

    #[test]
    fn fields_are_decoded() {
        let shown = whole(
            "From: =?utf-8?q?J=C3=B6rg?= <j@x.example>\r\nTo: a@y.example, \"B, C\" <b@y.example>\r\n\
             Subject: =?gb2312?B?xOO6ww==?=\r\nDate: Fri, 20 Nov 2026 06:48:00 +0100\r\n\r\nHi\r\n",
        );
        assert_eq!(shown.from, "Jörg <j@x.example>");
        assert_eq!(shown.to, "a@y.example, B, C <b@y.example>");
        assert_eq!(shown.subject, "你好");
        assert_eq!(shown.date, "Fri, 20 Nov 2026 06:48:00 +0100");
        assert_eq!((shown.text.as_str(), shown.source), ("Hi", Source::Text));
        assert!(!shown.cut);
    }

    #[test]
    fn text_is_preferred_and_html_loses_its_tags() {
        let both = whole(
            "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\
             Content-Type: text/html\r\n\r\n<b>rich</b>\r\n--b\r\n\
             Content-Type: text/plain\r\n\r\nplain\r\n--b--\r\n",
        );
        assert_eq!((both.text.as_str(), both.source), ("plain", Source::Text));
        let html = whole(
            "Content-Type: text/html\r\n\r\n<script>alert(1)</script><p>Buy <b>now</b></p>\
             <img src=x onerror=alert(2)>&lt;i&gt;\r\n",
        );
        assert_eq!(html.source, Source::Html);
        assert!(html.text.contains("Buy now"), "{}", html.text);
        assert!(!html.text.contains("alert"), "{}", html.text);
    }

    #[test]
    fn attachments_are_named_not_shown() {
        let shown = whole(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
             Content-Type: text/plain\r\n\r\nsee below\r\n--b\r\n\
             Content-Type: application/x-msdownload; name=\"a\u{202e}gpj.exe\"\r\n\
             Content-Disposition: attachment\r\n\r\nMZ\r\n--b--\r\n",
        );
        assert_eq!(shown.text, "see below");
        assert_eq!(shown.attachments, ["a\u{fffd}gpj.exe"]);
    }

    /// Wherever a message quotes a live link, and wherever it is cut off.
    #[test]
    fn a_quoted_link_never_shows_its_secret() {
        let key = LinkKey::new([1; 32], "https://out.isp.example");
        let link = key.mint(LinkKind::Item, Id(17), "ann@x.example", 0);
        let (url, token) = (link.reveal(), link.token());
        let text = format!(
            "Subject: {url}\r\nFrom: \"{url}\" <a@x.example>\r\nX-Was: {long}{url}\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{long}{url}\r\n--b\r\n\
             Content-Disposition: attachment; filename=\"{url}\"\r\n\r\nx\r\n--b--\r\n",
            long = "x".repeat(1960),
        );
        let shown = whole(&text);
        assert!(shown.subject.ends_with("/i/<link>"), "{}", shown.subject);
        let plain = format!("X-Was: {url}\r\n\r\nsee {url}\r\n");
        for text in [text, plain] {
            for end in 0..=text.len() {
                let shown = read(&text.as_bytes()[..end], text.len() as u64);
                let words = serde_json::to_string(&shown).expect("it serializes");
                assert!(!words.contains(&token[..8]), "{end}: {words}");
            }
        }
        let far = format!("X: {}{url}\r\n\r\n", "x".repeat(MAX_HEADER - 50));
        assert!(!whole(&far).header.contains(&token[..8]));
    }

    #[test]
    fn hostile_bytes_are_only_bytes() {
        let deep = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(2000);
        let nul = "Subject: a\0b\r\n\r\n\0\u{1b}[31m\u{202e}x".to_owned();
        for text in [
            String::new(),
            "\r\n".to_owned(),
            "no header".to_owned(),
            deep,
            nul,
        ] {
            let shown = whole(&text);
            let all = format!("{}{}{}", shown.subject, shown.text, shown.header);
            assert!(!all.contains(['\0', '\u{1b}', '\u{202e}', '\r']), "{all:?}");
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let text = format!("Subject: x\r\n\r\n{}", "word ".repeat(100));
        let shown = read(&text.as_bytes()[..200], text.len() as u64);
        assert!(shown.cut);
        assert!(shown.text.len() < 200);
    }
}
