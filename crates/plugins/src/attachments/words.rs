//! Encodings inside of header fields: encoded words (RFC 2047) wherever they stand, and percent
//! signs with a character set in front (RFC 2231). Gives every reading of a value.

use mail_parser::decoders::charsets::map::charset_decoder;

use super::decode::{Base64, Quoted, hex};

/// Every text that the octets of a value may stand for, the plainest first.
pub(super) fn readings(value: &[u8]) -> Vec<String> {
    let plain = text(value);
    let mut all = vec![plain.clone()];
    if value.contains(&b'%') || value.contains(&b'\'') {
        all.push(text(&percent(value)));
        all.extend(extended(value));
    }
    if plain.contains("=?") {
        let words: Vec<_> = all.iter().map(|one| encoded_words(one)).collect();
        all.extend(words);
    }
    all
}

/// A whole field with its encoded words replaced, as readers have it who do that first.
pub(super) fn decoded(field: &[u8]) -> Vec<u8> {
    encoded_words(&text(field)).into_bytes()
}

/// What the encoded words of a field say, one by one and all together, wherever they stand.
pub(super) fn words(field: &[u8]) -> Vec<String> {
    let field = text(field);
    let (mut all, mut run, mut rest) = (Vec::new(), Run::default(), field.as_str());
    let mut together = String::new();
    while let Some((_, (charset, bytes), behind)) = next_word(rest) {
        all.push(in_charset(charset.as_bytes(), &bytes));
        run.add((charset, bytes), &mut together);
        rest = behind;
    }
    run.flush(&mut together);
    all.push(together);
    all
}

/// Whether a name is such as people write it: with an extension, and without code or quotes.
pub(super) fn is_plain(name: &str) -> bool {
    let code = ["=?", "\"", "\'\'", "%"];
    name.contains('.') && !code.iter().any(|sign| name.contains(sign))
}

/// UTF-8 where it is, and otherwise each octet a character.
fn text(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

fn in_charset(charset: &[u8], bytes: &[u8]) -> String {
    match charset_decoder(charset) {
        Some(decode) => decode(bytes),
        None => text(bytes),
    }
}

/// `%41` is `A`.
pub(super) fn percent(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind
            .first()
            .copied()
            .and_then(hex)
            .zip(behind.get(1).copied().and_then(hex));
        match digits.filter(|_| *first == b'%') {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &behind[2..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

/// `utf-8'en'a%20b`.
fn extended(value: &[u8]) -> Option<String> {
    let mut pieces = value.splitn(3, |byte| *byte == b'\'');
    let (charset, _, encoded) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let charset = charset.trim_ascii();
    Some(in_charset(charset, &percent(encoded)))
}

/// Replaces encoded words; white space between two of them goes.
fn encoded_words(value: &str) -> String {
    let mut out = String::new();
    let mut run = Run::default();
    let mut rest = value;
    while let Some((before, word, behind)) = next_word(rest) {
        if !before.trim().is_empty() {
            run.flush(&mut out);
            out.push_str(before);
        }
        run.add(word, &mut out);
        rest = behind;
    }
    run.flush(&mut out);
    out.push_str(rest);
    out
}

/// Neighbouring words in one character set: a character may be cut in two between them.
#[derive(Default)]
struct Run {
    charset: String,
    bytes: Vec<u8>,
}

impl Run {
    fn add(&mut self, (charset, bytes): (String, Vec<u8>), out: &mut String) {
        if charset != self.charset {
            self.flush(out);
            self.charset = charset;
        }
        self.bytes.extend(bytes);
    }

    fn flush(&mut self, out: &mut String) {
        out.push_str(&in_charset(
            self.charset.as_bytes(),
            &std::mem::take(&mut self.bytes),
        ));
    }
}

type Word = (String, Vec<u8>);

/// The text before the next encoded word, the word, and what is behind it.
fn next_word(text: &str) -> Option<(&str, Word, &str)> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find("=?")?;
        if let Some((word, behind)) = word(&text[at + 2..]) {
            return Some((&text[..at], word, behind));
        }
        from = at + 2;
    }
}

/// Reads `charset?B?text?=`; without an end the text goes to the end.
fn word(text: &str) -> Option<(Word, &str)> {
    let (charset, rest) = text.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    if charset.len() > 64 || encoding.len() != 1 {
        return None;
    }
    let (encoded, behind) = rest.split_once("?=").unwrap_or((rest, ""));
    let mut bytes = Vec::new();
    match encoding {
        "b" | "B" => Base64::default().feed(encoded.as_bytes(), &mut bytes),
        "q" | "Q" => {
            let spaced = encoded.replace('_', " ");
            Quoted::default().feed(spaced.as_bytes(), &mut bytes);
        }
        _ => return None,
    }
    let charset = charset.split('*').next().unwrap_or_default();
    Some(((charset.to_ascii_lowercase(), bytes), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(value: &str, want: &str) {
        let all = readings(value.as_bytes());
        assert!(all.iter().any(|one| one == want), "{value}: {all:?}");
    }

    #[test]
    fn encoded_words_are_read_wherever_they_stand() {
        reads("=?utf-8?B?eC5leGU=?=", "x.exe");
        reads("=?utf-8?Q?x=2Eexe?=", "x.exe");
        reads("=?UTF-8*en?q?x=2e?= \r\n =?utf-8?b?ZXhl?=", "x.exe");
        reads("a =?utf-8?q?b_c?= d", "a b c d");
        reads(
            "=?utf-8?b?w?= =?utf-8?b?6kudHh0?=",
            "=?utf-8?b?w?= =?utf-8?b?6kudHh0?=",
        );
        reads("=?utf-16be?b?AHgALgBlAHgAZQ==?=", "x.exe");
        reads("=?no-such?q?x=2Eexe?=", "x.exe");
        reads("=?utf-8?q?x=2Eexe", "x.exe");
    }

    #[test]
    fn percent_signs_are_read() {
        reads("x%2Eexe", "x.exe");
        reads("utf-8''x%2Eexe", "x.exe");
        reads("utf-16be''%00x%00.%00e%00x%00e", "x.exe");
        reads("100%", "100%");
    }
}
