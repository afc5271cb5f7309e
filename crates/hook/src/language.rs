//! The languages in which Posthouse speaks to people, and which of them a browser asks for.
//!
//! Words themselves stand in catalogues, one for each language of this table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Octets of an Accept-Language field that are read; what follows is left out.
const MAX_OCTETS: usize = 1024;
/// Ranges of an Accept-Language field that are read.
const MAX_RANGES: usize = 32;

/// A language that there is a catalogue for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English; also for whoever asks for nothing that we have.
    #[default]
    En,
    /// German.
    De,
}

/// A word that names no language of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no language that we have: {known}", known = known())]
pub struct LanguageError(String);

impl Language {
    /// Every language, the default first.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The tag (RFC 5646): in HTML, in Content-Language, in configuration and the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// The language that an Accept-Language field wants most (RFC 9110 §12.5.4), English if it wants
    /// none of ours. `de-AT` is served by `de`; among equals the one that is named first wins.
    /// What cannot be read is left out, and no more than 32 ranges in 1024 octets are read.
    pub fn from_accept_language(field: &str) -> Self {
        let ranges: Vec<_> = bounded(field).filter_map(Range::read).collect();
        let mut best = (0, Self::default());
        for language in ranges.iter().filter_map(Range::language).chain(Self::ALL) {
            let quality = quality(language, &ranges);
            if quality > best.0 {
                best = (quality, language);
            }
        }
        best.1
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    /// Reads a tag, in any case.
    fn from_str(tag: &str) -> Result<Self, LanguageError> {
        let mut all = Self::ALL.into_iter();
        all.find(|language| language.name().eq_ignore_ascii_case(tag))
            .ok_or_else(|| LanguageError(tag.to_owned()))
    }
}

fn known() -> String {
    Language::ALL.map(Language::name).join(", ")
}

/// The field's elements, as far as they are read.
fn bounded(field: &str) -> impl Iterator<Item = &str> {
    let mut end = field.len().min(MAX_OCTETS);
    while !field.is_char_boundary(end) {
        end -= 1;
    }
    field[..end].split(',').take(MAX_RANGES)
}

/// How much a language is wanted: as its own ranges say, or else as `*` says (RFC 9110 §12.5.4).
fn quality(language: Language, ranges: &[Range<'_>]) -> u16 {
    let of = |wanted: &dyn Fn(&&Range<'_>) -> bool| {
        ranges.iter().filter(wanted).map(|r| r.quality).max()
    };
    of(&|range| range.language() == Some(language))
        .or_else(|| of(&|range| range.tag == "*"))
        .unwrap_or(0)
}

/// A language range with its weight in thousandths.
struct Range<'a> {
    tag: &'a str,
    quality: u16,
}

impl<'a> Range<'a> {
    /// Reads `tag [;q=weight]`; `None` if it is neither.
    fn read(element: &'a str) -> Option<Self> {
        let mut parts = element.split(';').map(str::trim);
        let tag = parts.next().filter(|tag| !tag.is_empty())?;
        let quality = parts.next().map_or(Some(1000), weight)?;
        parts.next().is_none().then_some(Self { tag, quality })
    }

    /// The language of ours that serves the range (the lookup of RFC 4647 §3.4).
    fn language(&self) -> Option<Language> {
        let primary = self.tag.split('-').next()?;
        primary.parse().ok()
    }
}

/// Reads `q=0.75` (RFC 9110 §12.4.2) as 750.
fn weight(parameter: &str) -> Option<u16> {
    let value = parameter.strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{decimals:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{De, En};

    #[test]
    fn rfc9110_12_5_4_the_language_that_is_wanted_most() {
        for (field, want) in [
            ("", En),
            ("de", De),
            ("DE", De),
            ("de-AT", De),
            ("de-AT, en;q=0.5", De),
            ("en-GB, de;q=0.9", En),
            ("en;q=0.8, de;q=0.9", De),
            ("de, en", De),
            ("en, de", En),
            ("fr, de;q=0.1", De),
            ("fr-FR, fr;q=0.9", En),
            ("*", En),
            ("fr, *;q=0.5", En),
            ("en;q=0, *", De),
            ("en;q=0.1,*;q=0.9", De),
            ("de;q=0", En),
            ("de;q=0, *", En),
            ("den, deu", En),
            ("de ; q=1.000 , en;q=0.999", De),
        ] {
            assert_eq!(Language::from_accept_language(field), want, "{field:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for field in [
            "de;q=1.5",
            "de;q=0.1234",
            "de;q=",
            "de;q",
            "de;x=1",
            "de;q=1;q=1",
            "de;q=-1",
            "de;q=0.+1",
            ";q=1",
            ",,,",
            "\u{e4}\u{fc}",
            "d\u{0}e",
        ] {
            assert_eq!(Language::from_accept_language(field), En, "{field:?}");
        }
        assert_eq!(Language::from_accept_language("de;q=2, de;q=0.2"), De);
    }

    #[test]
    fn only_the_beginning_of_a_long_field_is_read() {
        assert_eq!(
            Language::from_accept_language(&format!("{}de", "x,".repeat(31))),
            De
        );
        assert_eq!(
            Language::from_accept_language(&format!("{}de", "x,".repeat(32))),
            En
        );
        let long = format!("{}\u{e4}, de", "x".repeat(MAX_OCTETS - 1));
        assert_eq!(Language::from_accept_language(&long), En);
    }

    #[test]
    fn a_tag_is_read_as_it_is_written() {
        for language in Language::ALL {
            assert_eq!(language.name().parse(), Ok(language));
            let json = serde_json::to_string(&language).expect("serializes");
            assert_eq!(json, format!("\"{language}\""));
        }
        let error = "fr".parse::<Language>().expect_err("unknown").to_string();
        assert!(
            error.contains("\"fr\"") && error.contains("en, de"),
            "{error}"
        );
    }
}
