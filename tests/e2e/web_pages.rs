//! The pages over HTTP: what each link opens, what each button does, and what neither ever does.

use std::time::Duration;

use posthouse_hook::{Id, Row, Vouched};
use posthouse_store::{
    AttemptResult, Attempted, Counts, Filter, Item, Letters, ReleaseCaps, State,
};
use posthouse_web::{Limits, SelfRelease};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::web_site::{Mail, Site, Wanted, path_of};

const BOB: &str = "bob@there.example";

#[tokio::test]
async fn the_sender_sees_why_and_sends_it_anyway() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let path = held.path();
    let page = site.get(&path).await.text();
    for words in [
        "The boat",
        "ann@ours.example",
        BOB,
        "Shall we sell the boat?",
        "15.3 points",
        "from 5 points on",
        "GTUBE",
        "20 December 2026",
        "in 30 days",
        "Send it anyway",
        "Discard it",
    ] {
        assert!(page.contains(words), "{words} is not on the page:\n{page}");
    }
    let form = site.form_token(&path).await;
    let answer = site.post(&path, &format!("form={form}&do=release")).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(&*path))
    );
    assert_eq!(site.states(held.id).await, [State::Queued]);
    let page = site.get(&path).await.text();
    assert!(
        page.contains("on its way") && !page.contains("<button"),
        "{page}"
    );
    site.close().await;
}

#[tokio::test]
async fn after_a_release_the_page_tells_what_the_next_hop_said() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let form = site.form_token(&held.path()).await;
    site.post(&held.path(), &format!("form={form}&do=release"))
        .await;
    let claimed = site.store.claim(1, Duration::from_secs(60)).await;
    let claimed = claimed.expect("the store works");
    let settle = |result, said: &str| {
        vec![Attempted {
            recipient: claimed[0].recipients[0].id,
            result,
            said: said.to_owned(),
            next_hop: "mx.there.example[192.0.2.9]:25".to_owned(),
        }]
    };
    let refused = settle(AttemptResult::Failed, "550 5.7.1 <script>no</script>");
    let settled = site.store.settle(refused, Vec::new()).await;
    settled.expect("the store works");
    let page = site.get(&held.path()).await.text();
    assert!(page.contains("refused"), "{page}");
    assert!(page.contains("550 5.7.1 &lt;script&gt;no&lt;"), "{page}");
    site.close().await;
}

#[tokio::test]
async fn the_sender_discards() {
    let site = Site::open().await;
    let to = [BOB, "eve@there.example"];
    let mail = Mail {
        to: &to,
        ..Mail::default()
    };
    let held = site.hold(mail).await;
    let form = site.form_token(&held.path()).await;
    let answer = site
        .post(&held.path(), &format!("form={form}&do=discard"))
        .await;
    assert_eq!(answer.status, 303);
    assert_eq!(site.states(held.id).await, [State::Discarded; 2]);
    let page = site.get(&held.path()).await.text();
    assert!(page.contains("was discarded"), "{page}");
    let late = format!("form={form}&do=release");
    assert_eq!(site.post(&held.path(), &late).await.status, 303);
    assert_eq!(site.states(held.id).await, [State::Discarded; 2]);
    site.close().await;
}

#[tokio::test]
async fn two_clicks_release_once() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let (path, form) = (held.path(), site.form_token(&held.path()).await);
    let body = format!("form={form}&do=release");
    let click = || site.post(&path, &body);
    let (one, two, three, four) = tokio::join!(click(), click(), click(), click());
    for answer in [one, two, three, four] {
        assert_eq!(answer.status, 303, "{answer:?}");
    }
    assert_eq!(site.audited(held.id, "release").await, 1);
    site.close().await;
}

