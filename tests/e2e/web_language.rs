//! Pages in the language that the browser asks for: the same pages, with the same headers.

use std::path::Path;

use posthouse_store::State;

use crate::web_browser::assert_fits;
use crate::web_driver::{Browser, Screen};
use crate::web_http::Answer;
use crate::web_site::{Mail, Site, Wanted, path_of};

const BOB: &str = "bob@there.example";

async fn get(site: &Site, path: &str, asked: &str) -> Answer {
    let headers = [("Accept-Language", asked)];
    site.ask("GET", path, &headers, "").await
}

#[tokio::test]
async fn every_page_speaks_the_language_that_is_asked_for() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let (list, stop) = site.links_of(BOB).await;
    let list = path_of(&list);
    let message = format!("{list}/m/{}", held.id);
    for (path, status, en, de) in [
        (
            "/",
            200,
            "Nothing to see",
            "Ohne Link gibt es hier nichts zu sehen",
        ),
        (
            &*held.path(),
            200,
            "Your message is on hold",
            "Wir halten Ihre Nachricht zurück",
        ),
        (
            &*list,
            200,
            "Held mail for bob",
            "Zurückgehaltene Nachrichten für bob",
        ),
        (&*message, 200, "What it says", "Was darin steht"),
        (
            &*path_of(&stop),
            200,
            "Stop our letters?",
            "Keine Benachrichtigungen mehr?",
        ),
        (
            "/i/nothing",
            404,
            "There is nothing here",
            "Hier ist nichts",
        ),
    ] {
        let english = get(&site, path, "fr, en;q=0.5").await;
        let german = get(&site, path, "de-AT, en;q=0.5").await;
        for (answer, lang, words) in [(&english, "en", en), (&german, "de", de)] {
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.header("content-language"), Some(lang), "{path}");
            assert_eq!(answer.header("vary"), Some("Accept-Language"), "{path}");
            let text = answer.text();
            assert!(
                text.contains(&format!("<html lang=\"{lang}\">")),
                "{path}: {text}"
            );
            assert!(text.contains(words), "{path}: {words}: {text}");
        }
        for name in [
            "content-security-policy",
            "cache-control",
            "referrer-policy",
        ] {
            let value = german.header(name);
            assert!(
                value.is_some() && value == english.header(name),
                "{path}: {name}"
            );
        }
    }
    site.close().await;
}

#[tokio::test]
async fn what_cannot_be_read_as_a_wish_gets_english() {
    let site = Site::open().await;
    let long = "de-xx,".repeat(2000);
    for asked in [
        "",
        "\u{e4}",
        ";q=1",
        "*",
        "de;q=2",
        &long.replace("de", "fr"),
    ] {
        let page = get(&site, "/", asked).await;
        assert_eq!(
            (page.status, page.header("content-language")),
            (200, Some("en"))
        );
    }
    let page = get(&site, "/", &long).await;
    assert_eq!(page.header("content-language"), Some("de"));
    site.close().await;
}

#[tokio::test]
async fn links_that_do_not_open_look_the_same_in_german_too() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let altered = held.path().replace("/i/", "/a/");
    let first = get(&site, "/i/x", "de").await;
    assert!(first.text().contains("Hier ist nichts"));
    for path in [&*altered, "/c/x", "/nothing"] {
        assert_eq!(
            get(&site, path, "de").await.timeless(),
            first.timeless(),
            "{path}"
        );
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_german_browser_reads_and_presses_german_buttons() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let list = site.links_of(BOB).await.0;
    let browser = Browser::open(Screen::Phone).await;
    browser.prefer_language("de-AT,de;q=0.9,en;q=0.8").await;
    browser.go(&list.reveal()).await;
    browser
        .see("Zurückgehaltene Nachrichten für bob@there.example")
        .await;
    assert_fits(&browser).await;
    browser.go(&site.url(&held.path())).await;
    browser.see("Wir halten Ihre Nachricht zurück").await;
    assert_fits(&browser).await;
    browser.press("input[name=sure]").await;
    browser.press("button[value=release]").await;
    browser.see("Ihre Nachricht ist unterwegs").await;
    assert_eq!(site.states(held.id).await, [State::Queued]);
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
    site.close().await;
}

/// A directory with every built-in file of the pages.
fn exported(dir: &Path) {
    for (path, text) in posthouse_web::BUILT_IN {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

#[tokio::test]
async fn an_operators_words_stand_on_the_page() {
    let dir = tempfile::tempdir().expect("a directory");
    exported(dir.path());
    let own = "[home]\ntitle = \"Moin & hallo\"\n";
    std::fs::write(dir.path().join("words/de.toml"), own).expect("written");
    let site = Site::with(Wanted {
        templates: Some(dir.path().to_owned()),
        ..Wanted::default()
    })
    .await;
    let page = get(&site, "/", "de").await.text();
    assert!(page.contains("<h1>Moin &amp; hallo</h1>"), "{page}");
    assert!(page.contains("Öffnen Sie diesen Link"), "{page}");
    site.close().await;
}
