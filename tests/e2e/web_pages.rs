//! What holds for all pages over HTTP: looking changes nothing, links that do not open tell nothing,
//! forms from elsewhere and hostile mail do nothing.

use std::time::Duration;

use posthouse_store::{Counts, Filter, Item, Letters, State};

use crate::web_site::{Mail, RETENTION, Site, path_of};

const BOB: &str = "bob@there.example";

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
        format!("{list}?q=boat&do=undo&to=x%40home.example"),
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
    site.wait(RETENTION + Duration::from_secs(86_400));
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
        (&list, &format!("form={form}&do=release&sure=yes"), 400),
        (&list, &format!("form={form}&one={}0", i64::MAX), 400),
        (
            &held.path(),
            &format!("form={form}&do=release&sure=yes"),
            403,
        ),
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
