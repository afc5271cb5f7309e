//! The recipient's pages in a real browser: every state of them on a phone and on a wide screen, in
//! light and in dark colours; and a person who searches and asks for a redirect.

use std::num::NonZeroU32;

use posthouse_store::{Actor, ErrandKind, RecipientChoice, Who};
use serde_json::json;

use crate::web_browser::{FAINT, assert_fits, keep_picture};
use crate::web_driver::{Browser, Screen};
use crate::web_site::{Mail, Site, Wanted, path_of};

const BOB: &str = "bob@there.example";

/// From, subject and text of messages that a person could have been sent.
const MESSAGES: [(&str, &str, &str); 5] = [
    ("", "", "Hello?"),
    (
        "Garden Fair <news@fair.example>",
        "Your free entry to the garden fair",
        "Come and see.",
    ),
    (
        "payroll@firm.example",
        "Invoice 4711, last reminder",
        "Please pay within 3 days.",
    ),
    (
        "Dr. Ada Long-Name-Without-Any-Place-To-Break <ada.long-name-without-any-place-to-break@institute.example>",
        "Re: minutes_of_the_meeting_of_the_working_group_on_very_long_subjects_final_version_2",
        "See below.",
    ),
    (
        "Sailing Club <club@boats.example>",
        "Free tickets for the boat trip",
        "Dear Bob,\r\n\r\nthe club gives away its last FREE tickets for Sunday.\r\n\r\nSee you on board!",
    ),
];

async fn filled() -> Site {
    let site = Site::with(Wanted {
        recipient_releases: NonZeroU32::new(3),
        ..Wanted::default()
    })
    .await;
    for (from, subject, text) in MESSAGES {
        let message = format!("From: {from}\r\nSubject: {subject}\r\n\r\n{text}\r\n");
        site.hold(Mail {
            message: message.as_bytes(),
            ..Mail::default()
        })
        .await;
        site.wait(std::time::Duration::from_secs(5_000));
    }
    site
}

/// Puts a choice in force.
async fn set(site: &Site, choice: RecipientChoice) {
    let by = Actor::local(Who::Recipient);
    let set = site.store.set_recipient(BOB.to_owned(), choice, by).await;
    set.expect("the store works");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_the_pages_fits_and_can_be_read() {
    for screen in [Screen::Phone, Screen::Wide] {
        let site = filled().await;
        let list = site.links_of(BOB).await.0.reveal();
        let browser = Browser::open(screen).await;
        let name = |page: &str| format!("recipient-{page}-{screen:?}").to_lowercase();
        browser.go(&list).await;
        keep_picture(&browser, &name("page")).await;
        let down = "document.querySelector('.choices').scrollIntoView()";
        browser.measure(down).await;
        keep_picture(&browser, &name("choices")).await;
        look(&browser, &name("list"), &list).await;
        look(
            &browser,
            &name("search"),
            &format!("{list}?q=nothing+like+it"),
        )
        .await;
        browser.go(&list).await;
        browser.press(".rows li:nth-child(1) a.what").await;
        browser.see("the club gives away").await;
        let message = browser.measure("return location.href").await;
        let message = message.as_str().expect("a URL");
        look(&browser, &name("message"), message).await;
        browser.press("button[value=discard]").await;
        browser.see("Discarded.").await;
        look(&browser, &name("gone"), message).await;

        browser.go(&list).await;
        browser.write("#to", "bob@home.example").await;
        browser.press("button[value=redirect]").await;
        browser.see("Take it back").await;
        look(&browser, &name("waiting"), &list).await;
        let errand = site.store.errands_due(1).await.expect("works").remove(0);
        assert!(matches!(errand.what, ErrandKind::Confirm(..)), "{errand:?}");
        set(&site, RecipientChoice::Discard).await;
        look(&browser, &name("discarding"), &list).await;
        set(&site, RecipientChoice::Redirect(errand.to)).await;
        look(&browser, &name("redirected"), &list).await;
        browser.press("button[value=undo]").await;
        browser.see("held for you again").await;
        assert_eq!(browser.complaints().await, [""; 0]);
        browser.close().await;
        site.close().await;
    }
}

/// Looks at a page in light and in dark colours, everything on it unfolded.
async fn look(browser: &Browser, name: &str, url: &str) {
    browser.go(url).await;
    let unfold = "document.querySelectorAll('details').forEach(d => d.open = true)";
    browser.measure(unfold).await;
    for dark in [false, true] {
        browser.prefer_colours(dark).await;
        assert_fits(browser).await;
        let faint = browser.measure(FAINT).await;
        assert_eq!(faint, json!([]), "{name}, dark: {dark}");
    }
    browser.prefer_colours(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_searches_and_changes_how_often_letters_come() {
    let site = filled().await;
    let list = site.links_of(BOB).await.0;
    let browser = Browser::open(Screen::Phone).await;
    browser.go(&list.reveal()).await;
    browser.write("#q", "BOAT").await;
    browser.press(".search button").await;
    browser.see("Messages with “BOAT”").await;
    let rows = "return document.querySelectorAll('.rows li').length";
    assert_eq!(browser.measure(rows).await, json!(1));
    browser.press("#interval option[value='3']").await;
    browser.press("#language option[value=de]").await;
    browser.press("button[value=correspond]").await;
    browser.see("Gespeichert.").await;
    let address = site.store.address(BOB).await.expect("the store works");
    assert_eq!(address.and_then(|a| a.interval_days), Some(3));
    let at = browser
        .measure("return location.pathname + location.search")
        .await;
    let path = path_of(&list);
    assert_eq!(
        at,
        json!(format!("{path}?q=BOAT&done=saved")),
        "the search stays"
    );
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
    site.close().await;
}
