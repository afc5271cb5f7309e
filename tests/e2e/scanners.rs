//! The scanners against real servers, and against servers that misbehave in every way that a
//! scanner's server can. What was not scanned is never called clean.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use posthouse_hook::{Scan, Scanned, Verdict};
use posthouse_tests::plugin::{ask, chain_of, message};
use posthouse_tests::rspamd::Rspamd;
use posthouse_tests::spamd::Spamd;
use posthouse_tests::{ports, wait};

const CLEAN: &str = "Date: Fri, 20 Nov 2026 06:00:00 +0000\r\nMessage-ID: <one@a.test>\r\n\
    From: Ann <a@a.test>\r\nTo: Bob <b@b.test>\r\nSubject: The minutes\r\n\r\n\
    Hello Bob, here are the minutes of our meeting on Tuesday.\r\n\r\nAnn\r\n";
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";
/// An honest sender, for rspamd's rules.
const ZONE: &str = "a.test. MX 10 client.test.\na.test. TXT \"v=spf1 mx -all\"\n\
    client.test. A 192.0.2.1\n1.2.0.192.in-addr.arpa. PTR client.test.\n";
/// What a scanner may take beyond its limit, on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// Lets one scanner look at one message; holds it to measuring.
fn scan(kind: &str, options: &str, octets: &[u8]) -> Scan {
    let chain = chain_of(kind, options).unwrap_or_else(|error| panic!("{options}: {error}"));
    let mut asked = ask(&chain, message(octets));
    assert_eq!(asked.verdict, Verdict::Accept);
    assert_eq!(asked.tx.message.content.len(), octets.len() as u64);
    assert_eq!(asked.scans.0.len(), 1);
    asked.scans.0.remove(0)
}

fn spam() -> Vec<u8> {
    [CLEAN, GTUBE].concat().into_bytes()
}

/// The reason why there was no scan; a panic if there was one.
fn why_not(scan: &Scan) -> &str {
    match &scan.found {
        Scanned::Unscanned(why) => why,
        found => panic!("{found:?}, though nothing can have been scanned"),
    }
}

#[test]
fn gtube_needs_no_server() {
    assert_eq!(scan("gtube", "", &spam()).found, Scanned::Spam);
    assert_eq!(scan("gtube", "", CLEAN.as_bytes()).found, Scanned::Clean);
}

#[test]
fn spamd_is_asked() {
    let spamd = Spamd::start();
    let here = format!("address = \"{}\"\n", spamd.addr());
    let found = scan("spamassassin", &here, &spam());
    assert_eq!(found.found, Scanned::Spam);
    assert_eq!((found.score, found.limit), (Some(1000.0), Some(5.0)));
    assert!(found.tests.iter().any(|test| test == "GTUBE"), "{found:?}");
    let found = scan("spamassassin", &here, CLEAN.as_bytes());
    assert_eq!(found.found, Scanned::Clean, "{found:?}");
    let small = format!("{here}max_size = {}\n", CLEAN.len());
    let found = scan("spamassassin", &small, CLEAN.as_bytes());
    assert_eq!(found.found, Scanned::Clean);
    let found = scan("spamassassin", &small, &spam());
    assert!(why_not(&found).contains("too big"), "{found:?}");
    spamd.freeze();
    hangs("spamassassin", &here);
    let addr = spamd.addr();
    drop(spamd);
    is_down("spamassassin", addr);
}

#[test]
fn rspamd_is_asked() {
    let rspamd = Rspamd::start(ZONE);
    let here = format!("address = \"{}\"\n", rspamd.addr());
    let found = scan("rspamd", &here, &spam());
    assert_eq!(found.found, Scanned::Spam, "{found:?}");
    assert_eq!(found.tests, ["GTUBE"]);
    let found = scan("rspamd", &here, CLEAN.as_bytes());
    assert_eq!(found.found, Scanned::Clean, "{found:?}");
    // These symbols need the envelope and the client from the request.
    for symbol in ["FROM_EQ_ENVFROM", "TO_MATCH_ENVRCPT_ALL", "R_SPF_ALLOW"] {
        assert!(found.tests.iter().any(|test| test == symbol), "{found:?}");
    }
    assert!(
        !found
            .tests
            .iter()
            .any(|test| test == "HFILTER_HOSTNAME_UNKNOWN")
    );
    let strict = format!("{here}spam_from = -100\n");
    let found = scan("rspamd", &strict, CLEAN.as_bytes());
    assert_eq!((found.found, found.limit), (Scanned::Spam, Some(-100.0)));
    let found = scan("rspamd", &format!("{here}max_size = 9\n"), &spam());
    assert!(why_not(&found).contains("too big"), "{found:?}");
    rspamd.freeze();
    hangs("rspamd", &here);
    let addr = rspamd.addr();
    drop(rspamd);
    is_down("rspamd", addr);
}

