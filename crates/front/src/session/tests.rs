//! Sessions over a pipe: bounds on memory and time, and input that means nothing. What a client
//! says and hears in the normal way stands in the dialogues of the whole listener.

use std::time::Duration;

use posthouse_hook::Content;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::limits::Limits;
use crate::phase::Phase;
use crate::testing::{Dialed, conversation, dial, octets};

const ENVELOPE: &str = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";
const SLOW: &str =
    "EHLO c.example\r\nMAIL FROM:<slow@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";

#[tokio::test]
async fn a_long_message_does_not_stay_in_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(Limits::default(), dir.path());
    dialed.send(ENVELOPE.as_bytes()).await;
    dialed.send(b"DATA\r\n").await;
    dialed.hear("354 ").await;
    let line = [b'x'; 1_022];
    let mut wire = b"Subject: long\r\n\r\n".to_vec();
    for _ in 0..20_480 {
        wire.extend_from_slice(&line);
        wire.extend_from_slice(b"\r\n");
    }
    dialed.send(&wire).await;
    dialed.send(b".\r\n").await;
    dialed.hear("250 2.6").await;
    let kept = dialed.kept.all();
    let content = &kept[0].message.content;
    assert!(matches!(content, Content::Spooled(_)));
    assert!(octets(content) == wire, "20 MiB, every octet the same");
    assert_eq!(kept[0].message.header.raw().len(), 17);
}

#[tokio::test]
async fn both_sides_of_the_memory_limit_hold_the_same_octets() {
    let limits = Limits {
        memory_per_message: 4_096,
        ..Limits::default()
    };
    let dir = tempfile::tempdir().expect("a directory");
    for size in [4_095, 4_096, 4_097, 8_192, 8_193, 30_000] {
        let mut dialed = dial(limits.clone(), dir.path());
        let mut message = b"A: b\r\n\r\n".to_vec();
        message.resize(size - 2, b'.');
        message.extend_from_slice(b"\r\n");
        let mut wire = [ENVELOPE.as_bytes(), b"DATA\r\nA: b\r\n\r\n."].concat();
        wire.extend_from_slice(&message[8..]);
        wire.extend_from_slice(b".\r\n");
        dialed.send(&wire).await;
        dialed.hear("250 2.6").await;
        assert!(dialed.kept.messages() == [message], "{size}");
    }
}

#[tokio::test]
async fn a_spool_that_fails_defers_and_the_session_goes_on() {
    let limits = Limits {
        memory_per_message: 4_096,
        ..Limits::default()
    };
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(limits, &dir.path().join("gone"));
    std::fs::remove_dir(dir.path().join("gone")).expect("empty");
    let body = "x\r\n".repeat(3_000);
    dialed
        .send(format!("{ENVELOPE}DATA\r\nA: b\r\n\r\n{body}.\r\n").as_bytes())
        .await;
    dialed.hear("451 4.3.0").await;
    dialed.send(b"NOOP\r\n").await;
    dialed.hear("250 2.0.0 OK").await;
    assert!(dialed.kept.all().is_empty());
}

#[tokio::test]
async fn a_trail_tells_of_one_transaction() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(Limits::default(), dir.path());
    let (hello, envelope) = ENVELOPE.split_at(ENVELOPE.find("MAIL").expect("there"));
    dialed.send(hello.as_bytes()).await;
    for _ in 0..3 {
        dialed
            .send(format!("{envelope}DATA\r\n.\r\n").as_bytes())
            .await;
        dialed.hear("250 2.6").await;
        dialed.send(format!("{envelope}RSET\r\n").as_bytes()).await;
        dialed.hear("Flushed").await;
    }
    assert_eq!(dialed.kept.trails(), [2, 2, 2], "one at rcpt, one at data");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(Limits::default(), dir.path());
    dialed.hear("421 4.4.2 Timeout").await;
    dialed.server.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn silence_in_a_message_ends_a_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(Limits::default(), dir.path());
    dialed
        .send(format!("{ENVELOPE}DATA\r\nA: b\r\n").as_bytes())
        .await;
    dialed.hear("421 4.4.2 Timeout").await;
    assert!(dialed.kept.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn octets_that_drip_do_not_keep_a_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let dialed = dial(Limits::default(), dir.path());
    let begun = Instant::now();
    drip(dialed).await;
    let minutes = begun.elapsed().as_secs() / 60;
    assert!((5..=6).contains(&minutes), "{minutes}, but one line has 5");
}

