//! The templates of our own mail: built in, and replaceable by files of the same name.

use std::path::{Path, PathBuf};

use posthouse_hook::Language;
use posthouse_hook::trail::visible;
use serde::Serialize;
use tera::{Context, Tera};

use crate::texts::{BUILT_IN, Text};

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file is there and cannot be read.
    #[error("`{0}` cannot be read: {1}; make it readable, or remove it to use the built-in text")]
    Unreadable(PathBuf, std::io::Error),
    /// Its syntax, or a name in it, is wrong.
    #[error("{0} is no usable template: {1}")]
    Broken(String, String),
}

/// The templates.
pub(crate) struct Templates(Tera);

impl Templates {
    /// The built-in texts, each replaced by the file of its name in `dir` if there is one.
    pub(crate) fn load(dir: Option<&Path>) -> Result<Self, TemplateError> {
        let mut tera = Tera::new();
        for (name, built_in) in BUILT_IN {
            let (from, text) = match dir.map(|dir| dir.join(name)).filter(|path| path.exists()) {
                None => (name.to_owned(), built_in.to_owned()),
                Some(path) => (path.display().to_string(), read(path)?),
            };
            tera.add_raw_template(name, &text)
                .map_err(|error| TemplateError::Broken(from, causes(&error)))?;
        }
        Ok(Self(tera))
    }

    /// The text with these facts in it: no control characters but line ends, which are CRLF.
    pub(crate) fn render(
        &self,
        text: Text,
        language: Language,
        facts: &impl Serialize,
    ) -> Result<String, TemplateError> {
        let name = text.file(language);
        let broken = |error: tera::Error| TemplateError::Broken(name.clone(), causes(&error));
        let context = Context::from_serialize(facts).map_err(broken)?;
        let text = self.0.render(&name, &context).map_err(broken)?;
        let mut out = String::with_capacity(text.len() + 64);
        for line in text.trim_end().lines() {
            out.push_str(&visible(line));
            out.push_str("\r\n");
        }
        Ok(out)
    }
}

fn read(path: PathBuf) -> Result<String, TemplateError> {
    std::fs::read_to_string(&path).map_err(|error| TemplateError::Unreadable(path, error))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
