//! `resolvable_sender`: whether the envelope sender's domain can get mail at all (RFC 5321 §5.1): a
//! notice about the message would have nowhere to go otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::{
    Domain, HookPoint, LookupError, Plugin, Refusal, Resolver, Session, Span, Transaction, Verdict,
};
use serde::Deserialize;

use crate::exempt::{self, Exempt};
use crate::options::{BuildError, Options};
use crate::stranger::{Action, DEADLINE, OnTempError, SLACK, exempt_default};
use crate::surroundings::{Common, Surroundings};

/// Most mail hosts whose addresses are asked for: the sender decides how many there are.
const MAX_HOSTS: usize = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What becomes of a domain whose mail hosts are no hosts of the Internet.
    #[serde(default)]
    bogus_mx: Action,
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

struct ResolvableSender {
    config: Config,
    common: Common,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    Ok(Arc::new(ResolvableSender {
        config: options.read()?,
        common: parts.common().clone(),
    }))
}

/// What DNS says of where a domain's mail goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Exists,
    /// No MX, no address.
    Nowhere,
    /// The domain says that it takes no mail (RFC 7505).
    NullMx,
    /// Every mail host's address is one that mail from outside cannot reach, or there is none.
    Bogus,
    /// DNS did not answer.
    Unknown,
}

#[async_trait]
impl Plugin for ResolvableSender {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Mail]
    }

    fn nature(&self) -> Nature {
        Nature::Refuses
    }

    fn default_timeout(&self) -> Duration {
        self.config.deadline.0.saturating_add(SLACK)
    }

    async fn mail(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let Some(domain) = tx.reverse_path.domain() else {
            return Ok(Verdict::Pass);
        };
        if let Some(why) = self.spared(session, tx, domain) {
            session.remark(format_args!("exempt: {why}"));
            return Ok(Verdict::Pass);
        }
        let look = place_of(&*self.common.resolver, domain);
        let place = tokio::time::timeout(self.config.deadline.0, look).await;
        let place = place.unwrap_or(Place::Unknown);
        session.remark(format_args!("{domain}: {}", in_words(place)));
        Ok(match self.refusal(place) {
            None => Verdict::Pass,
            Some(refusal) => {
                tracing::info!(client = %session.client_ip(), from = %tx.reverse_path, why = in_words(place), "refused for its sender's domain");
                Verdict::Refuse(refusal)
            }
        })
    }
}

impl ResolvableSender {
    fn spared(&self, session: &Session, tx: &Transaction, domain: &Domain) -> Option<&'static str> {
        if self.common.our_domains.load().contains(domain) {
            return Some("ours");
        }
        let exempt = &self.config.exempt;
        let proven = || exempt.iter().copied().find(|word| word.sender(tx, domain));
        let word = exempt::client(exempt, session).or_else(proven);
        word.map(Exempt::word)
    }

    fn refusal(&self, place: Place) -> Option<Refusal> {
        let temperror = self.config.on_temperror;
        match place {
            Place::Exists => None,
            Place::Nowhere => Some(Refusal::sender_domain_unknown()),
            Place::NullMx => Some(Refusal::sender_null_mx()),
            Place::Bogus => {
                (self.config.bogus_mx == Action::Refuse).then(Refusal::sender_domain_unknown)
            }
            Place::Unknown => (temperror == OnTempError::Defer).then(Refusal::dns_failed),
        }
    }
}

async fn place_of(resolver: &dyn Resolver, domain: &Domain) -> Place {
    let hosts = match resolver.mx(domain).await {
        Ok(records) => records.into_iter().filter_map(|mx| mx.host).collect(),
        Err(LookupError::NotFound) => vec![domain.clone()],
        Err(LookupError::Temporary(_)) => return Place::Unknown,
    };
    if hosts.is_empty() {
        return Place::NullMx;
    }
    let implicit = hosts == [domain.clone()];
    match addresses(resolver, hosts).await {
        Some(found) if found.is_empty() && implicit => Place::Nowhere,
        Some(found) if found.iter().all(is_bogus) => Place::Bogus,
        Some(_) => Place::Exists,
        None => Place::Unknown,
    }
}

/// The addresses of the first of the hosts; none if DNS did not answer for one, and no other has any.
async fn addresses(resolver: &dyn Resolver, hosts: Vec<Domain>) -> Option<Vec<IpAddr>> {
    let (mut found, mut silent) = (Vec::new(), false);
    for host in hosts.into_iter().take(MAX_HOSTS) {
        match resolver.addresses(&host).await {
            Ok(more) => found.extend(more),
            Err(LookupError::NotFound) => {}
            Err(LookupError::Temporary(_)) => silent = true,
        }
        if found.iter().any(|ip| !is_bogus(ip)) {
            return Some(found);
        }
    }
    (!silent).then_some(found)
}

