//! Exemptions: whom a policy leaves alone. Reads what others have measured, and measures nothing.

use posthouse_hook::facts::Spf;
use posthouse_hook::proofs::{
    AllowedClient, AllowedSender, DkimFound, DmarcFound, RelayClient, SpfFound, Verified,
};
use posthouse_hook::{Domain, Session, Transaction};
use serde::Deserialize;

/// One word of an option `exempt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exempt {
    /// Clients that authenticated.
    Auth,
    /// Clients that may relay; the plugin `relay_clients` must stand above.
    RelayClients,
    /// Clients and senders that an allow list has; `access` must stand above.
    Access,
    /// Senders of a domain whose SPF passes for it; `spf` must stand above.
    Spf,
    /// Senders of a domain that signed the message with DKIM; `dkim` must stand above.
    Dkim,
    /// Senders of a domain whose DMARC passes; `dmarc` must stand above.
    Dmarc,
}

impl Exempt {
    /// The word in the configuration, for trails.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::RelayClients => "relay_clients",
            Self::Access => "access",
            Self::Spf => "spf",
            Self::Dkim => "dkim",
            Self::Dmarc => "dmarc",
        }
    }

    /// Whether this exempts the client.
    pub(crate) fn client(self, session: &Session) -> bool {
        match self {
            Self::Auth => session.auth.is_some(),
            Self::RelayClients => session.notes.get::<RelayClient>().is_some(),
            Self::Access => session.notes.get::<AllowedClient>().is_some(),
            Self::Spf | Self::Dkim | Self::Dmarc => false,
        }
    }

    /// Whether this exempts a sender of that domain: its own proof, or that of a domain above or
    /// below it (relaxed alignment, RFC 7489 §3.1).
    pub(crate) fn sender(self, tx: &Transaction, domain: &Domain) -> bool {
        match self {
            Self::Auth | Self::RelayClients => false,
            Self::Access => tx.notes.get::<AllowedSender>().is_some(),
            Self::Spf => tx.notes.get::<SpfFound>().is_some_and(|found| {
                found.result == Spf::Pass
                    && found.domain.as_ref().is_some_and(|d| aligned(d, domain))
            }),
            Self::Dkim => tx.notes.get::<DkimFound>().is_some_and(|found| {
                let mut passing = found.0.iter().filter(|s| s.result == Verified::Pass);
                passing.any(|signature| aligned(&signature.domain, domain))
            }),
            Self::Dmarc => tx.notes.get::<DmarcFound>().is_some_and(|found| {
                found.result == Verified::Pass && found.domain.as_ref() == Some(domain)
            }),
        }
    }
}

/// The first word that exempts the client.
pub(crate) fn client(exempt: &[Exempt], session: &Session) -> Option<Exempt> {
    exempt.iter().copied().find(|word| word.client(session))
}

/// The first word that exempts the sender of a transaction.
pub(crate) fn sender(exempt: &[Exempt], tx: &Transaction) -> Option<Exempt> {
    let (allowed, domain) = (tx.notes.get::<AllowedSender>(), tx.reverse_path.domain());
    exempt.iter().copied().find(|word| match word {
        Exempt::Access => allowed.is_some(),
        word => domain.is_some_and(|domain| word.sender(tx, domain)),
    })
}

/// Whether one is the other, or its subdomain. Neither is a public suffix where a proof passes for
/// it, so a list of those is not asked.
fn aligned(proven: &Domain, claimed: &Domain) -> bool {
    proven == claimed || claimed.is_below(proven.as_str()) || proven.is_below(claimed.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{session, transaction};

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    #[test]
    fn a_proof_exempts_its_own_domain_and_its_neighbours_in_line() {
        let mut tx = transaction("<a@x.example>", &["<b@isp.example>"], "");
        assert!(
            !Exempt::Spf.sender(&tx, &domain("x.example")),
            "not measured"
        );
        tx.notes.put(SpfFound {
            result: Spf::Pass,
            domain: Some(domain("mail.x.example")),
            of_helo: false,
        });
        for (claimed, want) in [
            ("mail.x.example", true),
            ("x.example", true),
            ("a.mail.x.example", true),
            ("other.x.example", false),
            ("notx.example", false),
        ] {
            assert_eq!(Exempt::Spf.sender(&tx, &domain(claimed)), want, "{claimed}");
        }
        assert!(!Exempt::Dkim.sender(&tx, &domain("x.example")));
    }

    #[test]
    fn clients_are_known_by_what_was_noted() {
        let mut session = session("198.51.100.7");
        let words = [Exempt::Auth, Exempt::RelayClients];
        assert_eq!(client(&words, &session), None);
        session.notes.put(RelayClient);
        assert_eq!(client(&words, &session), Some(Exempt::RelayClients));
        session.auth = Some("ann".to_owned());
        assert_eq!(client(&words, &session).map(Exempt::word), Some("auth"));
    }
}
