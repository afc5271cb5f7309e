//! `verify_sender` over a real slapd with sendmail's and OpenLDAP's schemas: the two steps, four ways to
//! reach it, what could break a filter, and a directory that is down, hangs, comes back or is none.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use posthouse_tests::posthouse::config_dir;
use posthouse_tests::slapd::{BIND_DN, PASSWORD, Slapd};
use posthouse_tests::{dir, ports};

use super::verify::{Guard, logged, until};

/// What asking may cost beyond its limit, on a busy machine.
const SLACK: Duration = Duration::from_secs(10);
const MISSING: &str = "550 5.7.1 Reject: your From address ";
const LATER: &str = "451 4.4.3 Address cannot be verified now, try again later";
const OK: &str = "250 2.1.5 Recipient OK";

/// A server that verifies senders at that source.
fn guard(source: &str, options: &str) -> Guard {
    let dir = config_dir();
    dir::write(&dir.path().join("password"), &format!("{PASSWORD}\n"));
    let steps = format!(
        "
[[chain.outbound]]
plugin   = \"verify_sender\"
domains  = []
source   = \"{source}\"
bind_dn  = \"{BIND_DN}\"
password = \"file:password\"
base     = \"dc=mail\"
recipient_delimiter = \"+\"
ask_timeout = \"2s\"
rest     = \"1s\"
{options}
"
    );
    Guard::start(dir, &steps)
}

#[test]
fn the_directory_says_whose_domain_and_who_exists() {
    let slapd = Slapd::start();
    let guard = guard(&format!("ldap://{}", slapd.addr()), "");
    for (from, want) in [
        ("ann@ours.test", OK),
        ("ANN+lists@Ours.Test", OK),
        ("bob@elsewhere.test", OK),
        ("postmaster@second.test", OK),
        ("a*b@second.test", OK),
        ("bob@ours.test", MISSING),
        ("ann@second.test", MISSING),
        // Each would be somebody if it were not escaped.
        ("*@ours.test", MISSING),
        ("a*@ours.test", MISSING),
        ("\"*)(uid=*\"@ours.test", MISSING),
        ("\"x)(|(mailLocalAddress=ann@ours.test\"@ours.test", MISSING),
        ("\"\\\\61nn\"@ours.test", MISSING),
        ("{address}@ours.test", MISSING),
    ] {
        let heard = guard.mail(from);
        assert!(heard.starts_with(want), "{from}: {heard}");
    }
}

#[test]
fn every_way_to_reach_it_is_secured_as_configured() {
    let slapd = Slapd::start();
    let trusted = format!("ca_file = \"{}\"", slapd.certificate().display());
    let (plain, tls) = (slapd.addr(), slapd.tls());
    let socket = slapd.socket();
    for (source, options, want) in [
        (format!("ldaps://{tls}"), trusted.clone(), MISSING),
        (
            format!("ldap://{plain}"),
            format!("start_tls = true\n{trusted}"),
            MISSING,
        ),
        (
            format!("ldapi://{}", socket.display()),
            String::new(),
            MISSING,
        ),
        // A certificate that nobody vouches for, one for another name, and no TLS at all.
        (format!("ldaps://{tls}"), String::new(), LATER),
        (
            format!("ldap://{plain}"),
            "start_tls = true".to_owned(),
            LATER,
        ),
        (
            format!("ldaps://localhost:{}", tls.port()),
            trusted.clone(),
            LATER,
        ),
        (format!("ldaps://{plain}"), trusted, LATER),
    ] {
        let guard = guard(&source, &options);
        let heard = guard.mail("bob@ours.test");
        assert!(heard.starts_with(want), "{source} {options}: {heard}");
        let log = guard.server.proc.log();
        assert!(!log.contains(PASSWORD), "{log}");
    }
}

#[test]
fn a_wrong_password_or_base_is_no_answer() {
    let slapd = Slapd::start();
    let source = format!("ldap://{}", slapd.addr());
    let wrong = guard(&source, "");
    dir::write(&wrong.server.dir.path().join("password"), "wrong");
    let config = std::fs::read_to_string(wrong.server.config()).expect("a file");
    let Guard { server, sink } = wrong;
    let wrong = Guard {
        server: server.restart(&config),
        sink,
    };
    assert_eq!(wrong.mail("ann@ours.test"), LATER);
    logged(&wrong.server, "rc=49");
    let elsewhere = config.replace("= \"dc=mail\"", "= \"dc=nowhere\"");
    dir::write(&wrong.server.dir.path().join("password"), PASSWORD);
    let Guard { server, sink } = wrong;
    let lost = Guard {
        server: server.restart(&elsewhere),
        sink,
    };
    assert_eq!(lost.mail("ann@ours.test"), LATER);
    logged(&lost.server, "rc=32");
}

