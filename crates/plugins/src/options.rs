//! A plugin's options: read once, with errors that lead back to line, column and value.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

pub use posthouse_hook::ListSpec;
use serde::de::{DeserializeOwned, IntoDeserializer as _};

/// One plugin's table in the configuration, without the keys that every plugin has.
pub struct Options<'a>(toml::Spanned<toml::de::DeTable<'a>>);

/// Where each key's value stands in the file, in octets.
pub(crate) type Spans = HashMap<String, Range<usize>>;

impl<'a> Options<'a> {
    /// Wraps the table.
    pub fn new(table: toml::Spanned<toml::de::DeTable<'a>>) -> Self {
        Self(table)
    }

    /// Reads the table as the plugin's own type, which should deny unknown fields.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, BuildError> {
        T::deserialize(self.0.into_deserializer()).map_err(BuildError::Toml)
    }

    pub(crate) fn spans(&self) -> Spans {
        let keys = self.0.get_ref().iter();
        keys.map(|(key, value)| (key.get_ref().to_string(), value.span()))
            .collect()
    }
}

/// Why a plugin could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A key is unknown, missing or of the wrong type; the error has its span.
    #[error("{}", .0.message())]
    Toml(toml::de::Error),
    /// A value is of the right type and still cannot be used.
    #[error("{0}")]
    Value(Box<BadValue>),
    /// A chain that is run aside has an error of its own, which knows its own place.
    #[error("{0}")]
    Aside(Box<dyn std::error::Error + Send + Sync>),
}

impl BuildError {
    /// The same error, with the place of the value if the key is in the table.
    pub(crate) fn at(self, spans: &Spans) -> Self {
        match self {
            Self::Value(mut bad) => {
                bad.span = bad.span.or_else(|| spans.get(&bad.key).cloned());
                Self::Value(bad)
            }
            other => other,
        }
    }

    /// Where in the file the error is, in octets, if it is known.
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Toml(error) => error.span(),
            Self::Value(bad) => bad.span.clone(),
            Self::Aside(_) => None,
        }
    }
}

/// A value that cannot be used: which, why not, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// The key.
    pub key: String,
    /// The value as the operator wrote it.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do about it.
    pub way_out: String,
    /// Where the value stands in the file, in octets; filled in by [`crate::build`].
    pub span: Option<Range<usize>>,
}

impl BadValue {
    /// A bad value whose place is not yet known.
    pub fn new(
        key: impl Into<String>,
        value: impl fmt::Display,
        problem: impl fmt::Display,
        way_out: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            value: value.to_string(),
            problem: problem.to_string(),
            way_out: way_out.into(),
            span: None,
        }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, .. } = self;
        write!(f, "{key} = `{value}`: {}; {}", self.problem, self.way_out)
    }
}

impl From<BadValue> for BuildError {
    fn from(bad: BadValue) -> Self {
        Self::Value(Box::new(bad))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default)]
        list: ListSpec,
        size: Option<u64>,
    }

    fn read(text: &str) -> Result<Sample, BuildError> {
        let table = toml::de::DeTable::parse(text).expect("TOML");
        Options::new(table).read()
    }

    #[test]
    fn lists_are_one_entry_or_several() {
        let one = read("list = \"file:a\"").expect("valid").list;
        assert_eq!(one.entries(), ["file:a"]);
        let two = read("list = [\"a\", \"b\"]").expect("valid").list;
        assert_eq!(two.to_string(), "a, b");
        let none = read("size = 1").expect("valid");
        assert!(none.list.entries().is_empty() && none.size == Some(1));
    }

    #[test]
    fn errors_keep_their_place() {
        let text = "size = 1\nlisst = []";
        let error = read(text).expect_err("unknown key");
        assert_eq!(error.span(), Some(9..14), "{error}");
        assert!(error.to_string().contains("lisst"), "{error}");
        let error = read("size = \"big\"").expect_err("wrong type");
        assert_eq!(error.span(), Some(7..12), "{error}");
    }

    #[test]
    fn a_bad_value_is_led_back_to_its_key() {
        let table = toml::de::DeTable::parse("size = 12").expect("TOML");
        let spans = Options::new(table).spans();
        let error = BuildError::from(BadValue::new("size", 12, "too big", "write 11")).at(&spans);
        assert_eq!(error.span(), Some(7..9));
        assert_eq!(error.to_string(), "size = `12`: too big; write 11");
    }
}
