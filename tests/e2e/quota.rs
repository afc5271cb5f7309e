//! The plugin `quota` through the whole program: against `posthouse quota-service` over mailboxes
//! that Courier fills, against Dovecot, and against sources that end or hang.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use posthouse_tests::courier::Maildir;
use posthouse_tests::dovecot::Dovecot;
use posthouse_tests::posthouse::{Posthouse, config_dir};
use posthouse_tests::quota_service::QuotaService;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::{Heard, Smtp};
use posthouse_tests::{dir, ports, wait};
use rustix::process::Signal;

/// How long a test waits for an event.
const LIMIT: Duration = Duration::from_secs(30);
const LATER: &str = "4.2.2 Quota exceeded for ADDRESS, try again later";
const DEAD: &str = "4.4.3 Mailbox lookup failed, try again later";

/// A front end with these steps above the one that takes all of `test`.
struct FrontEnd {
    server: Posthouse,
    _sink: Sink,
}

impl FrontEnd {
    fn start(steps: &str) -> Self {
        let sink = Sink::start(Script::friendly());
        let (smtp, web) = (ports::free_addr(), ports::free_addr());
        let config = format!(
            r#"
hostname    = "mx.test"
state       = "state"

[[listener]]
address = ["{smtp}"]
chain   = "inbound"

{steps}

[[chain.inbound]]
plugin  = "relay_domains"
domains = [".test"]

[relay]
route = [{{ domain = "*", next_hop = "smtp://{}" }}]

[web]
address = "{web}"
url     = "http://{web}"
"#,
            sink.addr()
        );
        Self {
            server: Posthouse::start(config_dir(), &config, smtp),
            _sink: sink,
        }
    }

    /// The reply to RCPT, in a session of its own.
    fn rcpt(&self, to: &str, size: Option<u64>) -> Heard {
        let mut client = Smtp::hello(self.server.addr).expect("greets");
        let size = size.map(|size| format!(" SIZE={size}")).unwrap_or_default();
        let mail = client.command(&format!("MAIL FROM:<x@stranger.example>{size}"));
        assert_eq!(mail.expect("answers").code, 250);
        let heard = client.command(&format!("RCPT TO:<{to}>"));
        heard.expect("answers")
    }

    fn takes(&self, to: &str, size: Option<u64>) {
        let heard = self.rcpt(to, size);
        assert_eq!(heard.code, 250, "{to} {size:?}: {heard:?}");
    }

    fn refuses(&self, to: &str, size: Option<u64>) {
        let heard = self.rcpt(to, size);
        let text = LATER.replace("ADDRESS", to);
        assert_eq!((heard.code, heard.text), (452, text), "{to} {size:?}");
    }
}

/// One step, for one domain.
fn step(domain: &str, source: &str, more: &str) -> String {
    format!(
        "[[chain.inbound]]\nplugin = \"quota\"\nname = \"{domain}\"\ndomains = [\"{domain}\"]\n\
         source = \"{source}\"\non_dead = \"defer\"\n{more}\n"
    )
}

#[test]
fn mailboxes_of_courier_are_known_over_every_way() {
    let mail = dir::scratch("quota");
    let of = |user: &str| mail.path().join(user).join("Maildir");
    let full = Maildir::make(&of("full"), "5000S");
    let roomy = Maildir::make(&of("roomy"), "5000S,3C");
    assert!(full.deliver(4000) && !full.deliver(2000) && full.deliver(1000));
    assert!(roomy.deliver(1000) && roomy.deliver(500));
    let path = format!("{}/{{user}}/Maildir", mail.path().display());
    let service = QuotaService::start(&["--maildir", &path]);
    let addr = service.addr;
    assert_eq!(
        service.get("/?u=full"),
        (200, "OVERQUOTA full 5000 5000 2 0".to_owned())
    );
    assert_eq!(service.ask("roomy"), "OK roomy 1500 5000 2 3");
    let front = FrontEnd::start(
        &[
            step(
                "http.test",
                &format!("http://{addr}/quota.cgi?u={{user}}"),
                "",
            ),
            step("udp.test", &format!("udp://{addr}"), ""),
            step("local.test", &format!("maildir:{path}"), ""),
        ]
        .concat(),
    );
    for domain in ["http.test", "udp.test", "local.test"] {
        let at = |user: &str| format!("{user}@{domain}");
        front.refuses(&at("full"), None);
        front.takes(&at("roomy"), None);
        front.takes(&at("Roomy+news"), Some(3500));
        front.refuses(&at("roomy"), Some(3501));
        front.takes(&at("nobody"), Some(1_000_000));
        front.takes("full@other.test", None);
    }
    let log = front.server.proc.log_with("over quota: recipient refused");
    assert!(log.contains("over quota: recipient refused"), "{log}");
}