#[tokio::test]
async fn past_a_cap_the_operator_decides() {
    let caps = ReleaseCaps {
        per_sender: 1,
        ..ReleaseCaps::default()
    };
    let site = Site::with(Wanted {
        caps,
        ..Wanted::default()
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let held = site.hold(Mail::default()).await;
        let form = site.form_token(&held.path()).await;
        let body = format!("form={form}&do=release");
        let answer = site.post(&held.path(), &body).await;
        if answer.status == 429 {
            let page = answer.text();
            assert!(page.contains("operator"), "{page}");
            assert!(!page.contains("per_sender"), "{page}");
            assert_eq!(site.states(held.id).await, [State::Held]);
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [303, 429]);
    site.close().await;
}

#[tokio::test]
async fn a_sender_who_may_not_release_is_told_who_decides() {
    let self_release = vec![SelfRelease::Spf];
    let site = Site::with(Wanted {
        self_release,
        ..Wanted::default()
    })
    .await;
    let ours = Mail {
        vouched: Vouched::OursSpfNotFail,
        ..Mail::default()
    };
    let held = site.hold(ours).await;
    let page = site.get(&held.path()).await.text();
    assert!(
        page.contains("operator") && !page.contains("Send it anyway"),
        "{page}"
    );
    let form = site.form_token(&held.path()).await;
    let answer = site
        .post(&held.path(), &format!("form={form}&do=release"))
        .await;
    assert_eq!(answer.status, 403);
    assert_eq!(site.states(held.id).await, [State::Held]);
    site.close().await;
}

/// Everything that a page could have changed, the audit's record of looks apart.
async fn ledger(site: &Site) -> (Vec<Item>, Counts, Vec<String>) {
    let items = site.store.items(Filter::default()).await;
    let items = items.expect("the store works");
    let counts = site.store.counts().await.expect("the store works");
    let mut events = Vec::new();
    for item in &items {
        let lines = site.store.audit(item.id).await.expect("the store works");
        events.extend(lines.into_iter().map(|line| line.event));
    }
    events.retain(|event| event != "viewed");
    (items, counts, events)
}

#[tokio::test]
async fn looking_changes_nothing() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let (list, stop) = site.links_of(BOB).await;
    let (list, stop) = (path_of(&list), path_of(&stop));
    let paths = [
        held.path(),
        format!("{}?do=release", held.path()),
        format!("{list}?do=discard_all&newest=9223372036854775807&done=discarded"),
        format!("{list}/m/{}", held.id),
        format!("{list}/m/{}/message.eml", held.id),
        stop,
    ];
    let before = ledger(&site).await;
    let looks = || site.audited(held.id, "viewed");
    for (method, want) in [("HEAD", 200), ("OPTIONS", 405), ("GET", 200)] {
        assert_eq!(looks().await, 0, "only a GET is a look");
        for path in paths.iter().cycle().take(100) {
            let answer = site.ask(method, path, &[], "").await;
            assert_eq!(answer.status, want, "{method} {path}");
            assert!(method != "HEAD" || answer.body.is_empty());
        }
    }
    assert_eq!(ledger(&site).await, before);
    let address = site.store.address(BOB).await.expect("the store works");
    assert_eq!(address.map(|a| a.letters), Some(Letters::On));
    assert_eq!(
        looks().await,
        2,
        "one line for each party, however often they look"
    );
    site.close().await;
}

#[tokio::test]
async fn links_that_do_not_open_look_the_same() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let (list, stop) = site.links_of(BOB).await;
    let token = |path: &str| path.rsplit('/').next().expect("a token").to_owned();
    let (item, address, stop) = (
        token(&held.path()),
        token(&path_of(&list)),
        token(&path_of(&stop)),
    );
    let last = if item.ends_with('a') { "i" } else { "a" };
    let altered = format!("{}{last}", &item[..item.len() - 1]);
    let want = site.get("/i/nothing").await;
    assert_eq!(want.status, 404);
    for path in [
        format!("/i/{altered}"),
        format!("/i/{}", "a".repeat(39)),
        format!("/i/{item}x"),
        format!("/i/{item}/"),
        format!("/i/%{item}"),
        format!("/i/{address}"),
        format!("/i/{stop}"),
        format!("/a/{item}"),
        format!("/a/{stop}"),
        format!("/a/{address}/m/1"),
        format!("/a/{address}/m/x"),
        format!("/a/{address}/m/{}/other.eml", held.id),
        format!("/s/{item}"),
        format!("/s/{address}"),
        format!("/c/{item}"),
        "/i/../../etc/passwd".to_owned(),
        "/i/%00%ff".to_owned(),
        format!("/{}", "x".repeat(4_000)),
    ] {
        let answer = site.get(&path).await;
        assert_eq!(answer.timeless(), want.timeless(), "{path}");
    }
    site.close().await;
}

