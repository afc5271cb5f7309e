//! Finds the next command line at the start of what was received. Looks at no octet behind it.

use memchr::{memchr, memchr_iter};

/// What stands at the start of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line that ends in CRLF and has no other CR or LF; without its CRLF.
    Whole(&'a [u8]),
    /// A line that ends in a bare LF, or has a bare CR in it: no command (RFC 5321 §2.3.8).
    BareLineEnd(&'a [u8]),
    /// No line end within the limit: whatever follows cannot be told from commands any more.
    TooLong,
}

/// The first line of `input` and how many octets it takes, or `None` if more must be read first.
///
/// `limit` is the longest line in octets, CRLF included. A bare LF ends a line, so that a client
/// which sends no CR hears at once that it is wrong.
pub fn first(input: &[u8], limit: usize) -> Option<(Line<'_>, usize)> {
    let window = &input[..input.len().min(limit)];
    let Some(end) = memchr(b'\n', window) else {
        return (window.len() == limit).then_some((Line::TooLong, input.len()));
    };
    let line = match window[..end].strip_suffix(b"\r") {
        Some(text) if memchr_iter(b'\r', text).next().is_none() => Line::Whole(text),
        _ => Line::BareLineEnd(&window[..end]),
    };
    Some((line, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        let cases: [(&str, Option<(Line<'_>, usize)>); 9] = [
            ("", None),
            ("NOOP", None),
            ("NOOP\r", None),
            ("NOOP\r\nQUIT\r\n", Some((Line::Whole(b"NOOP"), 6))),
            ("\r\n", Some((Line::Whole(b""), 2))),
            ("NOOP\nQUIT\r\n", Some((Line::BareLineEnd(b"NOOP"), 5))),
            ("NO\rOP\r\n", Some((Line::BareLineEnd(b"NO\rOP\r"), 7))),
            ("NOOP\r\r\n", Some((Line::BareLineEnd(b"NOOP\r\r"), 7))),
            ("0123456789", Some((Line::TooLong, 10))),
        ];
        for (input, want) in cases {
            assert_eq!(first(input.as_bytes(), 10), want, "{input:?}");
        }
    }

    #[test]
    fn the_limit_counts_the_line_end() {
        assert_eq!(
            first(b"01234567\r\n", 10),
            Some((Line::Whole(b"01234567"), 10))
        );
        assert_eq!(first(b"012345678\r\n", 10), Some((Line::TooLong, 11)));
    }

    proptest! {
        /// Once there is an answer, more input never changes it.
        #[test]
        fn later_octets_do_not_matter(head in "[a\r\n]{0,12}", tail in "[a\r\n]{0,12}") {
            let whole = format!("{head}{tail}");
            match first(head.as_bytes(), 8) {
                None | Some((Line::TooLong, _)) => {}
                found => prop_assert_eq!(found, first(whole.as_bytes(), 8)),
            }
            if let Some((Line::TooLong, _)) = first(head.as_bytes(), 8) {
                prop_assert!(matches!(first(whole.as_bytes(), 8), Some((Line::TooLong, _))));
            }
        }
    }
}
