//! The known faults of the only ancestor of this program, a plugin of 2007: one test each, named
//! after the fault, against the whole program. Each shows that ours does not have it.

use std::collections::HashSet;
use std::time::Duration;

use posthouse_hook::LinkKind;
use posthouse_tests::ledger::{count, differences};
use posthouse_tests::sink::{Act, Script};
use posthouse_tests::wait;

use crate::relay_once::Lock;
use crate::scene::{GTUBE, LIMIT, Scene, entered_from, message, spam, text_of};
use crate::web_site::{Mail, RETENTION, Site};

const BOB: &str = "bob@filtered.test";
const ANN: &str = "ann@ours.test";
const HOME: &str = "bob@home.test";
/// The letters of a token.
const BASE_32: &str = "abcdefghijklmnopqrstuvwxyz234567";

#[test]
fn steady_recipients_are_never_told_again() {
    let mut scene = Scene::open();
    for round in 1..=3 {
        scene.held(BOB, &format!("first{round}"));
        scene.held(BOB, &format!("second{round}"));
        scene.arrived(BOB, round);
        scene.held(BOB, &format!("third{round}"));
        scene.settle();
        assert_eq!(scene.so_far(BOB).len(), round, "one an interval");
        // The interval passes, and nothing new comes: what came since the last letter is enough.
        scene = scene.after("UPDATE address SET last_letter = last_letter - 8 * 86400000");
    }
    scene.arrived(BOB, 4);
}

#[test]
fn the_discard_link_does_nothing() {
    let scene = Scene::open();
    let eve = "eve@other.test";
    let sender = scene.refused(ANN, &[eve], "one");
    let one = id_of(&scene, eve);
    assert_eq!(scene.press(&sender, "do=discard").status, 303);
    scene.held(BOB, "two");
    let two = id_of(&scene, BOB);
    let letter = text_of(&scene.arrived(BOB, 1)[0]);
    let list = scene.link_in(&letter, 'a').expect("a link");
    let discard = format!("do=discard&item={two}");
    assert_eq!(scene.press(&list, &discard).status, 303);
    for id in [one, two] {
        assert_eq!(states(&scene, &id), ["discarded"]);
    }
    assert!(scene.get(&sender).text().contains("was discarded"));
    assert!(!scene.get(&list).text().contains("two"));
    assert_eq!(scene.so_far(eve).len(), 0);
}

#[test]
fn a_get_changes_state() {
    let scene = Scene::open();
    let sender = scene.refused(ANN, &[BOB], "one");
    let letter = text_of(&scene.arrived(BOB, 1)[0]);
    scene.settle();
    let link = |kind| scene.link_in(&letter, kind).expect("a link");
    let before = scene.dump();
    for url in [sender, link('a'), link('s')] {
        for query in ["", "?do=release", "?do=discard", "?do=stop_letters&yes=on"] {
            for method in ["GET", "HEAD", "OPTIONS"] {
                scene.ask(method, &format!("{url}{query}"), &[], "");
            }
        }
    }
    assert_eq!(differences(&before, &scene.dump()), [""; 0]);
}

#[test]
fn the_retry_queue_never_drains() {
    const MESSAGES: usize = 60;
    let later = || Act::Say(b"451 4.3.0 Later\r\n".to_vec());
    let script = Script::friendly()
        .act_times("CONNECT", Act::Die, 3)
        .act_times("MAIL", later(), 20)
        .act_times("RCPT", later(), 20)
        .act_times(".", later(), 20);
    let scene = Scene::with(script, |config| config);
    for n in 0..MESSAGES {
        let clean = message("", &format!("m{n}"), "See you at noon.");
        assert_eq!(scene.send(ANN, &["eve@other.test"], &clean).code, 250);
    }
    scene.arrived("eve@other.test", MESSAGES);
    wait::until("an empty queue", LIMIT, || {
        scene.items(&["queue", "list"]).is_empty().then_some(())
    });
    assert_eq!(scene.so_far("eve@other.test").len(), MESSAGES, "each once");
}

#[test]
fn a_failing_store_lets_spam_through() {
    let scene = Scene::open();
    let clean = message("", "clean", "See you at noon.");
    let lock = Lock::take(&scene.ledger());
    let heard = std::thread::scope(|threads| {
        let send = |message: Vec<u8>| {
            let scene = &scene.server.addr;
            threads.spawn(move || {
                let mut client = posthouse_tests::smtp::Smtp::hello(*scene).expect("greets");
                client
                    .send(ANN, &[BOB, "eve@other.test"], &message)
                    .expect("answers")
            })
        };
        let sessions = [send(spam("spam")), send(clean)];
        sessions.map(|session| session.join().expect("a session"))
    });
    for heard in heard {
        assert!(matches!(heard.code, 451 | 452), "{heard:?}");
    }
    drop(lock);
    assert_eq!(
        scene
            .send(ANN, &[BOB, "eve@other.test"], &spam("spam"))
            .code,
        552
    );
    scene.settle();
    assert_eq!(scene.so_far("eve@other.test").len(), 0);
    assert_eq!(
        count(&scene.dump(), "recipient"),
        2 + 1,
        "held once, and the probe"
    );
}

