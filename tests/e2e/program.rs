//! The program as its users meet it: the demo, the commands, reload, stop.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::next_hop::NextHop;
use posthouse_tests::ports;
use posthouse_tests::posthouse::{Outbound, Posthouse, binary, command, config_dir};
use posthouse_tests::proc::{Proc, run};
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::Smtp;
use posthouse_tests::wait;
use rustix::process::Signal;
use serde_json::Value;

const SPAM: &[u8] =
    b"Subject: x\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
const CLEAN: &[u8] = b"Subject: hi\r\n\r\nSee you at noon.\r\n";
const LIMIT: Duration = Duration::from_secs(30);

struct Parts {
    server: Posthouse,
    _dns: Dns,
}

fn start(next_hop: std::net::SocketAddr, change: impl Fn(String) -> String) -> Parts {
    let dns = Dns::start("");
    let outbound = Outbound::new(next_hop, dns.addr());
    let config = change(outbound.toml());
    Parts {
        server: Posthouse::start(config_dir(), &config, outbound.smtp),
        _dns: dns,
    }
}

fn send(server: &Posthouse, to: &str, message: &[u8]) -> u16 {
    let mut client = Smtp::hello(server.addr).expect("greets");
    let heard = client.send("ann@ours.test", &[to], message);
    heard.expect("answers").code
}

fn list(server: &Posthouse, what: &str) -> Vec<Value> {
    let json = run(command(&server.config()).args([what, "list", "--json"]));
    serde_json::from_str(&json).expect("an array")
}

#[test]
fn the_demo_is_as_the_matrix_says() {
    let table = run(Command::new(binary()).args(["demo", "--once"]));
    assert_eq!(table.matches("as the matrix says").count(), 5, "{table}");
    assert_eq!(table.matches("/i/").count(), 2, "{table}");
    assert_eq!(table.matches("/a/").count(), 2, "{table}");
}

#[test]
fn the_queue_can_be_listed_and_moved() {
    let nowhere = ports::free_addr();
    let parts = start(nowhere, |config| {
        config.replace("[relay]\n", "[relay]\nrest = \"0s\"\n")
    });
    let server = &parts.server;
    assert_eq!(send(server, "b@x.test", CLEAN), 250);
    let waiting = wait::until("a deferral", LIMIT, || {
        let items = list(server, "queue");
        (items.first()?["recipients"][0]["state"] == "deferred").then_some(items)
    });
    let id = waiting[0]["id"].as_str().expect("an id").to_owned();
    let queue = |deed: &str| {
        command(&server.config())
            .args(["queue", deed, &id])
            .output()
    };
    let code = |deed: &str| queue(deed).expect("it starts").status.code();
    assert_eq!(code("suspend"), Some(0));
    assert_eq!(code("suspend"), Some(1), "it is suspended already");
    assert_eq!(
        list(server, "queue")[0]["recipients"][0]["state"],
        "suspended"
    );

    let sink = Sink::start_at(nowhere, Script::friendly());
    assert_eq!(code("retry"), Some(0));
    let delivered = sink.wait_for(1);
    assert!(delivered[0].message.ends_with(CLEAN));
    wait::until("an empty queue", LIMIT, || {
        list(server, "queue").is_empty().then_some(())
    });
    let gone = queue("show").expect("it starts");
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&gone.stderr).contains("delivered"),
        "{gone:?}"
    );
}

#[test]
fn commands_work_without_a_server_too() {
    let parts = start(ports::free_addr(), |config| config);
    assert_eq!(send(&parts.server, "b@x.test", SPAM), 552);
    assert_eq!(send(&parts.server, "b@y.test", SPAM), 552);
    let ids: Vec<_> = list(&parts.server, "held")
        .iter()
        .map(|i| i["id"].as_str().expect("an id").to_owned())
        .collect();
    let config = parts.server.config();
    let Posthouse { proc, dir, .. } = parts.server;
    assert_eq!(proc.stop(), Some(0), "SIGTERM ends it well");
    run(command(&config).args(["held", "discard", &ids[0]]));
    let left: Vec<Value> =
        serde_json::from_str(&run(command(&config).args(["held", "list", "--json"])))
            .expect("JSON");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], ids[1].as_str());
    drop(dir);
}

