//! kill -9 in a loop, under four concurrent senders: nothing that was acknowledged is lost, nothing
//! is doubled but what was in hand at a kill, and what is held is whole.
//!
//! `POSTHOUSE_CRASH_ROUNDS` says how often the server is killed (default 20). A kill does not
//! prove what a power cut would show: see `sync_before_250.rs` for that.

mod mail;
mod record;
mod senders;

use std::sync::Arc;
use std::time::{Duration, Instant};

use posthouse_tests::dns::Dns;
use posthouse_tests::next_hop::NextHop;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::wait;

use record::{Kill, Record};
use senders::Senders;

/// Connections that the relay may open.
const CONNECTIONS: usize = 4;
/// What can be in hand at a kill: a message on each connection, and those whose delivery waits for
/// its commit, which takes a sync of the disk.
const IN_HAND: usize = 8 * CONNECTIONS;
/// How long the queue may take to drain at the end, on a busy machine.
const DRAIN: Duration = Duration::from_secs(120);

#[test]
fn nothing_acknowledged_is_lost() {
    let record = Arc::new(Record::default());
    let seen = Arc::clone(&record);
    let next_hop = NextHop::start(0, move |taken| seen.arrived(taken.message)).expect("a port");
    let dns = Dns::start("");
    let mut outbound = Outbound::new(next_hop.addr(), dns.addr());
    outbound.relay = format!("connections_per_next_hop = {CONNECTIONS}");
    let config = outbound.toml();
    let mut server = Posthouse::start(config_dir(), &config, outbound.smtp);
    let senders = Senders::start(outbound.smtp, &record);
    for round in 0..rounds() {
        record.await_acknowledged(10 + round * 13 % 50);
        let begun = Instant::now();
        server = server.crash(&config);
        let ended = Instant::now();
        record.killed(Kill { begun, ended });
    }
    record.await_acknowledged(10);
    senders.stop();
    wait::until("all relayed mail at the next hop", DRAIN, || {
        record.all_relayed()
    });
    release_all(&server, &record);
    wait::until("all released mail at the next hop", DRAIN, || {
        record.all_released()
    });
    println!("{}", record.summary());
    record.check(IN_HAND);
}

fn rounds() -> usize {
    let text = std::env::var("POSTHOUSE_CRASH_ROUNDS").unwrap_or_else(|_| "20".to_owned());
    text.parse()
        .unwrap_or_else(|_| panic!("POSTHOUSE_CRASH_ROUNDS is `{text}`; write a whole number"))
}

/// What is held is complete if it arrives as it was sent once it is released.
fn release_all(server: &Posthouse, record: &Record) {
    let config = server.config();
    let list = run(command(&config).args(["held", "list", "--limit", "1000000", "--json"]));
    let items: Vec<serde_json::Value> = serde_json::from_str(&list).expect("JSON");
    for item in &items {
        record.held(item["subject"].as_str().expect("a subject"));
        run(command(&config).args(["held", "release", item["id"].as_str().expect("an id")]));
    }
}
