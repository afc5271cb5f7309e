//! A recipient's single message: where the operator allows it, delivered after all, under a daily cap;
//! and what its page tells once it is not held any more.

use std::num::NonZeroU32;
use std::time::Duration;

use posthouse_hook::Id;
use posthouse_store::{Actor, Selection, State, Who};

use crate::web_site::{Mail, Site, Wanted, path_of};

const BOB: &str = "bob@there.example";
const EVE: &str = "eve@there.example";

async fn allowing(daily: u32) -> Site {
    let wanted = Wanted {
        recipient_releases: NonZeroU32::new(daily),
        ..Wanted::default()
    };
    Site::with(wanted).await
}

fn only(item: Id, address: &str) -> Selection {
    Selection {
        item,
        addresses: vec![address.to_owned()],
    }
}

#[tokio::test]
async fn nobody_releases_to_a_filtered_address_unless_the_operator_allows_it() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let path = path_of(&site.links_of(BOB).await.0);
    let message = format!("{path}/m/{}", held.id);
    let page = site.get(&message).await.text();
    assert!(!page.contains("value=\"release\""), "{page}");
    let form = site.form_token(&message).await;
    let answer = site
        .post(&message, &format!("form={form}&do=release"))
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(site.states(held.id).await, [State::Held]);
    site.close().await;
}

#[tokio::test]
async fn a_recipient_releases_their_own_copy_so_often_a_day() {
    let site = allowing(2).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let both = Mail {
            to: &[EVE, BOB],
            ..Mail::default()
        };
        held.push(site.hold(both).await.id);
    }
    let path = path_of(&site.links_of(BOB).await.0);
    let form = site.form_token(&path).await;
    let release = async |id: Id| {
        let body = format!("form={form}&do=release&item={}&address={EVE}", held[0]);
        site.post(&format!("{path}/m/{id}"), &body).await
    };
    for id in &held[..2] {
        let page = site.get(&format!("{path}/m/{id}")).await.text();
        assert!(page.contains("2 times a day"), "{page}");
        for _ in 0..2 {
            assert_eq!(release(*id).await.status, 303, "twice is once");
        }
        assert_eq!(site.states(*id).await, [State::Held, State::Queued]);
        assert_eq!(site.audited(*id, "release").await, 1);
        let page = site.get(&format!("{path}/m/{id}")).await.text();
        assert!(page.contains("you asked us to deliver it"), "{page}");
        assert!(page.contains("waiting to be sent"), "{page}");
        assert!(
            !page.contains("sell the boat?"),
            "not held, not shown: {page}"
        );
    }
    let capped = release(held[2]).await;
    assert_eq!(capped.status, 429);
    let page = capped.text();
    assert!(page.contains("try again tomorrow"), "{page}");
    assert!(
        page.contains("sell the boat?"),
        "still held, still shown: {page}"
    );
    assert!(!page.contains("recipient_releases"), "{page}");
    assert_eq!(site.states(held[2]).await, [State::Held, State::Held]);
    site.wait(Duration::from_secs(25 * 3_600));
    assert_eq!(release(held[2]).await.status, 303);
    assert_eq!(site.states(held[2]).await, [State::Held, State::Queued]);
    site.close().await;
}