/// Addresses that no mail from outside can reach: loopback, private (RFC 1918, RFC 6598, RFC 4193),
/// link-local, multicast, unspecified.
fn is_bogus(ip: &IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => is_bogus_v4(v4),
        IpAddr::V6(v6) => is_bogus_v6(v6),
    }
}

fn is_bogus_v4(ip: Ipv4Addr) -> bool {
    let shared = matches!(ip.octets(), [100, 64..=127, ..]);
    let nowhere = matches!(ip.octets(), [0 | 240..=255, ..]);
    ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || shared
        || nowhere
}

fn is_bogus_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
}

fn in_words(place: Place) -> &'static str {
    match place {
        Place::Exists => "takes mail",
        Place::Nowhere => "neither MX nor address",
        Place::NullMx => "null MX: it takes no mail",
        Place::Bogus => "its mail hosts are not on the Internet",
        Place::Unknown => "DNS did not answer",
    }
}

#[cfg(test)]
mod tests {
    use posthouse_hook::Chain;
    use posthouse_hook::proofs::RelayClient;

    use super::*;
    use crate::testing::{Parts, Zone, session, step, transaction};

    fn zone() -> Zone {
        Zone::default()
            .mx("good.example", "mx.good.example")
            .address("mx.good.example", "192.0.2.1")
            .address("plain.example", "2001:db8::1")
            .null_mx("null.example")
            .mx("loop.example", "localhost.example")
            .address("localhost.example", "127.0.0.1")
            .address("localhost.example", "10.0.0.1")
            .address("localhost.example", "::ffff:192.168.0.1")
            .address("localhost.example", "fd00::1")
            .mx("dangling.example", "gone.example")
            .mx("half.example", "localhost.example")
            .mx("half.example", "mx.good.example")
            .mx("slow.example", "hung.example")
            .hanging("hung.example")
            .failing("broken.example")
    }

    async fn code(options: &str, from: &str, mut session: Session) -> Option<String> {
        let plugin = Parts::new(zone()).build("resolvable_sender", options);
        let chain = Chain::new("c", vec![step("r", plugin.expect("valid"))]);
        let mut tx = transaction(from, &["<b@isp.example>"], "\n");
        let heard = chain.mail(&mut session, &mut tx).await.err();
        heard.map(|refusal| {
            refusal
                .to_string()
                .chars()
                .take(10)
                .collect::<String>()
                .trim()
                .to_owned()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_domain_that_takes_no_mail_sends_none() {
        for (from, want, strict) in [
            ("<>", None, None),
            ("<a@[192.0.2.1]>", None, None),
            ("<a@isp.example>", None, None),
            ("<a@good.example>", None, None),
            ("<a@plain.example>", None, None),
            ("<a@half.example>", None, None),
            ("<a@gone.example>", Some("550 5.1.8"), Some("550 5.1.8")),
            ("<a@null.example>", Some("550 5.7.27"), Some("550 5.7.27")),
            ("<a@loop.example>", None, Some("550 5.1.8")),
            ("<a@dangling.example>", None, Some("550 5.1.8")),
            ("<a@broken.example>", Some("451 4.4.3"), None),
            ("<a@slow.example>", Some("451 4.4.3"), None),
        ] {
            let got = code("", from, session("192.0.2.1")).await;
            assert_eq!(got.as_deref(), want, "{from}");
            let options = "bogus_mx = \"refuse\"\non_temperror = \"pass\"";
            let got = code(options, from, session("192.0.2.1")).await;
            assert_eq!(got.as_deref(), strict, "{from}, strict");
        }
        let mut friend = session("192.0.2.1");
        friend.notes.put(RelayClient);
        assert_eq!(code("", "<a@gone.example>", friend).await, None);
    }

    #[tokio::test]
    async fn many_mail_hosts_are_not_all_asked() {
        let mut zone = Zone::default();
        for n in 0..1_000 {
            zone = zone.mx("many.example", &format!("mx{n}.example"));
        }
        let domain = Domain::parse("many.example").expect("a domain");
        assert_eq!(place_of(&zone, &domain).await, Place::Bogus);
        assert_eq!(zone.asked(), 1 + MAX_HOSTS);
    }
}
