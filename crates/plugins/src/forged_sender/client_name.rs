//! The client's host by reverse DNS, asked for once a session: a note that is there is believed.

use std::net::IpAddr;

use posthouse_hook::proofs::ReverseName;
use posthouse_hook::{Domain, LookupError, Resolver, Session};

/// Most PTR names that are confirmed: who has more is no mail host.
const MAX_NAMES: usize = 10;

/// What reverse DNS says of the client.
pub(super) async fn of(session: &mut Session, resolver: &dyn Resolver) -> ReverseName {
    if let Some(known) = session.notes.get::<ReverseName>() {
        return known.clone();
    }
    let found = look_up(session.client_ip(), resolver).await;
    session.notes.put(found.clone());
    found
}

async fn look_up(ip: IpAddr, resolver: &dyn Resolver) -> ReverseName {
    let names = match resolver.names(ip).await {
        Ok(names) => names,
        Err(LookupError::NotFound) => return ReverseName::None,
        Err(LookupError::Temporary(_)) => return ReverseName::Unknown,
    };
    let mut unknown = false;
    for name in names.iter().take(MAX_NAMES) {
        match leads_back(name, ip, resolver).await {
            Some(true) => return ReverseName::Confirmed(name.clone()),
            Some(false) => {}
            None => unknown = true,
        }
    }
    match names.into_iter().next() {
        _ if unknown => ReverseName::Unknown,
        Some(first) => ReverseName::Unconfirmed(first),
        None => ReverseName::None,
    }
}

/// None if DNS did not answer.
async fn leads_back(name: &Domain, ip: IpAddr, resolver: &dyn Resolver) -> Option<bool> {
    match resolver.addresses(name).await {
        Ok(addresses) => Some(addresses.iter().any(|a| a.to_canonical() == ip)),
        Err(LookupError::NotFound) => Some(false),
        Err(LookupError::Temporary(_)) => None,
    }
}
