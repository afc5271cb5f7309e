//! `forged_sender` through the whole program: listed senders are refused, held, dropped, noted or spared,
//! the list changes while the server runs, and hostile header sections stay bounded.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use posthouse_tests::clients::{Ran, smtplib, swaks};
use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::Smtp;
use posthouse_tests::{dir, wait};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const TO: &str = "b@ours.test";

/// The first plugins of the chain of the way in.
const CHAIN: &str = r#"
[[chain.outbound]]
plugin  = "relay_domains"
domains = ["ours.test"]

[[chain.outbound]]
plugin  = "forged_sender"
list    = ["our_domains", "file:forged.txt"]
clients = "file:clients.txt"
code    = "553 5.7.1"
"#;

const LIST: &str =
    "bank.test\nceo@corp.test  hold\n*.junk.test discard\nodd.test note\ninclude more.txt\n";

struct Scene {
    server: Posthouse,
    sink: Sink,
    _dns: Dns,
}

impl Scene {
    /// Nobody may relay, all may send to ours.test; the rules are those of `clients`.
    fn start(clients: &str, zone: &str, change: impl Fn(String) -> String) -> Self {
        let (dns, sink) = (Dns::start(zone), Sink::start(Script::friendly()));
        let mut outbound = Outbound::new(sink.addr(), dns.addr());
        outbound.more = "[log]\nformat = \"json\"\n".to_owned();
        let config = outbound.toml();
        let (top, rest) = config.split_once("[[chain.outbound]]").expect("a chain");
        let (_, rest) = rest.split_once("[[chain.outbound]]").expect("two plugins");
        let config = format!("{top}{CHAIN}\n[[chain.outbound]]{rest}");
        let dir = config_dir();
        for (name, text) in [
            ("forged.txt", LIST),
            ("more.txt", ""),
            ("clients.txt", clients),
        ] {
            dir::write(&dir.path().join(name), text);
        }
        let server = Posthouse::start(dir, &change(config), outbound.smtp);
        Self {
            server,
            sink,
            _dns: dns,
        }
    }