#[tokio::test]
async fn an_expired_link_looks_like_one_that_never_was() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    site.wait(crate::web_site::RETENTION + Duration::from_secs(86_400));
    site.store.tidy().await.expect("the store works");
    let gone = site.get(&held.path()).await;
    let never = site.get("/i/nothing").await;
    assert_eq!(gone.timeless(), never.timeless());
    site.close().await;
}

#[tokio::test]
async fn forms_from_elsewhere_change_nothing() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let other = site
        .hold(Mail {
            from: "eve@ours.example",
            ..Mail::default()
        })
        .await;
    let path = held.path();
    let form = site.form_token(&path).await;
    let alien = site.form_token(&other.path()).await;
    let (own, asked) = (site.url(""), format!("http://{}", site.addr));
    for (headers, proof, want) in [
        (&[][..], "", 403),
        (&[], "form=x&", 403),
        (&[], &*format!("form={alien}&"), 403),
        (
            &[("Sec-Fetch-Site", "cross-site")],
            &format!("form={form}&"),
            403,
        ),
        (
            &[("Sec-Fetch-Site", "same-site")],
            &format!("form={form}&"),
            403,
        ),
        (
            &[("Origin", "https://evil.example")],
            &format!("form={form}&"),
            403,
        ),
        (&[("Origin", "null")], "", 403),
        (&[("Origin", "null")], &format!("form={form}&"), 400),
        (&[("Origin", &*own)], &format!("form={form}&"), 400),
        (&[("Origin", &*asked)], &format!("form={form}&"), 400),
        (
            &[("Sec-Fetch-Site", "same-origin")],
            &format!("form={form}&"),
            400,
        ),
    ] {
        let deed = if want == 403 { "release" } else { "dance" };
        let body = format!("{proof}do={deed}");
        let answer = site.ask("POST", &path, headers, &body).await;
        assert_eq!(answer.status, want, "{headers:?} {body}");
    }
    assert_eq!(site.states(held.id).await, [State::Held]);
    site.close().await;
}

#[tokio::test]
async fn the_recipient_reads_and_discards_what_is_theirs() {
    let site = Site::open().await;
    let both = Mail {
        to: &["eve@there.example", BOB],
        ..Mail::default()
    };
    let shared = site.hold(both).await;
    let alien = site
        .hold(Mail {
            to: &["eve@there.example"],
            ..Mail::default()
        })
        .await;
    let path = path_of(&site.links_of(BOB).await.0);
    let list = site.get(&path).await.text();
    assert!(list.contains("The boat") && list.contains(BOB), "{list}");
    assert!(
        !list.contains("eve@"),
        "another recipient is on the page:\n{list}"
    );
    assert!(
        !list.contains("/i/"),
        "the sender's link is on the page:\n{list}"
    );
    assert!(!list.contains("release"), "{list}");
    let read = site.get(&format!("{path}/m/{}", shared.id)).await.text();
    assert!(read.contains("Shall we sell the boat?"), "{read}");
    assert!(!read.contains("eve@"), "{read}");
    for below in ["", "/message.eml"] {
        let answer = site.get(&format!("{path}/m/{}{below}", alien.id)).await;
        assert_eq!(answer.status, 404);
    }
    let form = site.form_token(&path).await;
    let body = format!(
        "form={form}&do=discard&item={}&item={}",
        alien.id, shared.id
    );
    let answer = site.post(&path, &body).await;
    assert_eq!(answer.status, 303);
    assert_eq!(site.states(alien.id).await, [State::Held]);
    assert_eq!(
        site.states(shared.id).await,
        [State::Held, State::Discarded]
    );
    let list = site.get(&path).await.text();
    assert!(list.contains("We hold nothing for you"), "{list}");
    site.close().await;
}

