//! `verify_recipient` over HTTP: the address reaches the server as one word, connections are kept, and
//! whatever is neither yes nor no is no answer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use posthouse_tests::ports;
use posthouse_tests::posthouse::config_dir;

use super::verify::{Guard, logged, until};

const LATER: &str = "451 4.4.3 Address cannot be verified now, try again later";

/// What a server was asked: the request line, and on which connection.
type Asked = Arc<Mutex<Vec<(usize, String)>>>;

/// A server that answers by what stands in the path.
fn start(listener: TcpListener) -> Asked {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || serve(stream, number, &seen));
        }
    });
    asked
}

fn serve(stream: TcpStream, number: usize, seen: &Mutex<Vec<(usize, String)>>) {
    let mut input = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if !matches!(input.read_line(&mut line), Ok(1..)) {
            return;
        }
        if line != "\r\n" {
            lines.push(line.trim_end().to_owned());
            continue;
        }
        let request = lines.first().cloned().unwrap_or_default();
        lines.clear();
        let reply = reply(&request);
        seen.lock().expect("no panic").push((number, request));
        if input.get_mut().write_all(reply).is_err() {
            return;
        }
    }
}

fn reply(request: &str) -> &'static [u8] {
    const BODY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
    if request.contains("ann%40") {
        BODY
    } else if request.contains("gone%40") {
        b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
    } else if request.contains("moved%40") {
        b"HTTP/1.1 302 Found\r\nLocation: /ann%40\r\nContent-Length: 0\r\n\r\n"
    } else if request.contains("garbage%40") {
        b"250 what?\r\n\r\n"
    } else if request.contains("fault%40") {
        b"HTTP/1.1 500 Fault\r\nContent-Length: 0\r\n\r\n"
    } else if request.contains("slow%40") {
        b""
    } else {
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    }
}

fn guard(addr: SocketAddr) -> Guard {
    let steps = format!(
        "
[[chain.outbound]]
plugin  = \"verify_recipient\"
source  = \"http://{addr}/exists?u={{address}}&v=1\"
ask_timeout = \"1s\"
rest    = \"0s\"
"
    );
    Guard::start(config_dir(), &steps)
}

#[test]
fn a_server_is_asked_over_kept_connections() {
    let listener = TcpListener::bind(ports::free_addr()).expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    let asked = start(listener);
    let guard = guard(addr);
    for (to, want) in [
        ("ann@ours.test", "250"),
        ("ann@ours.test", "250"),
        ("bob@ours.test", "550 5.1.1"),
        ("gone@ours.test", "550 5.1.1"),
        ("\"../?u=ann%40&x #\"@ours.test", "550 5.1.1"),
    ] {
        let heard = guard.rcpt(to);
        assert!(heard.starts_with(want), "{to}: {heard}");
    }
    let seen = asked.lock().expect("no panic").clone();
    assert_eq!(seen.len(), 4, "kept answers: {seen:?}");
    assert!(
        seen.iter().all(|(number, _)| *number == 0),
        "one connection: {seen:?}"
    );
    assert_eq!(seen[0].1, "GET /exists?u=ann%40ours.test&v=1 HTTP/1.1");
    assert!(
        seen[3]
            .1
            .contains("%22..%2F%3Fu%3Dann%2540%26x%20%23%22%40ours.test"),
        "{seen:?}"
    );
    for to in [
        "moved@ours.test",
        "garbage@ours.test",
        "fault@ours.test",
        "slow@ours.test",
    ] {
        assert_eq!(guard.rcpt(to), LATER, "{to}");
    }
    assert!(
        guard.rcpt("bob@ours.test").starts_with("550 5.1.1"),
        "still kept"
    );
}

#[test]
fn a_server_that_is_not_there_defers_until_it_is() {
    let addr = ports::free_addr();
    let guard = guard(addr);
    assert_eq!(guard.rcpt("ann@ours.test"), LATER);
    logged(&guard.server, "refused");
    let _asked = start(TcpListener::bind(addr).expect("still free"));
    until("it is there", || guard.rcpt("ann@ours.test"), "250");
}
