//! Every page in every state, in Chromium: axe finds nothing, nothing is wider than the screen, at
//! 360 and at 1,400 pixels, in light and in dark, in both languages.
//!
//! axe-core is other people's work under another licence: `./check` fetches it, see there.

use std::num::NonZeroU32;
use std::path::Path;

use posthouse_hook::{ForwardPath, LinkKind};
use posthouse_store::{RecipientChoice, ReleaseCaps, SenderChoice, Wish};

use crate::web_browser::assert_fits;
use crate::web_driver::{Browser, Screen};
use crate::web_links::someone;
use crate::web_site::{Mail, Site, Wanted, path_of};

/// Where `./check` puts axe-core.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/axe-core/axe.min.js");
/// WCAG 2.2, levels A and AA, and what axe calls best practice.
const RUN: &str = r#"
    const done = arguments[arguments.length - 1];
    axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
       .then(found => done(found.violations.map(v =>
            v.id + ": " + v.help + " " + v.nodes.map(n => n.html.slice(0, 200)).join(" | "))))
       .catch(error => done(["axe failed: " + error]));
"#;

fn axe() -> String {
    std::fs::read_to_string(Path::new(AXE)).unwrap_or_else(|error| {
        panic!("{AXE}: {error}: ./check fetches axe-core, the tests never do")
    })
}

/// Looks at each page on both screens, in both colours and languages, everything opened.
async fn assert_accessible(site: &Site, pages: &[String]) {
    let axe = axe();
    for screen in [Screen::Phone, Screen::Wide] {
        let browser = Browser::open(screen).await;
        for language in ["en", "de"] {
            browser.prefer_language(language).await;
            for page in pages {
                browser.go(&site.url(page)).await;
                let lang = browser
                    .measure("return document.documentElement.lang")
                    .await;
                assert_eq!(lang, language, "{page}");
                browser
                    .measure(
                        "document.querySelectorAll('details').forEach(d => { d.open = true; })",
                    )
                    .await;
                assert_fits(&browser).await;
                for dark in [false, true] {
                    browser.prefer_colours(dark).await;
                    browser.measure(&axe).await;
                    let found = browser.wait_for_script(RUN).await;
                    assert_eq!(
                        found,
                        serde_json::json!([]),
                        "{page}, {language}, {screen:?}, dark: {dark}"
                    );
                }
            }
        }
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_every_link() {
    let site = Site::open().await;
    let parties = site.parties("ann", "bob").await;
    let mut pages: Vec<_> = parties.pages.iter().map(|(_, page)| page.clone()).collect();
    pages.retain(|page| !page.ends_with(".eml"));
    pages.push("/".to_owned());
    pages.push("/?done=asked".to_owned());
    pages.push("/i/nothing".to_owned());
    assert_accessible(&site, &pages).await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_s_pages_in_every_state() {
    let caps = ReleaseCaps {
        per_sender: 1,
        ..ReleaseCaps::default()
    };
    let site = Site::with(Wanted {
        caps,
        ..Wanted::default()
    })
    .await;
    let mut pages = Vec::new();
    for deed in [
        "do=release&sure=yes",
        "do=discard",
        "do=ask&comment=please",
        "do=release&sure=yes",
    ] {
        let held = site.hold(Mail::default()).await;
        let form = site.form_token(&held.path()).await;
        site.post(&held.path(), &format!("form={form}&{deed}"))
            .await;
        pages.push(held.path());
        pages.push(format!("{}?done=asked", held.path()));
    }
    let manage = site.manage_page("ann@ours.example").await;
    pages.push(format!("{manage}?text=nothing"));
    pages.push(format!("{manage}?done=unsure"));
    pages.push(manage);
    let wish = Wish::Sender("ann@ours.example".to_owned(), SenderChoice::Refuse);
    let confirm = site.confirm_link(wish).await;
    let form = site.form_token(&path_of(&confirm)).await;
    site.post(&path_of(&confirm), &format!("form={form}&do=confirm"))
        .await;
    pages.push(path_of(&confirm));
    assert_accessible(&site, &pages).await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipient_s_pages_in_every_state() {
    let site = Site::with(Wanted {
        recipient_releases: NonZeroU32::new(9),
        ..Wanted::default()
    })
    .await;
    let mut pages = Vec::new();
    for (name, choice) in [
        ("dora", RecipientChoice::Discard),
        (
            "rita",
            RecipientChoice::Redirect(ForwardPath::from_address("r@new.example").expect("valid")),
        ),
    ] {
        let list = site
            .parties(name, name)
            .await
            .page(LinkKind::Address)
            .to_owned();
        let to = format!("{name}@there.example");
        let chosen = site.store.set_recipient(to, choice, someone()).await;
        chosen.expect("the store works");
        pages.push(list);
    }
    let bob = site.parties("ann", "bob").await;
    let list = bob.page(LinkKind::Address).to_owned();
    pages.push(format!("{list}?q=boat"));
    pages.push(format!("{list}?q=nothing"));
    pages.push(format!("{list}?done=asked"));
    pages.push(format!("{list}/m/{}", bob.held.id));
    let stop = bob.page(LinkKind::Stop).to_owned();
    site.post(&stop, "").await;
    pages.push(stop);
    pages.push(list);
    let empty = site.parties("zach", "zoe").await;
    let form = site.form_token(empty.page(LinkKind::Address)).await;
    let all = format!("form={form}&one={}", empty.held.id);
    site.post(empty.page(LinkKind::Address), &all).await;
    pages.push(empty.page(LinkKind::Address).to_owned());
    assert_accessible(&site, &pages).await;
    site.close().await;
}
