//! The templates: built in, replaceable by an operator's own, all checked at start.
//!
//! A template's name ends in `.html`, because only then does tera escape what is put into it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use tera::{Context, Tera};

/// Every file that can be replaced, with its built-in text.
const BUILT_IN: [(&str, &str); 10] = [
    (
        "base.html",
        include_str!("../../../templates/web/base.html"),
    ),
    (
        "fault.html",
        include_str!("../../../templates/web/fault.html"),
    ),
    (
        "home.html",
        include_str!("../../../templates/web/home.html"),
    ),
    (
        "letters.html",
        include_str!("../../../templates/web/letters.html"),
    ),
    (
        "message.html",
        include_str!("../../../templates/web/message.html"),
    ),
    (
        "reading.html",
        include_str!("../../../templates/web/reading.html"),
    ),
    (
        "recipient.html",
        include_str!("../../../templates/web/recipient.html"),
    ),
    (
        "sender.html",
        include_str!("../../../templates/web/sender.html"),
    ),
    ("icon.svg", include_str!("../../../templates/web/icon.svg")),
    (
        "style.css",
        include_str!("../../../templates/web/style.css"),
    ),
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
    /// Loads the built-in templates and those in the operator's directory that replace them.
    pub(crate) fn load(dir: Option<&Path>) -> Result<Self, TemplateError> {
        let overrides = dir.map(web_below).transpose()?.flatten();
        let overrides = overrides.as_deref();
        let mut pages = Vec::new();
        let mut files = HashMap::new();
        for (name, built_in) in BUILT_IN {
            let text = text_of(name, built_in, overrides)?;
            if name.ends_with(".html") {
                pages.push((name, text));
            } else {
                files.insert(name, Bytes::from(text.into_owned()));
            }
        }
        let mut tera = Tera::new();
        tera.add_raw_templates(pages)?;
        Ok(Self { tera, files })
    }

    /// Renders one page; `site` is what every page knows.
    pub(crate) fn render(
        &self,
        name: &str,
        site: &impl Serialize,
        view: &impl Serialize,
    ) -> Result<String, tera::Error> {
        let mut context = Context::from_serialize(view)?;
        context.insert("site", site);
        self.tera.render(name, &context)
    }

    /// A file that is served as it stands.
    pub(crate) fn file(&self, name: &str) -> Bytes {
        self.files.get(name).cloned().unwrap_or_default()
    }
}

/// The pages' part of the operator's directory, if it has one; its files are all known by name.
fn web_below(dir: &Path) -> Result<Option<PathBuf>, TemplateError> {
    let unreadable = |error| TemplateError::Unreadable {
        path: dir.to_owned(),
        error,
    };
    std::fs::read_dir(dir).map_err(unreadable)?;
    let web = dir.join("web");
    if !web.is_dir() {
        return Ok(None);
    }
    refuse_unknown(&web)?;
    Ok(Some(web))
}

/// The operator's text of a template if there is one, else the built-in text.
fn text_of<'a>(
    name: &str,
    built_in: &'a str,
    overrides: Option<&Path>,
) -> Result<Cow<'a, str>, TemplateError> {
    let Some(dir) = overrides else {
        return Ok(Cow::Borrowed(built_in));
    };
    let path = dir.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Cow::Borrowed(built_in)),
        Err(error) => Err(TemplateError::Unreadable { path, error }),
    }
}

/// A misspelt file name would otherwise silently replace nothing.
fn refuse_unknown(dir: &Path) -> Result<(), TemplateError> {
    let unreadable = |error| TemplateError::Unreadable {
        path: dir.to_owned(),
        error,
    };
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default();
        let kind = path.extension().and_then(|e| e.to_str());
        let ours = BUILT_IN.iter().any(|(known, _)| name == *known);
        if matches!(kind, Some("html" | "css" | "svg")) && !ours {
            let known = BUILT_IN.map(|(known, _)| known).join(", ");
            return Err(TemplateError::Unknown { path, known });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(name: &str, text: &str) -> Result<Templates, TemplateError> {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("web")).expect("made");
        std::fs::write(dir.path().join("web").join(name), text).expect("written");
        Templates::load(Some(dir.path()))
    }

    #[test]
    fn an_operators_template_takes_the_place_of_ours() {
        let templates = load_with("home.html", "<p>{{ word }}</p>").expect("valid");
        let view = serde_json::json!({"word": "<hi>"});
        let page = templates.render("home.html", &(), &view).expect("rendered");
        assert_eq!(page, "<p>&lt;hi&gt;</p>");
        assert!(!templates.file("style.css").is_empty());
    }

    #[test]
    fn a_broken_template_is_named_with_its_line() {
        let error = load_with("home.html", "one\n{% if %}\n").expect_err("broken");
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
        let error = load_with("hom.html", "x").expect_err("unknown").to_string();
        assert!(
            error.contains("hom.html") && error.contains("home.html"),
            "{error}"
        );
    }
}
