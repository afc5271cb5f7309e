//! `reverse_dns`: what the client's address is called, and whether the name leads back to it
//! (RFC 8601 §2.7.3). Leaves a note; refuses only if the operator says so.
//!
//! Whoever needs the client's name asks [`look`], and no other look-up of it exists.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::ReverseName;
use posthouse_hook::{
    Domain, HookPoint, LookupError, Plugin, Refusal, Resolver, Session, Span, Verdict,
};
use serde::Deserialize;

use crate::exempt::{self, Exempt};
use crate::options::{BuildError, Options};
use crate::stranger::{DEADLINE, OnTempError, SLACK, exempt_default};
use crate::surroundings::Surroundings;

/// Most PTR names that are asked for their addresses: whoever owns the address decides how many
/// there are.
const MAX_NAMES: usize = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What a client must have; without the key, nothing.
    require: Option<Require>,
    /// What a client hears of whom DNS does not tell, if something is required.
    #[serde(default)]
    on_temperror: OnTempError,
    /// For all questions about one client together.
    #[serde(
        default = "deadline",
        deserialize_with = "posthouse_hook::time::patience"
    )]
    deadline: Span,
    #[serde(default = "exempt_default")]
    exempt: Vec<Exempt>,
}

/// What a client must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Require {
    /// A name.
    Ptr,
    /// A name that leads back to its address.
    Confirmed,
}

fn deadline() -> Span {
    DEADLINE
}

struct ReverseDns {
    config: Config,
    resolver: Arc<dyn Resolver>,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    Ok(Arc::new(ReverseDns {
        config: options.read()?,
        resolver: Arc::clone(&parts.common().resolver),
    }))
}

#[async_trait]
impl Plugin for ReverseDns {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Connect]
    }

    fn nature(&self) -> Nature {
        match self.config.require {
            None => Nature::Measures,
            Some(_) => Nature::Refuses,
        }
    }

    fn default_timeout(&self) -> Duration {
        self.config.deadline.0.saturating_add(SLACK)
    }

    async fn connect(&self, session: &mut Session) -> Answer {
        let client = session.client_ip();
        let found = look(&*self.resolver, client, self.config.deadline.0).await;
        session.remark(in_words(&found));
        let verdict = self.judge(session, &found);
        session.notes.put(found.name);
        Ok(verdict)
    }
}

impl ReverseDns {
    fn judge(&self, session: &mut Session, found: &Found) -> Verdict {
        let lack = self.config.require.map(|require| lacks(require, found));
        let refusal = match lack {
            None | Some(Lack::Nothing) => return Verdict::Pass,
            Some(Lack::Name) => Refusal::no_reverse_name(),
            Some(Lack::Answer) if self.config.on_temperror == OnTempError::Pass => {
                return Verdict::Pass;
            }
            Some(Lack::Answer) => Refusal::dns_failed(),
        };
        if let Some(word) = exempt::client(&self.config.exempt, session) {
            session.remark(format_args!("exempt: {}", word.word()));
            return Verdict::Pass;
        }
        tracing::info!(client = %session.client_ip(), reverse = %in_words(found), %refusal, "refused for its reverse DNS");
        Verdict::Refuse(refusal)
    }
}

/// What a client lacks of what is required.
#[derive(Debug, PartialEq, Eq)]
enum Lack {
    Nothing,
    Name,
    /// DNS does not tell.
    Answer,
}

fn lacks(require: Require, found: &Found) -> Lack {
    match (require, &found.name) {
        (_, ReverseName::Confirmed(_)) => Lack::Nothing,
        (Require::Ptr, _) if found.first.is_some() => Lack::Nothing,
        (_, ReverseName::Unknown) => Lack::Answer,
        (_, ReverseName::Unconfirmed(_) | ReverseName::None) => Lack::Name,
    }
}

/// What reverse DNS says of an address.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    /// The note.
    pub(crate) name: ReverseName,
    /// The first PTR name, even if DNS did not tell whether it leads back.
    first: Option<Domain>,
}

/// Asks for the address's names and for the addresses of these: at most [`MAX_NAMES`], and not
/// beyond the deadline.
pub(crate) async fn look(resolver: &dyn Resolver, client: IpAddr, deadline: Duration) -> Found {
    let mut first = None;
    let look = async {
        let names = match resolver.names(client).await {
            Ok(names) => names,
            Err(LookupError::NotFound) => return ReverseName::None,
            Err(LookupError::Temporary(_)) => return ReverseName::Unknown,
        };
        first = names.first().cloned();
        confirm(resolver, client, names).await
    };
    let name = tokio::time::timeout(deadline, look).await;
    Found {
        name: name.unwrap_or(ReverseName::Unknown),
        first,
    }
}

