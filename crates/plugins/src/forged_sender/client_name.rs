//! The client's host by reverse DNS, asked for once a session: a note that is there is believed.

use posthouse_hook::proofs::ReverseName;
use posthouse_hook::{Resolver, Session};

use crate::reverse_dns::look;
use crate::stranger::DEADLINE;

/// What reverse DNS says of the client.
pub(super) async fn of(session: &mut Session, resolver: &dyn Resolver) -> ReverseName {
    if let Some(known) = session.notes.get::<ReverseName>() {
        return known.clone();
    }
    let found = look(resolver, session.client_ip(), DEADLINE.0).await;
    session.notes.put(found.name.clone());
    found.name
}