#[test]
fn dovecot_is_asked() {
    let dovecot = Dovecot::start(&[("ann", 100), ("full", 20_000)]);
    let addr = dovecot.addr;
    let socket = dovecot.socket.display();
    let front = FrontEnd::start(
        &[
            step(
                "tcp.test",
                &format!("dovecot://{addr}"),
                "ask_timeout = \"5s\"",
            ),
            step(
                "unix.test",
                &format!("dovecot:{socket}"),
                "ask_timeout = \"5s\"",
            ),
            step(
                "hung.test",
                &format!("dovecot://{addr}"),
                "ask_timeout = \"1s\"",
            ),
        ]
        .concat(),
    );
    for domain in ["tcp.test", "unix.test"] {
        let at = |user: &str| format!("{user}@{domain}");
        front.takes(&at("ann"), None);
        front.takes(&at("ann"), Some(5000));
        front.refuses(&at("ann"), Some(50_000));
        front.refuses(&at("full"), None);
        // Dovecot says REJECT Unknown user.
        front.takes(&at("nobody"), Some(5));
    }
    dovecot.proc.signal_group(Signal::STOP);
    defers_in_time(&front, "ann@hung.test");
    dovecot.proc.signal_group(Signal::CONT);
    recovers(&front, "ann@hung.test");
}

/// A silent source costs its limit, and not much more on a busy machine.
fn defers_in_time(front: &FrontEnd, to: &str) {
    let begun = Instant::now();
    let heard = front.rcpt(to, None);
    assert_eq!((heard.code, heard.text.as_str()), (451, DEAD));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// Nobody has to help.
fn recovers(front: &FrontEnd, to: &str) {
    wait::until("an answer again", LIMIT, || {
        (front.rcpt(to, None).code == 250).then_some(())
    });
}

#[test]
fn a_source_that_hangs_or_ends_is_what_the_operator_says_and_comes_back() {
    let mail = dir::scratch("quota");
    let path = format!("{}/{{user}}/Maildir", mail.path().display());
    Maildir::make(&mail.path().join("ann/Maildir"), "5000S");
    let addr: SocketAddr = ports::free_addr();
    let service = QuotaService::at(addr, &["--maildir", &path]);
    let quick = "ask_timeout = \"1s\"\nrest = \"1s\"\nkeep = 0\n";
    let front = FrontEnd::start(
        &[
            step("http.test", &format!("http://{addr}/?u={{user}}"), quick),
            step("udp.test", &format!("udp://{addr}"), quick),
            step("pass.test", &format!("http://{addr}/?u={{user}}"), quick)
                .replace("\"defer\"", "\"pass\""),
        ]
        .concat(),
    );
    let ways = ["ann@http.test", "ann@udp.test"];
    ways.iter().for_each(|to| front.takes(to, None));
    service.proc.signal(Signal::STOP);
    ways.iter().for_each(|to| defers_in_time(&front, to));
    front.takes("ann@pass.test", None);
    service.proc.signal(Signal::CONT);
    ways.iter().for_each(|to| recovers(&front, to));
    drop(service);
    for to in ways {
        // Past the point from which on the source is left alone.
        (0..7).for_each(|_| defers_in_time(&front, to));
    }
    front.takes("ann@pass.test", None);
    let log = front.server.proc.log_with("no answer about a quota");
    assert!(log.contains("no answer about a quota"), "{log}");
    assert!(log.contains("a backend is dead"), "{log}");
    let _service = QuotaService::at(addr, &["--maildir", &path]);
    ways.iter().for_each(|to| recovers(&front, to));
}