    fn swaks(&self, from: &str, header: &str) -> Ran {
        swaks(
            self.server.addr,
            from,
            &[TO],
            format!("{header}\r\n\r\nbody\r\n").as_bytes(),
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.server.dir.path().join(name)
    }

    fn json(&self, args: &[&str]) -> Value {
        let text = run(command(&self.server.config()).args(args).arg("--json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What the log says of forged senders: field, address, action.
    fn logged(&self) -> Vec<Value> {
        let log = self.server.proc.log();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let fields = events.map(|event: Value| event["fields"].clone());
        let forged = fields.filter(|fields| fields["message"] == "forged sender");
        forged.collect()
    }
}

fn as_it_is(config: String) -> String {
    config
}

#[test]
fn each_action_reaches_the_client_the_queue_and_the_log() {
    let scene = Scene::start(":deny\n", "", as_it_is);
    let refused = scene.swaks("x@honest.test", "From: \"Your Bank\" <service@BANK.test>");
    assert!(
        refused
            .said
            .contains("553 5.7.1 service@bank.test may not be used"),
        "{}",
        refused.said
    );
    let encoded = b"From: =?utf-8?q?ceo=40bank?= <x@honest.test>\r\nFrom : =?utf-8?b?Y2VvQGJhbmsudGVzdA==?=\r\n\r\n.\r\n";
    let refused = smtplib(scene.server.addr, "x@honest.test", &[TO], encoded);
    assert!(refused.said.starts_with("553"), "{}", refused.said);
    let at_mail = scene.swaks("ann@ours.test", "From: x@honest.test");
    assert!(
        at_mail.said.contains("553 5.7.1 ann@ours.test") && !at_mail.said.contains("RCPT TO"),
        "{}",
        at_mail.said
    );

    for (from, header) in [
        ("x@honest.test", "From: ceo@corp.test\r\nSubject: held"),
        ("x@a.junk.test", "From: x@honest.test\r\nSubject: dropped"),
        ("x@odd.test", "From: x@honest.test\r\nSubject: noted"),
        ("x@honest.test", "From: x@honest.test\r\nSubject: honest"),
    ] {
        let ran = scene.swaks(from, header);
        assert_eq!(ran.code, 0, "{header}: {}", ran.said);
    }
    let arrived = scene.sink.wait_for(2);
    let text: Vec<_> = arrived
        .iter()
        .map(|d| String::from_utf8_lossy(&d.message))
        .collect();
    let has = |subject: &str| {
        text.iter()
            .any(|t| t.contains(&format!("Subject: {subject}\r\n")))
    };
    assert!(has("noted") && has("honest") && !has("held") && !has("dropped"));
    let held = scene.json(&["held", "list"]);
    assert_eq!(held.as_array().map(Vec::len), Some(1), "{held}");

    let logged = scene.logged();
    let told = |e: &Value| json!([e["field"], e["address"], e["action"]]);
    let want = [
        json!(["From", "service@bank.test", "reject"]),
        json!(["From", "ceo@bank.test", "reject"]),
        json!(["envelope", "ann@ours.test", "reject"]),
        json!(["From", "ceo@corp.test", "hold"]),
        json!(["envelope", "x@a.junk.test", "discard"]),
        json!(["envelope", "x@odd.test", "note"]),
    ];
    assert_eq!(logged.iter().map(told).collect::<Vec<_>>(), want);
    let place = |n: usize| logged[n]["list"].as_str().unwrap_or_default().to_owned();
    assert!(place(0).ends_with("/forged.txt:1"), "{}", place(0));
    assert_eq!(place(2), "our_domains");
    assert!(
        logged
            .iter()
            .all(|e| e["client"] == "127.0.0.1" && e["session"].is_string())
    );
}

#[test]
fn a_list_that_changes_takes_effect_and_a_broken_one_does_not() {
    let scene = Scene::start(":deny\n", "", as_it_is);
    let taken = |domain: &str| {
        scene
            .swaks("x@honest.test", &format!("From: x@{domain}"))
            .code
            == 0
    };
    assert!(taken("new.test") && !taken("bank.test"));
    dir::write(&scene.file("more.txt"), "new.test\nno line at all\n");
    let fault = "more.txt:2: `line` is no action";
    wait::until("the fault", LIMIT, || {
        scene.server.proc.log().contains(fault).then_some(())
    });
    assert!(
        taken("new.test") && !taken("bank.test"),
        "the old list is kept"
    );
    dir::write(&scene.file("more.txt"), "new.test\n");
    wait::until("the new list", LIMIT, || (!taken("new.test")).then_some(()));
    assert!(!taken("bank.test"));
    dir::write(&scene.file("clients.txt"), "127.:allow\n:deny\n");
    wait::until("the new rules", LIMIT, || taken("bank.test").then_some(()));
}

/// The client's address is an argument here: nobody may say what the names of loopback are.
#[test]
fn a_partner_is_known_by_its_confirmed_name() {
    let clients = "=.partner.test:allow\n:deny,text=\"Not from there\"\n";
    let zone = "5.113.0.203.in-addr.arpa. PTR mx.partner.test.\n\
                6.113.0.203.in-addr.arpa. PTR mx.partner.test.\n\
                mx.partner.test. A 203.0.113.5";
    let scene = Scene::start(clients, zone, as_it_is);
    let file = dir::write(&scene.file("m.eml"), "From: x@bank.test\n\nbody\n");
    let file = file.to_str().expect("a path");
    let verdict = |client: &str| {
        let told = scene.json(&["forged", file, "--client", client]);
        told[0]["verdict"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(verdict("203.0.113.5"), "pass");
    assert_eq!(verdict("203.0.113.6"), "553 5.7.1 Not from there");
    assert_eq!(verdict("203.0.113.7"), "553 5.7.1 Not from there");

    let config = std::fs::read_to_string(scene.server.config()).expect("read");
    let (before, dns) = config.split_once("[dns]\n").expect("a section");
    let (_, behind) = dns.split_once('\n').expect("its line");
    let gone = posthouse_tests::ports::free_addr();
    let dead = format!("[dns]\nservers = [\"{gone}\"]\ntimeout = \"1s\"\nattempts = 1\n");
    dir::write(&scene.server.config(), &format!("{before}{dead}{behind}"));
    assert!(
        verdict("203.0.113.5").starts_with("451 4.3.0"),
        "never a guess"
    );
    let honest = dir::write(&scene.file("honest.eml"), "From: x@honest.test\n\nbody\n");
    let told = scene.json(&[
        "forged",
        honest.to_str().expect("a path"),
        "--client",
        "203.0.113.5",
    ]);
    assert_eq!(told[0]["verdict"], "pass", "DNS is not asked: {told}");
}

#[test]
fn twenty_thousand_lines_and_two_megabytes_in_one_are_bounded() {
    let scene = Scene::start(":deny\n", "", |config| {
        config.replace("[limits]\n", "[limits]\nheader_size = 8388608\n")
    });
    let mut lines = String::new();
    for n in 0..20_000 {
        let _ = write!(lines, "X-Line-{n}: ceo@bank.test\r\n");
    }
    let long = "x@honest.test,".repeat((2 << 20) / 14);
    for (header, code) in [
        (format!("{lines}From: x@honest.test"), 250),
        (format!("{lines}From: ceo@bank.test"), 553),
        (format!("X-Long: {long}"), 250),
        (format!("From: {long}"), 553),
        ("From: x@honest.test\r\n".repeat(20_000), 553),
    ] {
        let mut client = Smtp::hello(scene.server.addr).expect("greets");
        let begun = std::time::Instant::now();
        let message = format!("{}\r\n\r\nbody\r\n", header.trim_end());
        let heard = client
            .send("x@honest.test", &[TO], message.as_bytes())
            .expect("answers");
        assert_eq!(heard.code, code, "{}…: {heard:?}", &header[..40]);
        assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    }
}

#[test]
fn the_command_tells_what_would_happen() {
    let scene = Scene::start("192.0.2.:allow\n:deny\n", "", as_it_is);
    let file = dir::write(
        &scene.file("m.eml"),
        "From: x@honest.test,\n \"c\\eo\"@corp.test\n\nbody\n",
    );
    let file = file.to_str().expect("a path");
    let told = scene.json(&["forged", file, "--client", "198.51.100.1"]);
    assert_eq!(told[0]["verdict"], "hold", "{told}");
    assert_eq!(told[0]["found"][0]["address"], "ceo@corp.test");
    assert!(
        told[0]["found"][0]["listed"]
            .as_str()
            .is_some_and(|l| l.ends_with("/forged.txt:2")),
        "{told}"
    );
    let told = scene.json(&[
        "forged",
        file,
        "--from",
        "x@bank.test",
        "--client",
        "198.51.100.1",
    ]);
    assert!(
        told[0]["verdict"]
            .as_str()
            .is_some_and(|v| v.starts_with("553 5.7.1")),
        "{told}"
    );
    let told = scene.json(&[
        "forged",
        file,
        "--client",
        "192.0.2.1",
        "--chain",
        "outbound",
    ]);
    assert_eq!(told[0]["verdict"], "pass");
    assert!(
        told[0]["found"][0]["spared"]
            .as_str()
            .is_some_and(|s| s.ends_with("/clients.txt:1")),
        "{told}"
    );
    let listener = scene.server.addr.to_string();
    let text = run(command(&scene.server.config()).args(["forged", file, "--listener", &listener]));
    assert!(
        text.contains("From ceo@corp.test: ") && text.contains("verdict: hold"),
        "{text}"
    );
    let mut other = command(&scene.server.config());
    let failed = other
        .args(["forged", file, "--chain", "spam"])
        .output()
        .expect("runs");
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("no forged_sender"));
}
