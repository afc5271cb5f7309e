//! Whether a failure may be told to the sender: only to whoever is known to have sent the message.
//! A DSN to a forged sender is backscatter (RFC 5321 §6.2).

use posthouse_hook::facts::Judgement;
use posthouse_hook::proofs::{DkimFound, RelayClient, SpfFound, Verified};
use posthouse_hook::{Column, Domain, ReversePath, Session, Spf, Transaction};

/// No DSN to a null reverse-path, for spam that nobody vouches for, after an SPF fail, or to a
/// stranger whose domain has not proved that it sent the message.
pub(super) fn dsn_allowed(
    session: &Session,
    tx: &Transaction,
    judgement: Option<&Judgement>,
) -> bool {
    let forbidden =
        |j: &Judgement| j.spf == Spf::Fail || (j.spam && j.column == Column::NotVouched);
    let vouched = |j: &Judgement| j.spf == Spf::Pass || j.column != Column::NotVouched;
    tx.reverse_path != ReversePath::Null
        && !judgement.is_some_and(forbidden)
        && (is_customer(session) || judgement.is_some_and(vouched) || is_proven(tx))
}

/// Our own customers answer for what they send us.
fn is_customer(session: &Session) -> bool {
    session.auth.is_some() || session.notes.get::<RelayClient>().is_some()
}

fn is_proven(tx: &Transaction) -> bool {
    let domain = tx.reverse_path.domain();
    domain.is_some_and(|domain| by_spf(tx, domain) || by_dkim(tx, domain))
}

fn by_spf(tx: &Transaction, domain: &Domain) -> bool {
    let found = tx.notes.get::<SpfFound>();
    found.is_some_and(|found| {
        found.result == Spf::Pass && !found.of_helo && found.domain.as_ref() == Some(domain)
    })
}

/// A signature of the sender's domain, or of one that it is below.
fn by_dkim(tx: &Transaction, domain: &Domain) -> bool {
    let found = tx.notes.get::<DkimFound>();
    found.is_some_and(|DkimFound(signatures)| {
        let mut passing = signatures.iter().filter(|s| s.result == Verified::Pass);
        passing.any(|s| s.domain == *domain || domain.is_below(s.domain.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use posthouse_hook::facts::Scans;
    use posthouse_hook::proofs::DkimSignature;
    use posthouse_hook::{Id, Origin, Row, Timestamp, Vouched};

    use super::*;

    fn session() -> Session {
        let client = "198.51.100.9:1".parse().expect("an address");
        Session::new(Id(1), client, client, Timestamp(0))
    }

    fn from(sender: &str) -> Transaction {
        let sender = ReversePath::from_address(sender).expect("an address");
        Transaction::new(Id(2), Timestamp(0), sender)
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    fn judged(spf: Spf, spam: bool, column: Column) -> Judgement {
        Judgement {
            sender: ReversePath::Null,
            origin: Origin::Unknown,
            spf,
            ours: false,
            column,
            rows: vec![Row::Other],
            scans: Scans::default(),
            identity: None,
            spam,
        }
    }

    #[test]
    fn what_the_quarantine_found_decides_about_customers_and_strangers() {
        let mut customer = session();
        customer.notes.put(RelayClient);
        let vouched = Column::Vouched(Vouched::OursNetwork);
        for (spf, spam, column, to_customer, to_stranger) in [
            (Spf::Pass, false, Column::NotVouched, true, true),
            (Spf::None, true, vouched, true, true),
            (Spf::None, true, Column::NotVouched, false, false),
            (Spf::None, false, Column::NotVouched, true, false),
            (Spf::Fail, false, vouched, false, false),
        ] {
            let judgement = judged(spf, spam, column);
            let told =
                |session: &Session| dsn_allowed(session, &from("ann@x.example"), Some(&judgement));
            assert_eq!(told(&customer), to_customer, "{judgement:?}");
            assert_eq!(told(&session()), to_stranger, "{judgement:?}");
        }
        let null = Transaction::new(Id(2), Timestamp(0), ReversePath::Null);
        assert!(!dsn_allowed(&customer, &null, None));
        assert!(dsn_allowed(&customer, &from("ann@x.example"), None));
        let mut user = session();
        user.auth = Some("ann".to_owned());
        assert!(dsn_allowed(&user, &from("ann@x.example"), None));
    }

    fn spf(result: Spf, of: &str, of_helo: bool) -> SpfFound {
        SpfFound {
            result,
            domain: Some(domain(of)),
            of_helo,
        }
    }

    #[test]
    fn a_stranger_is_told_if_spf_passes_for_the_sender() {
        let told = |note: SpfFound| {
            let mut tx = from("ann@x.example");
            tx.notes.put(note);
            dsn_allowed(&session(), &tx, None)
        };
        assert!(!dsn_allowed(&session(), &from("ann@x.example"), None));
        assert!(told(spf(Spf::Pass, "x.example", false)));
        assert!(!told(spf(Spf::Pass, "x.example", true)), "that of HELO");
        assert!(!told(spf(Spf::Pass, "y.example", false)));
        for result in [Spf::Fail, Spf::SoftFail, Spf::Neutral, Spf::None] {
            assert!(!told(spf(result, "x.example", false)), "{result:?}");
        }
    }

    #[test]
    fn a_stranger_is_told_if_the_sender_s_domain_signed() {
        let told = |sender: &str, result, signer: &str| {
            let mut tx = from(sender);
            let signature = DkimSignature {
                result,
                domain: domain(signer),
                selector: "s".to_owned(),
            };
            tx.notes.put(DkimFound(vec![signature]));
            dsn_allowed(&session(), &tx, None)
        };
        assert!(told("ann@x.example", Verified::Pass, "x.example"));
        assert!(told("ann@mail.x.example", Verified::Pass, "x.example"));
        assert!(!told("ann@x.example", Verified::Pass, "mail.x.example"));
        assert!(!told("ann@x.example", Verified::Fail, "x.example"));
        assert!(!told("ann@x.example", Verified::Pass, "y.example"));
        assert!(!told("ann@[192.0.2.1]", Verified::Pass, "x.example"));
    }
}
