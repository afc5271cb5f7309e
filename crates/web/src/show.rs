//! Facts for the views: moments, and text from strangers. Words for them are the templates' part (see
//! `speak`), so that a view is the same in every language.
//!
//! Everything that a peer wrote goes through [`line`] or [`lines`] before it reaches a view: what
//! is left can be read, cannot hide, quotes no link of ours, and is bounded. Escaping is the templates'
//! part.

use posthouse_hook::Timestamp;
use posthouse_hook::link::redact;
use posthouse_hook::trail::visible;
use serde::Serialize;

/// Longest line in characters that a page shows.
const MAX_LINE: usize = 2000;

/// A moment, and how far it is from now; the filters `date` and `away` put it into words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Moment {
    /// RFC 3339, UTC.
    pub(crate) iso: String,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// Seconds from now; negative if it is over.
    pub(crate) away: i64,
}

/// A moment as seen from `now`.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> Moment {
    let utc = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Moment {
        iso: utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        at: at.millis(),
        away: at.millis().saturating_sub(now.millis()) / 1000,
    }
}

/// One line from a stranger, at most `limit` characters long, without the secrets of links that it
/// quotes: who may read a message is not yet its sender.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let text = redact(text.trim());
    let mut shown: String = visible(&text).chars().take(limit + 1).collect();
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

    #[test]
    fn moments() {
        let now = Timestamp(1_795_157_280_000);
        let shown = moment(now, Timestamp(now.millis() - 61_500));
        assert_eq!(shown.iso, "2026-11-20T06:48:00Z");
        assert_eq!((shown.at, shown.away), (now.millis(), 61));
        for at in [i64::MIN, i64::MAX] {
            assert!(moment(Timestamp(at), now).iso.contains("1970"));
        }
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
