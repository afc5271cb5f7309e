//! More mail than the relay takes in hand at a time: it waits in the ledger and all of it arrives.

use posthouse_tests::sink::{Act, Script, Sink};

use crate::relay_site::{Site, mail};

/// Some 20 MB in messages of 100 KB: beyond the hand-over (4 MiB) and beyond what is claimed at a
/// time (16 MiB).
const MESSAGES: usize = 220;

#[test]
fn a_backlog_beyond_all_bounds_of_memory_is_delivered_once() {
    let closed = Act::Say(b"421 4.3.2 Not now\r\n".to_vec());
    let sink = Sink::start(Script::friendly().act_times("CONNECT", closed, 1));
    let site = Site::to(sink.addr(), "rest = \"4s\"");
    let body = b"0123456789abcdef\r\n".repeat(5_600);
    let ids: Vec<_> = (0..MESSAGES)
        .map(|n| {
            let message = [format!("Subject: {n}\r\n\r\n").as_bytes(), &body].concat();
            site.submit(&mail(&["bob@b.example"], &message))
        })
        .collect();
    let took = sink.wait_for(MESSAGES);
    for id in ids {
        site.events(id, "deliver", 1);
    }
    let subject = |message: &[u8]| {
        let at = memchr::memmem::find(message, b"Subject: ").expect("a subject");
        message[at..at + 12].to_vec()
    };
    let mut subjects: Vec<_> = took.iter().map(|took| subject(&took.message)).collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), MESSAGES);
    assert_eq!(sink.deliveries().len(), MESSAGES);
}
