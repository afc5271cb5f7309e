//! `helo`: whether the name that a client gives itself can be its own (RFC 5321 §4.1.1.1, §4.1.3).
//! Each check notes or refuses; all of them only note unless the operator says otherwise.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::{HeloFault, HeloFound};
use posthouse_hook::{
    Domain, HookPoint, Host, LookupError, Plugin, Refusal, Resolver, Session, Span, Verdict,
};
use serde::Deserialize;

use crate::exempt::{self, Exempt};
use crate::options::{BuildError, Options};
use crate::stranger::{Action, DEADLINE, OnTempError, SLACK, exempt_default};
use crate::surroundings::{Common, Surroundings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// A name without a dot, with an underscore, or an address without brackets.
    #[serde(default)]
    syntax: Action,
    /// An address literal that is not the client's address.
    #[serde(default)]
    literal: Action,
    /// Our name or address.
    #[serde(default)]
    own_name: Action,
    /// A name with neither address nor MX.
    #[serde(default)]
    resolves: Action,
    #[serde(default)]
    on_temperror: OnTempError,
    #[serde(
        default = "deadline",
        deserialize_with = "posthouse_hook::time::patience"
    )]
    deadline: Span,
    #[serde(default = "exempt_default")]
    exempt: Vec<Exempt>,
}

fn deadline() -> Span {
    DEADLINE
}

struct Helo {
    config: Config,
    common: Common,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    Ok(Arc::new(Helo {
        config: options.read()?,
        common: parts.common().clone(),
    }))
}

#[async_trait]
impl Plugin for Helo {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Helo]
    }

    fn nature(&self) -> Nature {
        let config = &self.config;
        let checks = [
            config.syntax,
            config.literal,
            config.own_name,
            config.resolves,
        ];
        match checks.contains(&Action::Refuse) {
            true => Nature::Refuses,
            false => Nature::Measures,
        }
    }

    fn default_timeout(&self) -> Duration {
        self.config.deadline.0.saturating_add(SLACK)
    }

    async fn helo(&self, session: &mut Session) -> Answer {
        if let Some(word) = exempt::client(&self.config.exempt, session) {
            session.remark(format_args!("exempt: {}", word.word()));
            return Ok(Verdict::Pass);
        }
        let name = session.helo.clone().unwrap_or_default();
        let fault = self.fault(session, &name).await;
        session.notes.put(HeloFound(fault));
        let Some(fault) = fault else {
            return Ok(Verdict::Pass);
        };
        session.remark(fault);
        Ok(match self.refusal(fault) {
            None => Verdict::Pass,
            Some(refusal) => {
                tracing::info!(client = %session.client_ip(), helo = name, %fault, "refused for its HELO name");
                Verdict::Refuse(refusal)
            }
        })
    }
}

impl Helo {
    /// The first thing that is wrong with the name.
    async fn fault(&self, session: &Session, name: &str) -> Option<HeloFault> {
        match Host::parse(name) {
            Err(_) => Some(HeloFault::Syntax),
            Ok(Host::Literal(ip)) if ip.to_canonical() == session.client_ip() => None,
            Ok(Host::Literal(ip)) if ip.to_canonical() == session.local.ip() => {
                Some(HeloFault::OurName)
            }
            Ok(Host::Literal(_)) => Some(HeloFault::ForeignLiteral),
            Ok(Host::Domain(name)) if name.as_str() == self.common.hostname => {
                Some(HeloFault::OurName)
            }
            Ok(Host::Domain(name)) if !is_qualified(&name) => Some(HeloFault::Syntax),
            Ok(Host::Domain(name)) => self.unresolved(&name).await,
        }
    }

    async fn unresolved(&self, name: &Domain) -> Option<HeloFault> {
        let look = resolves(&*self.common.resolver, name);
        match tokio::time::timeout(self.config.deadline.0, look).await {
            Ok(Ok(())) => None,
            Ok(Err(LookupError::NotFound)) => Some(HeloFault::Unresolved),
            Ok(Err(LookupError::Temporary(_))) | Err(_) => Some(HeloFault::Unknown),
        }
    }

