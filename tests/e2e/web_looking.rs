//! Looking at any page that we mail a link to, in any way and as often as anybody likes, leaves
//! every row of the ledger as it was, but for the audit's "viewed". Link checkers, previews,
//! prefetching browsers and mailing lists do all of this.

use posthouse_hook::LinkKind;
use posthouse_tests::ledger::differences;

use crate::web_driver::{Browser, Screen};
use crate::web_links::Parties;
use crate::web_site::Site;

/// How often each method is tried on each page.
const TIMES: usize = 100;
const COOKIE: (&str, &str) = ("Cookie", "form=x; do=release; session=1");
/// What a hasty client adds to a URL.
const QUERIES: [&str; 3] = [
    "",
    "?do=release&yes=on&confirm=yes",
    "?do=discard_all&newest=9223372036854775807&List-Unsubscribe=One-Click",
];

/// Every kind has a page, so none is looked at in vain.
fn assert_all_kinds(parties: &Parties) {
    for kind in LinkKind::ALL {
        assert!(!parties.page(kind).is_empty());
    }
}

#[tokio::test]
async fn a_hundred_looks_of_every_sort_at_every_page() {
    let site = Site::open().await;
    let parties = site.parties("ann", "bob").await;
    assert_all_kinds(&parties);
    let before = site.dump();
    for (kind, page) in &parties.pages {
        for method in ["GET", "HEAD", "OPTIONS"] {
            for n in 0..TIMES {
                let path = format!("{page}{}", QUERIES[n % QUERIES.len()]);
                let cookies = [COOKIE];
                let headers = if n % 2 == 0 { &cookies[..] } else { &[] };
                let answer = site.ask(method, &path, headers, "").await;
                let want = if method == "OPTIONS" { 405 } else { 200 };
                assert_eq!(answer.status, want, "{method} {kind:?} {path}");
                assert_eq!(answer.header("set-cookie"), None);
            }
        }
        let after = site.dump();
        assert_eq!(differences(&before, &after), [""; 0], "{kind:?} {page}");
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_with_scripts_that_clicks_nothing() {
    let site = Site::open().await;
    let parties = site.parties("ann", "bob").await;
    let browser = Browser::open(Screen::Desk).await;
    let before = site.dump();
    for (kind, page) in &parties.pages {
        browser.go(&site.url(page)).await;
        // A person who only reads: scrolls, and moves through everything by the keyboard.
        browser.measure(WANDER).await;
        let after = site.dump();
        assert_eq!(differences(&before, &after), [""; 0], "{kind:?} {page}");
    }
    browser.close().await;
    site.close().await;
}

/// Scripts run, or the browser test above would prove little.
const WANDER: &str = "
    window.scrollTo(0, document.documentElement.scrollHeight);
    document.querySelectorAll('a, button, input, select, textarea, summary').forEach(e => {
        e.focus(); e.dispatchEvent(new MouseEvent('mouseover', { bubbles: true })); });
    document.querySelectorAll('details').forEach(d => { d.open = true; });
    return 'done'";
