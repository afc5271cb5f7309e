//! The link that stops letters: one POST from anywhere, whatever its body, and nothing else happens.

use std::time::Duration;

use posthouse_store::{Letters, State};
use posthouse_web::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::web_site::{Mail, Site, Wanted, path_of};

const BOB: &str = "bob@there.example";

async fn letters(site: &Site) -> Letters {
    let address = site.store.address(BOB).await.expect("the store works");
    address.expect("known").letters
}

/// Sends a request as it stands; what the server says, as far as it can be heard.
async fn send(site: &Site, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(site.addr).await.expect("it listens");
    let sent = stream.write_all(head.as_bytes()).await;
    sent.expect("the server reads");
    // The server may have heard enough before all is sent.
    let _ = stream.write_all(body).await;
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn whatever_the_body_is_it_stops_letters_and_nothing_else() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let (list, stop) = site.links_of(BOB).await;
    let path = path_of(&stop);
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n\
        One-Click\r\n--b--\r\n";
    let bodies = [
        (
            "application/x-www-form-urlencoded",
            "List-Unsubscribe=One-Click",
        ),
        ("multipart/form-data; boundary=b", multipart),
        ("application/x-www-form-urlencoded", ""),
        (
            "application/x-www-form-urlencoded",
            "do=discard_all&newest=9223372036854775807",
        ),
        (
            "application/x-www-form-urlencoded",
            "%ff%fe&do=redirect&to=x@y.example",
        ),
        ("application/json", "{\"List-Unsubscribe\":"),
        ("no type at all", "\0\u{1}\u{2}"),
    ];
    for (kind, body) in bodies {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nOrigin: https://mail.example\r\n\
             Sec-Fetch-Site: cross-site\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let heard = send(&site, &head, body.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 200"), "{kind}: {heard}");
        assert!(!heard.contains("set-cookie"), "{heard}");
        assert_eq!(letters(&site).await, Letters::Stopped, "{kind} {body}");
        let address = site.store.address(BOB).await.expect("the store works");
        let id = address.expect("known").id;
        let by = posthouse_store::Actor::local(posthouse_store::Who::Operator);
        site.store.resume_letters(id, by).await.expect("resumed");
    }
    let bare = format!("POST {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let heard = send(&site, &bare, b"").await;
    assert!(heard.starts_with("HTTP/1.1 200"), "no body: {heard}");
    assert_eq!(letters(&site).await, Letters::Stopped);
    assert_eq!(site.states(held.id).await, [State::Held]);
    assert!(site.store.errands_due(9).await.expect("works").is_empty());
    // The other link of the same letter takes no such POST.
    let answer = site
        .post(&path_of(&list), "List-Unsubscribe=One-Click")
        .await;
    assert_eq!(answer.status, 403);
    site.close().await;
}

#[tokio::test]
async fn a_huge_body_is_not_read_to_its_end_and_stops_letters_too() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    let path = path_of(&site.links_of(BOB).await.1);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        1_u64 << 40
    );
    send(&site, &head, &vec![b'x'; 64 << 20]).await;
    assert_eq!(letters(&site).await, Letters::Stopped);
    site.close().await;
}

#[tokio::test]
async fn a_body_that_never_comes_stops_letters_too() {
    let limits = Limits {
        request_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let wanted = Wanted {
        limits,
        ..Wanted::default()
    };
    let site = Site::with(wanted).await;
    site.hold(Mail::default()).await;
    let path = path_of(&site.links_of(BOB).await.1);
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\n");
    let heard = send(&site, &head, b"List").await;
    assert!(heard.starts_with("HTTP/1.1 503"), "{heard}");
    assert_eq!(letters(&site).await, Letters::Stopped);
    site.close().await;
}
