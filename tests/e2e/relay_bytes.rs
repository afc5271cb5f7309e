//! Invariant 2: what is relayed is what was received, below one Received field. Octet by octet,
//! through a sink, through Postfix, and through the plainest next hop that someone else wrote.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mailin_embedded::{Handler, Response, Server, SslConfig, response};
use posthouse_tests::postfix::Postfix;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::wait;

use crate::relay_site::{Mail, RECEIVED, Site, mail};

/// Messages that a careless relay changes.
fn messages() -> Vec<Vec<u8>> {
    let long = [
        b"X: ".as_slice(),
        &[b'x'; 48 * 1024],
        b"\r\n\r\n",
        &[b'y'; 48 * 1024],
        b"\r\n",
    ]
    .concat();
    let dots: Vec<u8> = b".\r\n..\r\n.\r\n...dots\r\na.b\r\n".repeat(2000);
    vec![
        b"".to_vec(),
        b".\r\n".to_vec(),
        b"\r\n".to_vec(),
        b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nb.\r\n.\r\n".to_vec(),
        b"Subject: nul\r\n\r\na\0b\0\r\n".to_vec(),
        b"Subject: 8bit\r\n\r\n\xe4\xf6\xfc \xc3\xa4 \xff\xfe\x80\r\n".to_vec(),
        b"Subject: empty lines\r\n\r\nbody\r\n\r\n\r\n\r\n\r\n".to_vec(),
        b"Subject: spaces \r\n\tfolded\t\r\n\r\n trailing  \r\n".to_vec(),
        b"no colon here\r\nReceived: from x\r\n\r\n".to_vec(),
        long,
        dots,
    ]
}

fn with_received(message: &[u8]) -> Vec<u8> {
    [RECEIVED.as_bytes(), message].concat()
}

#[test]
fn every_octet_arrives() {
    for offers in [
        &["PIPELINING", "8BITMIME", "SIZE 0"][..],
        &["PIPELINING"],
        &[],
    ] {
        let sink = Sink::start(Script::offering(offers));
        let site = Site::to(sink.addr(), "connections_per_next_hop = 1");
        for (count, message) in messages().iter().enumerate() {
            site.submit(&mail(&["bob@b.example"], message));
            let took = sink.wait_for(count + 1).remove(count);
            assert!(
                took.message == with_received(message),
                "{offers:?} message {count}"
            );
        }
        assert_eq!(sink.connections(), 1, "the connection is reused");
    }
}

#[test]
fn spool_files_arrive_as_well() {
    let sink = Sink::start(Script::friendly());
    let site = Site::to(sink.addr(), "");
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    while message.len() < 3 * 1024 * 1024 {
        let line = message.len();
        message.extend_from_slice(format!(".{line} {}\r\n", "z".repeat(line % 977)).as_bytes());
    }
    site.submit_spooled(&mail(&["bob@b.example"], &message));
    assert!(sink.wait_for(1)[0].message == with_received(&message));
}

#[test]
fn bare_line_ends_never_leave() {
    let sink = Sink::start(Script::friendly());
    let site = Site::to(sink.addr(), "");
    let smuggled = b"Subject: x\r\n\r\nbody\n.\nMAIL FROM:<x@x.example>\r\n";
    let id = site.submit(&Mail {
        from: "",
        ..mail(&["bob@b.example"], smuggled)
    });
    assert!(site.said(id, "fail").contains("5.6.0"));
    let id = site.submit(&mail(&["bob@b.example"], b"Subject: fine\r\n\r\n"));
    site.said(id, "deliver");
    assert_eq!(sink.wait_for(1).len(), 1);
}

#[test]
fn through_postfix() {
    let postfix = Postfix::mailbox();
    let site = Site::to(postfix.addr(), "timeout = {}");
    let message = b"From: a@a.example\r\nTo: b@b.example\r\nDate: Fri, 20 Nov 2026 06:48:00 +0000\r\nMessage-ID: <1@a.example>\r\nSubject: x\r\n\r\n.\r\n..dots\r\n\xe4 8bit\r\n\r\n\r\n";
    let id = site.submit(&Mail {
        eight_bit: true,
        ..mail(&["bob@b.example"], message)
    });
    site.said(id, "deliver");
    let got = postfix.wait_for(1).remove(0);
    let want = String::from_utf8_lossy(&with_received(message)).replace("\r\n", "\n");
    let got = String::from_utf8_lossy(&got);
    assert!(got.ends_with(&want), "{got}");
}

/// An envelope, sender first, and its message.
type Taken = (Vec<String>, Vec<u8>);

/// Keeps what it is given.
#[derive(Clone, Default)]
struct Plain {
    envelope: Vec<String>,
    message: Vec<u8>,
    kept: Arc<Mutex<Vec<Taken>>>,
}

impl Handler for Plain {
    fn mail(&mut self, _: std::net::IpAddr, _: &str, from: &str) -> Response {
        self.envelope = vec![from.to_owned()];
        self.message.clear();
        response::OK
    }

    fn rcpt(&mut self, to: &str) -> Response {
        self.envelope.push(to.to_owned());
        response::OK
    }

    fn data(&mut self, octets: &[u8]) -> io::Result<()> {
        self.message.extend_from_slice(octets);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let kept = (self.envelope.clone(), self.message.clone());
        self.kept.lock().expect("no test panics with it").push(kept);
        response::OK
    }
}

#[test]
fn through_the_plainest_next_hop() {
    let plain = Plain::default();
    let kept = Arc::clone(&plain.kept);
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    // It has no way to stop; it ends with the process.
    std::thread::spawn(move || {
        let mut server = Server::new(plain);
        server.with_name("plain.test").with_tcp_listener(listener);
        server
            .with_ssl(SslConfig::None)
            .map(|_| ())
            .expect("no TLS");
        server.serve().expect("it serves");
    });
    let site = Site::to(addr, "");
    let message = b"Subject: x\r\n\r\n.\r\n..dots\r\n\r\n\r\n";
    site.submit(&mail(&["bob@b.example", "cid@c.example"], message));
    let (envelope, got) = wait::until("a delivery", Duration::from_secs(30), || {
        kept.lock().expect("no test panics with it").pop()
    });
    assert_eq!(
        envelope,
        ["ann@a.example", "bob@b.example", "cid@c.example"]
    );
    assert!(
        got == with_received(message),
        "{:?}",
        String::from_utf8_lossy(&got)
    );
}
