//! The vectors of RFC 6376 and RFC 8463, and what must not pass. Peers that sign: tests/e2e.

use posthouse_hook::proofs::AuthResults;
use posthouse_hook::{Chain, Content, Timestamp};

use super::*;
use crate::scan::testing::Trickle;
use crate::testing::{Parts, Zone, session, step, transaction};

/// RFC 8463 Appendix A: signed twice, with Ed25519 and with RSA.
const RFC8463: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
";
const ED25519: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const RSA: &str = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

fn zone() -> Zone {
    Zone::default()
        .txt("brisbane._domainkey.football.example.com", ED25519)
        .txt("test._domainkey.football.example.com", RSA)
}

/// What one message comes to: the notes' results, and the clauses.
async fn ask(zone: Zone, options: &str, message: &str) -> (Vec<Verified>, Vec<String>) {
    found(
        zone,
        options,
        transaction("<a@x.example>", &["<b@isp.example>"], message),
    )
    .await
}

async fn found(zone: Zone, options: &str, mut tx: Transaction) -> (Vec<Verified>, Vec<String>) {
    let plugin = Parts::new(zone).build("dkim", options).expect("valid");
    let chain = Chain::new("c", vec![step("dkim", plugin)]);
    let verdict = chain.data(&mut session("198.51.100.7"), &mut tx).await;
    assert_eq!(verdict, Verdict::Accept);
    let DkimFound(found) = tx.notes.get().expect("a note");
    let AuthResults(clauses) = tx.notes.get().cloned().expect("clauses");
    (found.iter().map(|one| one.result).collect(), clauses)
}

#[tokio::test]
async fn the_vectors_of_rfc_8463_pass() {
    let (results, clauses) = ask(zone(), "", RFC8463).await;
    assert_eq!(results, [Verified::Pass, Verified::Pass], "{clauses:?}");
    assert_eq!(
        clauses,
        [
            "dkim=pass header.d=football.example.com header.s=brisbane header.a=ed25519-sha256 header.b=\"/gCrinpc\"",
            "dkim=pass header.d=football.example.com header.s=test header.a=rsa-sha256 header.b=F45dVWDf"
        ]
    );
}

#[tokio::test]
async fn what_was_changed_does_not_pass() {
    use Verified::{Fail, Pass, Policy};
    for (from, to, want) in [
        ("hungry", "angry", Fail),
        ("Is dinner ready?", "Is dinner cold?", Fail),
        ("joe@football", "jim@football", Fail),
        ("\nTo:", "\nSubject: more\nTo:", Fail),
        ("From: Joe", "From: Eve <e@evil.example>\nFrom: Joe", Fail),
        (
            "From: Joe",
            "From: A <a@a.example>\nFrom: Eve <e@evil.example>\nFrom: Joe",
            Policy,
        ),
        ("brisbane", "nowhere", Verified::PermError),
        ("t=1528637909;", "t=1528637908;", Fail),
        ("Subject: Is", "Subject:   Is", Pass),
        ("Joe.\n", "Joe. \n\n\n", Pass),
        ("From: Joe", "X-More: y\nFrom: Joe", Pass),
    ] {
        let (results, clauses) = ask(zone(), "", &RFC8463.replacen(from, to, 1)).await;
        assert_eq!(results[0], want, "{from} -> {to}: {clauses:?}");
    }
}

