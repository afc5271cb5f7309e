//! Whose mailbox is asked about, and the templates into which that is filled: URLs, datagrams,
//! paths.
//!
//! A name is printable ASCII without a control character; whoever fills it into a template says
//! how it is encoded there.

use posthouse_hook::address::Mailbox;

/// Longest name in octets: a local-part, `@`, a domain.
const MAX_NAME: usize = 511;

/// The names of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Names {
    user: String,
    domain: Option<String>,
}

impl Names {
    /// As a backend is asked: `ann` or `ann@isp.example`. None if it is no name at all.
    pub fn asked(text: &str) -> Option<Self> {
        let whole = (1..=MAX_NAME).contains(&text.len());
        let printable = text.bytes().all(|b| matches!(b, b' '..=b'~'));
        let (user, domain) = match text.rsplit_once('@') {
            Some((user, domain)) => (user, Some(domain.to_ascii_lowercase())),
            None => (text, None),
        };
        let named = !user.is_empty() && domain.as_ref().is_none_or(|d| !d.is_empty());
        (whole && printable && named).then(|| Self {
            user: user.to_owned(),
            domain,
        })
    }

    /// Of a recipient: quotes undone, the extension cut off. None if nothing is left of it.
    pub(super) fn of(mailbox: &Mailbox, rules: &Rules) -> Option<Self> {
        let local = unquoted(mailbox.local());
        let delimiter = |c| rules.delimiters.contains(c);
        let user = match local.find(delimiter) {
            Some(at) if at > 0 => &local[..at],
            _ => &local,
        };
        let user = match rules.lowercase {
            true => user.to_ascii_lowercase(),
            false => user.to_owned(),
        };
        Self::asked(&format!("{user}@{}", mailbox.domain()?))
    }

    /// The local-part, or the whole name if it has no domain.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The whole name.
    pub fn address(&self) -> String {
        match &self.domain {
            Some(domain) => [&self.user, "@", domain].concat(),
            None => self.user.clone(),
        }
    }
}

/// How a recipient's address becomes a name.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// Each of these characters begins an extension; none does in an empty text.
    pub(super) delimiters: String,
    pub(super) lowercase: bool,
}

/// The content of a quoted-string (RFC 5321 §4.1.2), or the text itself.
fn unquoted(local: &str) -> String {
    let inside = local.strip_prefix('"').and_then(|l| l.strip_suffix('"'));
    let Some(inside) = inside else {
        return local.to_owned();
    };
    let mut escaped = false;
    let content = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    inside.chars().filter(content).collect()
}

/// A text with places for names: `{user}`, `{address}`, `{domain}`, `{size}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    User,
    Address,
    Domain,
    Size,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let open = || format!("`{{` without its end in `{text}`");
            let (name, behind) = behind.split_once('}').ok_or_else(open)?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(place(name)?);
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self(parts))
    }

    /// Whether it depends on whose mailbox it is.
    pub(super) fn names_somebody(&self) -> bool {
        let names = |part: &Part| matches!(part, Part::User | Part::Address);
        self.0.iter().any(names)
    }

    /// Whether it is the same for everybody.
    pub(super) fn is_plain(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Whether it has a place for the size.
    pub(super) fn has_size(&self) -> bool {
        self.0.contains(&Part::Size)
    }

    /// The text, each value as `encode` writes it; none if it wants a domain and there is none.
    pub(super) fn fill(
        &self,
        names: &Names,
        size: Option<u64>,
        encode: impl Fn(&str) -> String,
    ) -> Option<String> {
        let value = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::User => Some(encode(&names.user)),
            Part::Address => Some(encode(&names.address())),
            Part::Domain => names.domain.as_deref().map(&encode),
            Part::Size => Some(size.unwrap_or(0).to_string()),
        };
        self.0.iter().map(value).collect()
    }
}

fn place(name: &str) -> Result<Part, String> {
    match name {
        "user" => Ok(Part::User),
        "address" => Ok(Part::Address),
        "domain" => Ok(Part::Domain),
        "size" => Ok(Part::Size),
        _ => Err(format!(
            "`{{{}}}` is no place for a value; there are {{user}}, {{address}}, {{domain}}, {{size}}",
            name.chars().take(20).collect::<String>()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str, delimiters: &str, lowercase: bool) -> Option<String> {
        let mailbox = Mailbox::parse(address).expect("an address");
        let rules = Rules {
            delimiters: delimiters.to_owned(),
            lowercase,
        };
        Names::of(&mailbox, &rules).map(|names| names.address())
    }

    #[test]
    fn an_address_becomes_a_name() {
        for (address, delimiters, name) in [
            ("Ann@B.example", "+", "ann@b.example"),
            ("ann+news@b.example", "+", "ann@b.example"),
            ("ann+news@b.example", "", "ann+news@b.example"),
            ("ann-a+b@b.example", "+-", "ann@b.example"),
            ("+ann@b.example", "+", "+ann@b.example"),
            ("\"ann b\"@b.example", "+", "ann b@b.example"),
            ("\"a\\\"\\\\b\"@b.example", "+", "a\"\\b@b.example"),
        ] {
            assert_eq!(of(address, delimiters, true).as_deref(), Some(name));
        }
        assert_eq!(
            of("Ann@b.example", "+", false).as_deref(),
            Some("Ann@b.example")
        );
        assert_eq!(of("\"\"@b.example", "+", true), None);
        assert_eq!(of("ann@[192.0.2.1]", "+", true), None);
    }

    #[test]
    fn names_are_short_and_printable() {
        assert!(Names::asked("ann").is_some());
        assert_eq!(
            Names::asked("ann@B.example").map(|n| n.address()),
            Some("ann@b.example".into())
        );
        let long = "x".repeat(MAX_NAME + 1);
        for bad in [
            "",
            "@",
            "@b.example",
            "ann@",
            "a\nb",
            "a\0b",
            "\u{fc}",
            &long,
        ] {
            assert_eq!(Names::asked(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn templates_are_filled() {
        let names = Names::asked("ann@b.example").expect("a name");
        let fill = |text: &str| {
            Template::parse(text)
                .expect("a template")
                .fill(&names, Some(7), str::to_owned)
        };
        assert_eq!(
            fill("/{domain}/{user}?{address}&{size}").as_deref(),
            Some("/b.example/ann?ann@b.example&7")
        );
        let bare = Names::asked("ann").expect("a name");
        let template = Template::parse("{domain}").expect("a template");
        assert_eq!(template.fill(&bare, None, str::to_owned), None);
        for bad in ["{name}", "{", "{user", "{}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