#[tokio::test]
async fn each_party_hears_what_the_other_did() {
    let site = Site::open().await;
    let path_to = async |id: Id| {
        let list = path_of(&site.links_of(BOB).await.0);
        format!("{list}/m/{id}")
    };
    for (deed, words) in [
        ("discard", "Its sender discarded this message"),
        ("release", "its sender had it sent anyway"),
    ] {
        let held = site.hold(Mail::default()).await;
        let message = path_to(held.id).await;
        let form = site.form_token(&held.path()).await;
        let body = format!("form={form}&do={deed}&sure=yes");
        let answer = site.post(&held.path(), &body).await;
        assert_eq!(answer.status, 303, "{deed}");
        site.hold(Mail::default()).await;
        let page = site.get(&message).await.text();
        assert!(page.contains(words), "{deed}: {page}");
        assert!(page.contains("The boat"), "what it was: {page}");
        assert!(!page.contains("sell the boat?"), "{page}");
        assert_eq!(
            site.get(&format!("{message}/message.eml")).await.status,
            404
        );
        let answer = site.ask("HEAD", &message, &[], "").await;
        assert_eq!(answer.status, 200);
    }
    let held = site.hold(Mail::default()).await;
    let message = path_to(held.id).await;
    let form = site.form_token(&message).await;
    for _ in 0..2 {
        let answer = site
            .post(&message, &format!("form={form}&do=discard"))
            .await;
        assert_eq!(answer.status, 303);
    }
    assert_eq!(site.audited(held.id, "discard").await, 1);
    let page = site.get(&message).await.text();
    assert!(page.contains("You discarded this message"), "{page}");
    let page = site.get(&held.path()).await.text();
    assert!(page.contains("Your message was discarded"), "{page}");
    let operators = site.hold(Mail::default()).await;
    let by = Actor::local(Who::Operator);
    let discarded = site.store.discard_held(only(operators.id, BOB), by).await;
    discarded.expect("the store works");
    site.hold(Mail::default()).await;
    let page = site.get(&path_to(operators.id).await).await.text();
    assert!(
        page.contains("The operator of this service discarded"),
        "{page}"
    );
    site.close().await;
}

#[tokio::test]
async fn one_message_two_recipients_two_fates() {
    let site = allowing(5).await;
    let message = b"From: Ann <ann@ours.example>\r\nTo: undisclosed-recipients:;\r\n\
        Subject: The boat\r\n\r\nShall we sell the boat?\r\n";
    let both = Mail {
        to: &[EVE, BOB],
        message,
        ..Mail::default()
    };
    let shared = site.hold(both).await;
    let alien = site
        .hold(Mail {
            to: &[EVE],
            ..Mail::default()
        })
        .await;
    let bob = path_of(&site.links_of(BOB).await.0);
    let eve = path_of(&site.links_of(EVE).await.0);
    for (path, other) in [(&bob, "eve@"), (&eve, "bob@")] {
        for below in ["", "/message.eml"] {
            let answer = site.get(&format!("{path}/m/{}{below}", shared.id)).await;
            assert_eq!(answer.status, 200);
            let text = answer.text();
            assert!(
                !text.contains(other),
                "the other recipient is told of: {text}"
            );
            assert!(
                !text.contains("/i/"),
                "the sender's link is told of: {text}"
            );
        }
    }
    // A form of Bob's, with ids and addresses that are not his.
    let form = site.form_token(&bob).await;
    for (at, body) in [
        (
            String::new(),
            format!("do=discard&item={}&address={EVE}", alien.id),
        ),
        (String::new(), format!("one={}", alien.id)),
        (format!("/m/{}", alien.id), "do=discard".to_owned()),
        (format!("/m/{}", alien.id), "do=release".to_owned()),
        (
            format!("/m/{}", shared.id),
            format!("do=discard&item={}", alien.id),
        ),
    ] {
        let path = format!("{bob}{at}");
        let answer = site.post(&path, &format!("form={form}&{body}")).await;
        assert!(matches!(answer.status, 303 | 404), "{at} {body}");
        assert_eq!(site.states(alien.id).await, [State::Held], "{at} {body}");
    }
    assert_eq!(
        site.states(shared.id).await,
        [State::Held, State::Discarded]
    );
    let page = site.get(&format!("{bob}/m/{}", shared.id)).await.text();
    assert!(page.contains("You discarded this message"), "{page}");
    let page = site.get(&format!("{eve}/m/{}", shared.id)).await.text();
    assert!(page.contains("sell the boat?"), "{page}");
    let never = site.get("/a/nothing").await;
    let not_bobs = site.get(&format!("{bob}/m/{}", alien.id)).await;
    assert_eq!(not_bobs.timeless(), never.timeless());
    site.close().await;
}
