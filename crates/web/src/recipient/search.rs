//! The search of the list: what a visitor looks for, and the paths that keep it.

use serde::Deserialize;

/// Longest text that is searched for, in characters.
const MAX_SOUGHT: usize = 100;

/// What is looked for in senders and subjects: some text, trimmed and bounded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "String")]
pub(super) struct Sought(Option<String>);

impl From<String> for Sought {
    fn from(text: String) -> Self {
        let bounded: String = text.trim().chars().take(MAX_SOUGHT).collect();
        Self((!bounded.is_empty()).then_some(bounded))
    }
}

impl Sought {
    /// The text; none if nothing is looked for.
    pub(super) fn text(self) -> Option<String> {
        self.0
    }
}

/// A path with a query: names are ours, values may be a visitor's. Those without a value are left out.
pub(super) fn path_with(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let mut whole = path.to_owned();
    let mut mark = '?';
    for (name, value) in query {
        let Some(value) = value else { continue };
        whole.push(mark);
        whole.push_str(name);
        whole.push('=');
        whole.push_str(&encoded(value));
        mark = '&';
    }
    whole
}

/// A value of a query (RFC 3986 §2.1): all but unreserved octets in percent.
fn encoded(value: &str) -> String {
    let one = |octet: u8| match octet {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
            char::from(octet).to_string()
        }
        _ => format!("%{octet:02X}"),
    };
    value.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_bounded() {
        let text = |text: &str| Sought::from(text.to_owned()).text();
        assert_eq!(text(" boat\n").as_deref(), Some("boat"));
        assert_eq!(text(" \t"), None);
        let long = text(&"ä".repeat(5_000)).expect("some text");
        assert_eq!(long.chars().count(), MAX_SOUGHT);
    }

    #[test]
    fn paths_keep_values_as_values() {
        let path = path_with("/a/x", &[("q", Some("a&b=ü\r\n\"<")), ("before", None)]);
        assert_eq!(path, "/a/x?q=a%26b%3D%C3%BC%0D%0A%22%3C");
        let path = path_with(
            "/a/x",
            &[("q", None), ("before", Some("9")), ("z", Some(""))],
        );
        assert_eq!(path, "/a/x?before=9&z=");
        assert_eq!(path_with("/a/x", &[]), "/a/x");
    }
}
