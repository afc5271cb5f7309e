//! What is acknowledged is on the disk: strace sees the sync of the ledger end before the reply
//! begins, and for a long message the syncs of its file and of the file's directory before the row
//! that names it. That is what a power cut would test, and kill -9 cannot.

mod trace;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::next_hop::NextHop;
use posthouse_tests::posthouse::{Outbound, binary, config_dir, spawn};
use posthouse_tests::proc::require;
use posthouse_tests::smtp::Smtp;
use posthouse_tests::wait;

use trace::{Call, calls};

const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
/// How long strace may take to write what it saw.
const SOON: Duration = Duration::from_secs(30);
/// The system calls that write, sync or name files, and those that send.
const CALLS: &str = "trace=fsync,fdatasync,pwrite64,pwritev,write,writev,sendto,sendmsg";

/// The calls of a server from its 354 to its reply to the end of DATA, for one message.
fn traced(message: &str, code: u16) -> Vec<Call> {
    let next_hop = NextHop::start(0, |_| ()).expect("a port");
    let dns = Dns::start("");
    let outbound = Outbound::new(next_hop.addr(), dns.addr());
    let dir = config_dir();
    let trace = dir.path().join("trace");
    let mut server = spawn(dir.path(), &outbound.toml(), outbound.smtp, strace(&trace));
    let mut client = Smtp::hello(outbound.smtp).expect("a greeting");
    let heard = client.send("ann@ours.test", &["bob@far.test"], message.as_bytes());
    assert_eq!(heard.expect("a reply").code, code);
    // strace writes line by line, and would let its child live on if it were told to end.
    let seen = wait::until("the reply in the trace", SOON, || {
        between(&calls(&trace), "354", &code.to_string())
    });
    server.kill();
    seen
}

/// From the call that sends one reply to the call that sends the next one with that code, if both
/// are there.
fn between(calls: &[Call], first: &str, last: &str) -> Option<Vec<Call>> {
    let next = |calls: &[Call], code: &str| {
        let start = format!("\"{code}");
        let sends = |call: &Call| call.sends() && call.text.contains(&start);
        calls.iter().position(sends)
    };
    let calls = &calls[next(calls, first)?..];
    Some(calls[..=next(calls, last)?].to_vec())
}

fn strace(trace: &Path) -> Command {
    let mut command = Command::new(require("strace", "strace"));
    command
        .args(["-f", "-yy", "-s", "32", "-e", CALLS, "-o"])
        .arg(trace)
        .arg(binary());
    command
}

/// The sync of the ledger's log that covers all that was written to it before the reply.
fn ledger_is_synced(calls: &[Call]) {
    let reply = calls.last().expect("the reply");
    let log = |call: &&Call| call.text.contains("ledger.db-wal");
    let written = calls.iter().filter(log).rfind(|call| call.writes());
    let written = written.unwrap_or_else(|| panic!("nothing was written: {calls:#?}"));
    let synced =
        |call: &&Call| call.syncs() && call.begun > written.ended && call.ended < reply.begun;
    let found = calls.iter().filter(log).find(synced);
    assert!(
        found.is_some(),
        "the reply came before the sync: {calls:#?}"
    );
}

#[test]
fn a_message_is_synced_before_its_250() {
    ledger_is_synced(&traced("Subject: x\r\n\r\nHello.\r\n", 250));
}

#[test]
fn a_held_message_is_synced_before_its_552() {
    ledger_is_synced(&traced(&format!("Subject: x\r\n\r\n{GTUBE}"), 552));
}

#[test]
fn a_spool_file_is_synced_before_its_row() {
    let body = "A line of a long message.\r\n".repeat(20_000);
    let calls = traced(&format!("Subject: x\r\n\r\n{body}"), 250);
    ledger_is_synced(&calls);
    let log = |call: &&Call| call.writes() && call.text.contains("ledger.db-wal");
    let row = calls.iter().find(log).expect("a row");
    let synced = |is_it: fn(&str) -> bool| {
        let in_time = |call: &&Call| call.syncs() && is_it(&call.text) && call.ended < row.begun;
        assert!(calls.iter().any(|call| in_time(&call)), "{calls:#?}");
    };
    synced(|text| text.contains("/state/spool/"));
    synced(|text| text.contains("/state/spool>"));
}
