//! DMARC over notes, as a chain asks it.

use posthouse_hook::proofs::{AuthResults, DkimFound, DkimSignature, RelayClient, SpfFound};
use posthouse_hook::{Chain, Id, Spf};

use super::evaluate::draw;
use super::*;
use crate::testing::{Parts, Zone, session, step, transaction};

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn zone() -> Zone {
    Zone::default()
        .txt(
            "_dmarc.reject.example",
            "v=DMARC1; p=reject; sp=quarantine; np=reject",
        )
        .txt("_dmarc.hold.example", "v=DMARC1; p=quarantine")
        .txt(
            "_dmarc.strict.example",
            "v=DMARC1; p=reject; adkim=s; aspf=s",
        )
        .txt("_dmarc.watch.example", "v=DMARC1; p=none")
        .address("real.reject.example", "192.0.2.1")
        .failing("_dmarc.down.example")
}

/// What was measured above, in words: `spf pass x.example`, `dkim fail x.example`, `arc pass x.example`.
fn noted(tx: &mut Transaction, notes: &[&str]) {
    for note in notes {
        let words: Vec<&str> = note.split(' ').collect();
        let [method, result, name] = words[..] else {
            panic!("{note}");
        };
        let verified = match result {
            "pass" => Verified::Pass,
            "temperror" => Verified::TempError,
            _ => Verified::Fail,
        };
        match method {
            "spf" => tx.notes.put(SpfFound {
                result: match verified {
                    Verified::Pass => Spf::Pass,
                    Verified::TempError => Spf::TempError,
                    _ => Spf::Fail,
                },
                domain: Some(domain(name)),
                of_helo: false,
            }),
            "arc" => tx.notes.put(ArcFound {
                result: verified,
                sealer: Some(domain(name)),
            }),
            _ => {
                let mut found = tx.notes.get::<DkimFound>().cloned().unwrap_or_default();
                found.0.push(DkimSignature {
                    result: verified,
                    domain: domain(name),
                    selector: "s".to_owned(),
                });
                tx.notes.put(found);
            }
        }
    }
}

/// The reply or the disposition, and the clause.
async fn ask(options: &str, from: &str, notes: &[&str]) -> (String, String) {
    let message = format!("From: {from}\n\nhi\n");
    let mut tx = transaction("<a@x.example>", &["<b@isp.example>"], &message);
    noted(&mut tx, notes);
    let plugin = Parts::new(zone()).build("dmarc", options).expect("valid");
    let chain = Chain::new("c", vec![step("dmarc", plugin)]);
    let heard = match chain.data(&mut session("198.51.100.7"), &mut tx).await {
        Verdict::Refuse(refusal) => refusal.to_string(),
        _ => format!("{:?}", tx.recipients[0].disposition),
    };
    let AuthResults(clauses) = tx.notes.get().cloned().unwrap_or_default();
    assert!(clauses.len() <= 1);
    (heard, clauses.first().cloned().unwrap_or_default())
}

