//! The way in: every check of a front end, as in examples/frontend.toml, but for scans for viruses and
//! waits for the client; and the same front end without any, to see what they cost together.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{config_dir, spawn};
use posthouse_tests::{dir, ports};

use crate::system::Running;

/// The list's test points, the sender's SPF, and a client without any name but loopback's own.
const ZONE: &str = "2.0.0.127.bl.test. A 127.0.0.2\nTEST.dbl.test. A 127.0.0.2\n\
    ours.test. TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\nours.test. MX 10 mail.ours.test.\n\
    mail.ours.test. A 127.0.0.1\n";

/// What is in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checks {
    /// Only `relay_domains`.
    None,
    /// Everything but scanners.
    All,
}

/// Starts one, with `sink` as its mailbox server.
pub(crate) fn start(binary: &Path, checks: Checks, sink: SocketAddr) -> Running {
    let dns = Dns::start(ZONE);
    let dir = config_dir();
    let steps = match checks {
        Checks::None => String::new(),
        Checks::All => steps(mailboxes(dir.path())),
    };
    let smtp = ports::free_addr();
    let config = config(smtp, dns.addr(), sink, &steps);
    let proc = spawn(dir.path(), &config, smtp, Command::new(binary));
    Running::new(smtp, proc, (dir, dns))
}

/// Bob's Maildir, and the list that he is in.
fn mailboxes(dir: &Path) -> &Path {
    dir::write(&dir.join("mailboxes.txt"), "bob@far.test\n");
    for part in ["bob/Maildir/new", "bob/Maildir/cur", "bob/Maildir/tmp"] {
        dir::subdir(dir, part);
    }
    dir
}

fn steps(mailboxes: &Path) -> String {
    let mailboxes = mailboxes.display();
    format!(
        r#"
[[chain.inbound]]
plugin   = "relay_clients"
networks = ["192.0.2.0/24"]

[[chain.inbound]]
plugin = "reverse_dns"

[[chain.inbound]]
plugin = "access"
deny   = ["203.0.113.0/24", "helo:localhost", "from:.bulk.test"]
allow  = ["203.0.113.7"]

[[chain.inbound]]
plugin = "dnsbl"
zones  = ["bl.test", {{ zone = "dbl.test", of = "sender", action = "note" }}]

[[chain.inbound]]
plugin = "helo"

[[chain.inbound]]
plugin = "rate_limit"
limits = [{{ by = "client", count = "recipients", most = 1000000000, per = "1h" }}]

[[chain.inbound]]
plugin = "spf"

[[chain.inbound]]
plugin = "dkim"

[[chain.inbound]]
plugin = "resolvable_sender"

[[chain.inbound]]
plugin = "forged_sender"
list   = ["our_domains", "bank.test", ".bank.test", "director@* hold"]
exempt = ["auth", "relay_clients", "spf", "dkim"]

[[chain.inbound]]
plugin = "verify_sender"
source = "file:mailboxes.txt"

[[chain.inbound]]
plugin = "verify_recipient"
source = "file:mailboxes.txt"

[[chain.inbound]]
plugin = "quota"
source = "maildir:{mailboxes}/{{user}}/Maildir"
quota  = "1000000000S"

[[chain.inbound]]
plugin = "attachments"
preset = "outlook"
"#
    )
}

fn config(smtp: SocketAddr, dns: SocketAddr, sink: SocketAddr, steps: &str) -> String {
    let web = ports::free_addr();
    format!(
        r#"
hostname    = "mx.far.test"
state       = "state"
our_domains = ["far.test"]

[[listener]]
address = ["{smtp}"]
chain   = "inbound"
{steps}
[[chain.inbound]]
plugin  = "relay_domains"
domains = ["far.test"]

[limits]
sessions_per_client = 1000

[relay]
route = [{{ domain = "*", next_hop = "smtp://{sink}" }}]

[web]
address = "{web}"
url     = "http://{web}"

[dns]
servers = ["{dns}"]
"#
    )
}
