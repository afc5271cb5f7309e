//! Buttons in Chromium, under the Referrer-Policy that every answer carries: our own forms arrive
//! with our own origin, on every page that has one; a form of another site does nothing.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use posthouse_hook::LinkKind;
use posthouse_store::State;
use posthouse_tests::ledger::differences;

use crate::web_driver::{Browser, Screen};
use crate::web_site::{HOST, Site};

/// For each kind of link: the button that is pressed, what must be ticked before, and the words that
/// are then seen.
fn button(kind: LinkKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        LinkKind::Item => ("button[value=release]", "input[name=sure]", "on its way"),
        LinkKind::Address => ("button[value=stop_letters]", "", "We will not write to you"),
        LinkKind::Stop => ("main button", "", "No more letters"),
        LinkKind::Confirm => ("button[value=confirm]", "", "That is in force"),
        LinkKind::Manage => ("button[value=discard]", "input[name=item]", "Discarded"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_page_takes_its_own_form_from_a_browser() {
    let browser = Browser::open(Screen::Desk).await;
    for kind in LinkKind::ALL {
        let site = Site::open().await;
        let parties = site.parties("ann", "bob").await;
        let before = site.dump();
        browser.go(&site.url(parties.page(kind))).await;
        let (button, tick, words) = button(kind);
        if !tick.is_empty() {
            browser.press(tick).await;
        }
        browser.press(button).await;
        browser.see(words).await;
        assert_ne!(differences(&before, &site.dump()), [""; 0], "{kind:?}");
        site.close().await;
    }
    browser.close().await;
}

/// Another site's page posts a form with a token that is right: it may have seen it over a shoulder.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_does_nothing() {
    let site = Site::open().await;
    let parties = site.parties("ann", "bob").await;
    let browser = Browser::open(Screen::Desk).await;
    for kind in LinkKind::ALL {
        // The stop link takes a bare POST from anywhere, and does nothing but stop letters.
        if kind == LinkKind::Stop {
            continue;
        }
        let page = parties.page(kind);
        let token = site.form_token(page).await;
        let before = site.dump();
        browser.go(&evil(&site.url(page), &token)).await;
        browser.see("the request did not come from this page").await;
        assert_eq!(differences(&before, &site.dump()), [""; 0], "{kind:?}");
    }
    assert_eq!(site.states(parties.held.id).await, [State::Held]);
    browser.close().await;
    site.close().await;
}

/// A site of somebody else, which posts a form by itself as soon as its page is opened: its URL.
fn evil(target: &str, token: &str) -> String {
    let fields = [
        ("form", token),
        ("do", "confirm"),
        ("do", "release"),
        ("sure", "yes"),
    ];
    let inputs = fields.map(|(name, value)| format!("<input name='{name}' value='{value}'>"));
    let page = format!(
        "<!doctype html><form method=post action='{target}'>{}</form>\
         <script>document.forms[0].submit()</script>",
        inputs.concat()
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    // It ends with the process; the browser may ask for an icon too.
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let _ = serve(client, &page);
        }
    });
    format!("http://{HOST}:{}/", addr.port())
}

fn serve(mut client: TcpStream, page: &str) -> io::Result<()> {
    let mut request = BufReader::new(client.try_clone()?).lines();
    while request
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    )
}
