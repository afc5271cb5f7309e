//! The manage page over HTTP: all that is held of one sender, and of nobody else.

use posthouse_hook::{LinkKind, Vouched};
use posthouse_store::{ReleaseCaps, SenderChoice, State};
use posthouse_tests::ledger::differences;
use posthouse_web::SelfRelease;

use crate::web_http::Answer;
use crate::web_site::{Held, Mail, Site, Wanted};

const ANN: &str = "ann@ours.example";

/// A message from Ann with a subject.
async fn hold(site: &Site, subject: &str) -> Held {
    let message = format!("From: Ann <{ANN}>\r\nSubject: {subject}\r\n\r\nHello.\r\n");
    let mail = Mail {
        message: message.as_bytes(),
        ..Mail::default()
    };
    site.hold(mail).await
}

/// Posts a form of the page, with its token.
async fn post(site: &Site, path: &str, fields: &str) -> Answer {
    let form = site.form_token(path).await;
    site.post(path, &format!("form={form}&{fields}")).await
}

/// What the page says behind a form that was done.
async fn told(site: &Site, path: &str, fields: &str) -> String {
    let answer = post(site, path, fields).await;
    assert_eq!(answer.status, 303, "{fields}: {}", answer.text());
    let behind = answer.header("location").expect("a redirect").to_owned();
    site.get(&behind).await.text()
}

#[tokio::test]
async fn a_sender_finds_releases_and_discards_what_is_theirs() {
    let site = Site::open().await;
    let boat = hold(&site, "The boat").await;
    let car = hold(&site, "The car").await;
    let eve = Mail {
        from: "eve@ours.example",
        ..Mail::default()
    };
    let alien = site.hold(eve).await;
    let path = site.manage_page(ANN).await;
    let page = site.get(&path).await.text();
    assert!(
        page.contains("The boat") && page.contains("The car"),
        "{page}"
    );
    assert!(!page.contains("eve@") && !page.contains("/i/"), "{page}");
    let found = site.get(&format!("{path}?text=BOAT")).await.text();
    assert!(
        found.contains("The boat") && !found.contains("The car"),
        "{found}"
    );
    let nothing = site.get(&format!("{path}?text=%3Cscript%3E")).await.text();
    assert!(nothing.contains("“&lt;script&gt;”"), "{nothing}");

    let both = format!("item={}&item={}", boat.id, alien.id);
    let unsure = post(&site, &path, &format!("do=release&{both}")).await;
    assert_eq!(unsure.status, 422);
    assert_eq!(site.states(boat.id).await, [State::Held]);
    let page = told(&site, &path, &format!("do=release&sure=yes&{both}")).await;
    assert!(page.contains("They are on their way"), "{page}");
    assert_eq!(site.states(boat.id).await, [State::Queued]);
    assert_eq!(site.states(alien.id).await, [State::Held]);

    let both = format!("item={}&item={}", car.id, alien.id);
    let page = told(&site, &path, &format!("do=discard&{both}")).await;
    assert!(page.contains("Discarded."), "{page}");
    assert_eq!(site.states(car.id).await, [State::Discarded]);
    assert_eq!(site.states(alien.id).await, [State::Held]);
    let page = told(&site, &path, &format!("do=discard&item={}", alien.id)).await;
    assert!(page.contains("Nothing was changed"), "{page}");
    assert!(page.contains("What became of others"), "{page}");
    site.close().await;
}

#[tokio::test]
async fn each_message_is_released_by_its_own_rules_and_under_the_caps() {
    let caps = ReleaseCaps {
        per_sender: 1,
        ..ReleaseCaps::default()
    };
    let site = Site::with(Wanted {
        self_release: vec![SelfRelease::Spf],
        caps,
        ..Wanted::default()
    })
    .await;
    let vouched = |vouched| Mail {
        vouched,
        ..Mail::default()
    };
    let unfree = site.hold(vouched(Vouched::OursNetwork)).await;
    let one = site.hold(vouched(Vouched::Spf)).await;
    let two = site.hold(vouched(Vouched::Spf)).await;
    let path = site.manage_page(ANN).await;
    let release = |id| format!("do=release&sure=yes&item={id}");
    let page = told(&site, &path, &release(unfree.id)).await;
    assert!(page.contains("the operator has to decide"), "{page}");
    let all = format!("{}&item={}&item={}", release(unfree.id), one.id, two.id);
    let page = told(&site, &path, &all).await;
    assert!(page.contains("Some are on their way"), "{page}");
    for (held, want) in [
        (unfree, State::Held),
        (one, State::Queued),
        (two, State::Held),
    ] {
        assert_eq!(site.states(held.id).await, [want]);
    }
    site.close().await;
}

#[tokio::test]
async fn one_message_of_the_list_has_a_page_with_the_same_rules() {
    let site = Site::open().await;
    let held = hold(&site, "The boat").await;
    let alien = site
        .hold(Mail {
            from: "eve@ours.example",
            ..Mail::default()
        })
        .await;
    let path = site.manage_page(ANN).await;
    for id in [alien.id.to_string(), "1".to_owned(), "x".to_owned()] {
        let answer = site.get(&format!("{path}/m/{id}")).await;
        let never = site.get("/m/nothing").await;
        assert_eq!(answer.timeless(), never.timeless(), "{id}");
        let form = site.form_token(&path).await;
        let body = format!("form={form}&do=discard");
        assert_eq!(
            site.post(&format!("{path}/m/{id}"), &body).await.status,
            404
        );
    }
    let own = format!("{path}/m/{}", held.id);
    assert_eq!(post(&site, &own, "do=release").await.status, 422);
    let answer = post(&site, &own, "do=release&sure=yes").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(&*own))
    );
    assert_eq!(site.states(held.id).await, [State::Queued]);
    assert_eq!(site.states(alien.id).await, [State::Held]);
    site.close().await;
}

