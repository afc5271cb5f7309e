//! From a target to the addresses to try, in order (RFC 5321 §5.1). DNS through the port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use posthouse_hook::{Domain, Enhanced, Host, LookupError, Mx, Resolver};

use crate::answer::{Answer, Fate};
use crate::route::Hop;
use crate::source::{Local, Source};

/// Most addresses that are tried in one attempt.
const MAX_CANDIDATES: usize = 16;
/// Most mail hosts whose addresses are looked up in one attempt.
const MAX_HOSTS: usize = 8;

/// One address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The host that it belongs to.
    pub(crate) host: Host,
    pub(crate) address: SocketAddr,
    /// Found through the recipient's domain, so that it could be ourselves.
    pub(crate) by_mx: bool,
}

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unroutable {
    fate: Fate,
    status: Enhanced,
    why: String,
}

/// What the resolution needs to know of us.
pub(crate) struct Place<'a> {
    pub(crate) resolver: &'a dyn Resolver,
    /// Our own host name: mail hosts no better than us are no way out.
    pub(crate) ours: &'a Domain,
    pub(crate) mx_port: u16,
    /// Spreads load over mail hosts of equal preference.
    pub(crate) turn: usize,
    /// Addresses that it cannot reach are no way out.
    pub(crate) source: Source,
}

impl Place<'_> {
    /// The addresses to try, best first; never empty.
    pub(crate) async fn candidates(&self, hop: &Hop) -> Result<Vec<Candidate>, Unroutable> {
        match hop {
            Hop::Fixed(Host::Literal(ip), port) => {
                self.within_reach([candidate_at(*ip, *port)], hop)
            }
            Hop::Mx(Host::Literal(ip)) => self.within_reach([candidate_at(*ip, self.mx_port)], hop),
            Hop::Fixed(Host::Domain(name), port) => {
                let addresses = self.resolver.addresses(name).await;
                let addresses = addresses.map_err(|error| misrouted(name, &error))?;
                let found = non_empty(candidates_of(name, addresses, *port, false), name)?;
                self.within_reach(found, hop)
            }
            Hop::Mx(Host::Domain(domain)) => self.within_reach(self.by_mx(domain).await?, hop),
        }
    }

    /// What the route's source can reach, best first.
    fn within_reach(
        &self,
        found: impl IntoIterator<Item = Candidate>,
        hop: &Hop,
    ) -> Result<Vec<Candidate>, Unroutable> {
        let reached = |c: &Candidate| self.source.towards(c.address.ip()) != Local::Nowhere;
        let found: Vec<_> = found
            .into_iter()
            .filter(reached)
            .take(MAX_CANDIDATES)
            .collect();
        if found.is_empty() {
            return Err(out_of_reach(hop, &self.source));
        }
        Ok(found)
    }

    async fn by_mx(&self, domain: &Domain) -> Result<Vec<Candidate>, Unroutable> {
        let hosts = match self.resolver.mx(domain).await {
            Ok(records) => mail_hosts(records, domain, self.ours, self.turn)?,
            // No MX: the domain itself is its mail host (the implicit MX).
            Err(LookupError::NotFound) if domain != self.ours => vec![domain.clone()],
            Err(LookupError::NotFound) => return Err(looping(domain)),
            Err(error) => return Err(no_answer(domain, &error)),
        };
        let mut found = Vec::new();
        let mut failure = None;
        for host in &hosts {
            match self.resolver.addresses(host).await {
                Ok(addresses) => found.extend(candidates_of(host, addresses, self.mx_port, true)),
                Err(error) => failure = worse(failure, no_address(host, &error)),
            }
        }
        match failure {
            Some(failure) if found.is_empty() => Err(failure),
            _ => non_empty(found, domain),
        }
    }
}

