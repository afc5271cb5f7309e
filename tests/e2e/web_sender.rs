//! The sender's page over HTTP: why a message is held, what the buttons do, what became of it.

use std::time::Duration;

use posthouse_hook::Vouched;
use posthouse_store::{AttemptResult, Attempted, ReleaseCaps, SenderChoice, State};
use posthouse_web::SelfRelease;

use crate::web_site::{Mail, Site, Wanted, path_of};

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

#[tokio::test]
async fn without_the_tick_nothing_is_sent() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let form = site.form_token(&held.path()).await;
    for body in ["do=release", "do=release&sure=", "do=release&sure=no"] {
        let answer = site
            .post(&held.path(), &format!("form={form}&{body}"))
            .await;
        assert_eq!(answer.status, 422, "{body}");
        assert!(
            answer.text().contains("Please tick the box"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(site.states(held.id).await, [State::Held]);
    site.close().await;
}

#[tokio::test]
async fn tests_are_told_in_words() {
    let site = Site::open().await;
    let mail = Mail {
        tests: &["URIBL_BLACK", "URIBL_GREY", "OUR_OWN_TEST"],
        ..Mail::default()
    };
    let held = site.hold(mail).await;
    let page = site.get(&held.path()).await.text();
    for words in [
        "It links to a site that is listed for spam.",
        "<code>URIBL_BLACK</code> <code>URIBL_GREY</code>",
        "OUR_OWN_TEST",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    site.close().await;
}

#[tokio::test]
async fn past_a_cap_the_sender_asks_the_operator() {
    let caps = ReleaseCaps {
        per_sender: 0,
        ..ReleaseCaps::default()
    };
    let site = Site::with(Wanted {
        caps,
        ..Wanted::default()
    })
    .await;
    let held = site.hold(Mail::default()).await;
    let path = held.path();
    let form = site.form_token(&path).await;
    let post = |fields: String| {
        let body = format!("form={form}&{fields}");
        let (site, path) = (&site, &path);
        async move { site.post(path, &body).await }
    };
    let capped = post("do=release&sure=yes".to_owned()).await;
    assert!(capped.text().contains("<textarea"), "{}", capped.text());
    let long = "ä".repeat(3_000);
    for comment in ["It+is+our%0d%0anewsletter", "again", &long] {
        assert_eq!(post(format!("do=ask&comment={comment}")).await.status, 303);
    }
    let request = site.store.request(held.id).await.expect("the store works");
    let request = request.expect("asked");
    assert_eq!(
        request.comment, "It is our newsletter",
        "the first within an hour"
    );
    let page = site.get(&path).await.text();
    assert!(page.contains("You asked the operator to send it"), "{page}");
    assert!(!page.contains("<textarea"), "{page}");
    assert_eq!(site.audited(held.id, "request").await, 1);
    site.wait(Duration::from_secs(3600));
    assert_eq!(post(format!("do=ask&comment={long}")).await.status, 303);
    let request = site.store.request(held.id).await.expect("the store works");
    assert_eq!(request.expect("asked").comment.chars().count(), 400);
    assert_eq!(post("do=discard".to_owned()).await.status, 303);
    assert_eq!(post("do=ask".to_owned()).await.status, 303);
    assert_eq!(
        site.audited(held.id, "request").await,
        2,
        "nothing is held any more"
    );
    site.close().await;
}

#[tokio::test]
async fn the_link_of_a_refusal_changes_no_choice_by_itself() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let path = held.path();
    let form = site.form_token(&path).await;
    let choose = |choice: &str| {
        let body = format!("form={form}&do=choose&choice={choice}");
        let (site, path) = (&site, &path);
        async move { site.post(path, &body).await }
    };
    let behind = choose("refuse").await;
    let behind = behind.header("location").expect("a redirect").to_owned();
    let page = site.get(&behind).await.text();
    assert!(
        page.contains("mailed a link to <b>ann@ours.example</b>"),
        "{page}"
    );
    assert_eq!(choose("discard").await.status, 303);
    assert_eq!(choose("refuse").await.status, 303);
    let fourth = choose("discard").await;
    assert_eq!(fourth.status, 429);
    assert!(fourth.text().contains("tomorrow"), "{}", fourth.text());
    let due = site.store.errands_due(9).await.expect("the store works");
    let to: Vec<_> = due.iter().map(|errand| errand.to.address()).collect();
    assert_eq!(to, ["ann@ours.example"; 3]);
    let by = posthouse_store::Actor::local(posthouse_store::Who::Operator);
    let ann = "ann@ours.example".to_owned();
    let set = site.store.set_sender(ann, SenderChoice::Discard, by);
    set.await.expect("the store works");
    assert_eq!(choose("hold").await.status, 429, "not even to the default");
    let choice = site.store.choices().of_sender("ann@ours.example");
    assert_eq!(choice, SenderChoice::Discard);
    let page = site.get(&path).await.text();
    assert!(page.contains("value=\"discard\" checked"), "{page}");
    site.close().await;
}

#[tokio::test]
async fn the_link_to_everything_goes_to_the_sender_alone() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let form = site.form_token(&held.path()).await;
    for _ in 0..3 {
        let body = format!("form={form}&do=mail_link&address=eve%40evil.example");
        let answer = site.post(&held.path(), &body).await;
        assert_eq!(answer.status, 303);
    }
    let due = site.store.errands_due(9).await.expect("the store works");
    let to: Vec<_> = due.iter().map(|errand| errand.to.address()).collect();
    assert_eq!(to, ["ann@ours.example"]);
    site.close().await;
}

#[tokio::test]
async fn the_page_tells_that_the_recipient_discarded() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let list = path_of(&site.links_of(BOB).await.0);
    let form = site.form_token(&list).await;
    let body = format!("form={form}&do=discard&item={}", held.id);
    assert_eq!(site.post(&list, &body).await.status, 303);
    let page = site.get(&held.path()).await.text();
    assert!(page.contains("discarded by the recipient"), "{page}");
    assert!(!page.contains("/a/") && !page.contains(&list), "{page}");
    site.close().await;
}
