//! `access`, through the whole program: every kind of line refuses at its own point, in its own
//! words; a new list is used while the server runs, and a broken one changes nothing.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::{Heard, Smtp};
use posthouse_tests::{dir, wait};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(30);
const FIRST: &str = "[[chain.outbound]]\nplugin   = \"relay_clients\"";
const ACCESS: &str = r#"[[chain.outbound]]
plugin = "access"
deny   = "file:deny.txt"
allow  = ["to:postmaster@other.test"]
reply  = "550 5.7.1 Not here"

"#;
const DENY: &str = "\
# senders
spam@x.test
from:.bulk.test 450 4.7.1 Later, perhaps
helo:evil.test   554 5.7.1 We know you
to:other.test    550 5.1.1 Closed
";

/// What the client hears to `command` after EHLO and, for RCPT, MAIL.
fn hears(addr: SocketAddr, commands: &[&str]) -> (u16, String) {
    let mut client = Smtp::connect(addr).expect("greets");
    let mut last = None;
    for command in commands {
        last = Some(client.command(command).expect("answers"));
    }
    let Heard { code, text } = last.expect("a command");
    (code, text)
}

fn said(code: u16, text: &str) -> (u16, String) {
    (code, text.to_owned())
}

#[test]
fn lists_refuse_at_every_point_and_are_read_again() {
    let (dns, sink) = (Dns::start(""), Sink::start(Script::friendly()));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let dir = config_dir();
    let list = dir.path().join("deny.txt");
    std::fs::write(&list, DENY).expect("written");
    let config = outbound
        .toml()
        .replacen(FIRST, &format!("{ACCESS}{FIRST}"), 1);
    let server = Posthouse::start(dir, &config, outbound.smtp);
    let addr = server.addr;

    let ehlo = "EHLO client.test";
    let mail = "MAIL FROM:<a@b.test>";
    assert_eq!(
        hears(addr, &["EHLO EVIL.test"]),
        said(554, "5.7.1 We know you")
    );
    for (from, want) in [
        ("Spam@X.test", said(550, "5.7.1 Not here")),
        ("a@b.bulk.test", said(450, "4.7.1 Later, perhaps")),
        ("", said(250, "2.1.0 Sender OK")),
    ] {
        assert_eq!(
            hears(addr, &[ehlo, &format!("MAIL FROM:<{from}>")]),
            want,
            "{from}"
        );
    }
    let closed = [ehlo, mail, "RCPT TO:<x@other.test>"];
    assert_eq!(hears(addr, &closed), said(550, "5.1.1 Closed"));
    let open = [ehlo, mail, "RCPT TO:<postmaster@other.test>"];
    assert_eq!(hears(addr, &open).0, 250, "allow beats deny");

    // A list with a fault is named in the log, and changes nothing.
    std::fs::write(&list, "spam@x.test\nclient:192.0.2.0/99\n").expect("written");
    server.proc.signal(Signal::HUP);
    let log = server.dir.path().join("posthouse.log");
    let line = wait::until("the fault", LIMIT, || {
        let log = std::fs::read_to_string(&log).ok()?;
        let line = log.lines().find(|line| line.contains("deny.txt:2"))?;
        Some(line.to_owned())
    });
    assert!(line.contains("`client:192.0.2.0/99`"), "{line}");
    assert_eq!(hears(addr, &closed), said(550, "5.1.1 Closed"));

    // A good one counts from the next session on.
    std::fs::write(&list, "127.0.0.0/8 550 5.7.1 No dial-up\n").expect("written");
    server.proc.signal(Signal::HUP);
    let heard = wait::until("a refusal in place of the greeting", LIMIT, || {
        Smtp::connect(addr).err().map(|error| error.to_string())
    });
    assert!(
        heard.contains("554") && heard.contains("No dial-up"),
        "{heard}"
    );
    assert!(TcpStream::connect(addr).is_ok(), "the server still listens");
}

/// A host is known by the name that leads back to it, and by no other.
#[test]
fn a_host_is_refused_by_its_confirmed_name_alone() {
    let zone = "7.2.0.192.in-addr.arpa. PTR pc.dial.test.\npc.dial.test. A 192.0.2.7\n\
        8.2.0.192.in-addr.arpa. PTR pc.dial.test.\n";
    let dns = Dns::start(zone);
    let outbound = Outbound::new(dns.addr(), dns.addr());
    let access = "[[chain.outbound]]\nplugin = \"access\"\ndeny = \"client:.dial.test\"\n\n";
    let config = outbound
        .toml()
        .replacen(FIRST, &format!("{access}{FIRST}"), 1);
    let config = config.replace(
        "networks = [\"127.0.0.0/8\"]",
        "networks = [\"192.0.2.0/24\"]",
    );
    let dir = config_dir();
    let file = dir::write(&dir.path().join("posthouse.toml"), &config);
    let message = dir::write(&dir.path().join("m.eml"), "Subject: x\r\n\r\nx\r\n");
    for (client, want) in [
        ("192.0.2.7", "550 5.7.1 Access denied"),
        ("192.0.2.8", "250 2.6.0"),
    ] {
        let mut explain = command(&file);
        explain
            .arg("explain")
            .arg(&message)
            .args(["--client", client]);
        explain.args(["--from", "a@b.test", "--to", "c@d.test"]);
        let told = run(&mut explain);
        assert!(told.contains(&format!("reply: {want}")), "{client}: {told}");
    }
}
