//! Whether octets name an address, and the same text without it.
//!
//! A name is the whole address in any case: `joann@x.example` and `ann@x.example.org` do not name
//! `ann@x.example`, but `bounce=ann@x.example` does.

use std::ops::Range;

/// Stands where the address was. An address itself: what is read back as one still can be.
pub(crate) const ERASED: &str = "erased@erased.invalid";

/// Whether the octets name the address.
pub(crate) fn names(octets: &[u8], address: &str) -> bool {
    next(octets, address, 0).is_some()
}

/// The text with [`ERASED`] wherever it names the address.
pub(crate) fn redacted(text: &str, address: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(found) = next(text.as_bytes(), address, from) {
        // An address is ASCII where it is matched, so these are boundaries of characters.
        out.push_str(text.get(from..found.start).unwrap_or_default());
        out.push_str(ERASED);
        from = found.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Where the octets name the address first, from `from` on.
fn next(octets: &[u8], address: &str, from: usize) -> Option<Range<usize>> {
    let wanted = address.as_bytes();
    let starts = from..(octets.len() + 1).saturating_sub(wanted.len());
    starts
        .map(|start| start..start + wanted.len())
        .find(|place| {
            octets[place.clone()].eq_ignore_ascii_case(wanted)
                && !continues_before(&octets[..place.start])
                && !continues_behind(&octets[place.end..])
        })
}

/// Whether what stands before belongs to the same local part.
fn continues_before(before: &[u8]) -> bool {
    let last = before.last();
    last.is_some_and(|b| b.is_ascii_alphanumeric() || b"._+-".contains(b))
}

/// Whether what stands behind belongs to the same domain.
fn continues_behind(behind: &[u8]) -> bool {
    let is_label = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    match behind {
        [b'.', next, ..] => is_label(next),
        [first, ..] => is_label(first),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "ann@x.example";

    #[test]
    fn an_address_is_named_whole_or_not_at_all() {
        for text in [
            "ann@x.example",
            "<ANN@X.example>",
            "to ann@x.example.",
            "bounce=ann@x.example",
            "joann@x.example ann@x.example",
            "\u{fc}ann@x.example\u{fc}",
        ] {
            assert!(names(text.as_bytes(), ANN), "{text}");
        }
        for text in [
            "",
            "ann@",
            "joann@x.example",
            "jo.ann@x.example",
            "jo+ann@x.example",
            "ann@x.example.org",
            "ann@x.example-2",
            "ann@x.examples",
        ] {
            assert!(!names(text.as_bytes(), ANN), "{text}");
            assert_eq!(redacted(text, ANN), text);
        }
    }

    #[test]
    fn what_is_left_names_it_no_more() {
        let text = "\u{fc} Ann <Ann@x.example>, ann@x.example and joann@x.example";
        let want = format!("\u{fc} Ann <{ERASED}>, {ERASED} and joann@x.example");
        assert_eq!(redacted(text, ANN), want);
    }
}
