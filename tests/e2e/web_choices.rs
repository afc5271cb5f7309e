//! The standing choices of a recipient: asked for on the page, in force through the link that goes by
//! mail, undone at once; and how often letters come.

use std::time::Duration;

use posthouse_hook::{ForwardPath, Language};
use posthouse_store::{
    Actor, Confirmed, ErrandKind, Kind, LetterCaps, LetterSent, OwnMessage, RecipientChoice, State,
    Who,
};

use crate::web_site::{Mail, Site, path_of};

const BOB: &str = "bob@there.example";
const DAY: Duration = Duration::from_secs(86_400);

/// What the page answers to a form, read on the page behind the redirect.
async fn choose(site: &Site, path: &str, fields: &str) -> String {
    let form = site.form_token(path).await;
    let answer = site.post(path, &format!("form={form}&{fields}")).await;
    assert_eq!(answer.status, 303, "{fields}: {}", answer.text());
    let told = answer.header("location").expect("a redirect").to_owned();
    site.get(&told).await.text()
}

/// The links of the mail that waits to be written, with its addressee.
async fn errands(site: &Site) -> Vec<(String, ErrandKind)> {
    let due = site.store.errands_due(100).await.expect("the store works");
    due.into_iter().map(|e| (e.to.address(), e.what)).collect()
}

/// Uses the confirm link of the only mail that waits, as its page does.
async fn confirm(site: &Site, mailed_to: &str) -> Confirmed {
    let mut waiting = errands(site).await;
    let (to, what) = waiting.pop().expect("a mail waits");
    assert_eq!((waiting.len(), to.as_str()), (0, mailed_to));
    let ErrandKind::Confirm(pending, _) = what else {
        panic!("{what:?}")
    };
    let by = Actor::local(Who::Confirmer);
    let confirmed = site.store.confirm(pending.id, by).await;
    confirmed.expect("the store works").expect("the link works")
}

async fn choice(site: &Site) -> RecipientChoice {
    let address = site.store.address(BOB).await.expect("the store works");
    address.expect("known").choice
}

/// Mail of ours is written and sent.
async fn send_errands(site: &Site) {
    for errand in site.store.errands_due(100).await.expect("the store works") {
        let mail = own_mail(errand.to);
        let sent = site.store.errand_done(errand.id, mail).await;
        sent.expect("the store works").expect("sent");
    }
}

fn own_mail(to: ForwardPath) -> OwnMessage {
    OwnMessage {
        to,
        kind: Kind::Letter,
        bytes: b"Subject: x\r\n\r\nx\r\n".to_vec(),
    }
}

#[tokio::test]
async fn a_redirect_from_the_wish_to_the_undo() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let path = path_of(&site.links_of(BOB).await.0);

    let told = choose(&site, &path, "do=redirect&to=bob%40home.example").await;
    assert!(told.contains("Nothing changes until"), "{told}");
    assert!(told.contains("<b>bob@home.example</b>"), "{told}");
    assert_eq!(choice(&site).await, RecipientChoice::Hold);
    assert_eq!(site.states(held.id).await, [State::Held]);

    assert_eq!(confirm(&site, "bob@home.example").await, Confirmed::Done(1));
    send_errand_of(&site, "bob@home.example").await;
    let item = site.store.item(held.id).await.expect("the store works");
    let copy = &item.expect("kept").recipients[0];
    assert_eq!(
        (copy.state, copy.kind, copy.redirected),
        (State::Queued, Kind::Redirected, true)
    );
    let page = site.get(&path).await.text();
    assert!(page.contains("Your mail is sent on"), "{page}");
    assert!(page.contains("<b>bob@home.example</b>"), "{page}");
    assert!(!page.contains("Take it back"), "{page}");
    let now = site.store.choices();
    let to = ForwardPath::from_address("Bob@There.example").expect("an address");
    assert!(now.of_recipient(&to).target().is_some(), "future mail too");

    // The owner hears of it, and the page undoes it at once.
    let notices = errands(&site).await;
    assert!(
        matches!(&notices[..], [(to, ErrandKind::Redirected(..))] if to == BOB),
        "{notices:?}"
    );
    let told = choose(&site, &path, "do=undo").await;
    assert!(told.contains("held for you again"), "{told}");
    assert!(!told.contains("Your mail is sent on"), "{told}");
    assert_eq!(choice(&site).await, RecipientChoice::Hold);
    assert_eq!(
        site.store.choices().of_recipient(&to),
        &RecipientChoice::Hold
    );
    assert_eq!(site.states(held.id).await, [State::Queued], "gone is gone");
    site.close().await;
}

