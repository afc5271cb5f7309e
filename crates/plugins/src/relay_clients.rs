//! `relay_clients`: who may send to anybody. Says yes at rcpt, or nothing.

use std::sync::Arc;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::RelayClient;
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
        &[HookPoint::Connect, HookPoint::Auth, HookPoint::Rcpt]
    }

    fn nature(&self) -> Nature {
        Nature::Admits
    }

    fn admits_anyone(&self) -> bool {
        self.networks.load().covers_everybody()
    }

    /// Notes who may relay, for the checks of strangers that stand below.
    async fn connect(&self, session: &mut Session) -> Answer {
        if self.networks.load().contains(session.client_ip()) {
            session.notes.put(RelayClient);
        }
        Ok(Verdict::Pass)
    }

    async fn auth(&self, session: &mut Session) -> Answer {
        session.notes.put(RelayClient);
        Ok(Verdict::Pass)
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

#[cfg(test)]
mod tests {
    use posthouse_hook::Chain;

    use super::*;
    use crate::testing::{Parts, Zone, session, step, transaction};

    const OPTIONS: &str = "networks = [\"192.0.2.0/24\", \"2001:db8::/32\"]";

    async fn takes(options: &str, mut session: Session) -> bool {
        let plugin = Parts::new(Zone::default()).build("relay_clients", options);
        let chain = Chain::new("c", vec![step("relay_clients", plugin.expect("valid"))]);
        let mut tx = transaction("<a@a.example>", &["<b@b.example>"], "\n\n");
        let recipient = tx.recipients.remove(0);
        chain.rcpt(&mut session, &mut tx, &recipient).await.is_ok()
    }

    #[tokio::test]
    async fn listed_networks_and_authenticated_clients_may_relay() {
        assert!(takes(OPTIONS, session("192.0.2.9")).await);
        assert!(takes(OPTIONS, session("::ffff:192.0.2.9")).await);
        assert!(takes(OPTIONS, session("2001:db8::9")).await);
        assert!(!takes(OPTIONS, session("198.51.100.9")).await);
        assert!(!takes("", session("127.0.0.1")).await);
        let mut user = session("198.51.100.9");
        user.auth = Some("ann".to_owned());
        assert!(takes("", user).await);
    }

    #[test]
    fn everybody_is_told_apart() {
        let admits = |options| {
            let plugin = Parts::new(Zone::default()).build("relay_clients", options);
            plugin.expect("valid").admits_anyone()
        };
        assert!(admits("networks = \"0.0.0.0/0\""));
        assert!(admits("networks = [\"192.0.2.1\", \"::/0\"]"));
        assert!(!admits(OPTIONS));
        assert!(!admits(""));
    }

    #[test]
    fn a_bad_network_names_itself() {
        let mut parts = Parts::new(Zone::default());
        let error = parts
            .build("relay_clients", "networks = \"192.0.2.0/33\"")
            .err();
        let error = error.expect("refused");
        assert!(error.to_string().contains("192.0.2.0/33"), "{error}");
        assert_eq!(error.span(), Some(11..25));
    }
}
