//! The options of `dnsbl`, and the lists that they describe.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::proofs::{ListKind, ListedOf};
use posthouse_hook::{Domain, Span};
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use super::answers::Range;
use super::health::Face;
use super::list::List;
use super::question::{Family, point, test_points};
use crate::exempt::Exempt;
use crate::options::{BadValue, BuildError};
use crate::stranger::{DEADLINE, exempt_default};

/// How often lists are tested, unless the configuration says otherwise.
const RETEST: Span = Span(Duration::from_secs(30 * 60));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The lists, in the order in which a refusal names one.
    pub(super) zones: Vec<Zone>,
    #[serde(
        default = "retest",
        deserialize_with = "posthouse_hook::time::patience"
    )]
    pub(super) retest: Span,
    /// For all questions at one hook point together.
    #[serde(
        default = "deadline",
        deserialize_with = "posthouse_hook::time::patience"
    )]
    pub(super) deadline: Span,
    /// The sum of weights from which on a client is refused; without it none is for its sum.
    pub(super) reject_at: Option<u32>,
    #[serde(default = "exempt_default")]
    pub(super) exempt: Vec<Exempt>,
}

fn retest() -> Span {
    RETEST
}

fn deadline() -> Span {
    DEADLINE
}

/// What becomes of whom a list speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    #[default]
    Reject,
    /// A note, and its weight counts.
    Note,
}

/// Which addresses a list of clients is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ip {
    /// IPv6 only if the list's IPv6 test point is listed.
    #[default]
    Both,
    V4,
    V6,
}

/// One list as it is written: its zone, or a table.
pub(super) struct Zone(Table);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    zone: Domain,
    #[serde(default = "client")]
    of: ListedOf,
    #[serde(default = "deny")]
    kind: ListKind,
    #[serde(default)]
    action: Action,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    answers: Vec<Range>,
    text: Option<String>,
    name: Option<String>,
    #[serde(default)]
    ip: Ip,
    #[serde(default)]
    test: Test,
}

/// Test points that are not those of RFC 5782.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    listed: Option<String>,
    unlisted: Option<String>,
    listed6: Option<String>,
    unlisted6: Option<String>,
}

fn client() -> ListedOf {
    ListedOf::Client
}

fn deny() -> ListKind {
    ListKind::Deny
}

fn one() -> u32 {
    1
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ZoneVisitor).map(Self)
    }
}

struct ZoneVisitor;

impl<'de> Visitor<'de> for ZoneVisitor {
    type Value = Table;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a zone such as \"bl.example\", or a table { zone = \"bl.example\", … }")
    }

    fn visit_str<E: serde::de::Error>(self, zone: &str) -> Result<Table, E> {
        Ok(Table {
            zone: Domain::parse(zone).map_err(|_| E::custom(format!("`{zone}` is no domain")))?,
            of: client(),
            kind: deny(),
            action: Action::default(),
            weight: one(),
            answers: Vec::new(),
            text: None,
            name: None,
            ip: Ip::default(),
            test: Test::default(),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map))
    }
}

impl Zone {
    /// The list, of which nothing is known yet.
    pub(super) fn into_list(self, config: &Times) -> Result<Arc<List>, BuildError> {
        let table = self.0;
        let faces = families(&table).into_iter();
        let faces = faces.map(|(family, optional)| {
            let points = table.points(family)?;
            Ok(Face::new(family, optional, points, config.retest))
        });
        let faces = faces.collect::<Result<_, BuildError>>()?;
        Ok(Arc::new(List {
            name: table.name.unwrap_or_else(|| table.zone.to_string()),
            zone: table.zone,
            of: table.of,
            kind: table.kind,
            action: table.action,
            weight: table.weight,
            answers: table.answers,
            text: table.text,
            deadline: config.deadline,
            faces,
        }))
    }
}

/// What every list is told of the plugin's options.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) retest: Duration,
    pub(super) deadline: Duration,
}

/// What the list is asked about, and whether it may lack that.
fn families(table: &Table) -> Vec<(Family, bool)> {
    match (table.of, table.ip) {
        (ListedOf::Client, Ip::Both) => vec![(Family::V4, false), (Family::V6, true)],
        (ListedOf::Client, Ip::V4) => vec![(Family::V4, false)],
        (ListedOf::Client, Ip::V6) => vec![(Family::V6, false)],
        _ => vec![(Family::Names, false)],
    }
}

impl Table {
    /// The names that are asked to test the list: the one that is listed, the one that is not.
    fn points(&self, family: Family) -> Result<[Domain; 2], BuildError> {
        let Test {
            listed, unlisted, ..
        } = &self.test;
        let (listed, unlisted) = match family {
            Family::V6 => (&self.test.listed6, &self.test.unlisted6),
            _ => (listed, unlisted),
        };
        let [rfc_listed, rfc_unlisted] = test_points(family);
        Ok([
            self.point(family, listed.as_deref().unwrap_or(rfc_listed))?,
            self.point(family, unlisted.as_deref().unwrap_or(rfc_unlisted))?,
        ])
    }

    fn point(&self, family: Family, text: &str) -> Result<Domain, BuildError> {
        let name = point(family, text).and_then(|subject| subject.within(&self.zone));
        name.ok_or_else(|| {
            let what = match family {
                Family::V4 => "an IPv4 address",
                Family::V6 => "an IPv6 address",
                Family::Names => "a domain",
            };
            let problem = format!("a test point of {} is {what}", self.zone);
            BadValue::new("zones", text, problem, format!("write {what}")).into()
        })
    }
}
