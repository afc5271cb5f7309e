//! The templates: built in, replaceable by an operator's own, all checked at start.
//!
//! A template's name ends in `.html`, because only then does tera escape what is put into it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use posthouse_hook::Language;
use serde::Serialize;
use tera::{Context, Tera};

use crate::speak;
use crate::words::{self, Words};

/// A built-in file of the pages.
macro_rules! page {
    ($name:literal) => {
        (
            concat!("web/", $name),
            include_str!(concat!("../../../templates/web/", $name)),
        )
    };
}

/// Every file that can be replaced, with its built-in text: its path below the operator's directory.
pub const BUILT_IN: [(&str, &str); 15] = [
    page!("base.html"),
    page!("choice.html"),
    page!("confirm.html"),
    page!("fault.html"),
    page!("home.html"),
    page!("letters.html"),
    page!("manage.html"),
    page!("message.html"),
    page!("reading.html"),
    page!("recipient.html"),
    page!("sender.html"),
    page!("icon.svg"),
    page!("style.css"),
    ("words/en.toml", words::built_in(Language::En)),
    ("words/de.toml", words::built_in(Language::De)),
];

/// Why the templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The directory or a file in it cannot be read.
    #[error("cannot read the templates at {path}: {error}")]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file that replaces nothing: most likely its name is misspelt.
    #[error("{path} replaces no template; a template is called one of: {known}")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The names that there are.
        known: String,
    },
    /// A catalogue of words is broken; the text names its file and key.
    #[error("the words cannot be used: {0}")]
    Words(String),
    /// A template is broken; the text names its file, line and column.
    #[error("a template is broken: {0}")]
    Broken(#[from] tera::Error),
}

/// The parsed pages, and the files that are served as they stand.
#[derive(Debug)]
pub(crate) struct Templates {
    tera: Tera,
    files: HashMap<&'static str, Bytes>,
}

impl Templates {
    /// Loads the built-in templates and words, and those in the operator's directory that replace
    /// them.
    pub(crate) fn load(dir: Option<&Path>) -> Result<Self, TemplateError> {
        dir.map(refuse_unknown).transpose()?;
        let mut pages = Vec::new();
        let mut files = HashMap::new();
        for (path, built_in) in BUILT_IN {
            let Some(name) = path.strip_prefix("web/") else {
                continue;
            };
            let text = own_text(path, dir)?.map_or(Cow::Borrowed(built_in), Cow::Owned);
            if is_page(name) {
                pages.push((name, text));
            } else {
                files.insert(name, Bytes::from(text.into_owned()));
            }
        }
        let words = Words::read(|path| own_text(path, dir))?;
        let mut tera = Tera::new();
        speak::teach(&mut tera, words);
        tera.add_raw_templates(pages)?;
        Ok(Self { tera, files })
    }

    /// Renders one page; `site` is what every page knows.
    pub(crate) fn render(
        &self,
        name: &str,
        language: Language,
        site: &impl Serialize,
        view: &impl Serialize,
    ) -> Result<String, tera::Error> {
        let mut context = Context::from_serialize(view)?;
        context.insert("site", site);
        context.insert("lang", &language);
        self.tera.render(name, &context)
    }

    /// A file that is served as it stands.
    pub(crate) fn file(&self, name: &str) -> Bytes {
        self.files.get(name).cloned().unwrap_or_default()
    }
}

/// Whether tera renders the file; all others are served as they stand.
fn is_page(name: &str) -> bool {
    name.ends_with(".html")
}

/// The operator's text of a file, if there is one.
fn own_text(path: &str, dir: Option<&Path>) -> Result<Option<String>, TemplateError> {
    let Some(dir) = dir else { return Ok(None) };
    let path = dir.join(path);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TemplateError::Unreadable { path, error }),
    }
}

/// A misspelt file name would otherwise silently replace nothing.
fn refuse_unknown(dir: &Path) -> Result<(), TemplateError> {
    files_in(dir)?;
    for part in ["web", "words"] {
        let part_dir = dir.join(part);
        if !part_dir.is_dir() {
            continue;
        }
        for path in files_in(&part_dir)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let kind = path.extension().and_then(|e| e.to_str());
            let ours = known_in(part).any(|known| known == name);
            if matches!(kind, Some("html" | "css" | "svg" | "toml")) && !ours {
                let known = known_in(part).collect::<Vec<_>>().join(", ");
                return Err(TemplateError::Unknown { path, known });
            }
        }
    }
    Ok(())
}

/// The names of the files below one part of the directory.
fn known_in(part: &str) -> impl Iterator<Item = &'static str> {
    let names = BUILT_IN
        .into_iter()
        .filter_map(|(path, _)| path.split_once('/'));
    names
        .filter(move |(of, _)| *of == part)
        .map(|(_, name)| name)
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    let entries =
        std::fs::read_dir(dir).and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect());
    entries.map_err(|error| TemplateError::Unreadable {
        path: dir.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(name: &str, text: &str) -> Result<Templates, TemplateError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(name);
        std::fs::create_dir(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, text).expect("written");
        Templates::load(Some(dir.path()))
    }

    #[test]
    fn an_operators_template_takes_the_place_of_ours() {
        let templates = load_with("web/home.html", "<p>{{ word }}</p>").expect("valid");
        let view = serde_json::json!({"word": "<hi>"});
        let page = templates
            .render("home.html", Language::En, &(), &view)
            .expect("rendered");
        assert_eq!(page, "<p>&lt;hi&gt;</p>");
        assert!(!templates.file("style.css").is_empty());
    }

    #[test]
    fn exported_templates_give_the_same_pages() {
        let dir = tempfile::tempdir().expect("a directory");
        for (path, text) in BUILT_IN {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let (own, ours) = (Templates::load(Some(dir.path())), Templates::load(None));
        let (own, ours) = (own.expect("valid"), ours.expect("valid"));
        let site = serde_json::json!({"host": "x", "contact": "y"});
        for (name, view) in crate::samples::views() {
            for language in Language::ALL {
                let page =
                    |t: &Templates| t.render(name, language, &site, &view).expect("rendered");
                assert_eq!(page(&own), page(&ours));
            }
        }
        assert_eq!(own.file("style.css"), ours.file("style.css"));
    }

    #[test]
    fn a_broken_template_is_named_with_its_line() {
        let error = load_with("web/home.html", "one\n{% if %}\n").expect_err("broken");
        assert!(error.to_string().contains("home.html:2:"), "{error}");
    }

    #[test]
    fn a_directory_that_does_not_exist_is_an_error() {
        assert!(Templates::load(Some(Path::new("/nonexistent"))).is_err());
        let empty = tempfile::tempdir().expect("a directory");
        assert!(Templates::load(Some(empty.path())).is_ok());
    }

    #[test]
    fn a_misspelt_template_is_an_error() {
        for (misspelt, meant) in [("web/hom.html", "home.html"), ("words/fr.toml", "de.toml")] {
            let error = load_with(misspelt, "x").expect_err("unknown").to_string();
            assert!(error.contains(misspelt) && error.contains(meant), "{error}");
        }
    }
}
