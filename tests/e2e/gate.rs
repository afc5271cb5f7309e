//! The way in: a front end whose chain a test chooses, strangers who come from any address of
//! loopback, and a next hop behind it. 127.0.0.1 may relay, and no check holds it up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use posthouse_tests::posthouse::{Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::{Heard, Smtp};
use posthouse_tests::{dir, ports};
use serde_json::Value;

/// A running front end.
pub(crate) struct Gate {
    pub(crate) server: Posthouse,
    pub(crate) sink: Sink,
}

impl Gate {
    /// With these steps in its chain, and that DNS server.
    pub(crate) fn open(dns: SocketAddr, steps: &str) -> Self {
        let sink = Sink::start(Script::friendly());
        let smtp = ports::free_addr();
        let config = config(smtp, dns, sink.addr(), steps);
        let server = Posthouse::start(config_dir(), &config, smtp);
        Self { server, sink }
    }

    /// What a command of the program's prints as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let said = run(command(&self.server.config()).args(args).arg("--json"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// What a client at 127.0.0.`last` hears instead of a greeting, or as one.
    pub(crate) fn greets(&self, last: u8) -> Heard {
        self.stranger(last).hear().expect("a greeting")
    }

    /// A client that has connected from 127.0.0.`last` and heard nothing yet.
    pub(crate) fn stranger(&self, last: u8) -> Smtp {
        Smtp::from(host(last), self.server.addr).expect("connects")
    }

    /// A client from 127.0.0.`last` that was greeted and gave its name; the reply to that.
    pub(crate) fn hello(&self, last: u8, name: &str) -> (Smtp, Heard) {
        let mut client = self.stranger(last);
        assert_eq!(client.hear().expect("a greeting").code, 220);
        let heard = client.command(&format!("EHLO {name}")).expect("a reply");
        (client, heard)
    }

    /// The reply to a whole transaction of a client at 127.0.0.`last`, or to what was refused of it.
    pub(crate) fn send(&self, last: u8, from: &str, message: &[u8]) -> Heard {
        let (mut client, heard) = self.hello(last, "client.test");
        assert_eq!(heard.code, 250, "{heard:?}");
        client
            .send(from, &["bob@ours.test"], message)
            .expect("a reply")
    }
}

/// What `posthouse explain` says of a message from any client at all: the resolver itself knows the
/// names of loopback (RFC 6761 §6.3), so what DNS says of a client shows only for others.
pub(crate) fn explain(dns: SocketAddr, steps: &str, client: &str, from: &str) -> String {
    let dir = config_dir();
    let next_hop = ports::free_addr();
    let config = config(ports::free_addr(), dns, next_hop, steps);
    let config = dir::write(&dir.path().join("posthouse.toml"), &config);
    let message = dir::write(&dir.path().join("message.eml"), "Subject: hello\n\nhello\n");
    let mut command = command(&config);
    command.arg("explain").arg(message);
    command.args(["--client", client, "--helo", "client.test"]);
    run(command.args(["--from", from, "--to", "bob@ours.test"]))
}

/// An address of this machine.
pub(crate) fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

fn config(smtp: SocketAddr, dns: SocketAddr, next_hop: SocketAddr, steps: &str) -> String {
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
plugin   = "relay_clients"
networks = ["127.0.0.1"]

{steps}

[[chain.inbound]]
plugin  = "relay_domains"
domains = ["ours.test"]

[relay]
route = [{{ domain = "*", next_hop = "smtp://{next_hop}" }}]

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
