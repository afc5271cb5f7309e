//! The words of the pages: a catalogue for each language, in which an operator can replace any text.
//!
//! Catalogues are read once, at start. What a stranger wrote is only ever a value in a text, never
//! part of one.

use std::collections::{BTreeMap, BTreeSet};

use posthouse_hook::Language;

use self::phrase::Phrase;
pub(crate) use self::phrase::escaped;
use crate::templates::TemplateError;

mod phrase;

/// A catalogue: texts by key, as in `sender.held_title`.
type Catalogue = BTreeMap<String, Text>;

/// The catalogues of all languages.
#[derive(Debug)]
pub(crate) struct Words {
    en: Catalogue,
    de: Catalogue,
}

/// What stands under one key.
#[derive(Debug, Clone, PartialEq)]
enum Text {
    /// The same words always.
    Fixed(Phrase),
    /// Words for one, and words for any other number.
    Counted { one: Phrase, other: Phrase },
}

/// For whom the words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text of a page: words are escaped, tags stay.
    Html,
    /// Text as it is: tags are left out.
    Plain,
}

/// What goes into a text. Values are in the form that is asked for.
#[derive(Debug, Default)]
pub(crate) struct Values<'a> {
    /// Decides between the words for one and for others.
    pub(crate) count: Option<u64>,
    /// The values by name.
    pub(crate) named: Vec<(&'a str, String)>,
}

/// Why there are no words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsaid {
    #[error("no catalogue has the words {0:?}")]
    UnknownKey(String),
    #[error("the words {key:?} need a value for {{{name}}}")]
    NoValue { key: String, name: String },
    #[error("the words {0:?} need a count")]
    NoCount(String),
}

impl Words {
    /// Reads the catalogues. `own` gives an operator's text of a file, if there is one: what is
    /// missing there is built in. An error names file and key.
    pub(crate) fn read(
        own: impl Fn(&str) -> Result<Option<String>, TemplateError>,
    ) -> Result<Self, TemplateError> {
        let one = |language| {
            let file = format!("words/{language}.toml");
            let mut catalogue = parse(&file, built_in(language)).map_err(TemplateError::Words)?;
            if let Some(text) = own(&file)? {
                let own = parse(&file, &text).map_err(TemplateError::Words)?;
                replace(&mut catalogue, &file, own).map_err(TemplateError::Words)?;
            }
            Ok::<_, TemplateError>(catalogue)
        };
        Ok(Self {
            en: one(Language::En)?,
            de: one(Language::De)?,
        })
    }

    /// The words under a key.
    pub(crate) fn say(
        &self,
        language: Language,
        key: &str,
        form: Form,
        values: &Values<'_>,
    ) -> Result<String, Unsaid> {
        let text = self.of(language).get(key);
        let phrase = match text.ok_or_else(|| Unsaid::UnknownKey(key.to_owned()))? {
            Text::Fixed(phrase) => phrase,
            Text::Counted { one, other } => match values.count {
                Some(1) => one,
                Some(_) => other,
                None => return Err(Unsaid::NoCount(key.to_owned())),
            },
        };
        phrase.say(form, values).map_err(|name| Unsaid::NoValue {
            key: key.to_owned(),
            name: name.to_owned(),
        })
    }

    fn of(&self, language: Language) -> &Catalogue {
        match language {
            Language::En => &self.en,
            Language::De => &self.de,
        }
    }
}

/// The built-in catalogue of a language.
pub(crate) const fn built_in(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("../../../templates/words/en.toml"),
        Language::De => include_str!("../../../templates/words/de.toml"),
    }
}

impl Text {
    fn read(value: &toml::Value) -> Result<Self, String> {
        if let Some(text) = value.as_str() {
            return Phrase::read(text).map(Self::Fixed);
        }
        let forms = value.as_table().filter(|table| table.len() == 2);
        let form = |name| {
            forms
                .and_then(|f| f.get(name))
                .and_then(toml::Value::as_str)
        };
        match (form("one"), form("other")) {
            (Some(one), Some(other)) => Ok(Self::Counted {
                one: Phrase::read(one)?,
                other: Phrase::read(other)?,
            }),
            _ => Err("neither a text nor a table of `one` and `other`".to_owned()),
        }
    }

    /// The names of the values that it uses; `count` is one of them if it decides.
    fn names(&self) -> BTreeSet<&str> {
        match self {
            Self::Fixed(phrase) => phrase.names().collect(),
            Self::Counted { one, other } => {
                let decides = std::iter::once("count");
                one.names().chain(other.names()).chain(decides).collect()
            }
        }
    }
}

/// Reads one file of tables of texts.
fn parse(file: &str, text: &str) -> Result<Catalogue, String> {
    let tables: toml::Table = text.parse().map_err(|error| format!("{file}: {error}"))?;
    let mut catalogue = Catalogue::new();
    for (page, table) in tables {
        let table = table
            .as_table()
            .ok_or_else(|| format!("{file}: {page} is no table"))?;
        for (name, value) in table {
            let key = format!("{page}.{name}");
            let text = Text::read(value).map_err(|why| format!("{file}: {key}: {why}"))?;
            catalogue.insert(key, text);
        }
    }
    Ok(catalogue)
}

/// Puts an operator's texts in the place of ours; each must be one that a page asks for, and use no
/// value that the page does not give.
fn replace(catalogue: &mut Catalogue, file: &str, own: Catalogue) -> Result<(), String> {
    for (key, text) in own {
        let Some(ours) = catalogue.get_mut(&key) else {
            return Err(format!("{file}: {key}: no page uses these words"));
        };
        let known = ours.names();
        if let Some(name) = text.names().iter().find(|name| !known.contains(*name)) {
            return Err(format!(
                "{file}: {key}: {{{name}}} has no value here{}",
                list(&known)
            ));
        }
        *ours = text;
    }
    Ok(())
}

/// `; these have: {a}, {b}`, or nothing.
fn list(names: &BTreeSet<&str>) -> String {
    if names.is_empty() {
        return String::new();
    }
    let braced: Vec<_> = names.iter().map(|name| format!("{{{name}}}")).collect();
    format!("; these have: {}", braced.join(", "))
}
#[cfg(test)]
mod tests;