/// A closed port is said to be one.
fn is_down(kind: &str, addr: SocketAddr) {
    let closed = || (!ports::is_open(addr)).then_some(());
    wait::until("the port is closed", SLACK, closed);
    let found = scan(kind, &format!("address = \"{addr}\""), &spam());
    assert!(why_not(&found).contains("refused"), "{found:?}");
}

/// A server that takes connections and answers none costs no more than the limit.
fn hangs(kind: &str, here: &str) {
    let begun = Instant::now();
    let found = scan(kind, &format!("{here}scan_timeout = \"1s\"\n"), &spam());
    assert!(why_not(&found).contains("within 1s"), "{found:?}");
    assert!(begun.elapsed() < Duration::from_secs(1) + SLACK);
}

/// A server that answers every connection with these octets, and then closes it.
fn says(reply: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 65_536]);
            let _ = stream.write_all(reply);
        }
    });
    addr
}

#[test]
fn nonsense_is_no_scan() {
    const HUGE: &[u8] = &[b'x'; 2_000_000];
    let spamd: &[&[u8]] = &[
        b"",
        b"\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: 99\r\nSpam: False ; 0.0 / 5.0\r\n\r\nA",
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: False ; nan / 5.0\r\n\r\n",
        b"SPAMD/1.1 75 EX_TEMPFAIL\r\nContent-length: 0\r\nSpam: False ; 0.0 / 5.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        HUGE,
    ];
    let rspamd: &[&[u8]] = &[
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"action\":\"no action\"",
        b"HTTP/1.1 200 OK\r\n\r\n{\"action\":\"soft reject\",\"score\":0,\"required_score\":9}",
        b"HTTP/1.1 500 No\r\n\r\n{\"action\":\"no action\",\"score\":0,\"required_score\":9}",
        b"SPAMD/1.1 0 EX_OK\r\n\r\n",
        HUGE,
    ];
    for (kind, replies) in [("spamassassin", spamd), ("rspamd", rspamd)] {
        for reply in replies {
            let options = format!("address = \"{}\"\n", says(reply));
            why_not(&scan(kind, &options, CLEAN.as_bytes()));
        }
    }
}

#[test]
fn an_endless_reply_is_bounded() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(HEAD).expect("a listener");
        while stream.write_all(&[b' '; 65_536]).is_ok() {}
    });
    let found = scan("rspamd", &format!("address = \"{addr}\""), CLEAN.as_bytes());
    why_not(&found);
    server.join().expect("the connection was closed");
}

#[test]
fn wrong_options_name_value_and_way_out() {
    let nobody = ports::free_addr();
    for (kind, options, said) in [
        ("gtube", "colour = 1".to_owned(), "colour"),
        ("spamassassin", String::new(), "address"),
        (
            "spamassassin",
            "address = \"here\"".into(),
            "`here` is no address",
        ),
        (
            "spamassassin",
            format!("address = \"{nobody}\"\nuser = \"a b\""),
            "`a b`",
        ),
        (
            "rspamd",
            format!("address = \"{nobody}\"\nspam_from = \"maybe\""),
            "`maybe`",
        ),
        (
            "rspamd",
            format!("address = \"{nobody}\"\npassword = \"file:/no/where\""),
            "/no/where",
        ),
        (
            "rspamd",
            format!("address = \"{nobody}\"\nscan_timeout = \"soon\""),
            "`soon`",
        ),
    ] {
        let error = chain_of(kind, &options)
            .err()
            .map(|error| error.to_string());
        assert!(
            error.as_ref().is_some_and(|e| e.contains(said)),
            "{options}: {error:?}"
        );
    }
}
