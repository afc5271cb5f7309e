//! `file:PATH`: a flat file with one address or domain a line. The program reads it again on change.

use async_trait::async_trait;
use posthouse_hook::{AddressList, Live, Mailbox};

use super::{Directory, Found, Question};
use crate::backend::Dead;

pub(super) struct File {
    pub(super) name: String,
    pub(super) list: Live<AddressList>,
}

#[async_trait]
impl Directory for File {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn is_at_hand(&self) -> bool {
        true
    }

    async fn find(&self, question: &Question) -> Result<Found, Dead> {
        let Question::Address(address) = question else {
            return Ok(Found::Elsewhere);
        };
        let mailbox = Mailbox::parse(address).map_err(|error| Dead(error.to_string()))?;
        Ok(self.list.load().contains_mailbox(&mailbox).into())
    }
}
