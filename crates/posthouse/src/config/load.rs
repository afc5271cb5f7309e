//! From a file to its sections and the tables of its chains.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, Fault, Faults};

/// Where the configuration is looked for when no `--config` says.
const PLACES: [&str; 2] = ["posthouse.toml", "/etc/posthouse/posthouse.toml"];

/// A configuration that was read: its sections parsed, its chains as text.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
    pub(crate) config: Config,
}

/// One step of a chain, as it stands in the file.
pub(crate) struct StepTable<'a> {
    pub(crate) table: Spanned<DeTable<'a>>,
    pub(crate) span: Range<usize>,
}

/// The chains in the order of the file, each with its steps in order.
pub(crate) type ChainTables<'a> = Vec<(Spanned<String>, Vec<StepTable<'a>>)>;

/// The file to read: the one that was asked for, or the first that is there.
pub(crate) fn find(asked: Option<&Path>) -> Result<PathBuf, Faults> {
    if let Some(file) = asked {
        return Ok(file.to_owned());
    }
    let found = PLACES.iter().map(PathBuf::from).find(|file| file.exists());
    found.ok_or_else(|| {
        Fault::of_file(
            Path::new(PLACES[0]),
            "no configuration here, nor in /etc/posthouse",
        )
        .with_way_out("name one with --config FILE, or begin with posthouse.example.toml")
        .into()
    })
}

/// Reads and parses a file.
pub(crate) fn load(file: &Path) -> Result<Loaded, Faults> {
    let text = std::fs::read_to_string(file).map_err(|error| Fault::of_file(file, error))?;
    parse(file, text)
}

/// Parses the text of a file. Relative paths in it start where the file is.
pub(crate) fn parse(file: &Path, text: String) -> Result<Loaded, Faults> {
    let fault = |error: toml::de::Error| Fault::at(file, &text, error.span(), error.message());
    let mut table = DeTable::parse(&text).map_err(fault)?;
    table.get_mut().remove("chain");
    let mut config = Config::deserialize(table.into_deserializer()).map_err(fault)?;
    let base = file.parent().unwrap_or(Path::new(""));
    config.state = base.join(&config.state);
    config.templates = config.templates.map(|dir| base.join(dir));
    config.relay.ca_file = config.relay.ca_file.map(|file| base.join(file));
    if let Some(dkim) = &mut config.letters.dkim {
        dkim.key = dkim.key.below(base);
    }
    Ok(Loaded {
        file: file.to_owned(),
        text,
        config,
    })
}

impl Loaded {
    /// The directory at which relative file names start.
    pub(crate) fn base(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// A fault at a piece of the file.
    pub(crate) fn fault(
        &self,
        span: Option<Range<usize>>,
        problem: impl std::fmt::Display,
    ) -> Fault {
        Fault::at(&self.file, &self.text, span, problem)
    }

    /// Where the value of a key stands in the file, each name a table's but the last.
    pub(crate) fn place(&self, key: &[&str]) -> Option<Range<usize>> {
        let table = DeTable::parse(&self.text).ok()?;
        let (first, rest) = key.split_first()?;
        let mut value = table.get_ref().get(*first)?;
        for name in rest {
            value = value.get_ref().as_table()?.get(*name)?;
        }
        Some(value.span())
    }

    /// The tables of the chains.
    pub(crate) fn chains(&self) -> Result<ChainTables<'_>, Faults> {
        let table = DeTable::parse(&self.text)
            .map_err(|error| self.fault(error.span(), error.message()))?;
        let Some(chains) = table.into_inner().remove("chain") else {
            return Ok(Vec::new());
        };
        let span = chains.span();
        let DeValue::Table(chains) = chains.into_inner() else {
            return Err(self.not_a_chain(span).into());
        };
        let mut found = Vec::new();
        for (name, steps) in chains {
            let name = Spanned::new(name.span(), name.into_inner().into_owned());
            found.push((name, self.steps(steps)?));
        }
        Ok(found)
    }

    fn steps<'a>(&self, value: Spanned<DeValue<'a>>) -> Result<Vec<StepTable<'a>>, Faults> {
        let span = value.span();
        let DeValue::Array(steps) = value.into_inner() else {
            return Err(self.not_a_chain(span).into());
        };
        let mut found = Vec::new();
        for step in steps {
            let span = step.span();
            match step.into_inner() {
                DeValue::Table(table) => found.push(StepTable {
                    table: Spanned::new(span.clone(), table),
                    span,
                }),
                _ => return Err(self.not_a_chain(span).into()),
            }
        }
        Ok(found)
    }

    fn not_a_chain(&self, span: Range<usize>) -> Fault {
        self.fault(Some(span), "a chain is a list of tables")
            .with_way_out(
                "write one [[chain.NAME]] for each plugin, in the order in which they run",
            )
    }
}
