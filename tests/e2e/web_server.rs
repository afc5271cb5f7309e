//! The server under the pages: slow peers, too many of them, and the end of its run.

use std::time::Duration;

use posthouse_store::State;
use posthouse_web::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::web_site::{Mail, Site, Wanted};

/// A server that waits a second for a request's header.
fn impatient(connections: usize) -> Wanted {
    let limits = Limits {
        connections,
        header_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    Wanted {
        limits,
        ..Wanted::default()
    }
}

#[tokio::test]
async fn a_slow_peer_is_dropped_while_others_are_served() {
    let site = Site::with(impatient(100)).await;
    let mut slow = TcpStream::connect(site.addr).await.expect("it listens");
    let begun = slow
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await;
    begun.expect("the server reads");
    assert_eq!(site.get("/").await.status, 200);
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut heard)).await;
    assert!(ended.is_ok(), "the server still waits");
    assert!(!heard.starts_with(b"HTTP/1.1 200"));
    site.close().await;
}

#[tokio::test]
async fn peers_over_the_limit_wait_for_their_turn() {
    let site = Site::with(impatient(1)).await;
    let mut slow = TcpStream::connect(site.addr).await.expect("it listens");
    let begun = slow.write_all(b"GET / HTTP/1.1\r\n").await;
    begun.expect("the server reads");
    let mut heard = Vec::new();
    tokio::select! {
        biased;
        _ = slow.read_to_end(&mut heard) => {}
        _ = site.get("/") => panic!("two are served at one time"),
    }
    assert_eq!(site.get("/").await.status, 200);
    site.close().await;
}

#[tokio::test]
async fn a_stop_lets_a_running_request_end() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let form = site.form_token(&held.path()).await;
    let body = format!("form={form}&do=discard");
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        held.path(),
        body.len()
    );
    let mut stream = TcpStream::connect(site.addr).await.expect("it listens");
    let sent = stream.write_all(head.as_bytes()).await;
    sent.expect("the server reads");
    let mut heard = [0; 25];
    let asked = stream.read_exact(&mut heard).await;
    asked.expect("the server asks for the body");
    assert_eq!(&heard, b"HTTP/1.1 100 Continue\r\n\r\n");
    site.stop();
    assert!(site.runs_on().await, "a request is under way");
    let sent = stream.write_all(body.as_bytes()).await;
    sent.expect("the server reads");
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer).await;
    ended.expect("an answer and its end");
    assert!(answer.starts_with(b"HTTP/1.1 303"), "{answer:?}");
    assert_eq!(site.states(held.id).await, [State::Discarded]);
    site.close().await;
}

#[tokio::test]
async fn what_is_no_request_gets_no_page() {
    let site = Site::open().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(40_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(500));
    for request in [
        "\0\x01\u{ff}\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "EHLO client.example\r\n\r\n",
        "CONNECT x.example:25 HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        &long,
        &many,
    ] {
        let mut stream = TcpStream::connect(site.addr).await.expect("it listens");
        // The server may hang up before all of it is written.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        let heard = String::from_utf8_lossy(&heard);
        let begins: String = request.chars().take(30).collect();
        assert!(!heard.contains(" 200 "), "{begins:?}: {heard}");
    }
    assert_eq!(site.get("/").await.status, 200);
    site.close().await;
}
