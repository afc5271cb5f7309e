//! Links that do not open: unknown, malformed, expired, revoked. For every kind and language they
//! are answered alike, octet for octet, and nothing comes of them.

use std::time::Duration;

use posthouse_hook::LinkKind;
use posthouse_tests::ledger::differences;

use crate::web_http::Answer;
use crate::web_site::{RETENTION, Site};

const LANGUAGES: [&str; 4] = ["", "en", "de", "fr, de;q=0.1"];
const METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

async fn ask(site: &Site, method: &str, path: &str, language: &str) -> Answer {
    let headers = [("Accept-Language", language)];
    let form = if method == "POST" {
        "form=x&do=release&yes=on&List-Unsubscribe=One-Click"
    } else {
        ""
    };
    site.ask(method, path, &headers, form).await
}

/// Every way in which a link of this kind can be no link.
fn broken(page: &str, others: &[String]) -> Vec<String> {
    let (start, token) = page.rsplit_once('/').expect("a token");
    let swapped = if token.starts_with('a') { "b" } else { "a" };
    let mut last = token.to_owned();
    last.replace_range(30..31, if &token[30..31] == "q" { "r" } else { "q" });
    let mut paths = vec![
        format!("{start}/{swapped}{}", &token[1..]),
        format!("{start}/{last}"),
        format!("{start}/{}", "a".repeat(39)),
        format!("{start}/{}", &token[..38]),
        format!("{start}/{token}a"),
        format!("{start}/{token}%00"),
        format!("{start}/%{token}"),
        format!("{start}/"),
        format!("{start}/..%2f..%2fetc%2fpasswd"),
        format!("{start}/'%20OR%201=1--"),
        format!("{start}/{}", "x".repeat(3_000)),
    ];
    paths.extend(others.iter().map(|other| format!("{start}/{other}")));
    paths
}

/// The same path with a token that is none.
fn nowhere(path: &str) -> String {
    let mut segments: Vec<_> = path.split('/').collect();
    segments[2] = "nothing";
    segments.join("/")
}

/// Every path is answered as `like` is, which never was a link.
async fn assert_alike(site: &Site, like: &str, paths: &[String]) {
    let before = site.dump();
    for method in METHODS {
        for language in LANGUAGES {
            let want = ask(site, method, like, language).await;
            assert!(matches!(want.status, 404 | 405), "{method} {like}");
            for path in paths {
                let answer = ask(site, method, path, language).await;
                assert_eq!(
                    answer.timeless(),
                    want.timeless(),
                    "{method} {language} {path}"
                );
            }
        }
    }
    assert_eq!(differences(&before, &site.dump()), [""; 0], "{like}");
}

#[tokio::test]
async fn unknown_and_malformed_links_of_every_kind() {
    let site = Site::open().await;
    let parties = site.parties("ann", "bob").await;
    let token = |page: &str| page.split('/').nth(2).expect("a token").to_owned();
    for kind in LinkKind::ALL {
        let page = parties.page(kind);
        let others = parties.pages.iter().filter(|(k, _)| *k != kind);
        let others: Vec<_> = others.map(|(_, page)| token(page)).collect();
        assert_alike(&site, &nowhere(page), &broken(page, &others)).await;
    }
    site.close().await;
}

#[tokio::test]
async fn revoked_links_of_every_kind() {
    let site = Site::open().await;
    let parties = site.parties("ann", "bob").await;
    for (kind, page) in &parties.pages {
        assert_eq!(site.get(page).await.status, 200, "{kind:?} {page}");
    }
    for table in ["message", "address", "sender"] {
        site.change(&format!("UPDATE {table} SET generation = generation + 1"));
    }
    // A confirm link has no generation: it goes with its row.
    site.change("DELETE FROM pending");
    for (_, page) in parties.pages {
        assert_alike(&site, &nowhere(&page), &[page]).await;
    }
    site.close().await;
}

#[tokio::test]
async fn expired_links() {
    let site = Site::open().await;
    let parties = site.parties("ann", "bob").await;
    site.wait(RETENTION + Duration::from_secs(86_400));
    site.store.tidy().await.expect("the store works");
    for kind in [LinkKind::Item, LinkKind::Confirm] {
        let page = parties.page(kind);
        assert_alike(&site, &nowhere(page), &[page.to_owned()]).await;
    }
    site.close().await;
}
