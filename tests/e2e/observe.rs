//! `mode = "observe"`: what the chain would do to a message is reported, and the message goes
//! through. Who may relay, and what a client may take of us, is decided as ever.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::{Heard, Smtp};
use posthouse_tests::{dir, ports, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const SPAM: &[u8] = b"Subject: x\r\nX-Odd:  \xe4 \t\r\n\r\n\
    XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n\r\n";
const CLEAN: &[u8] = b"Subject: hi\r\n\r\nSee you at noon.\r\n";
const FIRST: &str = "[[chain.outbound]]\nplugin   = \"relay_clients\"";

/// What breaks a configuration.
type Breaking<'a> = Box<dyn Fn(&str) -> String + 'a>;

/// The same configuration, whose listener's chain observes.
fn observing(config: &str) -> String {
    let mode = format!("[[chain.outbound]]\nmode = \"observe\"\n\n{FIRST}");
    config.replacen(FIRST, &mode, 1)
}

struct Parts {
    server: Posthouse,
    sink: Sink,
    config: String,
    _dns: Dns,
}

fn start(change: impl Fn(String) -> String) -> Parts {
    let (dns, sink) = (Dns::start(""), Sink::start(Script::friendly()));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let config = change(outbound.toml());
    Parts {
        server: Posthouse::start(config_dir(), &config, outbound.smtp),
        sink,
        config,
        _dns: dns,
    }
}

fn send(addr: SocketAddr, from: &str, to: &[&str], message: &[u8]) -> Heard {
    let mut client = Smtp::hello(addr).expect("greets");
    client.send(from, to, message).expect("answers")
}

fn json(server: &Posthouse, args: &[&str]) -> Value {
    let text = run(command(&server.config()).args(args).arg("--json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What the report counts: chain, plugin, hook point, what, messages, copies.
fn counts(server: &Posthouse) -> Vec<Value> {
    let report = json(server, &["observe", "report"]);
    let counts = report[0]["counts"].as_array().expect("an array");
    let row = |c: &Value| {
        json!([
            c["chain"],
            c["plugin"],
            c["point"],
            c["would"],
            c["messages"],
            c["copies"]
        ])
    };
    counts.iter().map(row).collect()
}

#[test]
fn spam_that_would_be_held_goes_through_whole_and_is_reported() {
    let parts = start(|config| observing(&config));
    let addr = parts.server.addr;
    let to = ["b@filtered.test", "c@other.test"];
    let heard = send(addr, "ann@ours.test", &to, SPAM);
    assert_eq!(heard.code, 250, "{heard:?}");
    assert!(!heard.text.contains("http"), "no link: nothing is held");
    assert_eq!(send(addr, "x@stranger.test", &to, SPAM).code, 250);
    assert_eq!(send(addr, "ann@ours.test", &to, CLEAN).code, 250);

    let arrived = parts.sink.wait_for(3);
    let is_spam = |message: &[u8]| {
        let (received, rest) = message.split_at(message.len().saturating_sub(SPAM.len()));
        rest == SPAM && received.starts_with(b"Received: ") && received.ends_with(b"\r\n")
    };
    assert_eq!(arrived.iter().filter(|m| is_spam(&m.message)).count(), 2);
    assert!(arrived.iter().all(|message| message.rcpt.len() == 2));
    assert_eq!(json(&parts.server, &["held", "list"]), json!([]));

    let row = |would: &str, messages, copies| {
        json!(["outbound", "quarantine", "data", would, messages, copies])
    };
    let want = [row("hold", 2, 3), row("refuse 552", 1, 2)];
    assert_eq!(counts(&parts.server), want);
    let report = json(&parts.server, &["observe", "report", "--limit", "1"]);
    let cases = report[0]["cases"].as_array().expect("an array");
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0]["from"], "x@stranger.test");
    assert_eq!(cases[0]["to"], json!(["b@filtered.test"]));
    let text = run(command(&parts.server.config()).args(["observe", "report"]));
    assert!(
        text.contains("ann@ours.test") && text.contains("refuse 552"),
        "{text}"
    );
    let status = json(&parts.server, &["status"]);
    assert_eq!(status[0]["observed"], 2, "{status}");

    // The same chain enforces from the next session on.
    let enforcing = parts
        .config
        .replace("mode = \"observe\"", "mode = \"enforce\"");
    std::fs::write(parts.server.config(), enforcing).expect("written");
    parts.server.proc.signal(Signal::HUP);
    wait::until("a refusal", LIMIT, || {
        (send(addr, "ann@ours.test", &to, SPAM).code == 552).then_some(())
    });
}

/// `explain` and `chain` tell of the mode.
#[test]
fn explain_tells_what_would_have_happened() {
    let parts = start(|config| observing(&config));
    let message = dir::write(
        &parts.server.dir.path().join("m.eml"),
        &String::from_utf8_lossy(SPAM),
    );
    let mut explain = command(&parts.server.config());
    explain.arg("explain").arg(message);
    explain.args([
        "--from",
        "ann@ours.test",
        "--to",
        "b@filtered.test",
        "--json",
    ]);
    let told: Value = serde_json::from_str(&run(&mut explain)).expect("JSON");
    assert!(told[0]["reply"].as_str().expect("text").starts_with("250"));
    assert_eq!(told[0]["recipients"][0]["fate"], "relay");
    assert_eq!(told[0]["letters"], json!([]));
    assert_eq!(told[0]["observed"][0]["would"]["refuse"], 552, "{told}");
    assert_eq!(told[0]["observed"][1]["would"], "hold");
    assert!(
        told.to_string()
            .contains("observed: would have said refuse 552")
    );
    let chains = json(&parts.server, &["chain"]);
    assert_eq!(chains[0]["mode"], "observe");
    let aside = &chains[0]["steps"][1]["asides"][0];
    assert_eq!(aside["mode"], Value::Null, "{chains}");
}

#[test]
fn a_stranger_is_still_refused_550_relaying_denied_at_rcpt_under_observe() {
    let parts = start(|config| {
        let clients = "\nnetworks = [\"127.0.0.0/8\"]\n";
        observing(&config).replacen(clients, "\nnetworks = [\"192.0.2.0/24\"]\n", 1)
    });
    let mut client = Smtp::hello(parts.server.addr).expect("greets");
    let mail = client
        .command("MAIL FROM:<x@stranger.test>")
        .expect("answers");
    assert_eq!(mail.code, 250);
    let rcpt = client
        .command("RCPT TO:<b@filtered.test>")
        .expect("answers");
    assert_eq!((rcpt.code, &*rcpt.text), (550, "5.7.1 Relaying denied"));
    assert_eq!(client.command("DATA").expect("answers").code, 554);
    assert_eq!(json(&parts.server, &["queue", "list"]), json!([]));
    assert!(
        counts(&parts.server).is_empty(),
        "it is refused, not observed"
    );
}

#[test]
fn a_message_that_is_too_big_is_still_refused_under_observe() {
    let parts = start(|config| {
        observing(&config).replace("[limits]\n", "[limits]\nmessage_size = 65536\n")
    });
    let line = "0123456789abcdef\r\n";
    let big = format!("Subject: big\r\n\r\n{}", line.repeat(4000));
    let heard = send(
        parts.server.addr,
        "ann@ours.test",
        &["b@x.test"],
        big.as_bytes(),
    );
    assert_eq!(heard.code, 552, "{heard:?}");
    let mut client = Smtp::hello(parts.server.addr).expect("greets");
    let declared = client.command("MAIL FROM:<ann@ours.test> SIZE=65537");
    assert_eq!(declared.expect("answers").code, 552);
}

/// Whatever is broken behind the message's end: without observe each of these is 451.
#[test]
fn broken_dns_and_broken_scanners_are_no_451_under_observe() {
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mute = mute.local_addr().expect("bound").to_string();
    let gone = ports::free_addr().to_string();
    let scanner = |at: &str| format!("plugin = \"spamassassin\"\naddress = \"{at}\"");
    let quarantine = "plugin           = \"quarantine\"\n";
    let broken: [(&str, Breaking<'_>); 3] = [
        (
            "the scanner is down",
            Box::new(|config| {
                let defer = format!("{quarantine}unscanned = \"defer\"\n");
                config
                    .replace(quarantine, &defer)
                    .replace("plugin = \"gtube\"", &scanner(&gone))
            }),
        ),
        (
            "the plugin takes too long",
            Box::new(|config| {
                let hasty = format!("{quarantine}timeout = \"1s\"\n");
                config
                    .replace(quarantine, &hasty)
                    .replace("plugin = \"gtube\"", &scanner(&mute))
            }),
        ),
        (
            "DNS does not place the recipient",
            Box::new(|config| {
                let (dns, _) = config.split_once("[dns]").expect("a section");
                let dns = format!("{dns}[dns]\nservers = [\"{gone}\"]\ntimeout = \"1s\"\n");
                dns.replace("[\"filtered.test\"]", "[\"mx:provider.test\"]")
            }),
        ),
    ];
    for (what, breaking) in broken {
        let parts = start(|config| breaking(&config));
        let heard = send(parts.server.addr, "x@s.test", &["b@filtered.test"], SPAM);
        assert_eq!(heard.code, 451, "{what}: {heard:?}");
        let parts = start(|config| observing(&breaking(&config)));
        let heard = send(parts.server.addr, "x@s.test", &["b@filtered.test"], SPAM);
        assert_eq!(heard.code, 250, "{what}: {heard:?}");
        let want = json!(["outbound", "quarantine", "data", "refuse 451", 1, 1]);
        assert_eq!(counts(&parts.server), [want], "{what}");
        assert_eq!(parts.sink.wait_for(1).len(), 1);
    }
}
