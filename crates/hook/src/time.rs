//! A moment, as an argument: nothing decides by reading the machine's clock itself. And a span of
//! time, as the configuration writes it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment of a system time; times before 1970 count as 1970.
    pub fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment and `span` more; stays at the end of time rather than overflow.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This moment less `span`.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A span of time in the configuration: `"30s"`, `"5m"`, `"2h"`, `"4d"`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Why a text is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no span of time; write a whole number and s, m, h or d, such as 30s or 4d, of 3650d at most"
)]
pub struct SpanError(String);

/// The longest span, ten years: what is added to a moment stays in range.
const LONGEST: u64 = 3_650 * 86_400;

/// The units, largest first, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let seconds = || {
            let (letter, unit) = UNITS.iter().find(|(letter, _)| text.ends_with(*letter))?;
            let count: u64 = text.strip_suffix(*letter)?.parse().ok()?;
            count
                .checked_mul(*unit)
                .filter(|seconds| *seconds <= LONGEST)
        };
        match seconds() {
            Some(seconds) => Ok(Self(Duration::from_secs(seconds))),
            None => Err(SpanError(text.chars().take(40).collect())),
        }
    }
}

impl fmt::Display for Span {
    /// In the largest unit that divides it; parts of a second are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let fits = |(_, unit): &&(char, u64)| seconds != 0 && seconds.is_multiple_of(*unit);
        let (letter, unit) = UNITS.iter().find(fits).unwrap_or(&('s', 1));
        write!(f, "{}{letter}", seconds / unit)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a span of time such as \"30s\", or seconds")]
        enum Written {
            Seconds(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) if seconds <= LONGEST => {
                Ok(Self(Duration::from_secs(seconds)))
            }
            Written::Seconds(seconds) => Err(D::Error::custom(SpanError(seconds.to_string()))),
            Written::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

/// Reads a [`Span`] within which something must happen, so that it cannot be zero; for serde's
/// `deserialize_with`.
pub fn patience<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let span = Span::deserialize(deserializer)?;
    if span.0.is_zero() {
        let why = format!("{span} is no time at all; write 1s or more");
        return Err(D::Error::custom(why));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_as_they_are_written() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("2h", 7_200), ("4d", 345_600)] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))));
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), text);
        }
        for text in [
            "",
            "s",
            "5",
            "5 weeks",
            "-5s",
            "1.5h",
            "99999999999999999999s",
            "3651d",
            "5\u{2028}s",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!(Span(Duration::from_secs(90)).to_string(), "90s");
        assert_eq!(Span(Duration::ZERO).to_string(), "0s");
    }

    #[test]
    fn spans_in_a_configuration() {
        let read = |json| serde_json::from_str::<Span>(json).map(|span| span.0.as_secs());
        assert_eq!(read("\"3m\"").expect("valid"), 180);
        assert_eq!(read("7").expect("valid"), 7);
        assert!(read("true").is_err());
    }
}
