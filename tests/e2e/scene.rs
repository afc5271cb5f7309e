//! The whole program with people around it: clients that send, a next hop that takes, and whoever
//! opens a link. For the tests of what must not happen to them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::sink::{Delivery, Script, Sink};
use posthouse_tests::smtp::{Heard, Smtp};
use posthouse_tests::{ledger, wait};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::web_http::{self, Answer};

/// What the `gtube` scanner takes for spam.
pub(crate) const GTUBE: &str =
    "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
/// How long a test waits for an event.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// `pass.test` lets loopback and 198.51.100.7 send; nobody else may send in the name of `ours.test`.
const ZONE: &str = r#"
ours.test.   TXT "v=spf1 ip4:192.0.2.0/24 ip4:127.0.0.0/8 -all"
pass.test.   TXT "v=spf1 ip4:127.0.0.0/8 ip4:198.51.100.7 -all"
"#;

/// A running server and all around it.
pub(crate) struct Scene {
    pub(crate) server: Posthouse,
    pub(crate) sink: Sink,
    config: String,
    web: SocketAddr,
    runtime: Runtime,
    _dns: Dns,
}

impl Scene {
    /// With the plainest configuration.
    pub(crate) fn open() -> Self {
        Self::with(Script::friendly(), |config| config)
    }

    /// With a next hop of its own kind, and a configuration that a test changes. Clients on loopback
    /// are our servers: their Received fields say where a message entered.
    pub(crate) fn with(script: Script, change: impl FnOnce(String) -> String) -> Self {
        let (dns, sink) = (Dns::start(ZONE), Sink::start(script));
        let mut outbound = Outbound::new(sink.addr(), dns.addr());
        outbound.relay = "retry = [\"1s\"]\nrest = \"0s\"\n".to_owned();
        outbound.store = "min_free = 0".to_owned();
        // Every client has the same address, and few have different names.
        outbound.more =
            "[letters.caps]\nper_sender_daily = 1000\nper_origin_daily = 1000".to_owned();
        let config = outbound
            .toml()
            .replace("[letters]\n", "[letters]\ncheck = \"1s\"\n")
            .replace(
                "our_networks",
                "our_servers = [\"127.0.0.0/8\"]\nour_networks",
            );
        let config = change(config);
        Self {
            server: Posthouse::start(config_dir(), &config, outbound.smtp),
            sink,
            config,
            web: outbound.web,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            _dns: dns,
        }
    }

    /// Sends one message in a session of its own.
    pub(crate) fn send(&self, from: &str, to: &[&str], message: &[u8]) -> Heard {
        let mut client = Smtp::hello(self.server.addr).expect("greets");
        client.send(from, to, message).expect("answers")
    }

    /// Spam from one of ours: refused. The link that the refusal names.
    pub(crate) fn refused(&self, from: &str, to: &[&str], subject: &str) -> String {
        let heard = self.send(from, to, &spam(subject));
        assert_eq!(heard.code, 552, "{heard:?}");
        self.link_in(&heard.text, 'i').expect("a link")
    }

    /// Spam from a stranger to a filtered address: accepted, held.
    pub(crate) fn held(&self, to: &str, subject: &str) {
        let heard = self.send("x@stranger.test", &[to], &spam(subject));
        assert_eq!(heard.code, 250, "{heard:?}");
    }

    /// The first link of that kind in a text.
    pub(crate) fn link_in(&self, text: &str, kind: char) -> Option<String> {
        let start = format!("http://{}/{kind}/", self.web);
        let rest = &text[text.find(&start)?..];
        let end = rest.find(|c: char| c.is_whitespace() || "<>\"'".contains(c));
        Some(rest[..end.unwrap_or(rest.len())].to_owned())
    }

    /// What arrived at the next hop for that address, once there are so many.
    pub(crate) fn arrived(&self, to: &str, count: usize) -> Vec<Delivery> {
        wait::until(&format!("{count} for {to}"), LIMIT, || {
            Some(self.so_far(to)).filter(|found| found.len() >= count)
        })
    }

    /// What arrived at the next hop for that address so far.
    pub(crate) fn so_far(&self, to: &str) -> Vec<Delivery> {
        let rcpt = format!("RCPT TO:<{to}>");
        let mut found = self.sink.deliveries();
        found.retain(|delivery| delivery.rcpt.iter().any(|r| r.starts_with(&rcpt)));
        found
    }