/// The mail to one address is written, so that it waits no more.
async fn send_errand_of(site: &Site, to: &str) {
    let due = site.store.errands_due(100).await.expect("the store works");
    for errand in due.into_iter().filter(|e| e.to.address() == to) {
        let mail = own_mail(errand.to);
        site.store.errand_done(errand.id, mail).await.expect("sent");
    }
}

#[tokio::test]
async fn a_wish_that_was_taken_back_cannot_be_confirmed() {
    for undo in ["do=withdraw", "do=undo"] {
        let site = Site::open().await;
        site.hold(Mail::default()).await;
        let path = path_of(&site.links_of(BOB).await.0);
        choose(&site, &path, "do=redirect&to=bob%40home.example").await;
        let (_, what) = errands(&site).await.remove(0);
        let told = choose(&site, &path, undo).await;
        assert!(!told.contains("bob@home.example"), "{told}");
        let ErrandKind::Confirm(pending, link) = what else {
            panic!("{what:?}")
        };
        assert!(errands(&site).await.is_empty(), "it is not even mailed");
        let by = Actor::local(Who::Confirmer);
        let confirmed = site.store.confirm(pending.id, by).await;
        assert_eq!(confirmed.expect("the store works"), None);
        assert_eq!(site.get(&path_of(&link)).await.status, 404);
        assert_eq!(choice(&site).await, RecipientChoice::Hold);
        site.close().await;
    }
}

#[tokio::test]
async fn redirects_that_cannot_be_are_refused_in_plain_words() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    site.hold(Mail {
        to: &["eve@there.example"],
        ..Mail::default()
    })
    .await;
    let path = path_of(&site.links_of(BOB).await.0);
    for (owner, target) in [("carl@x.example", BOB), ("eve@home.example", "e@y.example")] {
        let target = ForwardPath::from_address(target).expect("an address");
        let choice = RecipientChoice::Redirect(target);
        let by = Actor::local(Who::Operator);
        let set = site.store.set_recipient(owner.to_owned(), choice, by).await;
        set.expect("the store works");
    }
    for (to, words) in [
        ("x", "no e-mail address"),
        (
            "bob%40home.example%0D%0ABcc:+e%40x.example",
            "no e-mail address",
        ),
        ("%3Cscript%3E%40home.example", "no e-mail address"),
        ("Bob%40There.example", "the address that this page is about"),
        ("eve%40home.example", "sent on once only"),
        ("someone%40big.example", "sent on once only"),
    ] {
        let told = choose(&site, &path, &format!("do=redirect&to={to}")).await;
        assert!(told.contains("Nothing was changed"), "{to}: {told}");
        assert!(told.contains(words), "{to}: {words}: {told}");
    }
    // Once nobody redirects to Bob any more, the domain decides.
    let by = Actor::local(Who::Operator);
    let carl = "carl@x.example".to_owned();
    let set = site.store.set_recipient(carl, RecipientChoice::Hold, by);
    set.await.expect("the store works");
    for (to, words) in [
        ("someone%40big.example", "same kind of filter"),
        ("someone%40unknown.example", "could not find out"),
    ] {
        let told = choose(&site, &path, &format!("do=redirect&to={to}")).await;
        assert!(told.contains(words), "{to}: {words}: {told}");
    }
    assert!(errands(&site).await.is_empty());
    site.close().await;
}

