//! What is wrong with a configuration: where, which value, why, and the way out.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One fault, or one warning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    file: PathBuf,
    place: Option<Place>,
    problem: String,
    way_out: Option<String>,
}

/// All faults that were found, at least one.
#[derive(Debug)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

/// A piece of one line of a file.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    line: usize,
    column: usize,
    text: String,
    width: usize,
}

impl Fault {
    /// A fault of a whole file.
    pub(crate) fn of_file(file: &Path, problem: impl fmt::Display) -> Self {
        Self {
            file: file.to_owned(),
            place: None,
            problem: problem.to_string(),
            way_out: None,
        }
    }

    /// A fault of a piece of the file, in octets of its text.
    pub(crate) fn at(
        file: &Path,
        text: &str,
        span: Option<Range<usize>>,
        problem: impl fmt::Display,
    ) -> Self {
        Self {
            place: span.map(|span| Place::of(text, span)),
            ..Self::of_file(file, problem)
        }
    }

    /// The same fault, with what to do about it.
    pub(crate) fn with_way_out(mut self, way_out: impl Into<String>) -> Self {
        self.way_out = Some(way_out.into());
        self
    }
}

impl Place {
    fn of(text: &str, span: Range<usize>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line_text = text[begin..].lines().next().unwrap_or_default();
        let column = before[begin..].chars().count();
        let wide = text.get(span).unwrap_or_default();
        let room = line_text.chars().count().saturating_sub(column);
        Self {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            text: line_text.to_owned(),
            width: wide
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .count()
                .min(room)
                .max(1),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(place) = &self.place {
            write!(f, "{}:{}:", place.line, place.column)?;
        }
        write!(f, " {}", self.problem.trim_end())?;
        if let Some(Place {
            line,
            column,
            text,
            width,
        }) = &self.place
        {
            let (indent, mark) = (column - 1, "^".repeat(*width));
            write!(f, "\n{line:>5} | {text}\n      | {:indent$}{mark}", "")?;
        }
        if let Some(way_out) = &self.way_out {
            write!(f, "\n      way out: {way_out}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            let sep = if at == 0 { "" } else { "\n" };
            write!(f, "{sep}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_shown_in_its_line() {
        let text = "a = 1\nlistén = [7]\n";
        let fault = Fault::at(Path::new("p.toml"), text, Some(16..17), "7 is no address")
            .with_way_out("write 127.0.0.1:25");
        assert_eq!(
            fault.to_string(),
            "p.toml:2:10: 7 is no address\n    2 | listén = [7]\n      |          ^\n      \
             way out: write 127.0.0.1:25"
        );
    }

    #[test]
    fn a_span_outside_the_text_does_no_harm() {
        let fault = Fault::at(Path::new("p.toml"), "", Some(7..9), "x");
        assert!(fault.to_string().starts_with("p.toml:1:1: x"));
    }
}
