//! Facts as people read them: moments, spans, sizes, scores, and text from strangers.
//!
//! Everything that a peer wrote goes through [`line`] or [`lines`] before it reaches a view: what
//! is left can be read, cannot hide, and is bounded. Escaping is the templates' part.

use std::time::Duration;

use posthouse_hook::Timestamp;
use posthouse_hook::trail::visible;
use serde::Serialize;

/// Longest line in characters that a page shows.
const MAX_LINE: usize = 2000;

/// A moment for `<time>`, in words, and how far it is from now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Moment {
    /// RFC 3339, UTC.
    pub(crate) iso: String,
    /// `20 November 2026, 06:48 UTC`.
    pub(crate) words: String,
    /// `in 30 days`, `2 hours ago`, `now`.
    pub(crate) away: String,
}

/// A moment as seen from `now`.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> Moment {
    let utc = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Moment {
        iso: utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        words: utc.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        away: away(at, now),
    }
}

/// What is over is counted in whole units; what is to come is rounded, so that the 30 days of a
/// message that came a second ago are not 29.
fn away(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        let left = span(at.since(now), |seconds, unit| (seconds + unit / 2) / unit);
        left.map_or_else(|| "now".to_owned(), |left| format!("in {left}"))
    } else {
        let past = span(now.since(at), |seconds, unit| seconds / unit);
        past.map_or_else(|| "just now".to_owned(), |past| format!("{past} ago"))
    }
}

/// A span in its largest unit, counted as told; none if it is under a minute.
fn span(span: Duration, counted: impl Fn(u64, u64) -> u64) -> Option<String> {
    const UNITS: [(u64, &str); 3] = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let seconds = span.as_secs();
    UNITS
        .into_iter()
        .find(|(unit, _)| seconds >= *unit)
        .map(|(unit, name)| count(counted(seconds, unit), name))
}

/// `1 day`, `2 days`.
fn count(number: u64, name: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {name}{plural}")
}

/// A number of octets, rounded: `512 bytes`, `12 KB`, `3.4 MB`.
pub(crate) fn size(octets: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "rounded for people anyway")]
    let number = octets as f64;
    match octets {
        0..1_000 => count(octets, "byte"),
        1_000..999_500 => format!("{:.0} KB", number / 1e3),
        _ => format!("{:.1} MB", number / 1e6),
    }
}

/// A score with at most one decimal: `15.3`, `5`.
pub(crate) fn score(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// One line from a stranger, at most `limit` characters long.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let mut shown: String = visible(text.trim()).chars().take(limit + 1).collect();
    if let Some((cut, _)) = shown.char_indices().nth(limit) {
        shown.truncate(cut);
        shown.push('…');
    }
    shown
}

/// Lines from a stranger: each made visible, runs of empty lines shortened to two.
pub(crate) fn lines(text: &str) -> String {
    let mut out = String::new();
    let mut empty = 0;
    for raw in text.lines() {
        let shown = line(&raw.trim_end().replace('\t', "    "), MAX_LINE);
        empty = if shown.is_empty() { empty + 1 } else { 0 };
        if empty <= 2 {
            out.push_str(&shown);
            out.push('\n');
        }
    }
    out.trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_157_280_000);

    #[test]
    fn moments() {
        let shown = moment(NOW, NOW);
        assert_eq!(shown.words, "20 November 2026, 06:48 UTC");
        assert_eq!(shown.iso, "2026-11-20T06:48:00Z");
        for (seconds, want) in [
            (0, "just now"),
            (59, "now"),
            (60, "in 1 minute"),
            (7_200, "in 2 hours"),
            (30 * 86_400, "in 30 days"),
            (30 * 86_400 - 1, "in 30 days"),
            (-59, "just now"),
            (-3_600, "1 hour ago"),
            (-172_800, "2 days ago"),
            (-172_799, "1 day ago"),
        ] {
            let at = Timestamp(NOW.millis() + seconds * 1000);
            assert_eq!(moment(at, NOW).away, want, "{seconds}");
        }
    }

    #[test]
    fn times_out_of_range_do_not_panic() {
        for at in [i64::MIN, i64::MAX] {
            assert!(moment(Timestamp(at), NOW).words.contains("1970"));
        }
    }

    #[test]
    fn sizes_and_scores() {
        for (octets, want) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (12_345, "12 KB"),
            (999_499, "999 KB"),
            (999_500, "1.0 MB"),
            (3_400_000, "3.4 MB"),
        ] {
            assert_eq!(size(octets), want);
        }
        assert_eq!(score(15.26), "15.3");
        assert_eq!(score(1000.0), "1000");
    }

    #[test]
    fn strangers_cannot_hide_or_flood() {
        assert_eq!(line("a\u{202e}b\r\nc", 99), "a\u{fffd}b\u{fffd}\u{fffd}c");
        assert_eq!(line("abcdef", 3), "abc…");
        assert_eq!(line("äöü", 3), "äöü");
        assert_eq!(
            lines("\n\na\tb  \r\n\n\n\n\n\u{7}c\n"),
            "a    b\n\n\n\u{fffd}c"
        );
    }
}
