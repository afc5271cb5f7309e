//! Mail that goes round: two forwarders who send to each other, and what becomes of the DSN at the
//! end. The count of Received fields ends the one, the null reverse-path the other.

use posthouse_tests::sink::Script;
use posthouse_tests::wait;

use crate::scene::{GTUBE, LIMIT, Scene, message};

/// Received fields that a message may have.
const HOPS: usize = 20;

/// A server whose only route leads back to itself: each pass is a forwarder's turn.
fn circle() -> Scene {
    Scene::with(Script::friendly(), |config| {
        let address = config.split("address = [\"").nth(1).expect("a listener");
        let own = address.split('"').next().expect("an address").to_owned();
        let start = config.find("smtp://").expect("a route") + "smtp://".len();
        let end = start + config[start..].find('"').expect("its end");
        let mut circle = config.clone();
        circle.replace_range(start..end, &own);
        circle.replace("[limits]\n", &format!("[limits]\nreceived_hops = {HOPS}\n"))
    })
}

fn until_all_is_quiet(scene: &Scene) {
    wait::until("an empty queue", LIMIT, || {
        scene.items(&["queue", "list"]).is_empty().then_some(())
    });
}

fn commits(scene: &Scene) -> usize {
    scene.server.proc.log().matches("message committed").count()
}

#[test]
fn a_message_between_two_forwarders_ends_and_so_does_its_dsn() {
    let scene = circle();
    let clean = message("", "round", "See you at noon.");
    assert_eq!(
        scene
            .send("ann@pass.test", &["eve@other.test"], &clean)
            .code,
        250
    );
    until_all_is_quiet(&scene);
    let rounds = commits(&scene);
    assert!(rounds > HOPS / 2, "it did go round: {rounds}");
    assert!(
        rounds <= 2 * (HOPS + 1),
        "the message, and one DSN: {rounds}"
    );
    let log = scene.server.proc.log_with("5.4.6");
    assert!(log.contains("5.4.6"), "refused as a loop");
}

#[test]
fn a_dsn_with_spam_in_it_between_two_forwarders_ends() {
    let scene = circle();
    let dsn = message("Auto-Submitted: auto-replied\r\n", "Undelivered", GTUBE);
    assert_eq!(scene.send("", &["eve@other.test"], &dsn).code, 250);
    assert_eq!(scene.send("", &["bob@filtered.test"], &dsn).code, 250);
    until_all_is_quiet(&scene);
    assert!(commits(&scene) <= HOPS + 2, "{}", commits(&scene));
    assert_eq!(
        scene.items(&["held", "list"]).len(),
        1,
        "what is filtered is held at once"
    );
}

#[test]
fn a_dsn_that_nobody_takes_causes_no_other() {
    let script = Script::friendly().on("RCPT", "550 5.1.1 Nobody here");
    let scene = Scene::with(script, |config| config);
    let clean = message("", "gone", "See you at noon.");
    assert_eq!(
        scene
            .send("ann@pass.test", &["eve@other.test"], &clean)
            .code,
        250
    );
    let nulls = || {
        let commands = scene.sink.commands();
        commands
            .iter()
            .filter(|c| c.starts_with("MAIL FROM:<>"))
            .count()
    };
    wait::until("the DSN", LIMIT, || (nulls() > 0).then_some(()));
    until_all_is_quiet(&scene);
    assert_eq!(nulls(), 1);
}
