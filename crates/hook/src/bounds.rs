//! Least values in the configuration: what is below them is an error that names the value and the
//! least one. For serde's `deserialize_with`.

use std::fmt;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::time::Span;

/// A whole number that is not below `MIN`.
pub fn at_least<'de, const MIN: u64, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    let value = u64::deserialize(deserializer)?;
    if value < MIN {
        return Err(too_small(value, MIN));
    }
    T::try_from(value).map_err(|_| D::Error::custom(format!("{value} is too large")))
}

/// A span of time that is not below `MIN` seconds.
pub fn span<'de, const MIN: u64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let Span(span) = Span::deserialize(deserializer)?;
    let least = Duration::from_secs(MIN);
    if span < least {
        return Err(too_small(Span(span), Span(least)));
    }
    Ok(span)
}

fn too_small<E: Error>(value: impl fmt::Display, least: impl fmt::Display) -> E {
    E::custom(format!("{value} is too small; write {least} or more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(deserialize_with = "at_least::<2, _, _>")]
        count: u8,
        #[serde(deserialize_with = "span::<60, _>")]
        wait: Duration,
    }

    #[test]
    fn the_least_value_is_named() {
        let read = |text: &str| serde_json::from_str::<Sample>(text).map_err(|e| e.to_string());
        let sample = read(r#"{"count": 2, "wait": "1m"}"#).expect("valid");
        assert_eq!((sample.count, sample.wait.as_secs()), (2, 60));
        for (text, want) in [
            (
                r#"{"count": 1, "wait": "1m"}"#,
                "1 is too small; write 2 or more",
            ),
            (r#"{"count": 256, "wait": "1m"}"#, "256 is too large"),
            (
                r#"{"count": 2, "wait": "59s"}"#,
                "59s is too small; write 1m or more",
            ),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(want), "{error}");
        }
    }
}
