//! No backscatter: whatever becomes of a message with a forged sender (refused, held, discarded,
//! expired, or failed behind us), the mailbox of whom it was forged at gets nothing.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use posthouse_tests::clamd::{Clamd, WORDS};
use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Delivery, Script, Sink};
use posthouse_tests::smtp::{Heard, Smtp};
use posthouse_tests::{ports, wait};

use crate::gate::host;

/// The one who is forged, at a domain that proves nothing.
const VICTIM: &str = "victim@innocent.test";
/// The same at a domain whose mail this client may send.
const HONEST: &str = "ann@honest.test";
const ZONE: &str = "innocent.test. MX 10 mx.innocent.test.\nmx.innocent.test. A 127.0.0.9\n\
    honest.test. MX 10 mx.innocent.test.\nhonest.test. TXT \"v=spf1 ip4:127.0.0.2 -all\"\n\
    ours.test. MX 10 mx.ours.test.\nmx.ours.test. A 127.0.0.8\n";
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
const LIMIT: Duration = Duration::from_secs(30);

/// A front end before a mailbox server that refuses some; all else would go to the world's sink.
struct Scene {
    server: Posthouse,
    mailboxes: Sink,
    world: Sink,
    config: String,
    _dns: Dns,
    _clamd: Clamd,
}

impl Scene {
    fn new() -> Self {
        let mailboxes = Script::friendly()
            .on("RCPT TO:<gone@", "550 5.1.1 Nobody here")
            .on("RCPT TO:<later@", "450 4.2.0 Not now");
        let (mailboxes, world) = (Sink::start(mailboxes), Sink::start(Script::friendly()));
        let (dns, clamd) = (Dns::start(ZONE), Clamd::start());
        let smtp = ports::free_addr();
        let hops = [dns.addr(), clamd.addr(), mailboxes.addr(), world.addr()];
        let config = config(smtp, hops);
        Self {
            server: Posthouse::start(config_dir(), &config, smtp),
            mailboxes,
            world,
            config,
            _dns: dns,
            _clamd: clamd,
        }
    }

    fn send(&self, from: &str, to: &str, text: &str) -> Heard {
        let message = format!("From: <{from}>\r\nTo: <{to}>\r\nSubject: x\r\n\r\n{text}\r\n");
        let mut client = Smtp::from(host(2), self.server.addr).expect("connects");
        client.hear().expect("a greeting");
        client.command("EHLO client.test").expect("a reply");
        client
            .send(from, &[to], message.as_bytes())
            .expect("a reply")
    }

    fn command(&self) -> Command {
        command(&self.server.config())
    }

    /// Waits until nothing is on its way any more.
    fn settles(&self) {
        wait::until("the queue is empty", LIMIT, || {
            let listed = run(self.command().args(["queue", "list", "--json"]));
            (listed.trim() == "[]").then_some(())
        });
    }

    /// Whoever got something in the world.
    fn told(&self) -> Vec<Vec<String>> {
        let rcpt = |delivery: Delivery| delivery.rcpt;
        self.world.deliveries().into_iter().map(rcpt).collect()
    }
}

fn config(smtp: SocketAddr, [dns, clamd, mailboxes, world]: [SocketAddr; 4]) -> String {
    let web = ports::free_addr();
    format!(
        r#"
hostname    = "mx.ours.test"
state       = "state"
our_domains = ["ours.test"]

[[listener]]
address = ["{smtp}"]
chain   = "inbound"

[[chain.inbound]]
plugin = "reverse_dns"

[[chain.inbound]]
plugin = "spf"

[[chain.inbound]]
plugin = "dkim"

[[chain.inbound]]
plugin = "forged_sender"
list   = ["boss@innocent.test", "held@innocent.test hold", "dropped@innocent.test discard"]

[[chain.inbound]]
plugin  = "relay_domains"
domains = ["ours.test"]

[[chain.inbound]]
plugin  = "clamav"
address = "{clamd}"

[[chain.inbound]]
plugin           = "quarantine"
scan             = "spam"
filtered_domains = ["ours.test"]

[[chain.spam]]
plugin = "gtube"

[letters]
from = "quarantine@ours.test"

[relay]
route = [{{ domain = "ours.test", next_hop = "smtp://{mailboxes}" }}, {{ domain = "*", next_hop = "smtp://{world}" }}]
retry = ["1s"]
expire = "2s"
rest  = "1s"

[web]
address = "{web}"
url     = "http://{web}"

[dns]
servers  = ["{dns}"]
timeout  = "1s"
attempts = 1

[store]
min_free = 0
"#
    )
}

