//! The ancestor's retry queue never drained: what a next hop had put off once was listed for ever.

use posthouse_store::{Filter, State};
use posthouse_tests::ports;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::wait;

use crate::relay_site::{Site, mail};

const MESSAGES: usize = 50;

#[test]
fn the_retry_queue_drains() {
    let down = ([127, 0, 0, 1], ports::free()).into();
    let site = Site::to(down, "retry = [\"1s\"]");
    let ids: Vec<_> = (0..MESSAGES)
        .map(|n| {
            let to = format!("bob{n}@b.example");
            site.submit(&mail(&[&to, "cid@c.example"], b"Subject: x\r\n\r\nx\r\n"))
        })
        .collect();
    for id in &ids {
        site.events(*id, "defer", 2);
    }
    let up = Sink::start_at(down, Script::friendly());
    for id in &ids {
        site.events(*id, "deliver", 2);
    }
    let took = up.deliveries();
    assert_eq!(took.len(), MESSAGES, "once each");
    assert!(took.iter().all(|took| took.rcpt.len() == 2));
    wait::until("an empty queue", std::time::Duration::from_secs(10), || {
        let left = site.block_on(site.store.items(Filter::default()));
        let counts = site.block_on(site.store.counts()).expect("readable");
        let open = counts
            .states
            .iter()
            .any(|(state, count)| !matches!(state, State::Delivered) && *count > 0);
        (left.expect("readable").is_empty() && !open).then_some(())
    });
    let due = site.block_on(site.store.next_due()).expect("readable");
    assert_eq!(due, None, "nothing is to be tried any more");
}