#[test]
fn a_directory_that_hangs_or_is_down_defers_and_comes_back() {
    let mut slapd = Slapd::start();
    let source = format!("ldap://{}", slapd.addr());
    let strict = guard(&source, "positive_ttl = \"0s\"\nnegative_ttl = \"0s\"");
    let lenient = guard(
        &source,
        "on_dead = \"pass\"\npositive_ttl = \"0s\"\nnegative_ttl = \"0s\"",
    );
    assert_eq!(strict.mail("ann@ours.test"), OK);
    slapd.freeze();
    let begun = Instant::now();
    assert_eq!(strict.mail("ann@ours.test"), LATER);
    assert!(begun.elapsed() < Duration::from_secs(4) + SLACK);
    assert_eq!(lenient.mail("bob@ours.test"), OK);
    slapd.thaw();
    until("it goes on", || strict.mail("ann@ours.test"), OK);
    until("it goes on", || lenient.mail("bob@ours.test"), MISSING);
    // The connections that were kept are gone with it: nobody hears of that.
    slapd.restart();
    assert_eq!(strict.mail("ann@ours.test"), OK);
    drop(slapd);
    for _ in 0..8 {
        assert_eq!(strict.mail("ann@ours.test"), LATER);
        assert_eq!(lenient.mail("bob@ours.test"), OK);
    }
    logged(&lenient.server, "let through");
    logged(&lenient.server, "unverified=");
}

/// A server that answers every connection with these octets, over and over if that is said.
fn says(reply: &'static [u8], endless: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    let sent = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&sent);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            while stream.write_all(reply).is_ok() {
                count.fetch_add(reply.len(), Ordering::Relaxed);
                if !endless {
                    break;
                }
            }
        }
    });
    (addr, sent)
}

/// Entries without end, to message 1 (the bind was answered before).
const ENTRY: &[u8] = b"\x30\x0f\x02\x01\x02\x64\x0a\x04\x06dc=big\x30\x00";
const BOUND: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
/// Sequences in sequences, 60 KB of them: a parser that calls itself for each would end the process.
static DEEP: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
    let mut deep = Vec::new();
    while deep.len() < 60_000 {
        let len = u32::try_from(deep.len()).expect("small").to_be_bytes();
        deep.splice(..0, [&[0x30, 0x84], &len[..]].concat());
    }
    deep
});

#[test]
fn nonsense_is_no_answer_and_bounded() {
    let replies: [(&'static [u8], bool); 10] = [
        (b"", false),
        (b"220 mail.test ESMTP\r\n", false),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", false),
        (b"\x30\x84\x7f\xff\xff\xff", true),
        (b"\x30\x03\x02\x01\x01", false),
        (b"\x30\x00", false),
        (
            b"\x30\x0c\x02\x01\x01\x61\x07\x02\x01\x00\x04\x00\x04\x00",
            false,
        ),
        (b"\x30\x0a\x02\x01\x01\x61\x05\x0a\x01\x00\x04\x00", false),
        (&DEEP, false),
        (ENTRY, true),
    ];
    for (reply, endless) in replies {
        let (addr, sent) = says(reply, endless);
        let guard = guard(&format!("ldap://{addr}"), "");
        let shown = &reply[..reply.len().min(20)];
        assert_eq!(guard.mail("ann@ours.test"), LATER, "{shown:x?}");
        assert_eq!(guard.mail("ann@ours.test"), LATER, "{shown:x?}");
        assert!(sent.load(Ordering::Relaxed) < 32 << 20, "{shown:x?}");
        assert!(!guard.server.proc.has_ended(), "{shown:x?}");
    }
}

#[test]
fn a_bind_that_is_answered_and_a_search_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(BOUND);
            let _ = stream.read(&mut [0; 4096]);
            while stream.write_all(ENTRY).is_ok() {}
        }
    });
    let guard = guard(&format!("ldap://{addr}"), "");
    assert_eq!(guard.mail("ann@ours.test"), LATER);
    logged(&guard.server, "the answer has no end");
    assert!(ports::is_open(guard.server.addr));
}
