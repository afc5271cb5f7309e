//! `sqlite:PATH`: a database of somebody else's, asked with the operator's own query.

use async_trait::async_trait;
use posthouse_store::Lookup;

use super::{Directory, Found, Question};
use crate::backend::Dead;

pub(super) struct Sqlite {
    pub(super) name: String,
    pub(super) lookup: Lookup,
}

#[async_trait]
impl Directory for Sqlite {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn find(&self, question: &Question) -> Result<Found, Dead> {
        let Question::Address(address) = question else {
            return Ok(Found::Elsewhere);
        };
        let found = self.lookup.finds(address.clone()).await;
        found
            .map(Found::from)
            .map_err(|fault| Dead(fault.to_string()))
    }
}