/// The mail hosts best first, without ourselves and all that are no better (RFC 5321 §5.1).
fn mail_hosts(
    mut records: Vec<Mx>,
    domain: &Domain,
    ours: &Domain,
    turn: usize,
) -> Result<Vec<Domain>, Unroutable> {
    if !records.is_empty() && records.iter().all(|mx| mx.host.is_none()) {
        return Err(null_mx(domain));
    }
    records.sort_by_key(|mx| mx.preference);
    let is_us = |mx: &&Mx| mx.host.as_ref() == Some(ours);
    if let Some(limit) = records.iter().find(is_us).map(|mx| mx.preference) {
        records.retain(|mx| mx.preference < limit);
        if records.is_empty() {
            return Err(looping(domain));
        }
    }
    for equals in records.chunk_by_mut(|a, b| a.preference == b.preference) {
        equals.rotate_left(turn % equals.len());
    }
    Ok(records
        .into_iter()
        .filter_map(|mx| mx.host)
        .take(MAX_HOSTS)
        .collect())
}

/// A fixed next hop is the operator's word: a name that is not there is a mistake to be mended, and
/// no message fails for it before its time is over (RFC 3463 X.3.5).
fn misrouted(name: &Domain, error: &LookupError) -> Unroutable {
    Unroutable {
        fate: Fate::Later,
        status: Enhanced(4, 3, 5),
        why: format!("next_hop {name}: {error}; mend the route"),
    }
}

/// The operator's word too: the route's source has no address of a family in which the next hop can
/// be reached.
fn out_of_reach(hop: &Hop, source: &Source) -> Unroutable {
    Unroutable {
        fate: Fate::Later,
        status: Enhanced(4, 3, 5),
        why: format!(
            "{hop} has no address of the family of the route's source {source}; add one of the other family"
        ),
    }
}

fn candidates_of(
    host: &Domain,
    addresses: Vec<IpAddr>,
    port: u16,
    by_mx: bool,
) -> impl Iterator<Item = Candidate> {
    addresses.into_iter().map(move |ip| Candidate {
        host: Host::Domain(host.clone()),
        address: SocketAddr::new(ip, port),
        by_mx,
    })
}

fn candidate_at(ip: IpAddr, port: u16) -> Candidate {
    Candidate {
        host: Host::Literal(ip),
        address: SocketAddr::new(ip, port),
        by_mx: false,
    }
}

fn non_empty(
    found: impl IntoIterator<Item = Candidate>,
    name: &Domain,
) -> Result<Vec<Candidate>, Unroutable> {
    let found: Vec<_> = found.into_iter().collect();
    if found.is_empty() {
        return Err(no_address(name, &LookupError::NotFound));
    }
    Ok(found)
}

/// A host that may answer later keeps the message alive.
fn worse(before: Option<Unroutable>, now: Unroutable) -> Option<Unroutable> {
    match before {
        Some(before) if before.fate == Fate::Later => Some(before),
        _ => Some(now),
    }
}

/// RFC 7505 §4.2: the domain takes no mail.
fn null_mx(domain: &Domain) -> Unroutable {
    Unroutable {
        fate: Fate::Never,
        status: Enhanced(5, 1, 10),
        why: format!("556 {domain} takes no mail (null MX)"),
    }
}

fn looping(domain: &Domain) -> Unroutable {
    Unroutable {
        fate: Fate::Never,
        status: Enhanced(5, 4, 6),
        why: format!("mail for {domain} loops back to us: we are its best mail host"),
    }
}

fn no_answer(name: &Domain, error: &LookupError) -> Unroutable {
    Unroutable {
        fate: Fate::Later,
        status: Enhanced(4, 4, 3),
        why: format!("{name}: {error}"),
    }
}

fn no_address(name: &Domain, error: &LookupError) -> Unroutable {
    match error {
        LookupError::NotFound => Unroutable {
            fate: Fate::Never,
            status: Enhanced(5, 1, 2),
            why: format!("{name} has no mail host and no address in DNS"),
        },
        LookupError::Temporary(_) => no_answer(name, error),
    }
}

impl Unroutable {
    pub(crate) fn answer(self, hop: &Hop) -> Answer {
        Answer::own(self.fate, self.status, self.why, &hop.to_string())
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.address.port();
        match &self.host {
            Host::Domain(name) => write!(f, "{name}[{}]:{port}", self.address.ip()),
            Host::Literal(_) => write!(f, "{}", self.address),
        }
    }
}

#[cfg(test)]
#[path = "mx_tests.rs"]
mod tests;
