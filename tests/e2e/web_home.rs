//! "Send me my link again": whoever asks learns nothing of what is held, and the links that are out
//! stay good.

use std::time::Duration;

use posthouse_store::ErrandKind;

use crate::web_http::Answer;
use crate::web_site::{Mail, Site, path_of};

const ANN: &str = "ann@ours.example";
const BOB: &str = "bob@there.example";

async fn ask_for(site: &Site, address: &str) -> Answer {
    let form = site.form_token("/").await;
    site.post("/", &format!("form={form}&address={address}"))
        .await
}

/// To whom mail waits, once at least so many do.
async fn waiting(site: &Site, at_least: usize) -> Vec<String> {
    let asked = async {
        loop {
            let due = site.store.errands_due(100).await.expect("the store works");
            if due.len() >= at_least {
                return due.iter().map(|errand| errand.to.address()).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), asked).await;
    found.expect("the mail is asked for")
}

#[tokio::test]
async fn known_and_unknown_addresses_are_answered_alike() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    let known = ask_for(&site, "bob%40there.example").await;
    assert_eq!(known.status, 303);
    for address in [
        "nobody%40there.example",
        "bob%40there",
        "bob",
        "",
        "%22%3Cscript%3E%40x",
        "bob%40there.example%0d%0aBcc%3a+x%40y",
        &"x".repeat(5_000),
    ] {
        let answer = ask_for(&site, address).await;
        assert_eq!(answer.timeless(), known.timeless(), "{address}");
    }
    let behind = site
        .get(known.header("location").expect("a redirect"))
        .await
        .text();
    assert!(behind.contains("it is on its way there"), "{behind}");
    assert!(!behind.contains(BOB), "{behind}");
    assert_eq!(waiting(&site, 1).await, [BOB]);
    site.close().await;
}

#[tokio::test]
async fn each_party_gets_its_own_link_and_old_ones_stay_good() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let (list, stop) = site.links_of(BOB).await;
    ask_for(&site, "ANN%40ours.example").await;
    ask_for(&site, "Bob%40THERE.example").await;
    let mut to = waiting(&site, 2).await;
    to.sort();
    assert_eq!(to, [ANN, BOB]);
    for errand in site.store.errands_due(9).await.expect("the store works") {
        let (link, page) = match errand.what {
            ErrandKind::Address(_, link) => (link, "Held mail for bob@there.example"),
            ErrandKind::Manage(_, link) => (link, "Held mail from ann@ours.example"),
            other => panic!("{other:?}"),
        };
        let shown = site.get(&path_of(&link)).await.text();
        assert!(shown.contains(page), "{shown}");
    }
    for path in [held.path(), path_of(&list), path_of(&stop)] {
        assert_eq!(site.get(&path).await.status, 200, "{path}");
    }
    site.close().await;
}

#[tokio::test]
async fn asking_often_mails_once_a_day() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    for _ in 0..30 {
        assert_eq!(ask_for(&site, "bob%40there.example").await.status, 303);
    }
    ask_for(&site, "ann%40ours.example").await;
    assert_eq!(waiting(&site, 2).await.len(), 2);
    site.close().await;
}

#[tokio::test]
async fn a_form_from_elsewhere_mails_nothing() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let form = site.form_token("/").await;
    let other = site.form_token(&held.path()).await;
    let before = site.dump();
    let cross = [("Sec-Fetch-Site", "cross-site")];
    for (headers, proof) in [(&[][..], ""), (&[], "x"), (&[], &*other), (&cross, &*form)] {
        let body = format!("form={proof}&address=bob%40there.example");
        assert_eq!(
            site.ask("POST", "/", headers, &body).await.status,
            403,
            "{body}"
        );
    }
    assert_eq!(site.post("/", &format!("form={form}")).await.status, 400);
    for method in ["GET", "HEAD", "OPTIONS"] {
        for _ in 0..100 {
            let path = format!("/?form={form}&address=bob%40there.example");
            site.ask(method, &path, &[], "").await;
        }
    }
    site.wait(Duration::from_secs(2 * 86_400));
    let late = format!("form={form}&address=bob%40there.example");
    assert_eq!(site.post("/", &late).await.status, 403, "a token ends");
    assert_eq!(site.dump(), before);
    site.close().await;
}
