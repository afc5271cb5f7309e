//! Moments as people and mail write them, in UTC.

use jiff::fmt::rfc2822;
use posthouse_hook::Timestamp;

/// `Fri, 20 Nov 2026 06:48:00 +0000` (RFC 5322 §3.3).
pub(crate) fn rfc5322(time: Timestamp) -> String {
    let time = moment(time).to_zoned(jiff::tz::TimeZone::UTC);
    rfc2822::to_string(&time).unwrap_or_default()
}

/// `20 November 2026`.
pub(crate) fn day(time: Timestamp) -> String {
    moment(time).strftime("%-d %B %Y").to_string()
}

/// Moments beyond what a calendar holds become its first day.
fn moment(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_in_utc() {
        let time = Timestamp(1_000_000_000_000);
        assert_eq!(rfc5322(time), "Sun, 9 Sep 2001 01:46:40 +0000");
        assert_eq!(day(time), "9 September 2001");
        assert_eq!(day(Timestamp(i64::MAX)), "1 January 1970");
    }
}