#[tokio::test]
async fn the_default_comes_back_at_once_and_anything_else_by_mail() {
    let site = Site::open().await;
    hold(&site, "The boat").await;
    let path = site.manage_page(ANN).await;
    let waiting = site
        .store
        .errands_due(9)
        .await
        .expect("the store works")
        .len();
    let page = told(&site, &path, "do=choose&choice=discard").await;
    assert!(
        page.contains("We have mailed a link to <b>ann@ours.example</b>"),
        "{page}"
    );
    assert_eq!(site.store.choices().of_sender(ANN), SenderChoice::Hold);
    let due = site.store.errands_due(9).await.expect("the store works");
    assert_eq!(due.len(), waiting + 1);
    assert!(page.contains("that such messages be dropped"), "{page}");
    let page = told(&site, &path, "do=choose&choice=hold").await;
    assert!(!page.contains("that such messages be dropped"), "{page}");
    let due = site.store.errands_due(9).await.expect("the store works");
    assert_eq!(due.len(), waiting, "what waited was taken back");
    let by = posthouse_store::Actor::local(posthouse_store::Who::Operator);
    let set = site
        .store
        .set_sender(ANN.to_owned(), SenderChoice::Refuse, by);
    set.await.expect("the store works");
    let page = site.get(&path).await.text();
    assert!(page.contains("takes effect at once"), "{page}");
    let page = told(&site, &path, "do=choose&choice=hold").await;
    assert!(page.contains("such mail is held again"), "{page}");
    assert_eq!(site.store.choices().of_sender(ANN), SenderChoice::Hold);
    let page = told(&site, &path, "do=choose&choice=hold").await;
    assert!(page.contains("Nothing to change"), "{page}");
    site.close().await;
}

#[tokio::test]
async fn pages_follow_one_another() {
    let site = Site::open().await;
    for n in 0..27 {
        hold(&site, &format!("Boat {n:02}.")).await;
    }
    hold(&site, "The car").await;
    let path = site.manage_page(ANN).await;
    let first = site.get(&format!("{path}?text=boat")).await.text();
    assert!(
        first.contains("Boat 26.") && !first.contains("Boat 01."),
        "{first}"
    );
    let (_, next) = first.split_once("href=\"/m/").expect("links");
    let next = next.match_indices("before=").next();
    assert!(next.is_some(), "{first}");
    let at = first.find("?before=").expect("a next page");
    let query = first[at..]
        .split('"')
        .next()
        .expect("an end")
        .replace("&amp;", "&");
    let second = site.get(&format!("{path}{query}")).await.text();
    assert!(
        second.contains("Boat 01.") && !second.contains("Boat 02."),
        "{second}"
    );
    assert!(!second.contains("The car"), "{second}");
    site.close().await;
}

#[tokio::test]
async fn looking_and_foreign_forms_change_nothing() {
    let site = Site::open().await;
    let held = hold(&site, "The boat").await;
    let path = site.manage_page(ANN).await;
    let form = site.form_token(&path).await;
    let alien = site.form_token(&held.path()).await;
    let below = format!("{path}/m/{}", held.id);
    let before = site.dump();
    for method in ["GET", "HEAD", "OPTIONS"] {
        for _ in 0..50 {
            for path in [&path, &below] {
                let query = format!("{path}?do=release&sure=yes&form={form}&item={}", held.id);
                site.ask(method, &query, &[], "").await;
            }
        }
    }
    let other = [("Origin", "https://evil.example")];
    for path in [&path, &below] {
        for (headers, proof) in [(&[][..], ""), (&[], &*alien), (&other, &*form)] {
            for deed in [
                "release&sure=yes",
                "discard",
                "choose&choice=discard",
                "ask",
            ] {
                let body = format!("form={proof}&do={deed}&item={}", held.id);
                let answer = site.ask("POST", path, headers, &body).await;
                assert_eq!(answer.status, 403, "{body}");
            }
        }
        for deed in [
            "stop_letters",
            "confirm",
            "choose",
            "choose&choice=redirect",
        ] {
            let body = format!("form={form}&do={deed}&item={}", held.id);
            assert_eq!(site.post(path, &body).await.status, 400, "{body}");
        }
    }
    assert_eq!(differences(&before, &site.dump()), [""; 0]);
    site.close().await;
}

#[tokio::test]
async fn no_other_link_opens_it() {
    let site = Site::open().await;
    let parties = site.parties("ann", "bob").await;
    for (kind, page) in &parties.pages {
        let token = page.split('/').nth(2).expect("a token");
        let manage = site.get(&format!("/m/{token}")).await.status;
        let confirm = site.get(&format!("/c/{token}")).await.status;
        assert_eq!(manage == 200, *kind == LinkKind::Manage, "{kind:?}");
        assert_eq!(confirm == 200, *kind == LinkKind::Confirm, "{kind:?}");
    }
    site.close().await;
}
