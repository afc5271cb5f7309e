//! Parameters of MIME fields, read in every way in which a reader might: quoted or not, whole or in
//! pieces (RFC 2231), once or many times, with comments, junk and missing quotes.

use super::words;

/// Most parameters of one field that are read; more are written by nobody honest.
const MAX_PIECES: usize = 200;

/// A field has more parameters than are read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// One place at which a parameter stands.
struct Piece {
    /// What stands in front of the key's end: `file` of `filename`.
    file: bool,
    /// Of a parameter in pieces: which one.
    index: Option<u32>,
    /// Whether every reader takes its first value.
    well_formed: bool,
    /// Its values, one a reading; the first is that of the well-formed.
    values: Vec<Vec<u8>>,
}

/// Every file name that a field may give: parameters `name` and `filename`.
pub(super) fn names(field: &[u8]) -> Result<Vec<String>, TooMany> {
    let mut all = Vec::new();
    for field in unfolded(field) {
        for field in [without_comments(&field), words::decoded(&field), field] {
            let pieces = pieces(&field, b"name")?;
            all.extend(joined(&pieces));
            all.extend(pieces.into_iter().flat_map(|piece| piece.values));
        }
    }
    all.sort_unstable();
    all.dedup();
    let mut names: Vec<_> = all
        .iter()
        .flat_map(|value| words::readings(value))
        .collect();
    if !names.is_empty() && memchr::memmem::find(field, b"=?").is_some() {
        names.extend(words::words(field));
    }
    Ok(names)
}

/// Every boundary that a field may give. One that is well-formed and stands alone is one.
pub(super) fn boundaries(field: &[u8]) -> Result<Vec<Vec<u8>>, TooMany> {
    let field = unfolded(field).swap_remove(0);
    let pieces = pieces(&field, b"boundary")?;
    let mut all = joined(&pieces);
    for piece in pieces {
        let most = if piece.well_formed {
            1
        } else {
            piece.values.len()
        };
        all.extend(piece.values.into_iter().take(most));
    }
    all.iter_mut()
        .for_each(|value| value.truncate(value.trim_ascii_end().len()));
    all.retain(|value| !value.is_empty());
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Whether a value is a quoted string or a word, and a semicolon or nothing behind it.
fn well_formed(rest: &[u8]) -> bool {
    let behind = match rest.strip_prefix(b"\"") {
        Some(quoted) => {
            let end = unquoted(quoted, Escape::Keep).len();
            let closed = quoted.get(end) == Some(&b'"');
            if !closed {
                return false;
            }
            &quoted[end + 1..]
        }
        None => {
            let word = until(rest, |byte| byte == b';' || byte.is_ascii_whitespace());
            if word
                .iter()
                .any(|byte| matches!(byte, b'"' | b'\'' | b'(' | b'\\'))
            {
                return false;
            }
            &rest[word.len()..]
        }
    };
    let behind = behind.trim_ascii_start();
    behind.is_empty() || behind.starts_with(b";")
}

/// The field on one line: with its folds as spaces and, if it has any, without.
fn unfolded(field: &[u8]) -> Vec<Vec<u8>> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let spaced: Vec<u8> = field.iter().copied().filter(|byte| !is_end(byte)).collect();
    let mut lines = field.split(is_end);
    let first = lines.next().unwrap_or_default().to_vec();
    let mut joined = first;
    lines.for_each(|line| joined.extend_from_slice(line.trim_ascii_start()));
    if joined == spaced {
        vec![spaced]
    } else {
        vec![spaced, joined]
    }
}

/// The field without what stands in parentheses outside of quotes.
fn without_comments(field: &[u8]) -> Vec<u8> {
    let (mut depth, mut quoted) = (0_usize, false);
    let mut out = Vec::with_capacity(field.len());
    for byte in field {
        match byte {
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted && depth > 0 => {
                depth -= 1;
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            out.push(*byte);
        }
    }
    out
}

/// Every place where `key`, perhaps with `*` and a number, stands before an equals sign.
fn pieces(field: &[u8], key: &[u8]) -> Result<Vec<Piece>, TooMany> {
    let lower = field.to_ascii_lowercase();
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(&lower, key) {
        let Some((index, value)) = after_key(&field[at + key.len()..]) else {
            continue;
        };
        if found.len() == MAX_PIECES {
            return Err(TooMany);
        }
        found.push(Piece {
            file: lower[..at].ends_with(b"file"),
            index,
            well_formed: well_formed(value),
            values: values(value),
        });
    }
    Ok(found)
}

/// Reads ` *0* = `; gives the number and what is behind.
fn after_key(rest: &[u8]) -> Option<(Option<u32>, &[u8])> {
    let end = rest.iter().take(32).position(|byte| *byte == b'=')?;
    let middle = &rest[..end];
    if middle
        .iter()
        .any(|byte| byte.is_ascii_alphabetic() || *byte == b';')
    {
        return None;
    }
    let digits: String = middle
        .iter()
        .filter(|b| b.is_ascii_digit())
        .map(|b| char::from(*b))
        .collect();
    Some((digits.parse().ok(), rest[end + 1..].trim_ascii_start()))
}

/// The readings of what stands behind an equals sign; there is at least one.
fn values(rest: &[u8]) -> Vec<Vec<u8>> {
    let bare = until(rest, |byte| byte == b';');
    let word = until(rest, |byte| byte == b';' || byte.is_ascii_whitespace());
    let mut all = Vec::new();
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        all.push(unquoted(quoted, Escape::Drop));
        all.push(unquoted(quoted, Escape::Keep));
        all.push(until(quoted, |byte| byte == b'"').to_vec());
        all.push(until(quoted, |byte| byte == b';').trim_ascii().to_vec());
    } else if let Some(quoted) = rest.strip_prefix(b"'") {
        all.push(word.to_vec());
        all.push(until(quoted, |byte| byte == b'\'').to_vec());
    } else {
        all.push(word.to_vec());
    }
    all.push(bare.trim_ascii().to_vec());
    if bare.contains(&b'\\') || !well_formed(rest) {
        let is_sign = |byte: &u8| matches!(byte, b'"' | b'\'' | b'\\');
        all.push(bare.iter().copied().filter(|byte| !is_sign(byte)).collect());
        all.push(until(word, |byte| is_sign(&byte) || byte == b'(').to_vec());
    }
    all
}