#[test]
fn tokens_are_guessable() {
    let scene = Scene::open();
    let one = scene.refused(ANN, &[BOB], "one");
    let two = scene.refused(ANN, &[BOB], "two");
    let secret = |url: &str| url.rsplit('/').next().expect("a token").to_owned();
    let (first, second) = (secret(&one), secret(&two));
    assert_eq!((first.len(), second.len()), (39, 39));
    let same = first.bytes().zip(second.bytes()).skip(14);
    let same = same.filter(|(a, b)| a == b).count();
    assert!(
        same < 10,
        "two messages of one sender share little: {first} {second}"
    );
    for at in 0..first.len() {
        let old = char::from(first.as_bytes()[at]);
        let new = BASE_32.chars().find(|new| *new != old).expect("another");
        let mut guess = first.clone();
        guess.replace_range(at..=at, &new.to_string());
        // The last character holds two bits that no token uses.
        let url = one.replace(&first, &guess);
        assert_eq!(scene.get(&url).status, 404, "{at}");
    }
    assert_eq!(scene.get(&one).status, 200);
}

/// The store with a clock that moves: a month is too long for a server's.
#[tokio::test]
async fn tokens_never_expire() {
    let site = Site::open().await;
    let held = site.hold(Mail::default()).await;
    let confirm = site.path_of_kind(LinkKind::Confirm).await;
    let week = Duration::from_secs(7 * 86_400);
    site.wait(week - Duration::from_secs(1));
    let opens = async |path: &str| site.get(path).await.status == 200;
    assert!(opens(&held.path()).await && opens(&confirm).await);
    site.wait(Duration::from_secs(2));
    assert!(!opens(&confirm).await, "a confirm link lasts a week");
    site.wait(RETENTION - week - Duration::from_secs(2));
    site.store.tidy().await.expect("the store works");
    assert!(opens(&held.path()).await, "as long as the message is kept");
    site.wait(Duration::from_secs(86_400));
    site.store.tidy().await.expect("the store works");
    assert!(!opens(&held.path()).await);
    site.close().await;
}

#[test]
fn looking_up_an_unknown_token_creates_rows() {
    let scene = Scene::open();
    let real = scene.refused(ANN, &[BOB], "one");
    scene.settle();
    let before = scene.dump();
    for kind in LinkKind::ALL {
        for n in 0..20 {
            let made_up: String = (0..39)
                .map(|at| char::from(BASE_32.as_bytes()[(n * 7 + at * 11) % 32]))
                .collect();
            for token in [
                made_up,
                real.rsplit('/').next().expect("a token")[..20].to_owned(),
            ] {
                let path = format!("/{}/{token}", kind.segment());
                assert_eq!(scene.get(&path).status, 404);
                let posted = scene.post(&path, "form=x&do=release&List-Unsubscribe=One-Click");
                assert!(matches!(posted.status, 403..=405), "{}", posted.status);
            }
        }
    }
    assert_eq!(differences(&before, &scene.dump()), [""; 0]);
}

#[test]
fn a_redirected_release_still_goes_to_the_old_address() {
    let scene = Scene::open();
    scene.held(BOB, "before");
    let letter = text_of(&scene.arrived(BOB, 1)[0]);
    let list = scene.link_in(&letter, 'a').expect("a link");
    // One is released by the operator while the redirect waits, and stays on its old way.
    scene.press(&list, &format!("do=redirect&to={HOME}"));
    let asked = text_of(&scene.arrived(HOME, 1)[0]);
    let confirm = scene.link_in(&asked, 'c').expect("a link");
    assert_eq!(scene.press(&confirm, "do=confirm").status, 303);
    let moved = scene.arrived(HOME, 2);
    assert!(
        text_of(&moved[1]).contains("GTUBE"),
        "what was held goes along"
    );
    let sender = scene.refused(ANN, &[BOB, "eve@other.test"], "after");
    assert_eq!(scene.press(&sender, "do=release&sure=yes").status, 303);
    scene.arrived("eve@other.test", 1);
    scene.arrived(HOME, 3);
    scene.settle();
    // A letter, and the notice that the redirect is in force: no spam.
    let old: Vec<_> = scene.so_far(BOB).iter().map(text_of).collect();
    assert!(old.iter().all(|text| !text.contains("GTUBE")), "{old:#?}");
    assert_eq!(old.len(), 2, "{old:#?}");
}

