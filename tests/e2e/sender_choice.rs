//! A sender's choice from the refusal to the next spam, and back: the whole program, and a person
//! who reads mail and presses buttons.

use crate::scene::{Scene, spam, text_of};

const ANN: &str = "ann@ours.test";
const EVE: &str = "eve@other.test";

/// The link in the newest mail to Ann, once there are so many.
fn mailed(scene: &Scene, count: usize, kind: char) -> String {
    let mails = scene.arrived(ANN, count);
    let text = text_of(&mails[count - 1]);
    let link = scene.link_in(&text, kind);
    link.unwrap_or_else(|| panic!("no link of kind {kind}: {text}"))
}

#[test]
fn a_sender_refuses_without_a_copy_and_takes_it_back() {
    let scene = Scene::open();
    let held = || scene.items(&["held", "list"]).len();
    let page = scene.refused(ANN, &[EVE], "one");
    assert_eq!(held(), 1);
    assert_eq!(scene.press(&page, "do=choose&choice=refuse").status, 303);
    let confirm = mailed(&scene, 1, 'c');
    scene.refused(ANN, &[EVE], "two");
    assert_eq!(held(), 2, "nothing changes before the link is used");

    assert_eq!(scene.press(&confirm, "do=confirm").status, 303);
    let heard = scene.send(ANN, &[EVE], &spam("three"));
    assert_eq!(heard.code, 552, "{heard:?}");
    assert!(scene.link_in(&heard.text, 'i').is_none(), "{heard:?}");
    assert_eq!(held(), 2, "refused without a copy");
    let other = scene.send("bea@ours.test", &[EVE], &spam("four"));
    assert!(scene.link_in(&other.text, 'i').is_some(), "{other:?}");
    assert_eq!(held(), 3, "another sender chose nothing");

    // By the page of all that is held, which takes the default back at once.
    assert_eq!(scene.press(&page, "do=mail_link").status, 303);
    let manage = mailed(&scene, 2, 'm');
    let list = scene.get(&manage).text();
    assert!(list.contains("one") && list.contains("two"), "{list}");
    assert!(!list.contains("bea@"), "{list}");
    assert_eq!(scene.press(&manage, "do=choose&choice=hold").status, 303);
    scene.refused(ANN, &[EVE], "five");
    assert_eq!(held(), 4);
}

#[test]
fn a_sender_whose_link_is_lost_gets_it_again() {
    let scene = Scene::open();
    let first = scene.refused(ANN, &[EVE], "one");
    assert_eq!(scene.press("/", "address=ann%40ours.test").status, 303);
    let manage = mailed(&scene, 1, 'm');
    let item = scene.items(&["held", "list"])[0]["id"]
        .as_str()
        .map(str::to_owned);
    let release = format!("do=release&sure=yes&item={}", item.expect("an id"));
    assert_eq!(scene.press(&manage, &release).status, 303);
    scene.arrived(EVE, 1);
    assert_eq!(scene.get(&first).status, 200, "the first link stays good");
}