#[tokio::test(start_paused = true)]
async fn octets_that_drip_do_not_keep_a_message() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(Limits::default(), dir.path());
    dialed.send(format!("{ENVELOPE}DATA\r\n").as_bytes()).await;
    dialed.hear("354").await;
    let begun = Instant::now();
    drip(dialed).await;
    let minutes = begun.elapsed().as_secs() / 60;
    assert!(
        (120..=121).contains(&minutes),
        "{minutes}, but a message has 120"
    );
}

/// Sends one octet a minute until the session ends.
async fn drip(mut dialed: Dialed) {
    while !dialed.server.is_finished() {
        // The last ones find nobody.
        let _ = dialed.client.write_all(b"x").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_deadline_for_the_end_of_data() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(Limits::default(), dir.path());
    let begun = Instant::now();
    dialed.send(format!("{SLOW}A: b\r\n.\r\n").as_bytes()).await;
    dialed.hear("451 4.3.0").await;
    assert_eq!(begun.elapsed().as_secs(), 120);
    assert!(dialed.kept.all().is_empty());
}

#[tokio::test]
async fn a_stop_lets_the_transaction_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(Limits::default(), dir.path());
    dialed.send(ENVELOPE.as_bytes()).await;
    dialed.hear("Recipient OK").await;
    dialed.phase.send_replace(Phase::Closing);
    dialed
        .send(b"DATA\r\nA: b\r\n\r\nc\r\n.\r\nMAIL FROM:<>\r\n")
        .await;
    dialed.hear("250 2.6").await;
    dialed.hear("421 4.3.2").await;
    assert_eq!(dialed.kept.all().len(), 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(Limits::default(), dir.path());
    dialed
        .send(format!("{ENVELOPE}DATA\r\nA: b\r\n").as_bytes())
        .await;
    dialed.hear("354").await;
    dialed.phase.send_replace(Phase::Over);
    dialed.hear("421 4.3.2").await;
}

#[tokio::test]
async fn a_message_without_end_is_cut_off() {
    let limits = Limits {
        message_size: 65_536,
        ..Limits::default()
    };
    let dir = tempfile::tempdir().expect("a directory");
    let mut dialed = dial(limits, dir.path());
    dialed
        .send(format!("{ENVELOPE}DATA\r\nA: b\r\n\r\n").as_bytes())
        .await;
    dialed.hear("354").await;
    dialed.send(&[b'x'; 150_000]).await;
    dialed.hear("552 5.3.4").await;
    assert_eq!(dialed.rest().await.matches("\r\n").count(), 1);
}

#[tokio::test]
async fn an_idle_session_is_small() {
    let dir = tempfile::tempdir().expect("a directory");
    let (session, _peer) = conversation(Limits::default(), dir.path());
    let session = Box::new(session);
    let state = std::mem::size_of_val(&*session);
    let future = std::mem::size_of_val(&session.run());
    assert!(state + future <= 1_024, "{state} and {future} octets");
}

fn any_session() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "[A-Z:<>@. \r\n]{0,30}".prop_map(String::into_bytes),
        Just(ENVELOPE.as_bytes().to_vec()),
        Just(b"DATA\r\n".to_vec()),
        Just(b"A: b\r\n\r\n..c\r\n.\r\n".to_vec()),
        Just(b"\r\n.\r\n".to_vec()),
    ];
    prop::collection::vec(piece, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a client sends, the session ends without a panic, and all it hears are replies.
    #[test]
    fn nothing_that_is_sent_breaks_a_session(pieces in any_session()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let dir = tempfile::tempdir().expect("a directory");
        let heard = runtime.expect("a runtime").block_on(async {
            let mut dialed = dial(Limits::default(), dir.path());
            for piece in &pieces {
                // It may have been closed already.
                let _ = dialed.client.write_all(piece).await;
            }
            let rest = tokio::time::timeout(Duration::from_secs(20), dialed.rest());
            rest.await.expect("it ends")
        });
        prop_assert!(heard.ends_with("\r\n"));
        for line in heard.lines() {
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            prop_assert!(code.is_some_and(|code| (200..600).contains(&code)), "{line}");
        }
    }
}