    fn refusal(&self, fault: HeloFault) -> Option<Refusal> {
        let config = &self.config;
        let (action, refusal) = match fault {
            HeloFault::Syntax => (config.syntax, Refusal::bad_helo()),
            HeloFault::ForeignLiteral => (
                config.literal,
                Refusal::policy("HELO names an address that is not yours"),
            ),
            HeloFault::OurName => (config.own_name, Refusal::policy("HELO names this server")),
            HeloFault::Unresolved => (
                config.resolves,
                Refusal::policy("HELO names a host that does not exist"),
            ),
            HeloFault::Unknown if config.on_temperror == OnTempError::Pass => return None,
            HeloFault::Unknown => (config.resolves, Refusal::dns_failed()),
        };
        (action == Action::Refuse).then_some(refusal)
    }
}

/// A whole host name (RFC 5321 §2.3.5): with a dot, without underscores, and no address that lacks its
/// brackets.
fn is_qualified(name: &Domain) -> bool {
    let name = name.as_str();
    let top = name.rsplit_once('.').map(|(_, top)| top);
    top.is_some_and(|top| !top.bytes().all(|b| b.is_ascii_digit())) && !name.contains('_')
}

/// An address, or an MX.
async fn resolves(resolver: &dyn Resolver, name: &Domain) -> Result<(), LookupError> {
    match resolver.addresses(name).await {
        Ok(_) => Ok(()),
        Err(LookupError::NotFound) => resolver.mx(name).await.map(|_| ()),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use posthouse_hook::Chain;
    use posthouse_hook::proofs::RelayClient;

    use super::*;
    use crate::testing::{Parts, Zone, session, step};

    const STRICT: &str =
        "syntax = \"refuse\"\nliteral = \"refuse\"\nown_name = \"refuse\"\nresolves = \"refuse\"\n";

    async fn say(
        options: &str,
        name: &str,
        mut client: Session,
    ) -> (Option<HeloFault>, Option<u16>) {
        let zone = Zone::default()
            .address("mail.example", "198.51.100.1")
            .mx("mx-only.example", "mail.example")
            .failing("broken.example")
            .hanging("hung.example");
        let plugin = Parts::new(zone).build("helo", options).expect("valid");
        let chain = Chain::new("c", vec![step("helo", plugin)]);
        client.helo = Some(name.to_owned());
        let heard = chain.helo(&mut client).await;
        let found = client.notes.get::<HeloFound>().and_then(|found| found.0);
        (found, heard.err().map(|refusal| refusal.code()))
    }

    #[tokio::test(start_paused = true)]
    async fn each_fault_is_noted_and_refused_if_it_is_told_to() {
        use HeloFault::{ForeignLiteral, OurName, Syntax, Unknown, Unresolved};
        for (name, fault, code) in [
            ("mail.example", None, None),
            ("MX-only.example.", None, None),
            ("[192.0.2.9]", None, None),
            ("[192.0.2.8]", Some(ForeignLiteral), Some(550)),
            ("[IPv6:2001:db8::1]", Some(ForeignLiteral), Some(550)),
            ("out.isp.EXAMPLE", Some(OurName), Some(550)),
            ("localhost", Some(Syntax), Some(501)),
            ("my_pc.example", Some(Syntax), Some(501)),
            ("192.0.2.9", Some(Syntax), Some(501)),
            ("gone.example", Some(Unresolved), Some(550)),
            ("broken.example", Some(Unknown), Some(451)),
            ("hung.example", Some(Unknown), Some(451)),
        ] {
            let client = session("192.0.2.9");
            let got = say(STRICT, name, client.clone()).await;
            assert_eq!(got, (fault, code), "{name}");
            assert_eq!(say("", name, client).await, (fault, None), "{name}");
        }
        let lenient = format!("{STRICT}on_temperror = \"pass\"");
        let got = say(&lenient, "broken.example", session("192.0.2.9")).await;
        assert_eq!(got, (Some(Unknown), None));
    }

    #[tokio::test]
    async fn our_address_is_ours_and_relay_clients_may_say_anything() {
        let mut client = session("192.0.2.9");
        client.local = "198.51.100.25:25".parse().expect("an address");
        let got = say(STRICT, "[198.51.100.25]", client.clone()).await;
        assert_eq!(got, (Some(HeloFault::OurName), Some(550)));
        client.notes.put(RelayClient);
        assert_eq!(say(STRICT, "localhost", client).await, (None, None));
    }
}
