//! The plugin as a chain asks it: with a resolver in memory and a scanner that says what it is
//! told.

mod cells;
mod dsn;
mod options;
mod replay;
mod scanning;

use std::sync::Arc;

use posthouse_hook::{Chain, Disposition, Judgement, Scanned, Session, Transaction, Verdict};

use crate::testing::{Parts, Scanner, Zone, session, step, transaction};

/// A stranger's address, for which SPF of `pass.example` passes and of others does not.
const STRANGER: &str = "198.51.100.7";
const OPTIONS: &str = "scan = \"spam\"\nfiltered_domains = [\"big.example\", \"mx:guard.example\"]";
const MESSAGE: &str = "Subject: s\n\nbody\n";

fn zone() -> Zone {
    Zone::default()
        .txt("pass.example", "v=spf1 ip4:198.51.100.7 -all")
        .txt("fail.example", "v=spf1 -all")
        .txt("isp.example", "v=spf1 ip4:192.0.2.0/24 -all")
        .mx("behind.example", "mx.guard.example")
        .failing("down.example")
}

/// A chain with the quarantine in it.
struct Bench {
    parts: Parts,
    scanner: Arc<Scanner>,
    options: String,
}

/// What came of one message.
struct Came {
    verdict: Verdict,
    session: Session,
    tx: Transaction,
}

impl Bench {
    fn new(scanner: Arc<Scanner>) -> Self {
        let plugin: Arc<Scanner> = Arc::clone(&scanner);
        Self {
            parts: Parts::new(zone()).chain("spam", plugin),
            scanner,
            options: OPTIONS.to_owned(),
        }
    }

    fn says(found: Scanned) -> Self {
        Self::new(Scanner::says(found))
    }

    fn spam() -> Self {
        Self::says(Scanned::Spam)
    }

    fn with(mut self, option: &str) -> Self {
        self.options = format!("{}\n{option}", self.options);
        self
    }

    async fn run(&mut self, mut session: Session, mut tx: Transaction) -> Came {
        let plugin = self.parts.build("quarantine", &self.options);
        let plugin = plugin.unwrap_or_else(|error| panic!("{error}"));
        let chain = Chain::new("outbound", vec![step("quarantine", plugin)]);
        let verdict = chain.data(&mut session, &mut tx).await;
        Came {
            verdict,
            session,
            tx,
        }
    }

    /// A message of the stranger.
    async fn send(&mut self, from: &str, to: &[&str]) -> Came {
        self.run(session(STRANGER), transaction(from, to, MESSAGE))
            .await
    }
}

impl Came {
    /// The refusal's code; 250 without one.
    fn code(&self) -> u16 {
        match &self.verdict {
            Verdict::Refuse(refusal) => refusal.code(),
            Verdict::Pass | Verdict::Accept => 250,
        }
    }

    fn dispositions(&self) -> Vec<Disposition> {
        self.tx.dispositions().collect()
    }

    fn relays_all(&self) -> bool {
        self.code() == 250 && self.dispositions().iter().all(|d| *d == Disposition::Relay)
    }

    fn judgement(&self) -> &Judgement {
        self.tx.notes.get().expect("a judgement")
    }

    /// Everything that was remarked.
    fn remarks(&self) -> String {
        let entries = self.session.trail.entries.iter();
        let remarks = entries.flat_map(|entry| entry.remarks.iter().map(String::as_str));
        remarks.collect::<Vec<_>>().join("\n")
    }
}
