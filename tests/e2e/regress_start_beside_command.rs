//! A server that was started while a command worked on the ledger gave up at once, so that no mail
//! was taken until somebody started it again. It waits for the command to end.

use std::fs::{self, File};
use std::time::Duration;

use posthouse_tests::posthouse::{Outbound, command, config_dir};
use posthouse_tests::proc::Proc;
use posthouse_tests::{dir, ports, smtp};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_start_waits_for_a_command_to_end() {
    let outbound = Outbound::new(ports::free_addr(), ports::free_addr());
    let home = config_dir();
    let state = home.path().join("state");
    fs::create_dir(&state).expect("made");
    let held = File::create(state.join("lock")).expect("made");
    held.lock().expect("locked");

    let file = dir::write(&home.path().join("posthouse.toml"), &outbound.toml());
    let log = home.path().join("posthouse.log");
    let server = Proc::spawn("posthouse", command(&file).arg("serve"), &log);
    server.wait_until("waiting", LIMIT, || server.log().contains("in use"));
    drop(held);
    server.wait_until("ready", LIMIT, || smtp::greets(outbound.smtp));
    assert_eq!(server.stop(), Some(0));
}
