//! In which language a letter is written, and under which subject: what the operator says of it.

use std::collections::HashMap;

use posthouse_hook::{Domain, Language};
use serde::Deserialize;

/// Languages by recipient domain: `example.de` is that domain, `.de` every domain below `de`. The
/// domain itself beats what it lies below, and of several the longest wins.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "HashMap<String, Language>")]
pub struct Languages {
    exact: HashMap<Domain, Language>,
    below: HashMap<Domain, Language>,
}

impl Languages {
    /// The language of a domain, if it or one above it is named.
    pub fn of(&self, domain: &Domain) -> Option<Language> {
        if let Some(language) = self.exact.get(domain) {
            return Some(*language);
        }
        let above = self
            .below
            .iter()
            .filter(|(above, _)| domain.is_below(above.as_str()));
        above
            .max_by_key(|(above, _)| above.as_str().len())
            .map(|(_, language)| *language)
    }
}

impl TryFrom<HashMap<String, Language>> for Languages {
    type Error = String;

    fn try_from(map: HashMap<String, Language>) -> Result<Self, String> {
        let mut languages = Self::default();
        for (entry, language) in map {
            let (set, name) = match entry.strip_prefix('.') {
                Some(name) => (&mut languages.below, name),
                None => (&mut languages.exact, entry.as_str()),
            };
            let domain = Domain::parse(name)
                .map_err(|_| format!("`{entry}` is no domain; write example.de or .de"))?;
            set.insert(domain, language);
        }
        Ok(languages)
    }
}

/// The Subject field of letters, as the operator wants it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(
    untagged,
    expecting = "a text, or texts by language such as { en = \"Mail for you\", de = \"Post für Sie\" }"
)]
pub enum Subject {
    /// Ours, in the letter's language.
    #[default]
    BuiltIn,
    /// One for all languages.
    One(String),
    /// One for each of these languages; ours for the others.
    Each(HashMap<Language, String>),
}

impl Subject {
    /// The operator's words in this language, if there are any.
    pub(crate) fn of(&self, language: Language) -> Option<&str> {
        match self {
            Self::BuiltIn => None,
            Self::One(subject) => Some(subject),
            Self::Each(subjects) => subjects.get(&language).map(String::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use Language::{De, En};

    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("valid")
    }

    #[test]
    fn the_domain_itself_wins_then_the_longest_that_it_is_below() {
        let text = "\".de\" = \"de\"\n\".uk.de\" = \"en\"\n\"x.uk.de\" = \"de\"";
        let languages: Languages = toml::from_str(text).expect("valid");
        for (name, want) in [
            ("a.de", Some(De)),
            ("de", None),
            ("b.a.de", Some(De)),
            ("a.uk.de", Some(En)),
            ("uk.de", Some(De)),
            ("x.uk.de", Some(De)),
            ("y.x.uk.de", Some(En)),
            ("nde", None),
            ("example.com", None),
        ] {
            assert_eq!(languages.of(&domain(name)), want, "{name}");
        }
        let error = toml::from_str::<Languages>("\"a b\" = \"de\"").expect_err("no domain");
        assert!(error.to_string().contains("`a b` is no domain"), "{error}");
        assert!(toml::from_str::<Languages>("\".fr\" = \"fr\"").is_err());
    }

    #[derive(Deserialize)]
    struct Sample {
        subject: Subject,
    }

    #[test]
    fn a_subject_is_for_all_languages_or_for_each() {
        let read = |text: &str| toml::from_str::<Sample>(text).map(|sample| sample.subject);
        let one = read("subject = \"Post\"").expect("valid");
        assert_eq!((one.of(En), one.of(De)), (Some("Post"), Some("Post")));
        let each = read("subject = { de = \"Post\" }").expect("valid");
        assert_eq!((each.of(En), each.of(De)), (None, Some("Post")));
        for wrong in ["subject = { fr = \"x\" }", "subject = 1"] {
            let error = read(wrong).map(drop).expect_err(wrong).to_string();
            assert!(error.contains("texts by language"), "{error}");
        }
    }
}
