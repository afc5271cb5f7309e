//! `callout`: the next hop of a recipient is asked by SMTP, through a port of the relay. Only next hops
//! that the operator names are ever asked.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use async_trait::async_trait;
use posthouse_hook::{Callout, ForwardPath, NextHop, ReversePath};

use super::{Directory, Found, Question};
use crate::backend::Dead;

/// The options that only a callout has.
#[derive(Debug, Default)]
pub(crate) struct CalloutSettings {
    /// Who asks; the null sender by default.
    pub(crate) probe_sender: Option<ReversePath>,
    /// Whether it is looked for next hops that take everything.
    pub(crate) catch_all_check: Option<bool>,
}

pub(super) struct Callouts {
    pub(super) next_hop: Arc<dyn NextHop>,
    pub(super) from: ReversePath,
    pub(super) catch_all_check: bool,
}

#[async_trait]
impl Directory for Callouts {
    fn name(&self) -> String {
        "callout".to_owned()
    }

    async fn find(&self, question: &Question) -> Result<Found, Dead> {
        let Question::Address(address) = question else {
            return Ok(Found::Elsewhere);
        };
        let found = self.ask(address).await?;
        if found == Found::Yes && self.catch_all_check {
            self.doubt(address).await;
        }
        Ok(found)
    }
}

impl Callouts {
    async fn ask(&self, address: &str) -> Result<Found, Dead> {
        let to = ForwardPath::from_address(address).map_err(|error| Dead(error.to_string()))?;
        match self.next_hop.callout(&self.from, &to).await {
            Callout::Yes => Ok(Found::Yes),
            Callout::No(said) => {
                tracing::info!(address, said, "the next hop does not take a recipient");
                Ok(Found::No)
            }
            Callout::Unknown(why) => Err(Dead(why)),
            Callout::Elsewhere => Ok(Found::Elsewhere),
        }
    }

    /// A next hop that takes an address that nobody can have takes any.
    async fn doubt(&self, address: &str) {
        let Some((_, domain)) = address.rsplit_once('@') else {
            return;
        };
        let nobody = RandomState::new().hash_one(address);
        let nobody = format!("posthouse-nobody-{nobody:x}@{domain}");
        if self.ask(&nobody).await == Ok(Found::Yes) {
            tracing::warn!(
                domain,
                "the next hop takes any recipient: a callout proves nothing"
            );
        }
    }
}
