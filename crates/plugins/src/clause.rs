//! A clause of an Authentication-Results field (RFC 8601 §2.2): a method, its result, and what it
//! was about. Whatever a peer put into a value stays inside that value.

use std::fmt::Display;

use posthouse_hook::Transaction;
use posthouse_hook::proofs::AuthResults;
use posthouse_hook::trail::cut;
use serde::Deserialize;

/// Longest value in characters; all of a clause keeps below the 998 octets of a line.
const MAX_VALUE: usize = 255;
/// Longest reason in characters.
const MAX_REASON: usize = 100;

/// Such as `spf=pass smtp.mailfrom=x.example`.
pub(crate) struct Clause(String);

impl Clause {
    /// What a method came to.
    pub(crate) fn new(method: &'static str, result: impl Display) -> Self {
        Self(format!("{method}={result}"))
    }

    /// Why; before any property.
    pub(crate) fn reason(mut self, why: Option<&str>) -> Self {
        if let Some(why) = why {
            self.0.push_str(" reason=");
            self.0.push_str(&quoted(cut(why, MAX_REASON)));
        }
        self
    }

    /// What it was about: `ptype.property=value`.
    pub(crate) fn property(mut self, name: &'static str, value: &str) -> Self {
        self.0.push_str(&format!(" {name}={}", pvalue(value)));
        self
    }

    /// The clause as it stands in the field.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// Leaves it for the plugin that writes the field.
    pub(crate) fn leave(self, tx: &mut Transaction) {
        let mut results = tx.notes.get::<AuthResults>().cloned().unwrap_or_default();
        results.0.push(self.0);
        tx.notes.put(results);
    }
}

/// A value that is one token, or a quoted string (RFC 8601 `pvalue`).
pub(crate) fn pvalue(value: &str) -> String {
    let value = cut(value, MAX_VALUE);
    match !value.is_empty() && value.bytes().all(is_token) {
        true => value.to_owned(),
        false => quoted(value),
    }
}

/// RFC 2045 §5.1 `token`: no space, control or tspecial.
fn is_token(b: u8) -> bool {
    b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b)
}

/// RFC 5322 `quoted-string`; what is not printable ASCII becomes a question mark.
fn quoted(value: &str) -> String {
    let mut out = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

/// What a policy does when DNS did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnTempError {
    /// Goes on: the note says what is not known.
    #[default]
    Pass,
    /// 451: the client comes again.
    Defer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_tokens_or_quoted() {
        for (value, want) in [
            ("x.example", "x.example"),
            ("a@x.example", "\"a@x.example\""),
            ("", "\"\""),
            ("2001:db8::1", "\"2001:db8::1\""),
            ("a\"; dkim=pass", "\"a\\\"; dkim=pass\""),
            ("a\\", "\"a\\\\\""),
            ("a\r\nX: y\u{e9}", "\"a??X: y?\""),
        ] {
            assert_eq!(pvalue(value), want);
        }
    }

    proptest::proptest! {
        /// Whatever a value holds, the clause is one line and ends where the value ends.
        #[test]
        fn no_value_ends_its_clause(value in "\\PC{0,300}|[\\x00-\\x7f]{0,300}") {
            let text = Clause::new("spf", "pass").reason(Some(&value)).property("smtp.helo", &value);
            let text = text.into_text();
            proptest::prop_assert!(text.len() < 900 && text.bytes().all(|b| (32..127).contains(&b)));
            let (mut inside, mut escaped) = (false, false);
            for c in text.chars() {
                match c {
                    _ if escaped => escaped = false,
                    '\\' if inside => escaped = true,
                    '"' => inside = !inside,
                    ';' => proptest::prop_assert!(inside, "{text}"),
                    _ => {}
                }
            }
            proptest::prop_assert!(!inside && !escaped, "{text}");
        }
    }
}
