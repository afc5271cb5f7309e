//! The plugin as a whole, with small backends on loopback that answer, keep silent, talk nonsense or
//! are not there. What it makes of real ones is in the end-to-end tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use posthouse_hook::{Chain, Clock, Timestamp};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, UdpSocket};

use super::config::Config;
use super::*;
use crate::testing::{Parts, Zone, session, step, transaction};

/// A clock that a test sets.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// The plugin in a chain of its own, above one that takes everybody.
struct Bench {
    chain: Chain,
    clock: Arc<Hand>,
}

impl Bench {
    fn new(options: &str) -> Self {
        let clock = Arc::new(Hand(AtomicI64::new(0)));
        let mut parts = Parts::new(Zone::default());
        parts.common.clock = clock.clone();
        let quota = parts.build("quota", options).expect("valid");
        let takes = parts.build(
            "relay_domains",
            "domains = [\"isp.example\", \"x.example\"]",
        );
        let steps = vec![step("quota", quota), step("takes", takes.expect("valid"))];
        Self {
            chain: Chain::new("c", steps),
            clock,
        }
    }

    async fn rcpt(&self, to: &str, size: Option<u64>) -> String {
        let mut tx = transaction("<a@a.example>", &[to], "\n\n");
        let recipient = tx.recipients.remove(0);
        tx.declared_size = size;
        let mut session = session("198.51.100.9");
        match self.chain.rcpt(&mut session, &mut tx, &recipient).await {
            Ok(()) => "ok".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

/// A backend and what it was asked.
struct Backends {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

/// An HTTP server that answers every request with this body, and keeps connections.
async fn http(status: &'static str, body: &'static str) -> Backends {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let backend = Backends {
        addr: listener.local_addr().expect("bound"),
        connections: Arc::default(),
        asked: Arc::default(),
    };
    let (connections, asked) = (backend.connections.clone(), backend.asked.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let asked = asked.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                loop {
                    let mut line = String::new();
                    while line != "\r\n" {
                        line.clear();
                        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    asked.fetch_add(1, Ordering::SeqCst);
                    let len = body.len();
                    let said = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n\r\n{body}");
                    if stream.write_all(said.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    backend
}

fn over(addr: SocketAddr, more: &str) -> String {
    format!("source = \"http://{addr}/quota.cgi?u={{user}}\"\n{more}")
}

#[tokio::test]
async fn a_full_mailbox_is_refused_and_said_to_be_full() {
    let backend = http("200 OK", "OVERQUOTA ann 200 100\n").await;
    let bench = Bench::new(&over(backend.addr, ""));
    let said = "452 4.2.2 Quota exceeded for Ann+x@isp.example, try again later";
    assert_eq!(bench.rcpt("<Ann+x@isp.example>", None).await, said);
    assert_eq!(bench.rcpt("<ann@x.example>", None).await, "ok", "not ours");
    assert_eq!(backend.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn numbers_are_kept_and_judged_for_each_message() {
    let backend = http("200 OK", "OK ann 90 100\n").await;
    let bench = Bench::new(&over(backend.addr, "reply = \"552 5.2.2\""));
    let to = "<ann@isp.example>";
    assert_eq!(bench.rcpt(to, Some(10)).await, "ok");
    let said = "552 5.2.2 Quota exceeded for ann@isp.example";
    assert_eq!(bench.rcpt(to, Some(11)).await, said);
    assert_eq!(bench.rcpt(to, None).await, "ok");
    assert_eq!(backend.asked.load(Ordering::SeqCst), 1);
    bench.pass(119);
    bench.rcpt(to, None).await;
    assert_eq!(backend.asked.load(Ordering::SeqCst), 1);
    bench.pass(1);
    bench.rcpt(to, None).await;
    assert_eq!(backend.asked.load(Ordering::SeqCst), 2);
    assert_eq!(backend.connections.load(Ordering::SeqCst), 1, "kept alive");
}

#[tokio::test]
async fn a_full_mailbox_is_asked_about_again_sooner() {
    let backend = http("200 OK", "OVERQUOTA ann 200 100\n").await;
    let bench = Bench::new(&over(backend.addr, "keep_over = \"10s\""));
    for seconds in [9, 1] {
        bench.rcpt("<ann@isp.example>", None).await;
        bench.pass(seconds);
    }
    bench.rcpt("<ann@isp.example>", None).await;
    assert_eq!(backend.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_flood_for_one_recipient_is_one_question() {
    let backend = http("200 OK", "OK ann 90 100\n").await;
    let bench = Bench::new(&over(backend.addr, ""));
    let flood = (0..200).map(|_| bench.rcpt("<ann@isp.example>", None));
    let all = futures_util::future::join_all(flood).await;
    assert!(all.iter().all(|said| said == "ok"));
    assert_eq!(backend.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_unknown_mailbox_is_not_ours_to_refuse() {
    let backend = http("404 Not Found", "UNKNOWN ann\n").await;
    let bench = Bench::new(&over(backend.addr, "on_dead = \"defer\""));
    assert_eq!(bench.rcpt("<ann@isp.example>", Some(9)).await, "ok");
}

const DEFERRED: &str = "451 4.4.3 Mailbox lookup failed, try again later";

#[tokio::test]
async fn nonsense_is_no_answer_and_does_not_stop_the_rest() {
    for (status, body) in [
        ("200 OK", ""),
        ("200 OK", "<html>OVERQUOTA</html>"),
        ("200 OK", "OK bob 1 2"),
        ("500 Oops", "it broke"),
        ("503 Busy", "TEMPFAIL ann"),
    ] {
        let backend = http(status, body).await;
        let bench = Bench::new(&over(backend.addr, "on_dead = \"defer\""));
        for asked in 1..=8 {
            assert_eq!(
                bench.rcpt("<ann@isp.example>", None).await,
                DEFERRED,
                "{body}"
            );
            assert_eq!(backend.asked.load(Ordering::SeqCst), asked, "{body}");
        }
        let bench = Bench::new(&over(backend.addr, ""));
        assert_eq!(bench.rcpt("<ann@isp.example>", None).await, "ok", "{body}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_bounded() {
    let long: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    let backend = http("200 OK", long).await;
    let bench = Bench::new(&over(backend.addr, "on_dead = \"defer\""));
    assert_eq!(bench.rcpt("<ann@isp.example>", None).await, DEFERRED);
}

/// A source of each kind that is behind a network, at a port where nobody listens.
fn nobody(addr: SocketAddr) -> [String; 3] {
    [
        format!("source = \"http://{addr}/?u={{user}}\"\n"),
        format!("source = \"udp://{addr}\"\n"),
        format!("source = \"dovecot://{addr}\"\n"),
    ]
}

#[tokio::test]
async fn a_dead_source_is_what_the_operator_says() {
    let free = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let addr = free.local_addr().expect("bound");
    drop(free);
    for source in nobody(addr) {
        let bench = Bench::new(&format!(
            "{source}on_dead = \"defer\"\nask_timeout = \"1s\""
        ));
        for _ in 0..8 {
            assert_eq!(
                bench.rcpt("<ann@isp.example>", None).await,
                DEFERRED,
                "{source}"
            );
        }
        let bench = Bench::new(&format!("{source}on_dead = \"pass\"\nask_timeout = \"1s\""));
        assert_eq!(
            bench.rcpt("<ann@isp.example>", None).await,
            "ok",
            "{source}"
        );
    }
}

#[tokio::test]
async fn a_source_that_hangs_holds_nobody_for_long() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = tcp.local_addr().expect("bound");
    let _udp = UdpSocket::bind(addr).await.expect("the same port");
    for source in nobody(addr) {
        let bench = Bench::new(&format!(
            "{source}on_dead = \"defer\"\nask_timeout = \"1s\""
        ));
        let begun = Instant::now();
        let flood = (0..50).map(|_| bench.rcpt("<ann@isp.example>", None));
        let all = futures_util::future::join_all(flood).await;
        assert!(all.iter().all(|said| said == DEFERRED), "{source}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{source}");
    }
}

/// Takes one datagram and who sent it.
async fn datagram(server: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 100];
    let (len, from) = server.recv_from(&mut buffer).await.expect("a datagram");
    (String::from_utf8_lossy(&buffer[..len]).into_owned(), from)
}

#[tokio::test]
async fn only_the_server_s_own_datagram_about_the_user_counts() {
    let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let other = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let addr = server.local_addr().expect("bound");
    let bench = Bench::new(&format!("source = \"udp://{addr}\"\nask_timeout = \"20s\""));
    let asks = bench.rcpt("<ann@isp.example>", Some(5));
    let answers = async {
        let (text, from) = datagram(&server).await;
        assert_eq!(text, "ann");
        let spoof = other.send_to(b"OK ann 0 100", from).await;
        spoof.expect("sent");
        for text in ["OK bob 0 100", "\0\u{ff}", "", "OVERQUOTA ann 97 100"] {
            server.send_to(text.as_bytes(), from).await.expect("sent");
        }
    };
    let (said, ()) = tokio::join!(asks, answers);
    assert!(said.starts_with("452 4.2.2 "), "{said}");
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again_once() {
    let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let addr = server.local_addr().expect("bound");
    let source = format!("source = \"udp://{addr}/{{address}} {{size}}\"\nask_timeout = \"1s\"");
    let bench = Bench::new(&format!("{source}\non_dead = \"defer\""));
    let answers = async {
        let (lost, _) = datagram(&server).await;
        let (again, from) = datagram(&server).await;
        assert_eq!((lost.as_str(), &again), ("ann@isp.example 7", &lost));
        server
            .send_to(b"OK ann@isp.example 1 9", from)
            .await
            .expect("sent");
    };
    let (said, ()) = tokio::join!(bench.rcpt("<ann@isp.example>", Some(7)), answers);
    assert_eq!(said, "ok");
}

#[tokio::test]
async fn a_local_maildir_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let maildir = dir.path().join("ann/Maildir");
    std::fs::create_dir_all(maildir.join("cur")).expect("made");
    std::fs::write(maildir.join("maildirsize"), "100S\n90 1\n").expect("written");
    std::os::unix::fs::symlink(dir.path().join("ann"), dir.path().join("eve")).expect("made");
    let source = format!(
        "source = \"maildir:{}/{{user}}/Maildir\"",
        dir.path().display()
    );
    let bench = Bench::new(&format!("{source}\non_dead = \"defer\""));
    for (to, size, said) in [
        ("<ann@isp.example>", Some(10), "ok"),
        (
            "<ann@isp.example>",
            Some(11),
            "452 4.2.2 Quota exceeded for ann@isp.example, try again later",
        ),
        ("<nobody@isp.example>", Some(11), "ok"),
        ("<\"../ann\"@isp.example>", Some(11), "ok"),
        ("<\"..\"@isp.example>", Some(11), "ok"),
        ("<eve@isp.example>", Some(11), DEFERRED),
    ] {
        assert_eq!(bench.rcpt(to, size).await, said, "{to}");
    }
}

#[tokio::test]
async fn an_address_is_shown_on_one_line_and_whole() {
    let backend = http("200 OK", "OVERQUOTA {link} 200 100\n").await;
    let options = over(backend.addr, "text = \"No room for {address}\"");
    let said = Bench::new(&options)
        .rcpt("<{link}@isp.example>", None)
        .await;
    assert_eq!(said, "452 4.2.2 No room for ?link?@isp.example");
}

fn fault(options: &str) -> String {
    let built = Parts::new(Zone::default()).build("quota", options);
    built.err().expect("a fault").to_string()
}

#[test]
fn wrong_options_name_value_and_way_out() {
    let source = "source = \"udp://127.0.0.1:99\"\n";
    for (options, said) in [
        (String::new(), "source"),
        ("source = \"https://b/{user}\"".into(), "no known kind"),
        ("source = \"http://b/q\"".into(), "{user}"),
        ("source = \"maildir:/var/mail/../{user}\"".into(), ".."),
        ("source = \"mbox:mail/{user}\"".into(), "absolute"),
        (format!("{source}reply = \"250 2.0.0\""), "250 2.0.0"),
        (format!("{source}text = \"\""), "needs words"),
        (format!("{source}text = \"go to {{link}}\""), "{link}"),
        (format!("{source}ask_timeout = \"0s\""), "no time at all"),
        (format!("{source}on_dead = \"hold\""), "hold"),
        (format!("{source}quota = \"1000S\""), "not used"),
        (format!("{source}quotas = \"quotas.csv\""), "absolute"),
        (
            "source = \"mbox:/var/mail/{user}\"\nquota = \"1M\"".into(),
            "`1M`",
        ),
        (
            "source = \"mbox:/var/mail/{user}\"\nquotas = \"/no/where\"".into(),
            "/no/where",
        ),
    ] {
        assert!(
            fault(&options).contains(said),
            "{options}: {}",
            fault(&options)
        );
    }
}

#[test]
fn somebody_must_be_asked_about() {
    let mut parts = Parts::new(Zone::default());
    parts.common.our_domains = Live::default();
    let mut build = |options| parts.build("quota", options).err().map(|e| e.to_string());
    let error = build("source = \"udp://127.0.0.1:99\"").expect("a fault");
    assert!(error.contains("our_domains"), "{error}");
    assert_eq!(
        build("source = \"udp://127.0.0.1:99\"\ndomains = \"x.example\""),
        None
    );
}

#[test]
fn the_step_s_own_limit_is_the_longest() {
    let options = toml::from_str::<Config>("source = \"udp://127.0.0.1:99\"\nask_timeout = 4");
    let quota = config::quota(options.expect("options"), &mut Parts::new(Zone::default()));
    assert!(quota.expect("valid").default_timeout() > Duration::from_secs(8));
}
