//! The filtered domains of all chains together, for those who must know whether an address is
//! filtered without a transaction: the pages, and whoever delivers to a redirect.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use posthouse_hook::{DomainList, ForwardPath, Live, LookupError, Resolver, Row, Rows};

use crate::quarantine;

/// The lists of filtered domains of every quarantine that was built. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Filtered(Arc<Mutex<Vec<Live<DomainList>>>>);

impl Filtered {
    /// Adds the list of one quarantine.
    pub(crate) fn add(&self, list: Live<DomainList>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(list);
    }

    /// Takes the lists of another in place of its own: the configuration was read again.
    pub fn become_like(&self, other: &Self) {
        let theirs = other.lists();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = theirs;
    }

    fn lists(&self) -> Vec<Live<DomainList>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Places addresses in the matrix's rows: filtered if any quarantine says so.
pub struct Placing {
    filtered: Filtered,
    resolver: Arc<dyn Resolver>,
}

impl Placing {
    /// By these lists, and by DNS for their `mx:` entries.
    pub fn new(filtered: Filtered, resolver: Arc<dyn Resolver>) -> Self {
        Self { filtered, resolver }
    }
}

#[async_trait]
impl Rows for Placing {
    async fn row(&self, to: &ForwardPath) -> Result<Row, LookupError> {
        for list in self.filtered.lists() {
            match quarantine::row(&list.load(), &*self.resolver, to).await {
                Ok(Row::Other) => {}
                Ok(Row::Filtered) => return Ok(Row::Filtered),
                Err(why) => return Err(LookupError::Temporary(why)),
            }
        }
        Ok(Row::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Zone;

    fn list(entries: &[&str]) -> Live<DomainList> {
        let mut list = DomainList::default();
        entries.iter().for_each(|e| list.add(e).expect("an entry"));
        Live::new(list)
    }

    #[tokio::test]
    async fn an_address_is_filtered_if_any_quarantine_says_so() {
        let zone = Zone::default()
            .mx("behind.example", "mx.guard.example")
            .failing("down.example");
        let filtered = Filtered::default();
        filtered.add(list(&["big.example"]));
        filtered.add(list(&["mx:guard.example"]));
        let placing = Placing::new(filtered, Arc::new(zone));
        for (to, want) in [
            ("a@big.example", Some(Row::Filtered)),
            ("a@behind.example", Some(Row::Filtered)),
            ("a@free.example", Some(Row::Other)),
            ("a@down.example", None),
        ] {
            let to = ForwardPath::from_address(to).expect("an address");
            assert_eq!(placing.row(&to).await.ok(), want, "{to}");
        }
    }
}
