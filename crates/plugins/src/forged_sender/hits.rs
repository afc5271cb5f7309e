//! What was found: addresses that are listed, what is to be done about each, and how it is told.

use posthouse_hook::proofs::{Forged, ForgedAction, ForgedFound};
use posthouse_hook::trail::{cut, visible};
use posthouse_hook::{Domain, DomainList, Header, Live, ReversePath, Session, Transaction};

use super::addresses::{Addresses, Taste, TooMuch};
use super::canon;
use super::clients::Rule;
use super::fields::{Part, fields};
use super::index::Index;

/// Most findings of a message that are kept; what is to be done is the worst of all.
const MAX_HITS: usize = 20;
/// Longest address that is told, in characters.
const MAX_SHOWN: usize = 320;

/// One address that is listed.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    part: Part,
    pub(super) address: String,
    listed: String,
    pub(super) action: ForgedAction,
    pub(super) text: Option<String>,
    spared: Option<String>,
}

/// Transaction note: what was found and is not yet acted on.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(pub(super) Vec<Hit>);

impl Hit {
    /// Nothing is done about it.
    pub(super) fn spare(&mut self, why: &str) {
        self.spared.get_or_insert_with(|| why.to_owned());
    }

    /// A rule about the client says what to do.
    pub(super) fn ruled(&mut self, rule: &Rule) {
        self.action = rule.action.unwrap_or(self.action);
        if rule.text.is_some() {
            self.text.clone_from(&rule.text);
        }
    }

    /// Its domain, if it has one.
    pub(super) fn domain(&self) -> Option<&str> {
        self.address.rsplit_once('@').map(|(_, domain)| domain)
    }
}

/// The one that decides about the message.
pub(super) fn worst(found: &[Hit]) -> Option<&Hit> {
    let open = found.iter().filter(|hit| hit.spared.is_none());
    // The first of equal ones.
    open.rev().max_by_key(|hit| hit.action)
}

/// Who may not appear from outside.
pub(super) struct Listed {
    pub(super) index: Live<Index>,
    pub(super) ours: Option<Live<DomainList>>,
    pub(super) action: ForgedAction,
    pub(super) taste: Taste,
}

impl Listed {
    /// What is found in the envelope.
    pub(super) fn envelope(&self, sender: &ReversePath) -> Vec<Hit> {
        let address = canon::fold(&sender.address());
        let mut found = Vec::new();
        if let Some((local, domain)) = address.rsplit_once('@') {
            for domain in self.domains(&canon::domain(domain)) {
                let hit = self.look_up(
                    &self.index.load(),
                    Part::Envelope,
                    &format!("{local}@{domain}"),
                );
                found.extend(hit);
            }
        }
        found.truncate(1);
        found
    }

    fn domains(&self, domain: &str) -> Vec<String> {
        let read = canon::look_alike(domain).filter(|_| self.taste.look_alikes);
        [Some(domain.to_owned()), read]
            .into_iter()
            .flatten()
            .collect()
    }

    /// What is found in the fields that are looked at.
    pub(super) fn header(&self, header: &Header, look_at: &[Part]) -> Vec<Hit> {
        let index = self.index.load();
        let mut found = Vec::new();
        let mut addresses = Addresses::new(self.taste);
        for (part, value) in fields(header.raw(), look_at) {
            let tell = |address: &str| keep(&mut found, self.look_up(&index, part, address));
            if addresses.field(value, tell) == Err(TooMuch) {
                keep(&mut found, Some(self.too_much(part)));
                break;
            }
        }
        found
    }

    fn look_up(&self, index: &Index, part: Part, address: &str) -> Option<Hit> {
        let hit = |listed, action: Option<ForgedAction>, text| Hit {
            part,
            address: visible(cut(address, MAX_SHOWN)),
            listed,
            action: action.unwrap_or(self.action),
            text,
            spared: None,
        };
        if let Some(found) = index.find(address) {
            let says = found.saying.clone();
            return Some(hit(
                format!("{}:{}", found.file, found.line),
                says.action,
                says.text,
            ));
        }
        self.is_ours(address)
            .then(|| hit("our_domains".to_owned(), None, None))
    }

    fn is_ours(&self, address: &str) -> bool {
        let domain = || Domain::parse(address.rsplit_once('@')?.1).ok();
        let ours = self.ours.as_ref();
        ours.is_some_and(|ours| domain().is_some_and(|domain| ours.load().contains(&domain)))
    }

    /// Nobody honest writes so many addresses: one of them counts as listed.
    fn too_much(&self, part: Part) -> Hit {
        Hit {
            part,
            address: "An author list without end".to_owned(),
            listed: "more addresses than are looked at".to_owned(),
            action: self.action,
            text: None,
            spared: None,
        }
    }
}

/// Keeps a finding; when there is no room, in the place of one that is milder.
fn keep(found: &mut Vec<Hit>, hit: Option<Hit>) {
    let Some(hit) = hit else { return };
    if found.len() < MAX_HITS {
        found.push(hit);
    } else if let Some(milder) = found.iter_mut().find(|kept| kept.action < hit.action) {
        *milder = hit;
    }
}

/// Leaves the note for later plugins, and tells trail and log.
pub(super) fn tell(session: &mut Session, tx: &mut Transaction, found: &[Hit]) {
    let ForgedFound(mut note) = tx.notes.get().cloned().unwrap_or_default();
    for hit in found {
        let Hit {
            address,
            listed,
            action,
            ..
        } = hit;
        let (field, client) = (hit.part.name(), session.client_ip());
        match &hit.spared {
            None => {
                tracing::info!(session = %session.id, transaction = %tx.id, %client, list = %listed, field, %address, %action, "forged sender");
                session.remark(format_args!("{field} {address}: {listed} says {action}"));
            }
            Some(why) => session.remark(format_args!(
                "{field} {address}: {listed}, but exempt: {why}"
            )),
        }
        note.push(Forged {
            field,
            address: address.clone(),
            listed: listed.clone(),
            action: *action,
            spared: hit.spared.clone(),
        });
    }
    note.truncate(2 * MAX_HITS);
    tx.notes.put(ForgedFound(note));
}
