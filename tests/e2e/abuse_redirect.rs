//! A redirect to a stranger: somebody asks for all mail to go to an address that is not theirs. The
//! stranger is asked, seldom, and needs to do nothing.

use posthouse_tests::sink::Delivery;

use crate::scene::{Scene, text_of};

const STRANGER: &str = "stranger@home.test";

/// Holds something for an address, and gives the page that its letter leads to.
fn list_of(scene: &Scene, to: &str) -> String {
    scene.held(to, to);
    let letter = text_of(&scene.arrived(to, 1)[0]);
    scene.link_in(&letter, 'a').expect("a link")
}

fn redirect(scene: &Scene, list: &str, to: &str) -> String {
    let answer = scene.press(list, &format!("do=redirect&to={to}"));
    assert_eq!(answer.status, 303);
    answer.header("location").expect("a redirect").to_owned()
}

#[test]
fn a_stranger_who_ignores_the_question_gets_nothing_more() {
    let mut scene = Scene::open();
    let list = list_of(&scene, "bob@filtered.test");
    assert!(redirect(&scene, &list, STRANGER).ends_with("done=asked"));
    let asked: Delivery = scene.arrived(STRANGER, 1).remove(0);
    assert!(asked.mail.starts_with("MAIL FROM:<>"), "{}", asked.mail);
    let head = String::from_utf8_lossy(&asked.message).into_owned();
    assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
    let confirm = scene.link_in(&text_of(&asked), 'c').expect("a link");
    // Looked at by a scanner on the way, and by the stranger.
    for _ in 0..20 {
        assert_eq!(scene.get(&confirm).status, 200);
    }
    scene.held("bob@filtered.test", "while it waits");
    assert_eq!(
        scene
            .items(&["held", "list", "--recipient", "bob@filtered.test"])
            .len(),
        2
    );
    scene = scene.after("UPDATE pending SET ends_at = ends_at - 8 * 86400000");
    assert_eq!(
        scene.get(&confirm).status,
        404,
        "the question ends by itself"
    );
    scene.settle();
    assert_eq!(scene.so_far(STRANGER).len(), 1);
    assert_eq!(
        scene
            .items(&["held", "list", "--recipient", "bob@filtered.test"])
            .len(),
        2
    );
}

#[test]
fn one_owner_asks_at_most_three_times_a_day() {
    let scene = Scene::open();
    let list = list_of(&scene, "bob@filtered.test");
    let asked: Vec<_> = (0..6)
        .map(|n| redirect(&scene, &list, &format!("s{n}@home.test")))
        .collect();
    let done = |words: &str| asked.iter().filter(|to| to.ends_with(words)).count();
    assert_eq!(
        (done("done=asked"), done("done=owner_cap")),
        (3, 3),
        "{asked:?}"
    );
    scene.settle();
    let strangers = (0..6).map(|n| scene.so_far(&format!("s{n}@home.test")).len());
    assert_eq!(strangers.sum::<usize>(), 3);
}

#[test]
fn one_target_is_asked_once_a_week_whoever_asks() {
    let scene = Scene::open();
    for n in 0..4 {
        let list = list_of(&scene, &format!("b{n}@filtered.test"));
        // Letters of another case are the same address.
        let target = if n % 2 == 0 {
            STRANGER
        } else {
            "STRANGER@HOME.test"
        };
        redirect(&scene, &list, target);
    }
    scene.settle();
    let to_stranger = scene.sink.deliveries();
    let to_stranger = to_stranger.iter().filter(|mail| {
        let rcpt = mail.rcpt[0].to_ascii_lowercase();
        rcpt.contains(STRANGER)
    });
    assert_eq!(to_stranger.count(), 1);
}

#[test]
fn no_loop_no_chain_no_filtered_target() {
    let scene = Scene::open();
    let bob = list_of(&scene, "bob@filtered.test");
    for (to, why) in [
        ("bob@filtered.test", "itself"),
        ("BOB@Filtered.test", "itself"),
        ("carl@filtered.test", "filtered"),
        ("nonsense", "no_address"),
        ("a@b,c@home.test", "no_address"),
    ] {
        let told = redirect(&scene, &bob, to);
        assert!(told.ends_with(&format!("done={why}")), "{to}: {told}");
    }
    scene.settle();
    assert_eq!(scene.so_far("carl@filtered.test").len(), 0);
}