async fn confirm(resolver: &dyn Resolver, client: IpAddr, names: Vec<Domain>) -> ReverseName {
    let Some(first) = names.first().cloned() else {
        return ReverseName::None;
    };
    let mut otherwise = ReverseName::Unconfirmed(first);
    for name in names.into_iter().take(MAX_NAMES) {
        match resolver.addresses(&name).await {
            Ok(found) if found.iter().any(|ip| ip.to_canonical() == client) => {
                return ReverseName::Confirmed(name);
            }
            Err(LookupError::Temporary(_)) => otherwise = ReverseName::Unknown,
            Ok(_) | Err(LookupError::NotFound) => {}
        }
    }
    otherwise
}

fn in_words(found: &Found) -> String {
    match (&found.name, &found.first) {
        (ReverseName::Confirmed(name), _) => format!("{name}, which leads back"),
        (ReverseName::Unconfirmed(name), _) => format!("{name}, which does not lead back"),
        (ReverseName::None, _) => "no name".to_owned(),
        (ReverseName::Unknown, Some(name)) => format!("{name}, and DNS does not tell its address"),
        (ReverseName::Unknown, None) => "DNS did not answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use posthouse_hook::Chain;
    use posthouse_hook::proofs::RelayClient;

    use super::*;
    use crate::testing::{Parts, Zone, session, step};

    fn zone() -> Zone {
        Zone::default()
            .pointer("192.0.2.1", "mail.good.example")
            .address("mail.good.example", "192.0.2.1")
            .pointer("192.0.2.2", "liar.example")
            .pointer("192.0.2.2", "mail.good.example")
            .pointer("192.0.2.3", "slow.example")
            .pointer("192.0.2.4", "other.example")
            .pointer("192.0.2.4", "second.example")
            .address("second.example", "192.0.2.4")
            .failing("slow.example")
            .failing_pointer("192.0.2.5")
    }

    /// The note and the code of the refusal.
    async fn ask(options: &str, mut session: Session) -> (ReverseName, Option<u16>) {
        let plugin = Parts::new(zone()).build("reverse_dns", options);
        let chain = Chain::new("c", vec![step("reverse_dns", plugin.expect("valid"))]);
        let refused = chain.connect(&mut session).await.err();
        let note = session.notes.get::<ReverseName>().cloned();
        (note.expect("a note"), refused.map(|refusal| refusal.code()))
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    #[tokio::test]
    async fn a_name_is_confirmed_if_one_of_its_addresses_is_the_client_s() {
        for (client, want) in [
            (
                "192.0.2.1",
                ReverseName::Confirmed(domain("mail.good.example")),
            ),
            (
                "::ffff:192.0.2.1",
                ReverseName::Confirmed(domain("mail.good.example")),
            ),
            (
                "192.0.2.2",
                ReverseName::Unconfirmed(domain("liar.example")),
            ),
            ("192.0.2.3", ReverseName::Unknown),
            (
                "192.0.2.4",
                ReverseName::Confirmed(domain("second.example")),
            ),
            ("192.0.2.5", ReverseName::Unknown),
            ("2001:db8::1", ReverseName::None),
        ] {
            assert_eq!(ask("", session(client)).await, (want, None), "{client}");
        }
    }

    #[tokio::test]
    async fn what_is_required_is_refused_without() {
        let codes = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.5", "::1"];
        for (options, want) in [
            (
                "require = \"ptr\"",
                [None, None, None, Some(451), Some(550)],
            ),
            (
                "require = \"confirmed\"",
                [None, Some(550), Some(451), Some(451), Some(550)],
            ),
            (
                "require = \"confirmed\"\non_temperror = \"pass\"",
                [None, Some(550), None, None, Some(550)],
            ),
        ] {
            for (client, want) in codes.iter().zip(want) {
                let (_, code) = ask(options, session(client)).await;
                assert_eq!(code, want, "{options}: {client}");
            }
        }
    }

    #[tokio::test]
    async fn relay_clients_need_no_name_and_are_looked_up_all_the_same() {
        let mut client = session("192.0.2.2");
        client.notes.put(RelayClient);
        let (note, code) = ask("require = \"confirmed\"", client.clone()).await;
        assert!(note.confirmed().is_none() && code.is_none());
        let strict = "require = \"confirmed\"\nexempt = []";
        assert_eq!(ask(strict, client).await.1, Some(550));
    }

    #[tokio::test(start_paused = true)]
    async fn questions_end_at_the_deadline_and_names_are_bounded() {
        let mut many = Zone::default().address("the-last.example", "192.0.2.9");
        for n in 0..1_000 {
            many = many.pointer("192.0.2.9", &format!("n{n}.example"));
        }
        let many = many.pointer("192.0.2.9", "the-last.example");
        let found = look(&many, "192.0.2.9".parse().expect("an address"), DEADLINE.0).await;
        assert_eq!(found.name, ReverseName::Unconfirmed(domain("n0.example")));
        assert_eq!(many.asked(), 1 + MAX_NAMES);
        let hung = Zone::default()
            .pointer("192.0.2.9", "hung.example")
            .hanging("hung.example");
        let found = look(&hung, "192.0.2.9".parse().expect("an address"), DEADLINE.0).await;
        assert_eq!(found.name, ReverseName::Unknown);
        assert_eq!(found.first, Some(domain("hung.example")));
    }
}
