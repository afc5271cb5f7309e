//! Moments and sizes as people and mail write them; moments in UTC.

use jiff::fmt::rfc2822;
use posthouse_hook::{Language, Timestamp};

/// `Fri, 20 Nov 2026 06:48:00 +0000` (RFC 5322 §3.3).
pub(crate) fn rfc5322(time: Timestamp) -> String {
    let time = moment(time).to_zoned(jiff::tz::TimeZone::UTC);
    rfc2822::to_string(&time).unwrap_or_default()
}

/// `20 November 2026`, `20. November 2026`.
pub(crate) fn day(time: Timestamp, language: Language) -> String {
    let time = moment(time);
    match language {
        Language::En => time.strftime("%-d %B %Y").to_string(),
        Language::De => {
            let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
            let month = usize::try_from(date.month() - 1).unwrap_or(0);
            format!("{}. {} {}", date.day(), MONTHS_DE[month], date.year())
        }
    }
}

const MONTHS_DE: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

/// `812 B`, `12 KB`, `1.2 MB` (in German `1,2 MB`): decimal units, and one decimal from a million
/// octets on.
pub(crate) fn size(octets: u64, language: Language) -> String {
    let point = match language {
        Language::En => '.',
        Language::De => ',',
    };
    match octets {
        0..1_000 => format!("{octets} B"),
        1_000..1_000_000 => format!("{} KB", octets / 1_000),
        _ => {
            let tenths = octets / 100_000;
            format!("{}{point}{} MB", tenths / 10, tenths % 10)
        }
    }
}

/// Moments beyond what a calendar holds become its first day.
fn moment(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use Language::{De, En};

    use super::*;

    #[test]
    fn dates_are_written_in_utc() {
        let time = Timestamp(1_000_000_000_000);
        assert_eq!(rfc5322(time), "Sun, 9 Sep 2001 01:46:40 +0000");
        assert_eq!(day(time, En), "9 September 2001");
        assert_eq!(day(time, De), "9. September 2001");
        assert_eq!(day(Timestamp(i64::MAX), En), "1 January 1970");
        assert_eq!(day(Timestamp(i64::MAX), De), "1. Januar 1970");
        assert_eq!(day(Timestamp(5_200_000_000), De), "2. März 1970");
    }

    #[test]
    fn sizes_have_a_unit_that_people_know() {
        for (octets, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1 KB"),
            (12_345, "12 KB"),
            (999_999, "999 KB"),
            (1_000_000, "1.0 MB"),
            (31_980_000, "31.9 MB"),
        ] {
            assert_eq!(size(octets, En), want);
        }
        assert_eq!(size(1_230_000, De), "1,2 MB");
        assert!(size(u64::MAX, En).ends_with(" MB"));
    }
}
