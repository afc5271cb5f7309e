//! The pages of the quarantine over a real store, for the tests of the pages: a clock, a port and a
//! state directory of their own.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use posthouse_hook::facts::Scans;
use posthouse_hook::{
    Clock, Column, Commit as _, Content, Domain, ForwardPath, Header, Id, Judgement, Kept, Link,
    LookupError, Message, Origin, Outcome, Receipt, Recipient, Refusal, ReversePath, Row, Rows,
    Scan, Scanned, Session, Spf, Timestamp, Transaction, Vouched, Why,
};
use posthouse_store::{ReleaseCaps, Settings, State, Store};
use posthouse_web::{Config, Limits, Pages, Rules, SelfRelease, SiteUrl, Web};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::web_http::{self, Answer};

/// 20 November 2026, 06:48 UTC.
const START: i64 = 1_795_157_280_000;
/// The name under which browsers reach every site.
pub(crate) const HOST: &str = "out.isp.example";
/// How long held copies are kept.
pub(crate) const RETENTION: Duration = Duration::from_secs(30 * 86_400);

/// A running server.
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) addr: SocketAddr,
    clock: Arc<HandClock>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    state: TempDir,
}

/// A clock that somebody moves.
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// What differs from one test to the next.
pub(crate) struct Wanted {
    pub(crate) self_release: Vec<SelfRelease>,
    pub(crate) caps: ReleaseCaps,
    pub(crate) limits: Limits,
    pub(crate) recipient_releases: Option<NonZeroU32>,
    /// An operator's own templates.
    pub(crate) templates: Option<PathBuf>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            self_release: vec![SelfRelease::Ours, SelfRelease::Spf],
            caps: ReleaseCaps::default(),
            limits: Limits::default(),
            recipient_releases: None,
            templates: None,
        }
    }
}

impl Site {
    pub(crate) async fn open() -> Self {
        Self::with(Wanted::default()).await
    }

    pub(crate) async fn with(wanted: Wanted) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let somewhere = SiteUrl::parse("http://127.0.0.1").expect("a URL");
        let mut config = Config::new(([127, 0, 0, 1], 0).into(), somewhere);
        config.limits = wanted.limits;
        let web = Web::bind(&config).await.expect("a free port");
        let addr = web.local_addr().expect("a bound port");
        let url = SiteUrl::parse(&format!("http://{HOST}:{}", addr.port()));
        config.url = url.expect("a URL");
        let clock = Arc::new(HandClock(AtomicI64::new(START)));
        let settings = settings(&state, config.url.as_str());
        let store = Store::open(settings, clock.clone()).expect("a new store");
        let rules = Rules {
            self_release: wanted.self_release,
            caps: wanted.caps,
            recipient_releases: wanted.recipient_releases,
            retention: RETENTION,
        };
        let rows = Arc::new(OneFiltered);
        let templates = wanted.templates.as_deref();
        let pages = Pages::new(
            &config,
            rules,
            templates,
            store.clone(),
            clock.clone(),
            rows,
        );
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(web.run(Arc::new(pages.expect("good templates")), stopped));
        Self {
            store,
            addr,
            clock,
            stop,
            server,
            state,
        }
    }

    /// Asks the server to stop.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether the server still runs, once nobody can connect to it any more.
    pub(crate) async fn runs_on(&self) -> bool {
        let closed = async {
            while TcpStream::connect(self.addr).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let closed = tokio::time::timeout(Duration::from_secs(20), closed).await;
        closed.expect("the listener closes");
        !self.server.is_finished()
    }

    /// Stops the server and waits until it has ended.
    pub(crate) async fn close(self) {
        self.stop();
        self.server.await.expect("the server ends without a panic");
    }

    /// Moves the clock on.
    pub(crate) fn wait(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).expect("short");
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Holds a message as the quarantine would, and returns its id and the sender's link.
    pub(crate) async fn hold(&self, mail: Mail<'_>) -> Held {
        let receipt = self.commit(&mail).await;
        Held {
            id: receipt.id,
            link: receipt.link,
        }
    }

    /// Drops a message for every recipient, as the quarantine would by their standing choice.
    pub(crate) async fn drop_silently(&self, mail: Mail<'_>) {
        self.commit_as(&mail, Kept::Discarded).await;
    }

    async fn commit(&self, mail: &Mail<'_>) -> Receipt {
        self.commit_as(mail, Kept::Held(Why::Spam(mail.row))).await
    }

    async fn commit_as(&self, mail: &Mail<'_>, kept: Kept) -> Receipt {
        let now = self.clock.now();
        let ids = self.store.ids();
        let client: SocketAddr = ([192, 0, 2, 1], 4711).into();
        let session = Session::new(ids.next(now), client, client, now);
        let from = ReversePath::from_address(mail.from).expect("an address");
        let mut tx = Transaction::new(ids.next(now), now, from.clone());
        for to in mail.to {
            let path = ForwardPath::from_address(to).expect("an address");
            tx.recipients.push(Recipient::new(path));
        }
        let bytes = Bytes::copy_from_slice(mail.message);
        tx.message = Message {
            header: Arc::new(Header::parse(bytes.clone())),
            content: Content::Memory(bytes),
        };
        tx.notes.put(mail.judgement(from, tx.id));
        let kept = vec![kept; mail.to.len()];
        let refusal = Refusal::policy("held");
        let outcome = Outcome::Refused { refusal, kept };
        let commit = self.store.commit(&session, &tx, &outcome).await;
        commit.expect("the store works")
    }

    /// The links of an address: to its page, and to stop letters.
    pub(crate) async fn links_of(&self, address: &str) -> (Link, Link) {
        let due = self.store.letters_due(Duration::from_secs(1), 100).await;
        let due = due.expect("the store works");
        let due = due.into_iter().find(|d| d.address.address == address);
        let due = due.expect("a letter is due");
        (due.link, due.stop_link)
    }

    /// The states of a message's copies.
    pub(crate) async fn states(&self, id: Id) -> Vec<State> {
        let item = self.store.item(id).await.expect("the store works");
        let item = item.expect("the message is there");
        item.recipients.iter().map(|r| r.state).collect()
    }

    /// How often an event stands in a message's audit.
    pub(crate) async fn audited(&self, id: Id, event: &str) -> usize {
        let lines = self.store.audit(id).await.expect("the store works");
        lines.iter().filter(|line| line.event == event).count()
    }

    /// The ledger's file.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.state.path().join("ledger.db")
    }

    /// The URL of a path, for a browser.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.store.link_key().base())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// Posts a form as a browser would that has nothing to say about its origin.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Answer {
        self.ask("POST", path, &[], form).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        web_http::ask(self.addr, method, path, headers, body).await
    }

    /// The form token of the page behind a path.
    pub(crate) async fn form_token(&self, path: &str) -> String {
        let page = self.get(path).await.text();
        let (_, rest) = page.split_once("name=\"form\" value=\"").expect("a form");
        rest.split('"').next().expect("a value").to_owned()
    }
}

