//! From the options of a plugin to the directory that they describe. Nothing is asked here.

use posthouse_store::Lookup;

use super::cdb::Cdb;
use super::file::File;
use super::sqlite::Sqlite;
use super::{Case, Directory};
use crate::options::{BadValue, BuildError, ListSpec};
use crate::surroundings::{Surroundings, addresses};

/// Where the directory is, as `source` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Cdb,
    Sqlite,
}

/// The options that describe a directory. Those of another kind of source than `source` are faults.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) source: String,
    pub(crate) case: Case,
    pub(crate) query: Option<String>,
}

const WAYS: &str = "write file:PATH, cdb:PATH or sqlite:PATH";

/// Opens the directory, as far as that can be done without asking it.
pub(crate) fn open(
    settings: &Settings,
    parts: &mut dyn Surroundings,
) -> Result<Box<dyn Directory>, BuildError> {
    let (kind, rest) = kind(&settings.source)?;
    check_unused(settings, kind)?;
    match kind {
        Kind::File => file(settings, parts),
        Kind::Cdb => cdb(settings, rest, parts),
        Kind::Sqlite => sqlite(settings, rest, parts),
    }
}

/// The kind, and what stands behind its colon.
fn kind(source: &str) -> Result<(Kind, &str), BuildError> {
    let bad = |problem| BuildError::from(BadValue::new("source", source, problem, WAYS));
    let (scheme, rest) = source.split_once(':').unwrap_or((source, ""));
    let kind = match scheme {
        "file" => Kind::File,
        "cdb" => Kind::Cdb,
        "sqlite" => Kind::Sqlite,
        _ => return Err(bad("no source of addresses")),
    };
    if rest.is_empty() {
        return Err(bad("the path is missing"));
    }
    Ok((kind, rest))
}

/// An option that nothing reads is a mistake.
fn check_unused(settings: &Settings, kind: Kind) -> Result<(), BuildError> {
    let written = [("query", settings.query.is_some(), Kind::Sqlite)];
    for (key, is_written, reads) in written {
        if is_written && kind != reads {
            let problem = format!("the source `{}` has no use for it", settings.source);
            return Err(BadValue::new(key, "…", problem, "leave it out").into());
        }
    }
    Ok(())
}

fn file(
    settings: &Settings,
    parts: &mut dyn Surroundings,
) -> Result<Box<dyn Directory>, BuildError> {
    if settings.case == Case::Keep {
        let problem = "the lines of a file are read in any case";
        let way_out = "leave it out, or keep the addresses in a cdb or SQLite database";
        return Err(BadValue::new("case", "keep", problem, way_out).into());
    }
    let spec = ListSpec::One(settings.source.clone());
    Ok(Box::new(File {
        name: settings.source.clone(),
        list: addresses(parts, "source", &spec)?,
    }))
}

fn cdb(
    settings: &Settings,
    path: &str,
    parts: &mut dyn Surroundings,
) -> Result<Box<dyn Directory>, BuildError> {
    let opened = Cdb::new(parts.common().base.join(path));
    let opened = opened.map_err(|problem| {
        let way_out = "name a file that cdb or postmap made; its keys are the addresses";
        BadValue::new("source", &settings.source, problem, way_out)
    })?;
    Ok(Box::new(opened))
}

fn sqlite(
    settings: &Settings,
    path: &str,
    parts: &mut dyn Surroundings,
) -> Result<Box<dyn Directory>, BuildError> {
    const EXAMPLE: &str = "write query = \"select 1 from mailbox where address = ?1\"";
    let Some(query) = &settings.query else {
        let problem = "a database needs a query";
        return Err(BadValue::new("source", &settings.source, problem, EXAMPLE).into());
    };
    let path = parts.common().base.join(path);
    let lookup = Lookup::new(&path, query).map_err(|fault| {
        let way_out = "name a database that can be read, and a query with one parameter, ?1";
        BadValue::new("query", query, fault, way_out)
    })?;
    Ok(Box::new(Sqlite {
        name: settings.source.clone(),
        lookup,
    }))
}