#[tokio::test]
async fn confirm_letters_are_few() {
    let site = Site::open().await;
    for to in [BOB, "eve@there.example"] {
        site.hold(Mail {
            to: &[to],
            ..Mail::default()
        })
        .await;
    }
    let bob = path_of(&site.links_of(BOB).await.0);
    let eve = path_of(&site.links_of("eve@there.example").await.0);
    let ask = async |path: &str, to: &str| {
        choose(&site, path, &format!("do=redirect&to={to}%40home.example")).await
    };
    assert!(ask(&bob, "one").await.contains("Nothing changes until"));
    let again = ask(&eve, "one").await;
    assert!(
        again.contains("once a week"),
        "one target, whoever asks: {again}"
    );
    for to in ["two", "three"] {
        assert!(
            ask(&bob, to).await.contains("Nothing changes until"),
            "{to}"
        );
    }
    let fourth = ask(&bob, "four").await;
    assert!(fourth.contains("try again tomorrow"), "{fourth}");
    assert_eq!(errands(&site).await.len(), 3);
    site.wait(DAY + Duration::from_secs(3_600));
    let path = path_of(&site.links_of(BOB).await.0);
    assert!(ask(&path, "four").await.contains("Nothing changes until"));
    site.close().await;
}

#[tokio::test]
async fn discarding_takes_the_link_that_is_mailed_to_the_address_itself() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let path = path_of(&site.links_of(BOB).await.0);
    let told = choose(&site, &path, "do=discard_future").await;
    assert!(told.contains("<b>bob@there.example</b>"), "{told}");
    assert_eq!(choice(&site).await, RecipientChoice::Hold);
    assert_eq!(confirm(&site, BOB).await, Confirmed::Done(0));
    send_errands(&site).await;
    assert_eq!(choice(&site).await, RecipientChoice::Discard);
    assert_eq!(
        site.states(held.id).await,
        [State::Held],
        "what is held stays"
    );
    for count in [0, 1, 2] {
        let page = site.get(&path).await.text();
        assert!(page.contains("Such mail is discarded"), "{page}");
        assert!(
            page.contains(&format!("that was {count} message")),
            "{page}"
        );
        site.drop_silently(Mail::default()).await;
    }
    let told = choose(&site, &path, "do=undo").await;
    assert!(told.contains("held for you again"), "{told}");
    assert_eq!(choice(&site).await, RecipientChoice::Hold);
    site.close().await;
}

#[tokio::test]
async fn letters_come_as_often_as_their_reader_wants_and_pages_speak_their_language() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    let path = path_of(&site.links_of(BOB).await.0);
    let told = choose(&site, &path, "do=correspond&interval=3&language=de").await;
    assert!(told.contains("Gespeichert."), "{told}");
    assert!(told.contains("<option value=\"3\" selected>"), "{told}");
    let address = site.store.address(BOB).await.expect("the store works");
    let address = address.expect("known");
    assert_eq!(address.interval_days, Some(3));
    assert_eq!(address.language, Some(Language::De));
    let english = [("Accept-Language", "en")];
    let page = site.ask("GET", &path, &english, "").await;
    assert_eq!(
        page.header("content-language"),
        Some("de"),
        "the owner's wins"
    );

    assert!(send_letter(&site).await, "the first");
    for (days, want) in [(1, false), (1, false), (1, true), (2, false), (1, true)] {
        site.hold(Mail::default()).await;
        site.wait(DAY * days);
        assert_eq!(send_letter(&site).await, want, "after {days} more");
    }
    let form = site.form_token(&path).await;
    let body = format!("form={form}&do=correspond&interval=&language=");
    assert_eq!(site.post(&path, &body).await.status, 303);
    site.hold(Mail::default()).await;
    site.wait(DAY * 3);
    assert!(!send_letter(&site).await, "every seven days, as configured");
    site.wait(DAY * 4);
    assert!(send_letter(&site).await);
    site.close().await;
}

