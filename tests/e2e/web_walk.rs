//! A recipient's whole way, through the running program and nothing but mail and pages: from the letter
//! to the redirect, and back again.

use crate::scene::{Scene, message, spam, text_of};

const BOB: &str = "bob@filtered.test";
const HOME: &str = "bob@home.test";
const ANN: &str = "ann@ours.test";

#[test]
fn from_the_letter_to_the_redirect_and_back() {
    let scene = Scene::open();
    scene.held(BOB, "first");
    let letter = text_of(&scene.arrived(BOB, 1)[0]);
    let list = scene.link_in(&letter, 'a').expect("a link to the list");

    // Asked for: the target gets a letter, and nothing else changes.
    let wish = scene.press(&list, "do=redirect&to=bob%40home.test");
    assert_eq!(wish.status, 303, "{}", wish.text());
    let asked = scene.arrived(HOME, 1);
    assert_eq!(scene.so_far(BOB).len(), 1);
    assert!(scene.get(&list).text().contains("first"), "still held");
    let confirm = text_of(&asked[0]);
    assert!(
        scene.link_in(&confirm, 'a').is_none(),
        "not the owner's page: {confirm}"
    );
    let confirm = scene.link_in(&confirm, 'c').expect("a confirm link");
    for method in ["GET", "HEAD", "OPTIONS"] {
        scene.ask(method, &confirm, &[], "");
    }
    assert!(
        scene.get(&list).text().contains("first"),
        "a look confirms nothing"
    );

    // Confirmed: what is held goes there, and what comes in future.
    assert_eq!(scene.press(&confirm, "do=confirm").status, 303);
    let moved = scene.arrived(HOME, 2);
    assert!(String::from_utf8_lossy(&moved[1].message).contains("Subject: first"));
    let page = scene.get(&list).text();
    assert!(
        page.contains("Your mail is sent on") && page.contains(HOME),
        "{page}"
    );
    let clean = message("", "second", "See you at noon.");
    assert_eq!(scene.send(ANN, &[BOB], &clean).code, 250);
    scene.arrived(HOME, 3);
    let stranger = scene.send("x@stranger.test", &[BOB], &spam("third"));
    assert_eq!(stranger.code, 250, "to a domain that is not filtered");
    scene.arrived(HOME, 4);
    let notice = scene.arrived(BOB, 2);
    assert_eq!(notice.len(), 2, "nothing but the letter and the notice");

    // The owner is told, and the link in the notice ends it.
    let undo = text_of(&notice[1]);
    let undo = scene.link_in(&undo, 'c').expect("a link that ends it");
    assert_eq!(scene.press(&undo, "do=confirm").status, 303);
    scene.held(BOB, "fourth");
    let page = scene.get(&list).text();
    assert!(!page.contains("Your mail is sent on"), "{page}");
    assert!(page.contains("fourth"), "{page}");
    scene.settle();
    assert_eq!(scene.so_far(HOME).len(), 4, "nothing more goes there");
}

#[test]
fn from_the_letter_to_silence_and_back() {
    let scene = Scene::open();
    scene.held(BOB, "first");
    let letter = text_of(&scene.arrived(BOB, 1)[0]);
    let list = scene.link_in(&letter, 'a').expect("a link to the list");
    assert_eq!(scene.press(&list, "do=discard_future").status, 303);
    let asked = text_of(&scene.arrived(BOB, 2)[1]);
    let confirm = scene.link_in(&asked, 'c').expect("a confirm link");
    assert_eq!(scene.press(&confirm, "do=confirm").status, 303);
    scene.held(BOB, "second");
    let page = scene.get(&list).text();
    assert!(page.contains("that was 1 message"), "{page}");
    assert!(page.contains("first") && !page.contains("second"), "{page}");
    assert_eq!(scene.press(&list, "do=undo").status, 303);
    scene.held(BOB, "third");
    let page = scene.get(&list).text();
    assert!(page.contains("first") && page.contains("third"), "{page}");
}

#[test]
fn a_recipient_has_a_message_delivered_where_the_operator_allows_it() {
    let allowed = |config: String| format!("{config}\n[quarantine]\nrecipient_release = true\n");
    let scene = Scene::with(posthouse_tests::sink::Script::friendly(), allowed);
    scene.held(BOB, "first");
    let letter = text_of(&scene.arrived(BOB, 1)[0]);
    let list = scene.link_in(&letter, 'a').expect("a link to the list");
    let page = scene.get(&list).text();
    let (_, id) = page.split_once("/m/").expect("a message");
    let id = id.split('"').next().expect("an id");
    let message = format!("{list}/m/{id}");
    assert!(scene.get(&message).text().contains("3 times a day"));
    assert_eq!(scene.press(&message, "do=release").status, 303);
    let delivered = scene.arrived(BOB, 2);
    assert!(String::from_utf8_lossy(&delivered[1].message).contains("Subject: first"));
    assert!(
        delivered[1].mail.contains("x@stranger.test"),
        "{:?}",
        delivered[1].mail
    );
}
