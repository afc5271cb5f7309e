//! The confirm page over HTTP: a look changes nothing, the button does what it says and nothing else.

use std::time::Duration;

use posthouse_hook::{ForwardPath, Link};
use posthouse_store::{ErrandKind, RecipientChoice, SenderChoice, State, Wish};
use posthouse_tests::ledger::differences;

use crate::web_site::{Mail, Site, path_of};

const ANN: &str = "ann@ours.example";
const BOB: &str = "bob@there.example";

/// A link that would redirect Bob's mail to the target.
async fn redirect_link(site: &Site, target: &str) -> Link {
    let owner = site.store.address(BOB).await.expect("the store works");
    let owner = owner.expect("something is held").id;
    let target = ForwardPath::from_address(target).expect("an address");
    let wish = Wish::Recipient(owner, RecipientChoice::Redirect(target));
    site.confirm_link(wish).await
}

async fn choice_of_bob(site: &Site) -> RecipientChoice {
    let address = site.store.address(BOB).await.expect("the store works");
    address.expect("known").choice
}

/// Presses the button of a confirm page; the status.
async fn confirm(site: &Site, path: &str) -> u16 {
    let form = site.form_token(path).await;
    site.post(path, &format!("form={form}&do=confirm"))
        .await
        .status
}

#[tokio::test]
async fn a_sender_confirms_and_changes_it_again() {
    let site = Site::open().await;
    let choice = || site.store.choices().of_sender(ANN);
    let mut paths = Vec::new();
    for (wanted, words) in [
        (SenderChoice::Refuse, "Refuse what looks like spam?"),
        (SenderChoice::Discard, "Drop what looks like spam?"),
        (SenderChoice::Hold, "Hold what looks like spam?"),
    ] {
        let before = choice();
        let wish = Wish::Sender(ANN.to_owned(), wanted);
        let path = path_of(&site.confirm_link(wish).await);
        let page = site.get(&path).await.text();
        assert!(page.contains(words) && page.contains(ANN), "{page}");
        assert_eq!(choice(), before, "a look changes nothing");
        assert_eq!(confirm(&site, &path).await, 303);
        assert_eq!(choice(), wanted);
        let page = site.get(&path).await.text();
        assert!(
            page.contains("That is in force") && !page.contains("<button"),
            "{page}"
        );
        assert!(page.contains("just now"), "{page}");
        paths.push(path);
        site.wait(Duration::from_secs(60));
    }
    let old = site.get(&paths[0]).await.text();
    assert!(old.contains("This link was used before"), "{old}");
    site.close().await;
}

#[tokio::test]
async fn a_used_link_does_nothing_more() {
    let site = Site::open().await;
    let wish = Wish::Sender(ANN.to_owned(), SenderChoice::Discard);
    let path = path_of(&site.confirm_link(wish).await);
    let form = site.form_token(&path).await;
    let body = format!("form={form}&do=confirm");
    let press = || site.post(&path, &body);
    let (one, two, three) = tokio::join!(press(), press(), press());
    assert_eq!([one.status, two.status, three.status], [303; 3]);
    let by = posthouse_store::Actor::local(posthouse_store::Who::Sender);
    let undone = site
        .store
        .set_sender(ANN.to_owned(), SenderChoice::Hold, by);
    undone.await.expect("the store works");
    assert_eq!(press().await.status, 303);
    assert_eq!(site.store.choices().of_sender(ANN), SenderChoice::Hold);
    site.close().await;
}

