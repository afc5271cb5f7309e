//! A joe-job: somebody else sends spam with our domain on it. Whoever is named as the sender hears
//! nothing of it, in whatever way the message goes.

use posthouse_tests::sink::Script;

use crate::scene::{GTUBE, Scene, entered_from, message};

const VICTIM: &str = "victim@ours.test";
/// Where nobody may send in the name of `ours.test`.
const ELSEWHERE: &str = "203.0.113.5";

fn forged(subject: &str, body: &str) -> Vec<u8> {
    message(&entered_from(ELSEWHERE), subject, body)
}

#[test]
fn a_forged_sender_of_ours_hears_nothing() {
    let nobody = Script::friendly().on("RCPT TO:<gone@", "550 5.1.1 Nobody here");
    let scene = Scene::with(nobody, |config| config);
    for (n, to) in [
        &["bob@filtered.test"][..],
        &["eve@other.test"],
        &["gone@other.test"],
        &["carl@filtered.test", "gone@other.test", "fred@other.test"],
    ]
    .into_iter()
    .enumerate()
    {
        for body in [GTUBE, "Buy now."] {
            let heard = scene.send(VICTIM, to, &forged(&format!("joe{n}"), body));
            assert_eq!(
                heard.code, 250,
                "no refusal that a server would bounce: {to:?} {heard:?}"
            );
            assert!(!heard.text.contains("http"), "{heard:?}");
        }
    }
    scene.arrived("fred@other.test", 2);
    scene.arrived("bob@filtered.test", 2);
    scene.settle();
    assert_eq!(scene.so_far(VICTIM), [], "no DSN, no letter, no link");
    let link = scene.press("/", &format!("address={VICTIM}"));
    assert_eq!(link.status, 303);
    scene.settle();
    assert_eq!(
        scene.so_far(VICTIM),
        [],
        "nothing is held that the victim was told of"
    );
    // The recipients were told, once each, and see who was forged.
    for to in ["bob@filtered.test", "carl@filtered.test"] {
        let letters = scene.so_far(to).into_iter();
        let letters = letters.filter(|mail| mail.mail.starts_with("MAIL FROM:<>"));
        assert_eq!(letters.count(), 1, "{to}");
    }
}

/// The same message from where ours may send: the sender is told, and mail that fails bounces.
#[test]
fn a_genuine_sender_of_ours_is_told() {
    let nobody = Script::friendly().on("RCPT TO:<gone@", "550 5.1.1 Nobody here");
    let scene = Scene::with(nobody, |config| config);
    let genuine = |body| message(&entered_from("192.0.2.44"), "mine", body);
    assert_eq!(
        scene
            .send(VICTIM, &["bob@filtered.test"], &genuine(GTUBE))
            .code,
        552
    );
    assert_eq!(
        scene
            .send(VICTIM, &["gone@other.test"], &genuine("hello"))
            .code,
        250
    );
    let dsn = scene.arrived(VICTIM, 1).remove(0);
    assert!(dsn.mail.starts_with("MAIL FROM:<>"), "{}", dsn.mail);
}