#[tokio::test]
async fn what_proves_nothing_does_not_pass() {
    use Verified::{Fail, PermError, Policy};
    for (from, to, want, why) in [
        (
            "t=1528637909;",
            "t=1528637909; x=1528637910;",
            Fail,
            "expired",
        ),
        (
            "t=1528637909;",
            "t=1528637909; x=1528637909;",
            PermError,
            "not after",
        ),
        ("t=1528637909;", "t=1528637909; l=10;", Policy, "l="),
        ("a=ed25519-sha256", "a=rsa-sha1", Fail, "RFC 8301"),
        (
            "a=ed25519-sha256",
            "a=rsa-sha256",
            PermError,
            "another kind",
        ),
        (
            "i=@football.example.com",
            "i=@example.com",
            PermError,
            "i= is not",
        ),
        ("s=brisbane", "s=down", Verified::TempError, "DNS"),
    ] {
        let zone = zone().failing("down._domainkey.football.example.com");
        let (results, clauses) = ask(zone, "", &RFC8463.replacen(from, to, 1)).await;
        assert_eq!(results[0], want, "{to}: {clauses:?}");
        assert!(clauses[0].contains(why), "{to}: {clauses:?}");
    }
    let unsigned =
        RFC8463
            .replacen("h=from :", "h=sender :", 1)
            .replacen("message-id : from", "sender", 1);
    let (results, clauses) = ask(zone(), "", &unsigned).await;
    assert_eq!(results[0], Fail, "{clauses:?}");
    assert!(clauses[0].contains("From is not signed"), "{clauses:?}");
    for (from, to) in [
        ("v=1; a=ed", "v=2; a=ed"),
        ("v=1; a=ed", "v=1; v=1; a=ed"),
        ("a=ed25519-sha256", "a=magic"),
        ("d=football.example.com", "d=\"; spf=pass"),
        ("bh=2jUS", "bh=*"),
        ("c=relaxed/relaxed", "c=odd"),
        ("q=dns/txt", "q=finger"),
        ("t=1528637909", "t=+1"),
    ] {
        let (results, clauses) = ask(zone(), "", &RFC8463.replacen(from, to, 1)).await;
        assert_eq!(results, [Verified::Pass], "only the other signature: {to}");
        assert!(
            clauses[0].starts_with("dkim=permerror reason="),
            "{clauses:?}"
        );
    }
}

#[tokio::test]
async fn without_a_signature_there_is_none() {
    let (results, clauses) = ask(zone(), "", "From: a@x.example\n\nhi\n").await;
    assert_eq!((results.len(), clauses), (0, vec!["dkim=none".to_owned()]));
}

#[tokio::test]
async fn too_much_is_not_looked_at() {
    let small = format!("max_size = {}", RFC8463.len() / 2);
    let (results, clauses) = ask(zone(), &small, RFC8463).await;
    assert_eq!(results, [Verified::Policy; 2], "{clauses:?}");
    let (field, rest) = RFC8463.split_at(RFC8463.find("DKIM-Signature: v=1; a=rsa").expect("two"));
    let (results, _) = ask(zone(), "", &(field.repeat(500) + rest)).await;
    assert_eq!(results, [Verified::Pass; MAX_SIGNATURES]);
}

#[tokio::test]
async fn a_message_in_a_file_is_verified_as_one_in_memory() {
    let bytes = RFC8463.replace('\n', "\r\n").into_bytes();
    for cut in (0..bytes.len()).step_by(97) {
        let mut tx = transaction("<a@x.example>", &["<b@isp.example>"], RFC8463);
        let (a, b) = bytes.split_at(cut);
        tx.message.content = Trickle::content(&[a, b]);
        assert!(matches!(tx.message.content, Content::Spooled(_)));
        let (results, clauses) = found(zone(), "", tx).await;
        assert_eq!(results, [Verified::Pass; 2], "cut at {cut}: {clauses:?}");
    }
}

#[tokio::test]
async fn time_is_that_of_the_clock() {
    struct Then;
    impl posthouse_hook::Clock for Then {
        fn now(&self) -> Timestamp {
            Timestamp(1_528_637_950_000)
        }
    }
    let valid = RFC8463.replacen("t=1528637909;", "t=1528637909; x=1528637960;", 1);
    let mut parts = Parts::new(zone());
    parts.common.clock = Arc::new(Then);
    let plugin = parts.build("dkim", "").expect("valid");
    let mut tx = transaction("<a@x.example>", &["<b@isp.example>"], &valid);
    let chain = Chain::new("c", vec![step("dkim", plugin)]);
    chain.data(&mut session("198.51.100.7"), &mut tx).await;
    let AuthResults(clauses) = tx.notes.get().expect("clauses");
    assert!(!clauses[0].contains("expired"), "{clauses:?}");
}

proptest::proptest! {
    /// A field of any octets is survived, and is no pass.
    #[test]
    fn any_field_has_a_result(
        tags in "( ?(v|a|b|bh|c|d|h|i|l|q|s|t|x)=(1|rsa-sha256|ed25519-sha256|AAAA|relaxed|x\\.example|from:to|[0-9]{1,25}|é|)[;=]?\r\n ?){0,15}"
    ) {
        let message = format!("DKIM-Signature: {}\nFrom: a@x.example\n\nhi\n", tags.replace('\r', ""));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (results, _) = runtime.expect("a runtime").block_on(ask(zone(), "", &message));
        proptest::prop_assert!(!results.contains(&Verified::Pass));
    }
}
