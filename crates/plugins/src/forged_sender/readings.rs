//! All the ways in which a reader of mail could read a header field: with and without its comments, its
//! encoded words, what stands behind a NUL. Each is a copy of the field, and there are at most a
//! dozen.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::parsers::MessageStream;

use super::canon::fold;

/// What no address goes across.
pub(super) const BREAK: char = '\0';
/// How often what was decoded is decoded again: some readers do.
const PASSES: usize = 2;

/// The readings of a field's value, folded by [`fold`], none of them twice.
pub(super) fn readings(value: &[u8]) -> Vec<String> {
    let raw = String::from_utf8_lossy(value).replace(['\r', '\n'], "");
    let mut all = vec![fold(&by_parser(value))];
    let smooth = raw.replace('\t', " ");
    let whole = smooth.replace(char::is_control, "");
    for reading in [whole, smooth.replace(char::is_control, "\0")] {
        let decoded = decoded(&reading);
        for reading in [Cow::Borrowed(&*reading), decoded] {
            let folded = fold(&reading);
            all.push(without_comments(&folded));
            all.push(folded);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// What a parser of mail makes of it: addresses and names, apart.
fn by_parser(value: &[u8]) -> String {
    let mut line = value.to_vec();
    line.extend_from_slice(b"\r\n");
    let parsed = MessageStream::new(&line).parse_address();
    let mut text = String::new();
    for one in parsed
        .as_address()
        .into_iter()
        .flat_map(mail_parser::Address::iter)
    {
        for part in [one.address(), one.name()].into_iter().flatten() {
            text.push_str(part);
            text.push(BREAK);
        }
    }
    text
}

/// Leaves out comments, nested ones whole. One that does not end is none.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('(') {
        let Some(end) = end_of_comment(&rest[at..]) else {
            break;
        };
        out.push_str(&rest[..at]);
        rest = &rest[at + end..];
    }
    out.push_str(rest);
    out
}

/// The index behind the comment that the text begins with.
fn end_of_comment(text: &str) -> Option<usize> {
    let (mut depth, mut escaped) = (0_usize, false);
    for (at, b) in text.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at + 1),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The text with its encoded words decoded (RFC 2047), wherever they stand and however they end.
fn decoded(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..PASSES {
        if !text.contains("=?") {
            break;
        }
        text = Cow::Owned(decode_once(&text));
    }
    text
}

fn decode_once(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut behind_word = false;
    while let Some(at) = rest.find("=?") {
        let between = &rest[..at];
        // White space between two encoded words is not shown (RFC 2047 §6.2).
        if !(behind_word && between.trim().is_empty()) {
            out.push_str(between);
        }
        match encoded_word(&rest[at + 2..]) {
            Some((word, behind)) => {
                out.push_str(&word);
                rest = behind;
                behind_word = true;
            }
            None => {
                out.push_str("=?");
                rest = &rest[at + 2..];
                behind_word = false;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The encoded word whose text stands behind its `=?`, and what comes after it. Without `?=` it reaches
/// to the end.
fn encoded_word(text: &str) -> Option<(String, &str)> {
    let (charset, rest) = text.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    if charset.len() > 40 {
        return None;
    }
    let (inside, behind) = rest.split_once("?=").unwrap_or((rest, ""));
    let bytes = match encoding {
        "q" | "Q" => quoted(inside.as_bytes()),
        "b" | "B" => base64(inside.as_bytes()),
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or_default();
    let word = match charset_decoder(charset.as_bytes()) {
        Some(decode) => decode(&bytes),
        None => String::from_utf8_lossy(&bytes).into_owned(),
    };
    Some((word, behind))
}

/// The `Q` encoding (RFC 2047 §4.2); what is no pair of digits stands for itself.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        let pair = text
            .get(at + 1..at + 3)
            .and_then(|d| str::from_utf8(d).ok());
        match (
            b,
            pair.and_then(|digits| u8::from_str_radix(digits, 16).ok()),
        ) {
            (b'=', Some(octet)) => {
                out.push(octet);
                at += 3;
                continue;
            }
            (b'_', _) => out.push(b' '),
            (b, _) => out.push(b),
        }
        at += 1;
    }
    out
}

/// Base64 without minding its padding, or what is no part of it.
fn base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut have) = (0_u32, 0);
    for digit in text.iter().filter_map(|b| base64_digit(*b)) {
        bits = (bits << 6 | digit) & 0xffff;
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    out
}

fn base64_digit(b: u8) -> Option<u32> {
    let digit = match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(digit.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_read_however_they_are_written() {
        for (text, want) in [
            ("=?utf-8?q?ceo=40bank?=", "ceo@bank"),
            ("=?UTF-8?B?Y2VvQGJhbms=?= x", "ceo@bank x"),
            ("=?utf-8?b?Y2VvQGJhbms", "ceo@bank"),
            ("=?utf-8*en?q?ceo?= \t =?utf-8?q?=40bank?=", "ceo@bank"),
            ("=?utf-7?q?ceo+AEA-bank?=", "ceo@bank"),
            ("=?utf-16be?b?AGEAQABi?=", "a@b"),
            ("=?utf-8?q?=3D=3Futf-8=3Fq=3Fceo=40bank=3F=3D?=", "ceo@bank"),
            ("=?nonsense?q?a_b?=", "a b"),
            ("=? =?x?q", "=? =?x?q"),
            ("plain", "plain"),
        ] {
            assert_eq!(decoded(text), want, "{text}");
        }
    }

    #[test]
    fn comments_are_left_out_and_half_ones_kept() {
        assert_eq!(without_comments("a(b(c)\\)d)@(e)f"), "a@f");
        assert_eq!(without_comments("a(b(c)@d"), "a(b(c)@d");
    }

    #[test]
    fn there_are_few_readings() {
        let value = b"=?utf-8?q?a?= (b) \0 \x01 \xff <c@d>";
        assert!(readings(value).len() <= 12);
        assert_eq!(readings(b"").len(), 1);
    }
}
