//! Hostile words from strangers are words in letters, on the terminal and in the log: hundreds of
//! them. What they do on pages, `web_hostile` tests.

use std::sync::Arc;

use posthouse_hook::{Domain, ForwardPath, SystemClock, Timestamp};
use posthouse_relay::{LetterWriter, LettersConfig, Listed};
use posthouse_tests::hostile;

use crate::scene::{GTUBE, Scene};

/// The fields of a letter, and no other.
const FIELDS: [&str; 9] = [
    "Date",
    "From",
    "To",
    "Subject",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

#[test]
fn a_letter_shows_them_as_text_and_no_field_of_it_is_theirs() {
    let ours = Domain::parse("out.ours.test").expect("a domain");
    let clock = Arc::new(SystemClock);
    let writer = LetterWriter::new(LettersConfig::default(), ours, None, clock).expect("templates");
    let to = ForwardPath::from_address("bob@filtered.test").expect("an address");
    for text in hostile::strings() {
        let listed = Listed {
            at: Timestamp(0),
            from: &text,
            subject: &text,
            size: 1,
        };
        let letter = writer.preview("https://ours.test", &to, listed);
        let letter = letter.expect("a letter");
        let letter = mail_parser::MessageParser::default()
            .parse(&letter)
            .expect("a message");
        for field in letter.headers() {
            assert!(FIELDS.contains(&field.name()), "{text:?}: {}", field.name());
        }
        let body = letter.body_text(0).expect("a text").replace("\r\n", "\n");
        assert_eq!(hostile::hidden(&body), None, "{text:?}: {body}");
        assert_eq!(
            body.matches("https://").count(),
            2 + text.matches("https://").count() * 2
        );
    }
}

#[test]
fn the_terminal_and_the_log_show_them_as_text() {
    let scene = Scene::open();
    scene.command(&["letters", "stop"]);
    let strings = hostile::strings();
    let mut client = posthouse_tests::smtp::Smtp::hello(scene.server.addr).expect("greets");
    for (n, text) in strings.iter().enumerate() {
        let message = said_by(text);
        let to = format!("bob{n}@filtered.test");
        let heard = client
            .send("x@stranger.test", &[&to], &message)
            .expect("answers");
        assert_eq!(heard.code, 250, "{text:?}: {heard:?}");
    }
    let list = scene.command(&["held", "list", "--limit", "1000"]);
    assert_eq!(
        list.lines().count(),
        strings.len() + 1,
        "a line each below the heading"
    );
    assert_eq!(hostile::hidden(&list), None, "{list}");
    for item in scene
        .items(&["held", "list", "--limit", "1000"])
        .iter()
        .step_by(9)
    {
        let shown = scene.command(&["held", "show", item["id"].as_str().expect("an id")]);
        assert_eq!(hostile::hidden(&shown), None, "{shown}");
    }
    let log = scene.server.proc.log();
    let plain = |line: &&str| line.starts_with("20") && hostile::hidden(line).is_none();
    let odd: Vec<_> = log.lines().filter(|line| !plain(line)).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

/// Spam that has the text in its From, its Subject and the names of its envelope's neighbours.
fn said_by(text: &str) -> Vec<u8> {
    let shown = hostile::encoded(text);
    format!(
        "From: {shown}\r\n <ann@ours.test>\r\nTo: bob@filtered.test\r\nSubject: {shown}\r\n\
         Date: {}\r\n\r\n{GTUBE}\r\n",
        text.replace(['\r', '\n', '\0'], " ")
    )
    .into_bytes()
}
