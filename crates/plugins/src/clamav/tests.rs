use std::sync::Arc;

use posthouse_hook::Chain;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::testing::{Parts, Zone, session, step, transaction};

const MESSAGE: &str = "Subject: hello\n\nhello\n";
const LIMIT: &str = "stream: Heuristics.Encrypted.Zip FOUND\0";

/// A clamd that hears a message to its end and says always the same.
async fn says(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut wire, _)) = listener.accept().await {
            let mut heard = Vec::new();
            while !heard.ends_with(&[0; 4]) {
                wire.read_buf(&mut heard).await.expect("a request");
            }
            wire.write_all(answer.as_bytes()).await.expect("a client");
        }
    });
    addr.to_string()
}

/// What a message comes to, and what is noted.
async fn ask(address: &str, options: &str) -> (Verdict, Transaction) {
    let options = format!("address = \"{address}\"\n{options}");
    let plugin = Parts::new(Zone::default()).build("clamav", &options);
    let chain = Chain::new("in", vec![step("clamav", plugin.expect("built"))]);
    let mut session = session("198.51.100.7");
    let mut tx = transaction("<a@x.example>", &["<b@isp.example>"], MESSAGE);
    let verdict = chain.data(&mut session, &mut tx).await;
    (verdict, tx)
}

/// The same, in a few words: the reply, or what becomes of the copy.
async fn told(address: &str, options: &str) -> String {
    let (verdict, tx) = ask(address, options).await;
    match (verdict, tx.recipients[0].disposition) {
        (Verdict::Refuse(refusal), _) => refusal.to_string(),
        (_, Disposition::Relay) => "relay".to_owned(),
        (_, Disposition::Hold(why)) => format!("{why:?}"),
        (_, Disposition::Discard) => "discard".to_owned(),
    }
}

#[tokio::test]
async fn each_answer_comes_to_what_the_options_say() {
    let (clean, virus) = (
        says("stream: OK\0").await,
        says("stream: V-1 FOUND\0").await,
    );
    let limit = says(LIMIT).await;
    let big = says("INSTREAM size limit exceeded. ERROR\0").await;
    let dead = says("stream: Can't allocate memory ERROR\0").await;
    let too_big = "552 5.3.4 Message is too big to be scanned for viruses";
    let later = "451 4.3.0 Message cannot be scanned now, try again later";
    for (clamd, options, want) in [
        (&clean, "", "relay"),
        (&clean, "max_size = 49", "relay"),
        (&clean, "max_size = 48", too_big),
        (&clean, "max_size = 48\non_limit = \"hold\"", "Policy"),
        (&clean, "max_size = 48\non_limit = \"defer\"", later),
        (&virus, "", "550 5.7.1 Virus found: V-1"),
        (&virus, "action = \"hold\"", "Policy"),
        (&virus, "action = \"note\"", "relay"),
        (
            &limit,
            "",
            "550 5.7.1 Message cannot be scanned for viruses: Heuristics.Encrypted.Zip",
        ),
        (&limit, "on_limit = \"hold\"", "Policy"),
        (&limit, "on_limit = \"defer\"", later),
        (&big, "action = \"note\"", too_big),
        (&dead, "", later),
        (&dead, "on_dead = \"pass\"", "relay"),
    ] {
        assert_eq!(told(clamd, options).await, want, "{options}");
    }
}

#[tokio::test]
async fn what_was_found_is_noted_whatever_is_done() {
    let virus = says("stream: V-1 FOUND\0").await;
    let (_, tx) = ask(&virus, "action = \"note\"").await;
    assert_eq!(tx.notes.get(), Some(&VirusScan::Virus("V-1".to_owned())));
    assert!(tx.notes.get::<RelayedUnscanned>().is_none());
    let dead = says("nonsense\0").await;
    let (_, tx) = ask(&dead, "on_dead = \"pass\"").await;
    assert!(matches!(tx.notes.get(), Some(VirusScan::NotScanned(_))));
    assert!(tx.notes.get::<RelayedUnscanned>().is_some(), "counted");
}

#[tokio::test]
async fn what_was_held_or_dropped_before_stays_so() {
    let virus = says("stream: V-1 FOUND\0").await;
    let options = format!("address = \"{virus}\"\naction = \"hold\"");
    let plugin = Parts::new(Zone::default()).build("clamav", &options);
    let mut tx = transaction("<a@x.example>", &["<b@isp.example>"], MESSAGE);
    tx.recipients[0].disposition = Disposition::Discard;
    let plugin: Arc<dyn Plugin> = plugin.expect("built");
    let said = plugin.data(&mut session("198.51.100.7"), &mut tx).await;
    assert_eq!(said.expect("an answer"), Verdict::Pass);
    assert_eq!(tx.recipients[0].disposition, Disposition::Discard);
}
