//! The recipient's pages over HTTP: the list, one message, its bytes, the letters; and nobody else's mail.

use std::time::Duration;

use posthouse_hook::Row;
use posthouse_store::{Letters, State};

use crate::web_site::{Mail, Site, path_of};

const BOB: &str = "bob@there.example";

#[tokio::test]
async fn the_recipient_reads_and_discards_what_is_theirs() {
    let site = Site::open().await;
    let both = Mail {
        to: &["eve@there.example", BOB],
        ..Mail::default()
    };
    let shared = site.hold(both).await;
    let alien = site
        .hold(Mail {
            to: &["eve@there.example"],
            ..Mail::default()
        })
        .await;
    let path = path_of(&site.links_of(BOB).await.0);
    let list = site.get(&path).await.text();
    assert!(list.contains("The boat") && list.contains(BOB), "{list}");
    assert!(
        !list.contains("eve@"),
        "another recipient is on the page:\n{list}"
    );
    assert!(
        !list.contains("/i/"),
        "the sender's link is on the page:\n{list}"
    );
    assert!(!list.contains("release"), "{list}");
    let read = site.get(&format!("{path}/m/{}", shared.id)).await.text();
    assert!(read.contains("Shall we sell the boat?"), "{read}");
    assert!(!read.contains("eve@"), "{read}");
    for below in ["", "/message.eml"] {
        let answer = site.get(&format!("{path}/m/{}{below}", alien.id)).await;
        assert_eq!(answer.status, 404);
    }
    let form = site.form_token(&path).await;
    let body = format!(
        "form={form}&do=discard&item={}&item={}",
        alien.id, shared.id
    );
    let answer = site.post(&path, &body).await;
    assert_eq!(answer.status, 303);
    assert_eq!(site.states(alien.id).await, [State::Held]);
    assert_eq!(
        site.states(shared.id).await,
        [State::Held, State::Discarded]
    );
    let list = site.get(&path).await.text();
    assert!(list.contains("We hold nothing for you"), "{list}");
    site.close().await;
}

#[tokio::test]
async fn discard_all_leaves_what_came_in_since() {
    let site = Site::open().await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(site.hold(Mail::default()).await.id);
    }
    let path = path_of(&site.links_of(BOB).await.0);
    let first = site.get(&path).await.text();
    assert_eq!(first.matches("type=\"checkbox\"").count(), 25);
    let next = format!("{path}?before={}", ids[5]);
    assert!(first.contains(&next), "{first}");
    let second = site.get(&next).await.text();
    assert_eq!(second.matches("type=\"checkbox\"").count(), 5);
    let newest = ids.last().expect("thirty");
    let since = site.hold(Mail::default()).await;
    let form = site.form_token(&path).await;
    let body = format!("form={form}&do=discard_all&newest={newest}");
    assert_eq!(site.post(&path, &body).await.status, 303);
    for id in ids {
        assert_eq!(site.states(id).await, [State::Discarded]);
    }
    assert_eq!(site.states(since.id).await, [State::Held]);
    site.close().await;
}

#[tokio::test]
async fn buttons_of_one_message() {
    let site = Site::open().await;
    let (one, two) = (
        site.hold(Mail::default()).await,
        site.hold(Mail::default()).await,
    );
    let path = path_of(&site.links_of(BOB).await.0);
    let form = site.form_token(&path).await;
    let answer = site
        .post(&path, &format!("form={form}&one={}", one.id))
        .await;
    let told = answer.header("location").expect("a redirect").to_owned();
    assert!(
        site.get(&told).await.text().contains("Discarded."),
        "{told}"
    );
    let read = format!("{path}/m/{}", two.id);
    let answer = site.post(&read, &format!("form={form}&do=discard")).await;
    assert_eq!(answer.status, 303);
    assert_eq!(site.states(one.id).await, [State::Discarded]);
    assert_eq!(site.states(two.id).await, [State::Discarded]);
    let gone = site.get(&read).await;
    assert_eq!(gone.status, 200);
    assert!(gone.text().contains("You discarded this message"));
    let eml = site.get(&format!("{read}/message.eml")).await;
    assert_eq!(eml.status, 404);
    site.close().await;
}

#[tokio::test]
async fn letters_stop_from_anywhere_and_start_from_the_list() {
    let site = Site::open().await;
    site.hold(Mail::default()).await;
    let (list, stop) = site.links_of(BOB).await;
    let letters = || async {
        let address = site.store.address(BOB).await.expect("the store works");
        address.expect("known").letters
    };
    let one_click = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://mail.example"),
    ];
    let body = "List-Unsubscribe=One-Click";
    let answer = site.ask("POST", &path_of(&stop), &one_click, body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(letters().await, Letters::Stopped);
    let path = path_of(&list);
    let form = site.form_token(&path).await;
    let body = format!("form={form}&do=start_letters");
    assert_eq!(site.post(&path, &body).await.status, 303);
    assert_eq!(letters().await, Letters::On);
    let body = format!("form={form}&do=stop_letters");
    assert_eq!(site.post(&path, &body).await.status, 303);
    assert_eq!(letters().await, Letters::Stopped);
    site.close().await;
}

#[tokio::test]
async fn downloads_are_the_bytes_and_cannot_act() {
    let site = Site::open().await;
    let mut large = b"Subject: large\r\n\r\n".to_vec();
    large.extend((0..3_000_000_u32).map(|n| (n % 251) as u8));
    for message in [Mail::default().message, &large] {
        let held = site
            .hold(Mail {
                message,
                ..Mail::default()
            })
            .await;
        let path = path_of(&site.links_of(BOB).await.0);
        let answer = site.get(&format!("{path}/m/{}/message.eml", held.id)).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == message, "other bytes");
        let read = site.get(&format!("{path}/m/{}", held.id)).await.text();
        assert_eq!(
            read.contains("The message is longer"),
            message.len() > 100_000
        );
        let header = |name| answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("content-type"), "application/octet-stream");
        assert!(header("content-disposition").starts_with("attachment"));
        assert!(header("content-security-policy").contains("sandbox"));
        assert_eq!(header("content-length"), message.len().to_string());
    }
    site.close().await;
}

#[tokio::test]
async fn a_copy_to_a_domain_that_is_not_filtered_is_no_ones_list() {
    let site = Site::open().await;
    let held = site
        .hold(Mail {
            row: Row::Other,
            ..Mail::default()
        })
        .await;
    let due = site.store.letters_due(Duration::from_secs(1), 10).await;
    assert!(due.expect("the store works").is_empty());
    assert_eq!(site.get(&held.path()).await.status, 200);
    site.close().await;
}