    /// Waits until letters and errands that are due by now have been looked at, and nothing is on
    /// its way: what has not arrived after that does not come.
    pub(crate) fn settle(&self) {
        let probe = format!("probe{}@filtered.test", self.sink.deliveries().len());
        self.held(&probe, &probe);
        self.arrived(&probe, 1);
        wait::until("an empty queue", LIMIT, || {
            self.items(&["queue", "list"]).is_empty().then_some(())
        });
    }

    pub(crate) fn get(&self, url: &str) -> Answer {
        self.ask("GET", url, &[], "")
    }

    pub(crate) fn post(&self, url: &str, form: &str) -> Answer {
        self.ask("POST", url, &[], form)
    }

    /// One request for a URL, or for a path.
    pub(crate) fn ask(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let path = url
            .strip_prefix(&format!("http://{}", self.web))
            .unwrap_or(url);
        let asked = web_http::ask(self.web, method, path, headers, body);
        self.runtime.block_on(asked)
    }

    /// Presses a button on the page behind a URL: the page's form with these fields.
    pub(crate) fn press(&self, url: &str, fields: &str) -> Answer {
        let page = self.get(url).text();
        let token = form_token(&page).unwrap_or_else(|| panic!("no form on {url}: {page}"));
        self.post(url, &format!("form={token}&{fields}"))
    }

    /// A command's `--json`.
    pub(crate) fn items(&self, args: &[&str]) -> Vec<Value> {
        let said = self.command(&[args, &["--json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// A command that works, and what it says.
    pub(crate) fn command(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let output = command(&self.server.config()).args(args).output();
        output.expect("the program starts")
    }

    /// The ledger's file.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.server.dir.path().join("state/ledger.db")
    }

    /// Everything in the ledger but looks at pages.
    pub(crate) fn dump(&self) -> String {
        ledger::dump(&self.ledger())
    }

    /// A restart between whose two halves the ledger's rows are rewritten.
    pub(crate) fn after(self, sql: &str) -> Self {
        self.again(|server, config| {
            let Posthouse { proc, addr, dir } = server;
            proc.stop();
            ledger::change(&dir.path().join("state/ledger.db"), sql);
            Posthouse::start(dir, config, addr)
        })
    }

    /// A crash, and a start with what it left behind.
    pub(crate) fn crash(self) -> Self {
        self.again(Posthouse::crash)
    }

    fn again(self, start: impl FnOnce(Posthouse, &str) -> Posthouse) -> Self {
        let Self {
            server,
            sink,
            config,
            web,
            runtime,
            _dns,
        } = self;
        Self {
            server: start(server, &config),
            sink,
            config,
            web,
            runtime,
            _dns,
        }
    }
}

/// A message that is spam.
pub(crate) fn spam(subject: &str) -> Vec<u8> {
    message("", subject, GTUBE)
}

/// A message with these header fields first.
pub(crate) fn message(fields: &str, subject: &str, body: &str) -> Vec<u8> {
    format!(
        "{fields}From: Ann <ann@ours.test>\r\nTo: bob@filtered.test\r\nSubject: {subject}\r\n\
         Date: Fri, 20 Nov 2026 09:00:00 +0000\r\nMessage-ID: <{subject}@ours.test>\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

/// The Received field of one of our servers, for a message that entered there from `origin`.
pub(crate) fn entered_from(origin: &str) -> String {
    format!(
        "Received: from client.test (client.test [{origin}])\r\n\tby mail.ours.test (Postfix) \
         with ESMTP id 4F1B2;\r\n\tFri, 20 Nov 2026 09:00:00 +0000 (UTC)\r\n"
    )
}

/// The proof in the first form of a page.
pub(crate) fn form_token(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("name=\"form\" value=\"")?;
    rest.split('"').next().map(str::to_owned)
}

/// The text of a mail of ours, with its transfer encoding undone.
pub(crate) fn text_of(delivery: &Delivery) -> String {
    let message = mail_parser::MessageParser::default().parse(&delivery.message);
    let message = message.expect("a message");
    let text = message.body_text(0).expect("a text");
    text.replace("\r\n", "\n")
}
