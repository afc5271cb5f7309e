//! One list: asked about a subject, tested, reported on. It never decides about anybody.

use std::net::Ipv4Addr;
use std::time::Duration;

use posthouse_hook::proofs::{ListKind, ListedOf, Listing};
use posthouse_hook::{Clock, Domain, LookupError, Resolver};
use serde::Serialize;
use tokio::time::timeout;

use super::answers::{Meaning, Range, meaning};
use super::config::Action;
use super::health::{Face, Looked, Told};
use super::question::Subject;

/// A list of the configuration.
pub(super) struct List {
    /// What it is called in replies, logs and reports.
    pub(super) name: String,
    pub(super) zone: Domain,
    pub(super) of: ListedOf,
    pub(super) kind: ListKind,
    pub(super) action: Action,
    pub(super) weight: u32,
    /// The answers that count; all of them if there are none here.
    pub(super) answers: Vec<Range>,
    /// The text of a refusal.
    pub(super) text: Option<String>,
    pub(super) deadline: Duration,
    pub(super) faces: Vec<Face>,
}

/// The ports that a list needs.
#[derive(Clone, Copy)]
pub(super) struct Ports<'a> {
    pub(super) resolver: &'a dyn Resolver,
    pub(super) clock: &'a dyn Clock,
}

/// How it stands with one kind of subject, for an operator.
#[derive(Serialize)]
struct Part<'a> {
    zone: &'a str,
    of: ListedOf,
    kind: ListKind,
    action: Action,
    #[serde(flatten)]
    told: Told,
}

impl List {
    /// Whether the subject is listed, by a list that is believed. A list that does not answer in
    /// time lists nobody.
    pub(super) async fn look(&self, subject: &Subject, ports: Ports<'_>) -> Option<Listing> {
        let face = self.face(subject)?;
        let name = subject.within(&self.zone)?;
        if !face.may_ask() {
            return None;
        }
        let ask = self.ask(face, &name, ports);
        let answers = match timeout(self.deadline, ask).await {
            Ok(answers) => answers?,
            Err(_) => {
                face.unanswered();
                return None;
            }
        };
        face.listed();
        Some(Listing {
            list: self.name.clone(),
            of: self.of,
            what: subject.to_string(),
            kind: self.kind,
            answers,
            weight: self.weight,
        })
    }

    fn face(&self, subject: &Subject) -> Option<&Face> {
        let family = subject.family();
        self.faces.iter().find(|face| face.family == family)
    }

    /// The answers that list the name, if it may be believed that they do.
    async fn ask(&self, face: &Face, name: &Domain, ports: Ports<'_>) -> Option<Vec<Ipv4Addr>> {
        let answers = match ports.resolver.v4(name).await {
            Ok(answers) => answers,
            Err(LookupError::NotFound) => {
                face.answered();
                return None;
            }
            Err(LookupError::Temporary(why)) => {
                tracing::debug!(list = self.name, why, "a DNS list does not answer");
                face.unanswered();
                return None;
            }
        };
        face.answered();
        match meaning(&answers, &self.answers) {
            Meaning::NotListed => None,
            Meaning::Error(answer) => {
                tracing::debug!(list = self.name, %answer, "a DNS list refuses to answer");
                face.refused();
                None
            }
            Meaning::Foreign(answer) => {
                face.foreign(&self.name, answer, ports.clock.now());
                None
            }
            Meaning::Listed(answers) => self.confirmed(face, ports).await.then_some(answers),
        }
    }

    /// Whether the list still passes its test, asked again if that is a while ago.
    async fn confirmed(&self, face: &Face, ports: Ports<'_>) -> bool {
        let testing = face.testing.lock().await;
        if face.is_stale(ports.clock.now()) {
            self.test_face(face, ports).await;
        }
        drop(testing);
        face.is_good()
    }

    /// Tests whatever is due.
    pub(super) async fn tick(&self, ports: Ports<'_>) {
        let due = self.faces.iter().map(async |face| {
            let _testing = face.testing.lock().await;
            if face.is_due(ports.clock.now()) {
                self.test_face(face, ports).await;
            }
        });
        futures_util::future::join_all(due).await;
    }

    /// Asks for both test points, past any cache. Whoever calls holds `face.testing`.
    async fn test_face(&self, face: &Face, ports: Ports<'_>) {
        let [listed, unlisted] = &face.points;
        let (listed, unlisted) = futures_util::future::join(
            self.look_anew(listed, ports.resolver),
            self.look_anew(unlisted, ports.resolver),
        )
        .await;
        face.tested(&self.name, [listed, unlisted], ports.clock.now());
    }

    async fn look_anew(&self, name: &Domain, resolver: &dyn Resolver) -> Looked {
        let late = |_| LookupError::Temporary(format!("not within {:?}", self.deadline));
        timeout(self.deadline, resolver.v4_anew(name))
            .await
            .map_err(late)?
    }

    /// How it stands with each kind of subject.
    pub(super) fn report(&self) -> Vec<serde_json::Value> {
        let parts = self.faces.iter().map(|face| Part {
            zone: &self.name,
            of: self.of,
            kind: self.kind,
            action: self.action,
            told: face.told(),
        });
        parts
            .filter_map(|part| serde_json::to_value(part).ok())
            .collect()
    }
}
