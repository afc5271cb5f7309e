//! `posthouse held erase`: with a server and without one, nothing in the state directory names the
//! address afterwards.

use std::path::Path;
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::ports;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::smtp::Smtp;
use posthouse_tests::wait;
use rustix::process::Signal;
use serde_json::Value;

const BOB: &str = "bob@filtered.test";
const LIMIT: Duration = Duration::from_secs(30);

fn mail() -> String {
    let gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
    format!(
        "To: {BOB}\r\nSubject: for {BOB}\r\n\r\n{gtube}{}",
        format!("{BOB}\r\n").repeat(2000)
    )
}

/// Whether some file below names the address.
fn is_named(dir: &Path) -> bool {
    let mut entries = std::fs::read_dir(dir).expect("a directory");
    entries.any(|entry| {
        let path = entry.expect("an entry").path();
        match std::fs::read(&path) {
            Ok(octets) => String::from_utf8_lossy(&octets).contains(BOB),
            Err(_) => path.is_dir() && is_named(&path),
        }
    })
}

#[test]
fn what_is_erased_is_gone_from_every_file() {
    let dns = Dns::start("");
    let outbound = Outbound::new(ports::free_addr(), dns.addr());
    let config = outbound.toml();
    let mut server = Posthouse::start(config_dir(), &config, outbound.smtp);
    for with_server in [true, false] {
        let mut client = Smtp::hello(server.addr).expect("greets");
        let heard = client.send("x@stranger.test", &[BOB, "carl@filtered.test"], b"Subject: hi\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n");
        assert_eq!(heard.expect("answers").code, 250);
        let heard = client.send("ann@ours.test", &[BOB], mail().as_bytes());
        assert_eq!(heard.expect("answers").code, 552);
        let path = server.config();
        let unsure = command(&path)
            .args(["held", "erase", BOB])
            .output()
            .expect("starts");
        assert_eq!(
            unsure.status.code(),
            Some(2),
            "nobody was asked: {unsure:?}"
        );
        // The letter to Bob waits in the queue, or is on its way.
        let state = server.dir.path().join("state");
        if !with_server {
            server.proc.signal(Signal::TERM);
            wait::until("the end", LIMIT, || server.proc.has_ended().then_some(()));
        }
        assert!(is_named(&state));
        let erase = || -> Value {
            let json = run(command(&path).args(["held", "erase", BOB, "--yes", "--json"]));
            serde_json::from_str::<Value>(&json).expect("JSON")[0].clone()
        };
        let receipt = erase();
        assert_eq!(receipt["erased"]["held copies"], 2, "{receipt}");
        assert_eq!(
            (&receipt["shared"], &receipt["address"]),
            (&1.into(), &BOB.into())
        );
        wait::until("every trace to be gone", LIMIT, || {
            if is_named(&state) {
                erase();
            }
            (!is_named(&state)).then_some(())
        });
        let list = run(command(&path).args(["held", "list", "--json"]));
        let left: Vec<Value> = serde_json::from_str(&list).expect("JSON");
        assert_eq!(left.len(), 1, "the other's copy stays: {list}");
        assert_eq!(left[0]["recipients"][0]["address"], "carl@filtered.test");
        server = server.restart(&config);
        run(command(&path).args(["held", "erase", "carl@filtered.test", "--yes"]));
    }
}