#[tokio::test]
async fn discard_all_leaves_what_came_in_since() {
    let site = Site::open().await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(site.hold(Mail::default()).await.id);
    }
    let path = path_of(&site.links_of(BOB).await.0);
    let first = site.get(&path).await.text();
    assert_eq!(first.matches("type=\"checkbox\"").count(), 25);
    let next = format!("{path}?before={}", ids[5]);
    assert!(first.contains(&next), "{first}");
    let second = site.get(&next).await.text();
    assert_eq!(second.matches("type=\"checkbox\"").count(), 5);
    let newest = ids.last().expect("thirty");
    let since = site.hold(Mail::default()).await;
    let form = site.form_token(&path).await;
    let body = format!("form={form}&do=discard_all&newest={newest}");
    assert_eq!(site.post(&path, &body).await.status, 303);
    for id in ids {
        assert_eq!(site.states(id).await, [State::Discarded]);
    }
    assert_eq!(site.states(since.id).await, [State::Held]);
    site.close().await;
}

#[tokio::test]
async fn buttons_of_one_message() {
    let site = Site::open().await;
    let (one, two) = (
        site.hold(Mail::default()).await,
        site.hold(Mail::default()).await,
    );
    let path = path_of(&site.links_of(BOB).await.0);
    let form = site.form_token(&path).await;
    let answer = site
        .post(&path, &format!("form={form}&one={}", one.id))
        .await;
    let told = answer.header("location").expect("a redirect").to_owned();
    assert!(
        site.get(&told).await.text().contains("Discarded."),
        "{told}"
    );
    let read = format!("{path}/m/{}", two.id);
    let answer = site.post(&read, &format!("form={form}&do=discard")).await;
    assert_eq!(answer.status, 303);
    assert_eq!(site.states(one.id).await, [State::Discarded]);
    assert_eq!(site.states(two.id).await, [State::Discarded]);
    assert_eq!(site.get(&read).await.status, 404);
    site.close().await;
}

#[tokio::test]
async fn letters_stop_from_anywhere_and_start_from_the_list() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    let (list, stop) = site.links_of(BOB).await;
    let letters = || async {
        let address = site.store.address(BOB).await.expect("the store works");
        address.expect("known").letters
    };
    let one_click = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://mail.example"),
    ];
    let body = "List-Unsubscribe=One-Click";
    let answer = site.ask("POST", &path_of(&stop), &one_click, body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(letters().await, Letters::Stopped);
    let path = path_of(&list);
    let form = site.form_token(&path).await;
    let body = format!("form={form}&do=start_letters");
    assert_eq!(site.post(&path, &body).await.status, 303);
    assert_eq!(letters().await, Letters::On);
    let body = format!("form={form}&do=stop_letters");
    assert_eq!(site.post(&path, &body).await.status, 303);
    assert_eq!(letters().await, Letters::Stopped);
    site.close().await;
}

#[tokio::test]
async fn a_hostile_message_is_only_text() {
    let site = Site::open().await;
    let message = "From: \"<img src=x onerror=alert(1)>\" <a@x.example>\r\n\
        To: bob@there.example\r\n\
        Subject: =?utf-8?q?=3C/title=3E=3Cscript=3Ealert(1)=3C/script=3E_{{_7*7_}}_=E2=80=AE=0D=0AX:?=\r\n\
        Content-Type: text/html\r\n\r\n\
        <svg onload=alert(2)>{% raw %}\"'><script>alert(3)</script>&lt;script&gt;alert(4)\r\n";
    let mail = Mail {
        message: message.as_bytes(),
        tests: &["<svg onload=alert(5)>"],
        ..Mail::default()
    };
    let held = site.hold(mail).await;
    let path = path_of(&site.links_of(BOB).await.0);
    for path in [held.path(), path.clone(), format!("{path}/m/{}", held.id)] {
        let page = site.get(&path).await.text();
        for bad in [
            "<script",
            "<svg ",
            "<img src=x",
            "\u{202e}",
            "onerror=alert(1)>\"",
        ] {
            assert!(!page.contains(bad), "{bad} on {path}:\n{page}");
        }
        assert!(page.contains("{{ 7*7 }}"), "{page}");
    }
    site.close().await;
}