fn settings(state: &TempDir, link_base: &str) -> Settings {
    Settings {
        state: state.path().to_owned(),
        node: 1,
        link_base: link_base.to_owned(),
        min_free: 0,
        spool_threshold: 128 << 10,
        handoff_bytes: 1 << 20,
        retention: RETENTION,
        bounds: posthouse_store::Bounds::default(),
        audit_kept: RETENTION,
        observed_kept: RETENTION,
        judged_kept: RETENTION,
    }
}

/// A held message, and the sender's link to it.
pub(crate) struct Held {
    pub(crate) id: Id,
    link: Option<Link>,
}

impl Held {
    /// The path of the sender's page.
    pub(crate) fn path(&self) -> String {
        path_of(self.link.as_ref().expect("the sender was refused"))
    }
}

/// The path of a link's page.
pub(crate) fn path_of(link: &Link) -> String {
    let url = link.reveal();
    let at = url.match_indices('/').nth(2).expect("a path").0;
    url[at..].to_owned()
}

/// A message that the quarantine holds.
#[derive(Clone)]
pub(crate) struct Mail<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a [&'a str],
    pub(crate) row: Row,
    pub(crate) vouched: Vouched,
    pub(crate) message: &'a [u8],
    pub(crate) tests: &'a [&'a str],
}

impl Default for Mail<'_> {
    fn default() -> Self {
        Self {
            from: "ann@ours.example",
            to: &["bob@there.example"],
            row: Row::Filtered,
            vouched: Vouched::OursNetwork,
            message: b"From: Ann <ann@ours.example>\r\nTo: bob@there.example\r\n\
                Subject: The boat\r\nDate: Fri, 20 Nov 2026 06:40:00 +0000\r\n\r\n\
                Shall we sell the boat?\r\n",
            tests: &["GTUBE"],
        }
    }
}

impl Mail<'_> {
    /// Each message is another one: the store would find a retry of the same.
    fn judgement(&self, sender: ReversePath, id: Id) -> Judgement {
        let mut identity = [0; 32];
        identity[..8].copy_from_slice(&id.0.to_be_bytes());
        let scan = Scan {
            scanner: "spamassassin".to_owned(),
            found: Scanned::Spam,
            score: Some(15.3),
            limit: Some(5.0),
            action: None,
            tests: self.tests.iter().map(|t| (*t).to_owned()).collect(),
        };
        Judgement {
            ours: true,
            sender,
            origin: Origin::Address([192, 0, 2, 1].into()),
            spf: Spf::None,
            column: Column::Vouched(self.vouched),
            rows: vec![self.row; self.to.len()],
            scans: Scans(vec![scan]),
            identity: Some(identity),
            spam: true,
        }
    }
}

/// Holds the domain `big.example` for filtered and no other; of `unknown.example` nothing is known.
struct OneFiltered;

#[async_trait::async_trait]
impl Rows for OneFiltered {
    async fn row(&self, to: &ForwardPath) -> Result<Row, LookupError> {
        match to.domain().map(Domain::as_str) {
            Some("big.example") => Ok(Row::Filtered),
            Some("unknown.example") => Err(LookupError::Temporary("no answer".to_owned())),
            _ => Ok(Row::Other),
        }
    }
}