fn until(bytes: &[u8], ends: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| ends(*byte));
    &bytes[..end.unwrap_or(bytes.len())]
}

/// What a backslash in a quoted string is.
#[derive(Clone, Copy, PartialEq)]
enum Escape {
    /// A sign that the next character stands for itself (RFC 5322 §3.2.1).
    Drop,
    /// A character of a path that was not escaped.
    Keep,
}

/// A quoted string up to its end, without its first quote.
fn unquoted(bytes: &[u8], escape: Escape) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' if escape == Escape::Drop => out.extend(bytes.next()),
            b'\\' => {
                out.push(b'\\');
                out.extend(bytes.next());
            }
            _ => out.push(*byte),
        }
    }
    out
}

/// Parameters in pieces, put together: by their numbers, and in the order in which they stand.
fn joined(pieces: &[Piece]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for file in [false, true] {
        let mut parts: Vec<_> = pieces
            .iter()
            .filter(|piece| piece.file == file && piece.index.is_some())
            .collect();
        if parts.is_empty() {
            continue;
        }
        all.push(concat(&parts, 0));
        all.push(concat(&parts, usize::MAX));
        parts.sort_by_key(|piece| piece.index);
        all.push(concat(&parts, 0));
        all.push(concat(&parts, usize::MAX));
    }
    all
}

/// The pieces' first readings, or their last, one behind the other.
fn concat(parts: &[&Piece], which: usize) -> Vec<u8> {
    let values = parts.iter().filter_map(|piece| {
        let last = piece.values.len().checked_sub(1)?;
        piece.values.get(which.min(last))
    });
    values.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_form() {
        for (field, want) in [
            (" attachment; filename=x.exe", "x.exe"),
            (" attachment; FileName = \"x y.exe\" ; size=1", "x y.exe"),
            (" a; name=\"a\\\"b.exe\"", "a\"b.exe"),
            (" a; name=\"c:\\x.exe\"", "c:\\x.exe"),
            (" a; name=\"x.exe", "x.exe"),
            (" a; name=x.exe\"; b=c", "x.exe\""),
            (" a; name=x y.exe; b=c", "x y.exe"),
            (" a; name='x y.exe'", "x y.exe"),
            (" a; name=a.txt; name=x.exe", "x.exe"),
            (" a; name=(comment)x.exe", "x.exe"),
            (" a; name=name.exe;.txt", "name.exe"),
            (" a; filename*=utf-8''x%2Eexe", "x.exe"),
            (" a; filename*0=\"x.\"; filename*1=exe", "x.exe"),
            (
                " a;\r\n filename*1*=%65xe;\r\n filename*0*=us-ascii'en'x%2E",
                "x.exe",
            ),
            (
                " a; filename*0=\"=?utf-8?B?eC5l\"; filename*1=\"eGU=?=\"",
                "x.exe",
            ),
            (" a; name=\"=?utf-8?Q?x=2Eexe?=\"", "x.exe"),
            (" a; name==?utf-8?Q?x=2Eexe?=", "x.exe"),
            (" a; name=\"x.e\r\n xe\"", "x.exe"),
            (" a name=x.exe", "x.exe"),
            (" a;name*=x.exe", "x.exe"),
        ] {
            let found = names(field.as_bytes()).expect("few");
            assert!(found.iter().any(|name| name == want), "{field}: {found:?}");
        }
        assert_eq!(names(b" text/plain; charset=utf-8"), Ok(Vec::new()));
    }

    #[test]
    fn a_plain_boundary_is_one() {
        for (field, want) in [
            (" multipart/mixed; boundary=abc", &["abc"][..]),
            (" multipart/mixed; boundary=\"a b;c\"; x=y", &["a b;c"]),
            (
                " multipart/mixed;\r\n\tboundary=\"----=_x\"\r\n",
                &["----=_x"],
            ),
            (" multipart/mixed; boundary=a; boundary=b", &["a", "b"]),
            (
                " multipart/mixed; boundary*0=a; boundary*1=b",
                &["a", "ab", "b"],
            ),
            (" multipart/mixed; boundary=\"\"", &[]),
        ] {
            let found = boundaries(field.as_bytes()).expect("few");
            let want: Vec<_> = want.iter().map(|b| b.as_bytes().to_vec()).collect();
            assert_eq!(found, want, "{field}");
        }
        assert!(boundaries(b" a; boundary=a\"b\"; x").expect("few").len() > 1);
    }

    #[test]
    fn a_field_of_names_is_bounded() {
        let field = "name=a;".repeat(10_000);
        assert_eq!(names(field.as_bytes()), Err(TooMany));
    }

    proptest::proptest! {
        #[test]
        fn no_field_panics(field: Vec<u8>) {
            let _ = (names(&field), boundaries(&field));
        }

        #[test]
        fn no_field_of_these_panics(field in "[a=*0-2\"'\\\\;%( )\r\n?Bbq]{0,60}(name|boundary)[*01]{0,3}=.{0,40}") {
            let _ = (names(field.as_bytes()), boundaries(field.as_bytes()));
        }
    }
}
