//! From the options of a plugin to the directory that they describe. Nothing is asked here.

use std::sync::Arc;

use posthouse_hook::ReversePath;
use posthouse_store::Lookup;

use super::callout::{CalloutSettings, Callouts};
use super::cdb::Cdb;
use super::file::File;
use super::http::Http;
use super::ldap::{self, LdapSettings};
use super::sqlite::Sqlite;
use super::{Case, Directory};
use crate::options::{BadValue, BuildError, ListSpec};
use crate::surroundings::{Surroundings, addresses};

/// What kind of directory `source` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Cdb,
    Sqlite,
    Http,
    Ldap,
    Callout,
}

/// The options that describe a directory. Those of another kind of source than `source` are faults.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) source: String,
    pub(crate) case: Case,
    pub(crate) query: Option<String>,
    pub(crate) ldap: LdapSettings,
    /// None where a callout makes no sense.
    pub(crate) callout: Option<CalloutSettings>,
}

const WAYS: &str = "write file:PATH, cdb:PATH, sqlite:PATH, http://…{address} or ldap://host";

type Opened = Result<Box<dyn Directory>, BuildError>;

/// Opens the directory, as far as that can be done without asking it.
pub(crate) fn open(settings: &Settings, parts: &mut dyn Surroundings) -> Opened {
    let (kind, rest) = kind(settings)?;
    check_unused(settings, kind)?;
    match kind {
        Kind::File => file(settings, parts),
        Kind::Cdb => cdb(settings, rest, parts),
        Kind::Sqlite => sqlite(settings, rest, parts),
        Kind::Http => http(settings),
        Kind::Ldap => ldap::open(&settings.source, &settings.ldap, &parts.common().base),
        Kind::Callout => callout(settings, parts),
    }
}

/// The kind, and what stands behind its colon.
fn kind(settings: &Settings) -> Result<(Kind, &str), BuildError> {
    let source = settings.source.as_str();
    let bad = |problem, ways: &str| Err(BadValue::new("source", source, problem, ways).into());
    if source == "callout" {
        return match settings.callout {
            Some(_) => Ok((Kind::Callout, "")),
            None => bad("only recipients can be asked about by a callout", WAYS),
        };
    }
    let (scheme, rest) = source.split_once(':').unwrap_or((source, ""));
    let kind = match scheme {
        "file" => Kind::File,
        "cdb" => Kind::Cdb,
        "sqlite" => Kind::Sqlite,
        "http" => Kind::Http,
        "ldap" | "ldaps" | "ldapi" => Kind::Ldap,
        _ => return bad("no source of addresses", WAYS),
    };
    match rest {
        "" => bad("the path is missing", WAYS),
        rest => Ok((kind, rest)),
    }
}

/// An option that nothing reads is a mistake.
fn check_unused(settings: &Settings, kind: Kind) -> Result<(), BuildError> {
    let probes = settings.callout.as_ref();
    let sender = probes
        .and_then(|p| p.probe_sender.as_ref())
        .map(|_| "probe_sender");
    let check = probes
        .and_then(|p| p.catch_all_check)
        .map(|_| "catch_all_check");
    let written = [
        (settings.query.as_ref().map(|_| "query"), Kind::Sqlite),
        (settings.ldap.written(), Kind::Ldap),
        (sender.or(check), Kind::Callout),
    ];
    for (key, reads) in written {
        if let Some(key) = key.filter(|_| kind != reads) {
            let problem = format!("the source `{}` has no use for it", settings.source);
            return Err(BadValue::new(key, "…", problem, "leave it out").into());
        }
    }
    Ok(())
}

fn file(settings: &Settings, parts: &mut dyn Surroundings) -> Opened {
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

fn cdb(settings: &Settings, path: &str, parts: &mut dyn Surroundings) -> Opened {
    let opened = Cdb::new(parts.common().base.join(path));
    let opened = opened.map_err(|problem| {
        let way_out = "name a file that cdb or postmap made; its keys are the addresses";
        BadValue::new("source", &settings.source, problem, way_out)
    })?;
    Ok(Box::new(opened))
}

fn sqlite(settings: &Settings, path: &str, parts: &mut dyn Surroundings) -> Opened {
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

fn http(settings: &Settings) -> Opened {
    let http = Http::parse(&settings.source).map_err(|problem| {
        let way_out = "write http://host/path?u={address}";
        BadValue::new("source", &settings.source, problem, way_out)
    })?;
    Ok(Box::new(http))
}

fn callout(settings: &Settings, parts: &mut dyn Surroundings) -> Opened {
    let Some(next_hop) = parts.common().next_hop.as_ref().map(Arc::clone) else {
        let problem = "there is no relay here to ask";
        return Err(BadValue::new("source", "callout", problem, WAYS).into());
    };
    let probe = settings.callout.as_ref();
    let from = probe.and_then(|probe| probe.probe_sender.clone());
    Ok(Box::new(Callouts {
        next_hop,
        from: from.unwrap_or(ReversePath::Null),
        catch_all_check: probe.and_then(|p| p.catch_all_check).unwrap_or(false),
    }))
}