#[test]
fn the_owners_management_link_is_mailed_to_an_unverified_redirect_address() {
    let scene = Scene::open();
    scene.held(BOB, "before");
    let letter = text_of(&scene.arrived(BOB, 1)[0]);
    let list = scene.link_in(&letter, 'a').expect("a link");
    scene.press(&list, &format!("do=redirect&to={HOME}"));
    let asked = text_of(&scene.arrived(HOME, 1)[0]);
    for kind in ['a', 'i', 'm', 's'] {
        assert_eq!(scene.link_in(&asked, kind), None, "{asked}");
    }
    let confirm = scene.link_in(&asked, 'c').expect("a link");
    assert!(!scene.get(&confirm).text().contains("/a/"));
    // Neither asking for links nor new mail tells the new address anything, not even once it is one.
    for round in 1..=2 {
        for address in [BOB, HOME] {
            scene.press("/", &format!("address={address}"));
        }
        scene.arrived(BOB, round + 1);
        scene.settle();
        let told = scene.so_far(HOME);
        let ours = told
            .iter()
            .filter(|mail| mail.mail.starts_with("MAIL FROM:<>"));
        assert_eq!(ours.count(), 1, "the confirm letter and no other");
        if round == 1 {
            assert_eq!(scene.press(&confirm, "do=confirm").status, 303);
        }
    }
}

#[test]
fn asking_for_a_link_invalidates_the_live_one() {
    let scene = Scene::open();
    scene.held(BOB, "one");
    let item = scene.refused(ANN, &[BOB], "two");
    let letter = text_of(&scene.arrived(BOB, 1)[0]);
    let link = |kind| scene.link_in(&letter, kind).expect("a link");
    let live = [item, link('a'), link('s')];
    for address in [BOB, ANN] {
        scene.press("/", &format!("address={address}"));
    }
    let again = text_of(&scene.arrived(BOB, 2)[1]);
    assert_eq!(
        scene.link_in(&again, 'a').as_deref(),
        Some(&*live[1]),
        "the same one"
    );
    let manage = text_of(&scene.arrived(ANN, 1)[0]);
    let manage = scene.link_in(&manage, 'm').expect("a link");
    scene.press(&live[0], "do=mail_link");
    for url in live.iter().chain([&manage]) {
        assert_eq!(scene.get(url).status, 200, "{url}");
    }
}

#[test]
fn templates_are_unescaped() {
    const HOSTILE: &str = "</title><script>alert(1)</script>{{ 7*7 }}&amp;";
    let scene = Scene::open();
    let spam = format!(
        "From: \"{HOSTILE}\" <ann@ours.test>\r\nTo: <bob@filtered.test>\r\nSubject: {HOSTILE}\r\n\
         Content-Type: text/html; name=\"{HOSTILE}\"\r\n\r\n{HOSTILE}\r\n{GTUBE}\r\n"
    );
    let heard = scene.send(ANN, &[BOB], spam.as_bytes());
    let sender = scene.link_in(&heard.text, 'i').expect("a link");
    let letter = text_of(&scene.arrived(BOB, 1)[0]);
    assert!(letter.contains("{{ 7*7 }}"), "{letter}");
    let list = scene.link_in(&letter, 'a').expect("a link");
    let read = format!("{list}/m/{}", id_of(&scene, BOB));
    for url in [sender, list, read] {
        let page = scene.get(&url).text();
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        assert!(page.contains("{{ 7*7 }}&amp;amp;"), "{page}");
    }
}

#[test]
fn an_external_senders_spam_to_a_filtered_domain_vanishes_below_a_threshold() {
    for fields in ["", "Auto-Submitted: auto-replied\r\n"] {
        let scene = Scene::open();
        let strange = entered_from("203.0.113.5");
        let spam = message(&format!("{strange}{fields}"), "lonely", GTUBE);
        assert_eq!(scene.send("x@stranger.test", &[BOB], &spam).code, 250);
        let held = scene.items(&["held", "list"]);
        assert_eq!(held.len(), 1, "{held:?}");
        let shown = held[0].to_string();
        assert!(
            shown.contains("x@stranger.test") && shown.contains("203.0.113.5"),
            "{shown}"
        );
        let dump = scene.dump();
        assert!(
            dump.lines()
                .any(|line| line.starts_with("audit (") && line.contains("'commit', 'held'"))
        );
        if fields.is_empty() {
            let letter = text_of(&scene.arrived(BOB, 1)[0]);
            let list = scene.link_in(&letter, 'a').expect("a link");
            assert!(scene.get(&list).text().contains("lonely"));
        }
    }
}

/// The states of the copies of a message.
fn states(scene: &Scene, id: &str) -> Vec<String> {
    let items = scene.items(&["held", "show", id]);
    let copies = items[0]["recipients"].as_array().expect("an array");
    let states = copies
        .iter()
        .map(|copy| copy["state"].as_str().expect("a state").to_owned());
    states.collect()
}

/// The id of the one message that is held for that address.
fn id_of(scene: &Scene, to: &str) -> String {
    let held = scene.items(&["held", "list", "--recipient", to]);
    let ids: HashSet<_> = held
        .iter()
        .map(|item| item["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids.len(), 1, "{held:?}");
    ids.into_iter().next().expect("one").to_owned()
}
