//! The pages in a real browser: a person opens a link, reads, presses a button. On a desk and on a
//! phone, in light and in dark colours.
//!
//! With `POSTHOUSE_PICTURES` naming a directory, the pictures of the documentation are taken too.

use std::path::Path;

use data_encoding::BASE64;
use posthouse_store::{SenderChoice, State, Wish};

use crate::web_driver::{Browser, Screen};
use crate::web_site::{Held, Mail, Site};

const BOB: &str = "bob@there.example";

/// A message that somebody could have meant.
const MESSAGE: &[u8] =
    b"From: Ann Miller <ann@ours.example>\r\nTo: Bob Miller <bob@there.example>\r\n\
    Subject: Free tickets for the boat trip, last chance!\r\n\
    Date: Fri, 20 Nov 2026 07:40:12 +0100\r\nMessage-ID: <1@ours.example>\r\n\r\n\
    Hi Bob,\r\n\r\nthe sailing club gives away the last FREE tickets for Sunday.\r\n\
    Click here and win a place: http://club.example/trip?id=12345\r\n\r\n\
    See you on board!\r\nAnn\r\n";

async fn hold(site: &Site) -> Held {
    let mail = Mail {
        message: MESSAGE,
        tests: &["FREE_OFFER", "CLICK_HERE", "URI_IN_BLOCKLIST"],
        ..Mail::default()
    };
    site.hold(mail).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_presses_send_it_anyway() {
    let site = Site::open().await;
    let held = hold(&site).await;
    let browser = Browser::open(Screen::Desk).await;
    browser.go(&site.url(&held.path())).await;
    browser.see("Your message is on hold").await;
    assert_fits(&browser).await;
    keep_picture(&browser, "release-page").await;
    browser.press("input[name=sure]").await;
    browser.press("button[value=release]").await;
    browser.see("Your message is on its way").await;
    assert_eq!(site.states(held.id).await, [State::Queued]);
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipient_reads_discards_and_stops_letters_on_a_phone() {
    let site = Site::open().await;
    let (first, second) = (hold(&site).await, hold(&site).await);
    let (list, stop) = site.links_of(BOB).await;
    let browser = Browser::open(Screen::Phone).await;
    browser.go(&list.reveal()).await;
    browser.see("Held mail for bob@there.example").await;
    assert_fits(&browser).await;
    browser.press(".rows a.what").await;
    browser.see("the sailing club").await;
    assert_fits(&browser).await;
    browser.press("button[value=discard]").await;
    browser.see("Discarded.").await;
    assert_eq!(site.states(second.id).await, [State::Discarded]);
    browser.press("input[type=checkbox]").await;
    browser.press("button[value=discard]").await;
    browser.see("We hold nothing for you").await;
    assert_eq!(site.states(first.id).await, [State::Discarded]);
    browser.go(&stop.reveal()).await;
    assert_fits(&browser).await;
    browser.press("button").await;
    browser.see("No more letters").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
    site.close().await;
}

/// The pages of a sender on both screens and in both colours: nothing is too wide, too small or too
/// faint.
#[tokio::test(flavor = "multi_thread")]
async fn the_senders_pages_fit_and_can_be_read() {
    let site = Site::open().await;
    let held = hold(&site).await;
    let manage = site.manage_page("ann@ours.example").await;
    let wish = Wish::Sender("ann@ours.example".to_owned(), SenderChoice::Refuse);
    let confirm = site.confirm_link(wish).await.reveal();
    let below = format!("{manage}/m/{}", held.id);
    let pages = [
        ("sender", site.url(&held.path())),
        ("manage", site.url(&manage)),
        ("below", site.url(&below)),
        ("confirm", confirm),
        ("home", site.url("/")),
    ];
    for screen in [Screen::Wide, Screen::Phone] {
        let browser = Browser::open(screen).await;
        for dark in [false, true] {
            if dark {
                browser.prefer_dark().await;
            }
            for (name, page) in &pages {
                browser.go(page).await;
                assert_fits(&browser).await;
                let faint = browser.measure(FAINT).await;
                assert_eq!(
                    faint,
                    serde_json::json!([]),
                    "{screen:?}, dark: {dark}, {name}"
                );
            }
        }
        assert_eq!(browser.complaints().await, [""; 0]);
        browser.close().await;
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_finds_everything_again_and_confirms_a_choice() {
    let site = Site::open().await;
    let (first, second) = (hold(&site).await, hold(&site).await);
    let manage = site.manage_page("ann@ours.example").await;
    let browser = Browser::open(Screen::Phone).await;
    browser.go(&site.url(&manage)).await;
    browser.see("Held mail from ann@ours.example").await;
    keep_picture(&browser, "manage-page-phone").await;
    browser.press("button[value=release]").await;
    assert_eq!(
        site.states(second.id).await,
        [State::Held],
        "the tick is required"
    );
    browser.press("input[name=item]").await;
    browser.press("input[name=sure]").await;
    browser.press("button[value=release]").await;
    browser.see("They are on their way").await;
    assert_eq!(site.states(second.id).await, [State::Queued]);
    browser.press("input[name=item]").await;
    browser.press("button[value=discard]").await;
    browser.see("We hold nothing of yours").await;
    assert_eq!(site.states(first.id).await, [State::Discarded]);
    browser.press("input[value=refuse]").await;
    browser.press("button[value=choose]").await;
    browser
        .see("We have mailed a link to ann@ours.example")
        .await;
    browser.go(&site.newest_link().await.reveal()).await;
    browser.see("Refuse what looks like spam?").await;
    browser.press("button[value=confirm]").await;
    browser.see("That is in force").await;
    let choice = site.store.choices().of_sender("ann@ours.example");
    assert_eq!(choice, SenderChoice::Refuse);
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dark_colours_can_be_read() {
    let site = Site::open().await;
    let held = hold(&site).await;
    let list = site.links_of(BOB).await.0;
    let browser = Browser::open(Screen::Phone).await;
    for dark in [false, true] {
        if dark {
            browser.prefer_dark().await;
        }
        for page in [site.url(&held.path()), list.reveal(), site.url("/")] {
            browser.go(&page).await;
            let faint = browser.measure(FAINT).await;
            assert_eq!(faint, serde_json::json!([]), "dark: {dark}, {page}");
        }
    }
    browser.go(&site.url(&held.path())).await;
    keep_picture(&browser, "release-page-dark-phone").await;
    browser.close().await;
    site.close().await;
}

/// The page is not wider than the screen, and every button is large enough for a thumb.
pub(crate) async fn assert_fits(browser: &Browser) {
    let wide = browser
        // Not `window.innerWidth`: a phone zooms out until a page that is too wide fits into it.
        .measure("const d = document.documentElement; return d.scrollWidth - d.clientWidth")
        .await;
    assert!(wide.as_i64().is_some_and(|w| w <= 0), "too wide by {wide}");
    let small = browser
        .measure(
            "return [...document.querySelectorAll('button, summary, .button')]
               .filter(b => b.checkVisibility() && b.getBoundingClientRect().height < 32)
               .map(b => b.textContent)",
        )
        .await;
    assert_eq!(small, serde_json::json!([]), "too small for a thumb");
}

/// Texts whose contrast with what is behind them is under 4.5 to 1 (WCAG 2.2, 1.4.3).
pub(crate) const FAINT: &str = r"
    const light = ([r, g, b]) => {
        const part = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const numbers = colour => colour.match(/[\d.]+/g).map(Number);
    const behind = element => {
        for (let e = element; e; e = e.parentElement) {
            const colour = numbers(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const contrast = element => {
        const both = [numbers(getComputedStyle(element).color), behind(element)].map(light);
        return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    };
    return [...document.querySelectorAll('body *')]
        .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .filter(e => e.checkVisibility() && contrast(e) < 4.5)
        .map(e => e.outerHTML.slice(0, 100) + ' ' + contrast(e).toFixed(1));
";

pub(crate) async fn keep_picture(browser: &Browser, name: &str) {
    let Some(dir) = std::env::var_os("POSTHOUSE_PICTURES") else {
        return;
    };
    let picture = BASE64.decode(browser.picture().await.as_bytes());
    let file = Path::new(&dir).join(format!("{name}.png"));
    std::fs::write(&file, picture.expect("base 64")).expect("the directory can be written");
}
