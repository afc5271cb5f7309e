//! `maildirsize`, as Maildir++ writes it: the quota in the first line, then signed sums of octets
//! and messages, one line a change.
//!
//! Pure. It is the owner of the mailbox who can write anything into this file.

use crate::quota::answer::Limits;

/// From this size on the file is not believed: it is time to count again.
pub(super) const MAX_FILE: u64 = 5_120;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// The first line.
    pub(super) limits: Option<Limits>,
    /// Octets and messages; none if they are not to be believed.
    pub(super) sums: Option<(u64, u64)>,
}

/// Reads the file's first [`MAX_FILE`] octets; of a longer file, only the quota is believed.
pub(super) fn parse(octets: &[u8]) -> Sizes {
    let whole = (octets.len() as u64) < MAX_FILE && octets.ends_with(b"\n");
    let mut lines = octets.split(|b| *b == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let limits = first.and_then(|line| line.parse().ok());
    Sizes {
        limits,
        sums: whole.then(|| sums(lines)).flatten(),
    }
}

/// The sums; none if there is no line, one is not understood, or the sum is below zero.
fn sums<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<(u64, u64)> {
    let mut total = None;
    for line in lines.filter(|line| !line.is_empty()) {
        let (octets, messages) = line_of(line)?;
        let (o, m): (i64, i64) = total.unwrap_or_default();
        total = Some((o.checked_add(octets)?, m.checked_add(messages)?));
    }
    let (octets, messages) = total?;
    Some((octets.try_into().ok()?, messages.try_into().ok()?))
}

/// Two signed numbers.
fn line_of(line: &[u8]) -> Option<(i64, i64)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let pair = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some(pair)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_are_signed() {
        let sizes = parse(b"1000S,10C\n  100  2\n-40 -1\n7 1\n");
        let limits = Limits {
            octets: 1000,
            messages: 10,
        };
        assert_eq!(sizes.limits, Some(limits));
        assert_eq!(sizes.sums, Some((67, 2)));
    }

    #[test]
    fn what_is_not_understood_is_counted_again() {
        let long = [b"1000S\n", "1 1\n".repeat(1280).as_bytes()].concat();
        for (text, quota) in [
            (&b""[..], false),
            (b"1000S\n", true),
            (b"1000S\n1 1", true),
            (b"1000S\n1\n", true),
            (b"1000S\n1 1 1\n", true),
            (b"1000S\n1 one\n", true),
            (b"1000S\n10 1\n-11 0\n", true),
            (b"1000S\n9223372036854775807 1\n1 1\n", true),
            (b"1000S\n\xff\n", true),
            (&long, true),
        ] {
            let sizes = parse(text);
            assert_eq!((sizes.sums, sizes.limits.is_some()), (None, quota));
        }
        let sizes = parse(b"garbage\n10 1\n");
        assert_eq!((sizes.sums, sizes.limits), (Some((10, 1)), None));
    }

    proptest! {
        #[test]
        fn the_sum_is_the_sum_of_the_lines(lines: Vec<(i32, i16)>) {
            prop_assume!(!lines.is_empty());
            let text: String = lines.iter().map(|(o, m)| format!("{o:>12} {m:>12}\n")).collect();
            prop_assume!(text.len() < 5000);
            let octets: i64 = lines.iter().map(|(o, _)| i64::from(*o)).sum();
            let messages: i64 = lines.iter().map(|(_, m)| i64::from(*m)).sum();
            let sums = u64::try_from(octets).ok().zip(u64::try_from(messages).ok());
            prop_assert_eq!(parse(format!("1S\n{text}").as_bytes()).sums, sums);
        }

        #[test]
        fn no_file_breaks_the_reader(octets: Vec<u8>) {
            parse(&octets);
        }
    }
}
