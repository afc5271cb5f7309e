//! Tests of the plugin `access`.

use posthouse_hook::Chain;

use super::*;
use crate::testing::{Parts, Zone, session, step, transaction};

/// What a client hears at each point until it is refused, and the notes that were left.
async fn walk(options: &str, zone: Zone, client: &str, from: &str, to: &str) -> (String, String) {
    let plugin = Parts::new(zone).build("access", options).expect("valid");
    let chain = Chain::new("c", vec![step("access", plugin)]);
    let mut session = session(client);
    let mut tx = transaction(from, &[to], "\n\n");
    let recipient = tx.recipients.remove(0);
    let heard = |point: &str, refusal: Refusal| (format!("{point} {refusal}"), String::new());
    if let Err(refusal) = chain.connect(&mut session).await {
        return heard("connect", refusal);
    }
    if let Err(refusal) = chain.helo(&mut session).await {
        return heard("helo", refusal);
    }
    if let Err(refusal) = chain.mail(&mut session, &mut tx).await {
        return heard("mail", refusal);
    }
    let rcpt = chain.rcpt(&mut session, &mut tx, &recipient).await;
    let notes = [
        session.notes.get::<AllowedClient>().map(|n| n.0.clone()),
        tx.notes.get::<AllowedSender>().map(|n| n.0.clone()),
        tx.notes.get::<AllowedRecipient>().map(|n| n.0.to_string()),
    ];
    let notes: Vec<_> = notes.into_iter().flatten().collect();
    let rcpt = rcpt.err().map(|r| r.to_string()).unwrap_or_default();
    (format!("rcpt {rcpt}"), notes.join(" "))
}

const LISTS: &str = r#"
deny = ["192.0.2.0/24", "client:.dial.example 554 5.7.1 No dial-up", "helo:client.example 450 4.7.1 Who are you?",
  "spam@x.example", "to:closed@isp.example 550 5.1.1 Closed"]
allow = ["192.0.2.7", "client:mail.dial.example", "good@spam.example", "to:postmaster@isp.example"]
reply = "550 5.7.1 Not here"
"#;

#[tokio::test]
async fn each_point_has_its_lines_and_replies() {
    let zone = || {
        Zone::default()
            .pointer("198.51.100.1", "a.dial.example")
            .address("a.dial.example", "198.51.100.1")
            .pointer("198.51.100.2", "forged.dial.example")
    };
    let no_helo = &LISTS.replace("helo:client.example 450", "helo:other.example 450");
    for (lists, client, from, to, want) in [
        (
            LISTS,
            "192.0.2.1",
            "<a@b.example>",
            "<c@isp.example>",
            "connect 550 5.7.1 Not here",
        ),
        (
            LISTS,
            "198.51.100.1",
            "<a@b.example>",
            "<c@isp.example>",
            "connect 554 5.7.1 No dial-up",
        ),
        (
            LISTS,
            "198.51.100.2",
            "<a@b.example>",
            "<c@isp.example>",
            "helo 450 4.7.1 Who are you?",
        ),
        (
            no_helo,
            "198.51.100.2",
            "<spam@x.example>",
            "<c@isp.example>",
            "mail 550 5.7.1 Not here",
        ),
        (
            no_helo,
            "198.51.100.2",
            "<a@b.example>",
            "<closed@isp.example>",
            "rcpt 550 5.1.1 Closed",
        ),
        (
            no_helo,
            "198.51.100.2",
            "<>",
            "<c@isp.example>",
            "rcpt 550 5.7.1 Relaying denied",
        ),
    ] {
        let (heard, _) = walk(lists, zone(), client, from, to).await;
        assert_eq!(heard, want, "{client} {from} {to}");
    }
}

#[tokio::test]
async fn allow_beats_deny_and_lets_nobody_relay() {
    let heard = walk(
        LISTS,
        Zone::default(),
        "192.0.2.7",
        "<spam@x.example>",
        "<closed@isp.example>",
    )
    .await;
    assert_eq!(
        heard,
        ("rcpt 550 5.7.1 Relaying denied".into(), "192.0.2.7".into())
    );
    let no_helo = LISTS.replace("helo:client.example", "helo:other.example");
    let to = "<Postmaster@isp.example>";
    let (_, notes) = walk(
        &no_helo,
        Zone::default(),
        "10.0.0.1",
        "<good@spam.example>",
        to,
    )
    .await;
    assert_eq!(notes, "good@spam.example <Postmaster@isp.example>");
}

/// A sender is only a claim: being allowed as one opens no other point.
#[tokio::test]
async fn an_allowed_sender_does_not_open_a_closed_recipient() {
    let no_helo = LISTS.replace("helo:client.example", "helo:other.example");
    let from = "<good@spam.example>";
    let (heard, _) = walk(
        &no_helo,
        Zone::default(),
        "10.0.0.1",
        from,
        "<closed@isp.example>",
    )
    .await;
    assert_eq!(heard, "rcpt 550 5.1.1 Closed");
}

#[tokio::test]
async fn a_confirmed_name_is_allowed_where_its_domain_is_denied() {
    let zone = Zone::default()
        .pointer("198.51.100.3", "mail.dial.example")
        .address("mail.dial.example", "198.51.100.3");
    let (heard, notes) = walk(
        LISTS,
        zone,
        "198.51.100.3",
        "<a@b.example>",
        "<c@isp.example>",
    )
    .await;
    assert_eq!(heard, "rcpt 550 5.7.1 Relaying denied");
    assert_eq!(notes, "client:mail.dial.example");
}

/// A name that somebody else has looked up is not looked up again.
#[tokio::test]
async fn the_note_of_reverse_dns_is_enough() {
    let options = "deny = \"client:noted.example\"";
    let plugin = Parts::new(Zone::default())
        .build("access", options)
        .expect("valid");
    let chain = Chain::new("c", vec![step("access", plugin)]);
    let mut session = session("198.51.100.1");
    let name = Domain::parse("noted.example").expect("a domain");
    session.notes.put(ReverseName::Confirmed(name));
    assert!(chain.connect(&mut session).await.is_err());
}

#[test]
fn bad_options_name_themselves() {
    for (options, want) in [
        ("deny = \"x.example\"", "deny = `x.example`"),
        ("allow = [\"192.0.2.1 550 5.7.1 no\"]", "hears no reply"),
        ("reply = \"250 2.0.0 yes\"", "reply = `250 2.0.0 yes`"),
        ("reply = \"no\"", "starts with a code"),
        ("denny = []", "denny"),
    ] {
        let error = Parts::new(Zone::default()).build("access", options).err();
        let error = error.expect(options).to_string();
        assert!(error.contains(want), "{options}: {error}");
    }
}
