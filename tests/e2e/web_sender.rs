//! The sender's page over HTTP: why a message is held, what the buttons do, what became of it.

use std::time::Duration;

use posthouse_hook::Vouched;
use posthouse_store::{AttemptResult, Attempted, ReleaseCaps, State};
use posthouse_web::SelfRelease;

use crate::web_site::{Mail, Site, Wanted};

const BOB: &str = "bob@there.example";

#[tokio::test]
async fn the_sender_sees_why_and_sends_it_anyway() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let path = held.path();
    let page = site.get(&path).await.text();
    for words in [
        "The boat",
        "ann@ours.example",
        BOB,
        "Shall we sell the boat?",
        "15.3 points",
        "from 5 points on",
        "GTUBE",
        "20 December 2026",
        "in 30 days",
        "Send it anyway",
        "Discard it",
    ] {
        assert!(page.contains(words), "{words} is not on the page:\n{page}");
    }
    let form = site.form_token(&path).await;
    let answer = site
        .post(&path, &format!("form={form}&do=release&sure=yes"))
        .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(&*path))
    );
    assert_eq!(site.states(held.id).await, [State::Queued]);
    let page = site.get(&path).await.text();
    assert!(
        page.contains("on its way") && !page.contains("value=\"release\""),
        "{page}"
    );
    site.close().await;
}

#[tokio::test]
async fn after_a_release_the_page_tells_what_the_next_hop_said() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let form = site.form_token(&held.path()).await;
    site.post(&held.path(), &format!("form={form}&do=release&sure=yes"))
        .await;
    let claimed = site.store.claim(1, Duration::from_secs(60)).await;
    let claimed = claimed.expect("the store works");
    let settle = |result, said: &str| {
        vec![Attempted {
            copy: claimed[0].recipients[0].id,
            result,
            said: said.to_owned(),
            next_hop: "mx.there.example[192.0.2.9]:25".to_owned(),
        }]
    };
    let refused = settle(AttemptResult::Failed, "550 5.7.1 <script>no</script>");
    let settled = site.store.settle(refused, Vec::new()).await;
    settled.expect("the store works");
    let page = site.get(&held.path()).await.text();
    assert!(page.contains("refused"), "{page}");
    assert!(page.contains("550 5.7.1 &lt;script&gt;no&lt;"), "{page}");
    site.close().await;
}

#[tokio::test]
async fn the_sender_discards() {
    let site = Site::open().await;
    let to = [BOB, "eve@there.example"];
    let mail = Mail {
        to: &to,
        ..Mail::default()
    };
    let held = site.hold(mail).await;
    let form = site.form_token(&held.path()).await;
    let answer = site
        .post(&held.path(), &format!("form={form}&do=discard"))
        .await;
    assert_eq!(answer.status, 303);
    assert_eq!(site.states(held.id).await, [State::Discarded; 2]);
    let page = site.get(&held.path()).await.text();
    assert!(page.contains("was discarded"), "{page}");
    let late = format!("form={form}&do=release&sure=yes");
    assert_eq!(site.post(&held.path(), &late).await.status, 303);
    assert_eq!(site.states(held.id).await, [State::Discarded; 2]);
    site.close().await;
}

#[tokio::test]
async fn two_clicks_release_once() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let (path, form) = (held.path(), site.form_token(&held.path()).await);
    let body = format!("form={form}&do=release&sure=yes");
    let click = || site.post(&path, &body);
    let (one, two, three, four) = tokio::join!(click(), click(), click(), click());
    for answer in [one, two, three, four] {
        assert_eq!(answer.status, 303, "{answer:?}");
    }
    assert_eq!(site.audited(held.id, "release").await, 1);
    site.close().await;
}

#[tokio::test]
async fn past_a_cap_the_operator_decides() {
    let caps = ReleaseCaps {
        per_sender: 1,
        ..ReleaseCaps::default()
    };
    let site = Site::with(Wanted {
        caps,
        ..Wanted::default()
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let held = site.hold(Mail::default()).await;
        let form = site.form_token(&held.path()).await;
        let body = format!("form={form}&do=release&sure=yes");
        let answer = site.post(&held.path(), &body).await;
        if answer.status == 429 {
            let page = answer.text();
            assert!(page.contains("operator"), "{page}");
            assert!(!page.contains("per_sender"), "{page}");
            assert_eq!(site.states(held.id).await, [State::Held]);
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [303, 429]);
    site.close().await;
}

#[tokio::test]
async fn a_sender_who_may_not_release_is_told_who_decides() {
    let self_release = vec![SelfRelease::Spf];
    let site = Site::with(Wanted {
        self_release,
        ..Wanted::default()
    })
    .await;
    let ours = Mail {
        vouched: Vouched::OursSpfNotFail,
        ..Mail::default()
    };
    let held = site.hold(ours).await;
    let page = site.get(&held.path()).await.text();
    assert!(
        page.contains("operator") && !page.contains("Send it anyway"),
        "{page}"
    );
    let form = site.form_token(&held.path()).await;
    let answer = site
        .post(&held.path(), &format!("form={form}&do=release&sure=yes"))
        .await;
    assert_eq!(answer.status, 403);
    assert_eq!(site.states(held.id).await, [State::Held]);
    site.close().await;
}