#[tokio::test]
async fn downloads_are_the_bytes_and_cannot_act() {
    let site = Site::open().await;
    let mut large = b"Subject: large\r\n\r\n".to_vec();
    large.extend((0..3_000_000_u32).map(|n| (n % 251) as u8));
    for message in [Mail::default().message, &large] {
        let held = site
            .hold(Mail {
                message,
                ..Mail::default()
            })
            .await;
        let path = path_of(&site.links_of(BOB).await.0);
        let answer = site.get(&format!("{path}/m/{}/message.eml", held.id)).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == message, "other bytes");
        let read = site.get(&format!("{path}/m/{}", held.id)).await.text();
        assert_eq!(
            read.contains("The message is longer"),
            message.len() > 100_000
        );
        let header = |name| answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("content-type"), "application/octet-stream");
        assert!(header("content-disposition").starts_with("attachment"));
        assert!(header("content-security-policy").contains("sandbox"));
        assert_eq!(header("content-length"), message.len().to_string());
    }
    site.close().await;
}

#[tokio::test]
async fn every_answer_wears_the_headers() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let path = held.path();
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/style.css", 200),
        ("GET", "/icon.svg", 200),
        ("GET", "/robots.txt", 200),
        ("GET", &*path, 200),
        ("HEAD", &path, 200),
        ("GET", "/nothing", 404),
        ("POST", &path, 403),
        ("PUT", &path, 405),
        ("POST", "/style.css", 405),
    ] {
        let answer = site.ask(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        for (name, want) in [
            (
                "content-security-policy",
                "default-src 'none'; style-src 'self'",
            ),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            let value = answer.header(name).unwrap_or_default();
            assert!(value.starts_with(want), "{method} {path}: {name}: {value}");
        }
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("strict-transport-security"), None);
        let allow = answer.header("allow").unwrap_or_default().to_owned();
        assert_eq!(
            allow.contains("GET"),
            status == 405,
            "{method} {path}: {allow}"
        );
    }
    site.close().await;
}

#[tokio::test]
async fn malformed_requests_get_an_answer_of_their_class() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let list = path_of(&site.links_of(BOB).await.0);
    let form = site.form_token(&list).await;
    let huge = format!("form={form}&do={}", "x".repeat(20_000));
    for (path, body, want) in [
        (&list, huge.as_str(), 413),
        (&list, "form=%ff%fe&do=discard", 403),
        (&list, &format!("form={form}"), 400),
        (&list, &format!("form={form}&do=discard&item=x"), 400),
        (&list, &format!("form={form}&do=release"), 400),
        (&list, &format!("form={form}&one={}0", i64::MAX), 400),
        (&held.path(), &format!("form={form}&do=release"), 403),
    ] {
        assert_eq!(site.post(path, body).await.status, want, "{body}");
    }
    for query in ["before=x", "before=99999999999999999999", "done=x"] {
        let answer = site.get(&format!("{list}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    for query in ["before=-1", "before=0", "fbclid=x", "done=nothing"] {
        let answer = site.get(&format!("{list}?{query}")).await;
        assert_eq!(answer.status, 200, "{query}");
    }
    assert_eq!(site.states(held.id).await, [State::Held]);
    site.close().await;
}

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
async fn a_copy_to_a_domain_that_is_not_filtered_is_no_ones_list() {
    let site = Site::open().await;
    let held = site
        .hold(Mail {
            row: Row::Other,
            ..Mail::default()
        })
        .await;
    let due = site.store.letters_due(Duration::from_secs(1), 10).await;
    assert!(due.expect("the store works").is_empty());
    assert_eq!(site.get(&held.path()).await.status, 200);
    assert_ne!(held.id, Id(0));
    site.close().await;
}
