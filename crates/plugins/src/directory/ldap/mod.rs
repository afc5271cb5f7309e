//! `ldap://`, `ldaps://`, `ldapi://`: an LDAP directory (RFC 4511), asked in two steps: is the domain one
//! of its own, and does the address stand in it? Referrals are not followed.

mod connect;
mod filter;
mod options;
mod wire;

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use ldap3::{SearchOptions, SearchResult};
use tokio::sync::Semaphore;

use super::{Directory, Found, Question};
use crate::backend::Dead;
use connect::{Connection, Opener};
use filter::{Filter, Values};

pub(super) use options::open;
pub(crate) use options::{LdapSettings, Scope};

/// "No attributes" (RFC 4511 §4.5.1.8).
const NO_ATTRIBUTES: [&str; 1] = ["1.1"];
/// The result when there is more than was asked for: one entry is enough.
const SIZE_LIMIT_EXCEEDED: u32 = 4;

struct Ldap {
    name: String,
    opener: Opener,
    base: String,
    scope: ldap3::Scope,
    domains: Option<Filter>,
    addresses: Filter,
    /// Connections at a time.
    turns: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

#[async_trait]
impl Directory for Ldap {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn lists_domains(&self) -> bool {
        self.domains.is_some()
    }

    async fn find(&self, question: &Question) -> Result<Found, Dead> {
        let Some(filter) = self.filter(question) else {
            return Ok(Found::Elsewhere);
        };
        // The library panics at answers that it does not expect.
        let asked = AssertUnwindSafe(self.ask(&filter)).catch_unwind().await;
        let nonsense = |_| Err("the answer cannot be understood".to_owned());
        asked
            .unwrap_or_else(nonsense)
            .map(Found::from)
            .map_err(Dead)
    }
}

impl Ldap {
    fn filter(&self, question: &Question) -> Option<String> {
        let (filter, domain, address) = match question {
            Question::Domain(domain) => (self.domains.as_ref()?, domain.as_str(), None),
            Question::Address(address) => {
                let (_, domain) = address.rsplit_once('@')?;
                (&self.addresses, domain, Some(address.as_str()))
            }
        };
        Some(filter.fill(Values { domain, address }))
    }

    /// Whether the filter finds an entry. A connection that was kept and has died since is no reason
    /// to give up.
    async fn ask(&self, filter: &str) -> Result<bool, String> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|error| error.to_string())?;
        if let Some(kept) = self.kept()
            && let Ok(found) = self.search(kept, filter).await
        {
            return Ok(found);
        }
        self.search(self.opener.open().await?, filter).await
    }

    async fn search(&self, mut connection: Connection, filter: &str) -> Result<bool, String> {
        let options = SearchOptions::new().sizelimit(1);
        let asked = connection.ldap.with_search_options(options);
        let searched = asked.search(&self.base, self.scope, filter, NO_ATTRIBUTES.to_vec());
        let searched = searched.await.map_err(|error| connection.why(&error))?;
        let found = found(searched)?;
        self.keep(connection);
        Ok(found)
    }

    /// An idle connection whose server is still there.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find_map(|mut kept| kept.is_alive().then_some(kept))
    }

    fn keep(&self, connection: Connection) {
        self.idle().push(connection);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry is a yes, none is a no; any other result than success, a base that is not there or a
/// referral among them, is no answer.
fn found(SearchResult(entries, result): SearchResult) -> Result<bool, String> {
    let there = !entries.is_empty();
    match result.rc {
        0 => Ok(there),
        SIZE_LIMIT_EXCEEDED if there => Ok(true),
        _ => Err(format!("search: {result}")),
    }
}