#[test]
fn ctrl_c_stops_the_demo_cleanly() {
    let dir = config_dir();
    let mut demo = Command::new(binary());
    demo.args(["demo", "--state"]).arg(dir.path());
    let demo = Proc::spawn("demo", &mut demo, &dir.path().join("demo.log"));
    demo.wait_until("the table", LIMIT, || demo.log().contains("Ctrl-C stops"));
    demo.signal(Signal::INT);
    wait::until("the end", LIMIT, || demo.has_ended().then_some(()));
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn output_that_nobody_reads_is_no_panic() {
    let parts = start(ports::free_addr(), |config| config);
    for n in 0..200 {
        assert_eq!(send(&parts.server, &format!("b{n}@x.test"), SPAM), 552);
    }
    let mut list = command(&parts.server.config());
    list.args(["held", "list", "--limit", "1000", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = list.spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn wrong_use_exits_2() {
    for args in [
        &["queue"][..],
        &["nonsense"],
        &["held", "show", "abc"],
        &["explain"],
    ] {
        let output = Command::new(binary())
            .args(args)
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn lists_and_chains_are_read_again() {
    let hop = NextHop::start(0, |_| {}).expect("listens");
    let lists = |config: String| {
        config
            .replace("[\"filtered.test\"]", "\"file:filtered.txt\"")
            .replace(
                "networks = [\"127.0.0.0/8\"]",
                "networks = [\"127.0.0.0/8\"]\n",
            )
    };
    let dir = config_dir();
    let list_file = dir.path().join("filtered.txt");
    fs::write(&list_file, "first.test\n").expect("written");
    let dns = Dns::start("");
    let outbound = Outbound::new(hop.addr(), dns.addr());
    let config = lists(outbound.toml());
    let server = Posthouse::start(dir, &config, outbound.smtp);
    let filtered = |domain: &str| {
        let mut client = Smtp::hello(server.addr).expect("greets");
        let to = format!("b@{domain}");
        client
            .send("x@stranger.test", &[&to], SPAM)
            .expect("answers");
        list(&server, "held")
            .iter()
            .any(|i| i["recipients"][0]["address"] == to.as_str())
    };
    assert!(filtered("first.test") && !filtered("second.test"));
    fs::write(&list_file, "second.test\n").expect("written");
    wait::until("the list to be read again", LIMIT, || {
        filtered("second.test").then_some(())
    });

    // A broken version is refused, and the old one kept.
    fs::write(&list_file, "third.test\nno domain\n").expect("written");
    wait::until("the refusal", LIMIT, || {
        server
            .proc
            .log()
            .contains("the old one is kept")
            .then_some(())
    });
    assert!(!filtered("third.test"));

    // SIGHUP: the chain loses the plugin that admits, so that every recipient is refused.
    let closed = config.replace(
        "networks = [\"127.0.0.0/8\"]\n",
        "networks = [\"192.0.2.0/24\"]\n",
    );
    fs::write(&list_file, "second.test\n").expect("written");
    fs::write(server.config(), closed).expect("written");
    server.proc.signal(Signal::HUP);
    wait::until("the new chain", LIMIT, || {
        (send(&server, "b@x.test", CLEAN) == 550).then_some(())
    });
}

#[test]
fn a_stop_lets_a_transaction_end() {
    let hop = NextHop::start(0, |_| {}).expect("listens");
    let parts = start(hop.addr(), |config| config);
    let server = &parts.server;
    let mut idle = Smtp::hello(server.addr).expect("greets");
    let mut busy = Smtp::hello(server.addr).expect("greets");
    for line in ["MAIL FROM:<a@ours.test>", "RCPT TO:<b@x.test>"] {
        assert_eq!(busy.command(line).expect("answers").code, 250);
    }
    assert_eq!(busy.command("DATA").expect("answers").code, 354);
    server.proc.signal(Signal::TERM);
    assert_eq!(idle.hear().expect("is told").code, 421);
    assert!(Smtp::hello(server.addr).is_err(), "no more clients");
    busy.say(CLEAN).expect("takes it");
    busy.say(b".\r\n").expect("takes it");
    assert_eq!(busy.hear().expect("answers").code, 250);
    wait::until("the end", LIMIT, || server.proc.has_ended().then_some(()));
}

#[test]
fn a_second_server_on_the_same_state_is_refused() {
    let parts = start(ports::free_addr(), |config| config);
    let second = command(&parts.server.config())
        .arg("serve")
        .output()
        .expect("it starts");
    assert_eq!(second.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("in use"),
        "{second:?}"
    );
}

#[test]
fn what_was_relayed_unscanned_is_counted() {
    let hop = NextHop::start(0, |_| {}).expect("listens");
    let nowhere = ports::free_addr();
    let parts = start(hop.addr(), |config| {
        let scanner = format!("plugin = \"spamassassin\"\naddress = \"{nowhere}\"");
        config.replace("plugin = \"gtube\"", &scanner)
    });
    assert_eq!(send(&parts.server, "b@filtered.test", SPAM), 250);
    let json = run(command(&parts.server.config()).args(["status", "--json"]));
    let counts: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(counts[0]["relayed_unscanned"], 1, "{json}");
}