#[tokio::test]
async fn the_holder_of_the_target_sees_whose_mail_would_come_and_no_more() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let owners = site.links_of(BOB).await.0;
    let path = path_of(&redirect_link(&site, "new@home.example").await);
    let page = site.get(&path).await.text();
    assert!(
        page.contains(BOB) && page.contains("new@home.example"),
        "{page}"
    );
    for hidden in ["The boat", ANN, "/a/", &path_of(&owners)] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    assert_eq!(site.states(held.id).await, [State::Held]);
    assert_eq!(confirm(&site, &path).await, 303);
    assert_eq!(site.states(held.id).await, [State::Queued]);
    assert!(choice_of_bob(&site).await.target().is_some());
    assert_eq!(undo(&site).await, 303);
    assert_eq!(choice_of_bob(&site).await, RecipientChoice::Hold);
    let page = site.get(&path).await.text();
    assert!(page.contains("something else was chosen"), "{page}");
    site.close().await;
}

/// Uses the link of the notice that the owner of a redirect gets.
async fn undo(site: &Site) -> u16 {
    let due = site.store.errands_due(100).await.expect("the store works");
    let notice = due.into_iter().find_map(|errand| match errand.what {
        ErrandKind::Redirected(_, link) => Some((errand.to.address(), link)),
        _ => None,
    });
    let (to, link) = notice.expect("the owner is told");
    assert_eq!(to, BOB);
    let page = site.get(&path_of(&link)).await.text();
    assert!(page.contains("Hold probable spam again?"), "{page}");
    confirm(site, &path_of(&link)).await
}

#[tokio::test]
async fn a_target_that_is_filtered_or_unknown_by_now_is_refused() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    let filtered = path_of(&redirect_link(&site, "new@big.example").await);
    let unknown = path_of(&redirect_link(&site, "new@unknown.example").await);
    for (path, status, words) in [
        (filtered, 409, "does not want such mail"),
        (unknown, 503, "cannot be looked up"),
    ] {
        let form = site.form_token(&path).await;
        let answer = site.post(&path, &format!("form={form}&do=confirm")).await;
        assert_eq!(answer.status, status);
        assert!(answer.text().contains(words), "{}", answer.text());
        assert_eq!(choice_of_bob(&site).await, RecipientChoice::Hold);
    }
    site.close().await;
}

#[tokio::test]
async fn a_target_that_redirects_by_now_is_refused() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    let path = path_of(&redirect_link(&site, "new@home.example").await);
    let on = ForwardPath::from_address("far@home.example").expect("an address");
    let by = posthouse_store::Actor::local(posthouse_store::Who::Operator);
    let set = site.store.set_recipient(
        "new@home.example".to_owned(),
        RecipientChoice::Redirect(on),
        by,
    );
    set.await.expect("the store works");
    assert_eq!(confirm(&site, &path).await, 409);
    assert_eq!(choice_of_bob(&site).await, RecipientChoice::Hold);
    site.close().await;
}

#[tokio::test]
async fn only_the_button_of_the_page_confirms() {
    let site = Site::open().await;
    let wish = Wish::Sender(ANN.to_owned(), SenderChoice::Discard);
    let path = path_of(&site.confirm_link(wish).await);
    let manage = site.parties("ann", "bob").await;
    let alien = site
        .form_token(manage.page(posthouse_hook::LinkKind::Item))
        .await;
    let form = site.form_token(&path).await;
    let before = site.dump();
    for method in ["GET", "HEAD", "OPTIONS"] {
        for _ in 0..100 {
            site.ask(method, &format!("{path}?do=confirm&form={form}"), &[], "")
                .await;
        }
    }
    let own = [("Sec-Fetch-Site", "cross-site")];
    for (headers, body, want) in [
        (&[][..], "do=confirm".to_owned(), 403),
        (&[], format!("form={alien}&do=confirm"), 403),
        (&own, format!("form={form}&do=confirm"), 403),
        (&[], format!("form={form}&do=release"), 400),
        (&[], format!("form={form}"), 400),
    ] {
        let answer = site.ask("POST", &path, headers, &body).await;
        assert_eq!(answer.status, want, "{body}");
    }
    assert_eq!(differences(&before, &site.dump()), [""; 0]);
    site.wait(Duration::from_secs(8 * 86_400));
    assert_eq!(site.get(&path).await.status, 404, "a link ends");
    site.close().await;
}