/// Sends Bob's letter if one is due; configured are seven days.
async fn send_letter(site: &Site) -> bool {
    let interval = DAY * 7;
    let due = site.store.letters_due(interval, 10).await;
    let due = due.expect("the store works");
    let Some(due) = due.first() else { return false };
    let mail = own_mail(due.to.clone());
    let sent = site
        .store
        .send_letter(due, mail, interval, LetterCaps::default());
    matches!(sent.await, Ok(LetterSent::Queued(_)))
}

#[tokio::test]
async fn a_list_can_be_searched_page_by_page() {
    let site = Site::open().await;
    let subjects = ["The boat", "A house &amp; <b>garden</b>", "Öl 100% off_"];
    for n in 0..90 {
        let message = format!(
            "From: \"Seller {n}\" <s@x.example>\r\nSubject: {}\r\n\r\nHi\r\n",
            subjects[n % 3]
        );
        site.hold(Mail {
            message: message.as_bytes(),
            ..Mail::default()
        })
        .await;
    }
    let path = path_of(&site.links_of(BOB).await.0);
    let rows = |page: &str| page.matches("type=\"checkbox\"").count();
    for (sought, want) in [
        ("BOAT", 25),
        ("seller+89", 1),
        ("100%25+off_", 25),
        ("100_", 0),
        ("%25", 25),
        ("%C3%96l", 25),
        ("S%40X", 25),
        ("nothing+like+it", 0),
        (
            "%3C%2Fbody%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%22+autofocus",
            0,
        ),
        ("%27+OR+1%3D1+--", 0),
        ("{{+7*7+}}%0D%0A%E2%80%AE", 0),
    ] {
        let page = site.get(&format!("{path}?q={sought}")).await;
        assert_eq!(page.status, 200, "{sought}");
        let page = page.text();
        assert_eq!(rows(&page), want, "{sought}: {page}");
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("<b>garden"), "{page}");
        assert!(!page.contains('\u{202e}'), "{page}");
        assert!(
            !page.contains("discard_all"),
            "only of what is shown: {page}"
        );
    }
    let first = site.get(&format!("{path}?q=boat")).await.text();
    let (_, next) = first
        .split_once(&format!("{path}?q=boat&amp;before="))
        .expect("a next page");
    let next = next.split('"').next().expect("an id");
    let second = format!("{path}?q=boat&before={next}");
    assert_eq!(rows(&site.get(&second).await.text()), 5);
    let form = site.form_token(&second).await;
    let answer = site.post(&second, &format!("form={form}&do=discard")).await;
    let back = answer.header("location").expect("a redirect");
    assert_eq!(back, format!("{path}?q=boat&done=nothing"));
    assert_eq!(site.get(&format!("{path}?q=")).await.status, 200);
    assert_eq!(site.get(&format!("{path}?q=%ff")).await.status, 200);
    site.close().await;
}

#[tokio::test]
async fn what_is_chosen_needs_the_pages_own_form() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    let path = path_of(&site.links_of(BOB).await.0);
    let form = site.form_token(&path).await;
    let foreign = [("Sec-Fetch-Site", "cross-site")];
    for deed in [
        "do=redirect&to=b%40home.example",
        "do=discard_future",
        "do=undo",
        "do=withdraw",
        "do=stop_letters",
        "do=correspond&interval=1&language=de",
        "do=discard_all&newest=9223372036854775807",
    ] {
        assert_eq!(site.post(&path, deed).await.status, 403, "{deed}");
        let body = format!("form={form}&{deed}");
        let answer = site.ask("POST", &path, &foreign, &body).await;
        assert_eq!(answer.status, 403, "{deed}");
    }
    for deed in [
        "do=correspond&interval=0&language=",
        "do=correspond&interval=1&language=fr",
        "do=redirect",
    ] {
        let answer = site.post(&path, &format!("form={form}&{deed}")).await;
        assert_eq!(answer.status, 400, "{deed}");
    }
    assert!(errands(&site).await.is_empty());
    let address = site.store.address(BOB).await.expect("the store works");
    let address = address.expect("known");
    assert_eq!((address.interval_days, address.language), (None, None));
    site.close().await;
}