#[tokio::test]
async fn what_is_proven_passes() {
    for (from, notes, want) in [
        (
            "a@reject.example",
            &["spf pass reject.example"][..],
            "dmarc=pass",
        ),
        (
            "a@reject.example",
            &["dkim pass reject.example"],
            "dmarc=pass",
        ),
        (
            "a@reject.example",
            &["spf pass mail.reject.example"],
            "dmarc=pass",
        ),
        (
            "a@sub.reject.example",
            &["dkim pass other.reject.example"],
            "dmarc=pass",
        ),
        (
            "a@reject.example",
            &["dkim fail reject.example", "dkim pass reject.example"],
            "dmarc=pass",
        ),
        (
            "a@reject.example",
            &["spf temperror reject.example", "dkim pass reject.example"],
            "dmarc=pass",
        ),
        ("a@reject.example", &[], "dmarc=fail"),
        (
            "a@reject.example",
            &["spf fail reject.example"],
            "dmarc=fail",
        ),
        (
            "a@reject.example",
            &["spf pass evil.example", "dkim pass evil.example"],
            "dmarc=fail",
        ),
        (
            "a@reject.example",
            &["dkim pass notreject.example"],
            "dmarc=fail",
        ),
        ("a@reject.example", &["dkim pass example"], "dmarc=fail"),
        (
            "a@reject.example",
            &["spf temperror reject.example"],
            "dmarc=temperror",
        ),
        (
            "a@reject.example",
            &["spf temperror evil.example"],
            "dmarc=fail",
        ),
        (
            "a@strict.example",
            &["spf pass mail.strict.example"],
            "dmarc=fail",
        ),
        (
            "a@strict.example",
            &["spf pass strict.example"],
            "dmarc=pass",
        ),
        (
            "a@down.example",
            &["spf pass down.example"],
            "dmarc=temperror",
        ),
        (
            "a@nobody.example",
            &["spf pass nobody.example"],
            "dmarc=none header.from=nobody.example",
        ),
        (
            "a@reject.example, e@evil.example",
            &["spf pass evil.example"],
            "dmarc=permerror",
        ),
    ] {
        let (heard, clause) = ask("", from, notes).await;
        assert!(clause.starts_with(want), "{from} {notes:?}: {clause}");
        assert_eq!(heard, "Relay", "nothing is enforced");
    }
}

#[tokio::test]
async fn policies_are_enforced_if_the_operator_says_so() {
    let enforce = "enforce = true\ntrusted_sealers = [\"list.example\"]";
    let refused = "550 5.7.26";
    for (from, notes, want) in [
        ("a@reject.example", &[][..], refused),
        ("a@reject.example", &["spf pass reject.example"], "Relay"),
        ("a@real.reject.example", &[], "Hold(Policy)"),
        ("a@absent.reject.example", &[], refused),
        ("a@hold.example", &[], "Hold(Policy)"),
        ("a@watch.example", &[], "Relay"),
        ("a@nobody.example", &[], "Relay"),
        ("a@down.example", &[], "Relay"),
        ("a@reject.example", &["arc pass list.example"], "Relay"),
        ("a@hold.example", &["arc pass list.example"], "Relay"),
        ("a@reject.example", &["arc fail list.example"], refused),
        ("a@reject.example", &["arc pass evil.example"], refused),
    ] {
        let (heard, clause) = ask(enforce, from, notes).await;
        assert!(
            heard.starts_with(want),
            "{from} {notes:?}: {heard}, {clause}"
        );
    }
    let (heard, _) = ask("on_temperror = \"defer\"", "a@down.example", &[]).await;
    assert!(heard.starts_with("451 4.7.26"), "{heard}");
}

#[tokio::test]
async fn the_clause_says_what_is_asked_for() {
    let (_, clause) = ask("", "a@absent.reject.example", &[]).await;
    assert_eq!(
        clause,
        "dmarc=fail reason=\"nothing proves absent.reject.example\" policy.dmarc=reject header.from=absent.reject.example"
    );
}

#[tokio::test]
async fn who_may_relay_is_not_judged() {
    let plugin = Parts::new(zone())
        .build("dmarc", "enforce = true")
        .expect("valid");
    let chain = Chain::new("c", vec![step("dmarc", plugin)]);
    let mut customer = session("198.51.100.9");
    customer.notes.put(RelayClient);
    for mut session in [customer, session("192.0.2.10")] {
        let message = "From: a@reject.example\n\n";
        let mut tx = transaction("<a@x.example>", &["<b@isp.example>"], message);
        assert_eq!(chain.data(&mut session, &mut tx).await, Verdict::Accept);
        assert!(tx.notes.get::<DmarcFound>().is_none());
    }
    let error = Parts::new(zone())
        .build("dmarc", "exempt = [\"spf\"]")
        .err();
    assert!(error.expect("refused").to_string().contains("spf"));
}

#[test]
fn draws_are_even() {
    let low = (0..10_000).filter(|id| draw(Id(*id)) < 30).count();
    assert!((2_700..3_300).contains(&low), "{low} of 10000 below 30");
    assert!((0..10_000).all(|id| draw(Id(id)) < 100));
}