#[test]
fn a_forged_sender_gets_nothing_whatever_becomes_of_the_message() {
    let scene = Scene::new();
    let hears = |from: &str, to: &str, text: &str| scene.send(from, to, text).code;
    // Refused: at RCPT, for the sender, for a virus.
    assert_eq!(hears(VICTIM, "bob@elsewhere.test", "hello"), 550);
    assert_eq!(hears("boss@innocent.test", "bob@ours.test", "hello"), 550);
    assert_eq!(hears(VICTIM, "bob@ours.test", WORDS), 550);
    // Held by a rule, held as spam (which writes to its recipient), discarded.
    assert_eq!(hears("held@innocent.test", "bob@ours.test", "hello"), 250);
    assert_eq!(hears(VICTIM, "bob@ours.test", GTUBE), 250);
    assert_eq!(
        hears("dropped@innocent.test", "bob@ours.test", "hello"),
        250
    );
    // Failed behind us: refused there, and never taken.
    assert_eq!(hears(VICTIM, "gone@ours.test", "hello"), 250);
    assert_eq!(hears(VICTIM, "later@ours.test", "hello"), 250);
    // What was held and then released to a mailbox that is gone, discarded by hand, or expired.
    for to in ["gone@ours.test", "carol@ours.test", "dave@ours.test"] {
        assert_eq!(hears("held@innocent.test", to, "hello"), 250);
    }
    scene.act("release", "gone@ours.test");
    scene.act("discard", "carol@ours.test");
    scene.settles();
    // The one that proved itself hears of the same failure, so that what follows is no accident.
    assert_eq!(hears(HONEST, "gone@ours.test", "hello"), 250);
    let delivered = scene.world.wait_for(1);
    assert_eq!(delivered[0].rcpt, [format!("RCPT TO:<{HONEST}>")]);
    scene.settles();
    let log = scene.server.proc.log();
    let untold = log.matches("no DSN tells of it").count();
    assert_eq!(untold, 3, "each failure is in the log: {log}");
    let scene = scene.expire();
    scene.settles();
    assert_eq!(scene.told().len(), 1, "{:?}", scene.told());
    assert!(
        scene.mailboxes.deliveries().len() <= 2,
        "letters, no copies"
    );
}

impl Scene {
    /// Releases or discards what is held for an address.
    fn act(&self, verb: &str, address: &str) {
        let listed = run(self.command().args(["held", "list", "--json"]));
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let held = listed.as_array().expect("a list").iter();
        let mut held = held.filter(|item| item.to_string().contains(address));
        let id = held.next().and_then(|item| item["id"].as_str());
        let id = id.unwrap_or_else(|| panic!("nothing for {address}: {listed}"));
        run(self.command().args(["held", verb, id]));
    }

    /// The same server with room for nothing that is held, after it has let go of it.
    fn expire(self) -> Self {
        let Posthouse { proc, addr, dir } = self.server;
        proc.stop();
        let config = format!("{}\n[quarantine]\nmax_size = 1\n", self.config);
        let server = Posthouse::start(dir, &config, addr);
        let scene = Self { server, ..self };
        wait::until("nothing is held", LIMIT, || {
            let listed = run(scene.command().args(["held", "list", "--json"]));
            (listed.trim() == "[]").then_some(())
        });
        scene
    }
}
