//! `relay_clients`: who may send to anybody. Says yes at rcpt, or nothing.

use std::sync::Arc;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{
    HookPoint, Live, NetworkList, Plugin, Recipient, Session, Transaction, Verdict,
};
use serde::Deserialize;

use crate::options::{BuildError, ListSpec, Options};
use crate::surroundings::{Surroundings, networks};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The networks that may relay; without the key, authenticated clients only.
    #[serde(default)]
    networks: ListSpec,
}

struct RelayClients {
    networks: Live<NetworkList>,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    let networks = networks(parts, "networks", &config.networks)?;
    Ok(Arc::new(RelayClients { networks }))
}

#[async_trait]
impl Plugin for RelayClients {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Rcpt]
    }

    fn nature(&self) -> Nature {
        Nature::Admits
    }

    fn admits_anyone(&self) -> bool {
        self.networks.load().covers_everybody()
    }

    async fn rcpt(
        &self,
        session: &mut Session,
        _tx: &mut Transaction,
        _recipient: &Recipient,
    ) -> Answer {
        let client = session.client_ip();
        if let Some(user) = session.auth.clone() {
            session.remark(format_args!("authenticated as {user}"));
            return Ok(Verdict::Accept);
        }
        if self.networks.load().contains(client) {
            session.remark(format_args!("{client} may relay"));
            return Ok(Verdict::Accept);
        }
        Ok(Verdict::Pass)
    }
}
