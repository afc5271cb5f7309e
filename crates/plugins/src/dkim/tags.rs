//! Tag lists (RFC 6376 §3.2): `name=value; name=value`, in signatures, seals and key records.

/// Most tags of a list; those that are defined are some twenty.
const MAX_TAGS: usize = 64;
/// White space, with the line ends that folding leaves.
const FWS: [char; 4] = [' ', '\t', '\r', '\n'];

/// A list without a name twice.
#[derive(Debug)]
pub(crate) struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    /// Reads a list; none if it is not one.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_end_matches(FWS);
        let text = text.strip_suffix(';').unwrap_or(text);
        let mut tags: Vec<(&str, &str)> = Vec::new();
        for spec in text.split(';') {
            let (name, value) = spec.split_once('=')?;
            let name = name.trim_matches(FWS);
            let twice = tags.iter().any(|(known, _)| *known == name);
            if !is_name(name) || twice || tags.len() == MAX_TAGS {
                return None;
            }
            tags.push((name, value.trim_matches(FWS)));
        }
        Some(Self(tags))
    }

    /// A tag's value, white space around it removed. Names know upper and lower case.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// The same without any white space, as base64 and lists are to be read.
    pub(crate) fn squeezed(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.replace(FWS, ""))
    }

    /// The first tag's name.
    pub(crate) fn first(&self) -> Option<&'a str> {
        self.0.first().map(|(name, _)| *name)
    }
}

/// `ALPHA *ALNUMPUNC`.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A field's value with the value of its `b` tag removed, all white space of it too: what a
/// signature signs of its own field (RFC 6376 §3.7).
pub(crate) fn without_signature(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for (nth, spec) in value.split(|b| *b == b';').enumerate() {
        if nth > 0 {
            out.push(b';');
        }
        let equals = spec.iter().position(|b| *b == b'=');
        match equals.filter(|at| spec[..*at].trim_ascii() == b"b") {
            Some(at) => out.extend_from_slice(&spec[..=at]),
            None => out.extend_from_slice(spec),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_grammar_says() {
        let tags = Tags::parse(" v=1;\r\n\tb = AB\r\n CD= ; h=from : to;; ");
        assert!(tags.is_none(), "an empty tag in the middle");
        let tags = Tags::parse(" v=1;\r\n\tb = AB\r\n CD= ; h=from : to; ").expect("a list");
        assert_eq!((tags.first(), tags.get("v")), (Some("v"), Some("1")));
        assert_eq!(tags.squeezed("b").as_deref(), Some("ABCD="));
        assert_eq!(tags.squeezed("h").as_deref(), Some("from:to"));
        assert_eq!(tags.get("B"), None);
        let long = "a=1;".repeat(1000);
        for bad in ["", "v", "v=1; v=1", "1=v", "=", "v=1;x", "a b=c", &long] {
            assert!(Tags::parse(bad).is_none(), "{bad}");
        }
        assert!(Tags::parse("p=").is_some());
    }

    #[test]
    fn only_the_signature_is_taken_out() {
        for (value, want) in [
            (" v=1; b=abc=; bh=x\r\n", " v=1; b=; bh=x\r\n"),
            (" bh=x; \r\n b\t= a\r\n b\r\n", " bh=x; \r\n b\t="),
            (" v=1", " v=1"),
        ] {
            assert_eq!(without_signature(value.as_bytes()), want.as_bytes());
        }
    }
}
