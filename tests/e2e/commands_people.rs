//! The commands about people, beside a running server: letters, senders, recipients, and what is
//! asked of the operator. What strangers wrote cannot move the terminal's cursor.

use std::process::Output;

use posthouse_tests::sink::Script;
use posthouse_tests::wait;
use serde_json::Value;

use crate::scene::{LIMIT, Scene, message, spam, text_of};

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn fails(scene: &Scene, args: &[&str], why: &str) {
    let output = scene.run(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
    assert!(said(&output).contains(why), "{args:?}: {}", said(&output));
}

/// What an order says with `--json`.
fn says(scene: &Scene, args: &[&str], what: &str) {
    let answer = one(scene, args);
    let said = answer["said"].as_str().unwrap_or_default();
    assert!(said.contains(what), "{args:?}: {answer}");
}

fn one(scene: &Scene, args: &[&str]) -> Value {
    scene.items(args).remove(0)
}

#[test]
fn a_stop_of_all_letters_loses_nothing() {
    let scene = Scene::open();
    says(&scene, &["letters", "stop"], "is stopped");
    scene.held("bob@filtered.test", "one");
    let listed = one(&scene, &["letters", "list"]);
    assert_eq!(
        (&listed["address"], &listed["held"], &listed["letters"]),
        (&"bob@filtered.test".into(), &1.into(), &"on".into())
    );
    assert!(!listed["waiting_since"].is_null() && listed["last_letter"].is_null());
    let resent = scene.command(&["letters", "resend", "bob@filtered.test"]);
    assert!(
        resent.contains("goes out after `posthouse letters start`"),
        "{resent}"
    );
    let scene = scene.after("UPDATE setting SET value = value");
    assert_eq!(one(&scene, &["status"])["letters"], "stopped");
    assert!(scene.command(&["letters", "list"]).contains("is stopped"));
    scene.send(
        "ann@ours.test",
        &["x@else.test"],
        &message("", "clean", "clean"),
    );
    scene.arrived("x@else.test", 1);
    assert!(scene.so_far("bob@filtered.test").is_empty());
    says(&scene, &["letters", "start"], "goes out again");
    scene.arrived("bob@filtered.test", 1);
    scene.settle();
    assert_eq!(scene.so_far("bob@filtered.test").len(), 1);
}

#[test]
fn letters_to_one_address_stop_start_and_go_out_again() {
    let scene = Scene::open();
    let bob = "bob@filtered.test";
    fails(
        &scene,
        &["letters", "resend", bob],
        "nothing is held for it",
    );
    scene.held(bob, "one");
    scene.arrived(bob, 1);
    says(&scene, &["letters", "resend", bob], "is due now");
    scene.arrived(bob, 2);
    says(&scene, &["letters", "stop", bob], "are stopped");
    fails(&scene, &["letters", "resend", bob], "are stopped");
    let listed = scene.items(&["letters", "list"]);
    let listed = listed
        .iter()
        .find(|one| one["address"] == bob)
        .expect("listed");
    assert_eq!(listed["letters"], "stopped");
    assert_eq!(
        one(&scene, &["status"])["choices"]["recipients_without_letters"],
        1
    );
    scene.command(&["letters", "start", bob]);
    scene.command(&["letters", "resend", bob]);
    scene.arrived(bob, 3);
}

#[test]
fn the_operator_sets_a_sender_s_choice() {
    let scene = Scene::open();
    let ann = "ann@ours.test";
    scene.refused(ann, &["bob@filtered.test"], "held");
    for (choice, code) in [("discard", 250), ("refuse", 552), ("hold", 552)] {
        says(&scene, &["sender", "set", ann, choice], choice);
        let heard = scene.send(ann, &["bob@filtered.test"], &spam(choice));
        assert_eq!(heard.code, code, "{choice}: {}", heard.text);
        assert_eq!(scene.link_in(&heard.text, 'i').is_some(), choice == "hold");
    }
    let shown = one(&scene, &["sender", "show", "Ann@OURS.test"]);
    assert_eq!(
        (
            &shown["choice"],
            &shown["held"],
            &shown["discarded"],
            &shown["waits"]
        ),
        (&"hold".into(), &2.into(), &1.into(), &Value::Null)
    );
    assert!(
        scene.items(&["sender", "list"]).is_empty(),
        "hold is the default"
    );
    assert_eq!(
        scene.run(&["sender", "set", ann, "burn"]).status.code(),
        Some(2)
    );
}

#[test]
fn the_operator_redirects_a_recipient_within_the_objections() {
    let scene = Scene::open();
    let bob = "bob@filtered.test";
    scene.held(bob, "before");
    let set = |choice: &str| ["recipient", "set", bob, choice].map(str::to_owned);
    for (choice, why) in [
        ("redirect:BOB@filtered.test", "filtered"),
        (
            "redirect:cid@filtered.test",
            "the target is a filtered address",
        ),
    ] {
        fails(&scene, &set(choice).each_ref().map(String::as_str), why);
    }
    fails(
        &scene,
        &["recipient", "set", "x@else.test", "redirect:X@else.test"],
        "cannot redirect to itself",
    );
    let told = scene.command(&["recipient", "set", bob, "redirect:bob@else.test"]);
    assert!(told.contains("1 held went along"), "{told}");
    scene.arrived("bob@else.test", 1);
    fails(
        &scene,
        &["recipient", "set", "bob@else.test", "redirect:y@else.test"],
        "a chain or a loop",
    );
    scene.command(&[
        "recipient",
        "set",
        bob,
        "--letters",
        "off",
        "--days",
        "3",
        "--language",
        "de",
    ]);
    let shown = one(&scene, &["recipient", "show", bob]);
    for (key, want) in [
        ("choice", Value::from("redirect")),
        ("target", "bob@else.test".into()),
        ("letters", "stopped".into()),
        ("interval_days", 3.into()),
        ("language", "de".into()),
        ("held", 0.into()),
    ] {
        assert_eq!(shown[key], want, "{key}");
    }
    assert!(
        scene
            .command(&["recipient", "list"])
            .contains("redirect:bob@else.test")
    );
    assert_eq!(
        one(&scene, &["status"])["choices"]["recipients_redirect"],
        1
    );
    let set = ["recipient", "set", bob, "discard", "--days", "default"];
    says(&scene, &set, "mail to bob@filtered.test: discard");
    scene.held(bob, "dropped");
    let shown = one(&scene, &["recipient", "show", bob]);
    assert_eq!(
        (&shown["discarded"], &shown["interval_days"]),
        (&1.into(), &Value::Null)
    );
    assert_eq!(
        scene.run(&["recipient", "set", bob]).status.code(),
        Some(2),
        "nothing to set"
    );
}

/// A page of its owner can be full of escape sequences; so can a message.
#[test]
fn what_senders_ask_is_listed_and_answered_by_a_release() {
    let scene = Scene::with(Script::friendly(), |config| {
        config.replace(
            "[limits]\n",
            "[quarantine]\nself_release = []\n\n[limits]\n",
        )
    });
    let hostile = "=?utf-8?q?=1B[2J=E2=80=AEfdp.exe?=";
    let link = scene.refused("ann@ours.test", &["bob@filtered.test"], hostile);
    assert!(scene.items(&["held", "requests"]).is_empty());
    scene.press(&link, "do=ask&comment=please%1B%5B2J%E2%80%AE+now");
    let asked = one(&scene, &["held", "requests"]);
    assert_eq!(asked["to"], serde_json::json!(["bob@filtered.test"]));
    assert_eq!(asked["reverse_path"], "ann@ours.test");
    assert!(
        asked["comment"]
            .as_str()
            .expect("text")
            .starts_with("please")
    );
    let table = scene.command(&["held", "requests"]);
    assert!(
        table.contains("fdp.exe") && table.contains("please"),
        "{table}"
    );
    for hostile in ['\u{1b}', '\u{202e}'] {
        assert!(!table.contains(hostile), "{table:?}");
    }
    assert_eq!(one(&scene, &["status"])["choices"]["requests"], 1);
    let id = asked["item"].as_str().expect("an id");
    scene.command(&["held", "release", id]);
    scene.arrived("bob@filtered.test", 1);
    wait::until("no question", LIMIT, || {
        scene.items(&["held", "requests"]).is_empty().then_some(())
    });
}

#[test]
fn revoked_links_open_nothing_and_new_ones_are_to_be_had() {
    let scene = Scene::open();
    let (ann, bob) = ("ann@ours.test", "bob@filtered.test");
    let item = scene.refused(ann, &[bob], "one");
    let letter = text_of(&scene.arrived(bob, 1)[0]);
    let page = scene.link_in(&letter, 'a').expect("a link to the page");
    let id = one(&scene, &["held", "list"])["id"].clone();
    scene.command(&["held", "revoke", id.as_str().expect("an id")]);
    assert_eq!(scene.get(&item).status, 404, "the sender's link");
    assert_eq!(scene.get(&page).status, 200, "the recipient's link");
    let again = scene.refused(ann, &[bob], "one");
    assert_ne!(again, item);
    assert_eq!(scene.get(&again).status, 200, "the link of a retry");
    scene.command(&["held", "revoke", bob]);
    assert_eq!(scene.get(&page).status, 404, "the recipient's link");
    scene.command(&["letters", "resend", bob]);
    let letter = text_of(&scene.arrived(bob, 2)[1]);
    let page = scene.link_in(&letter, 'a').expect("a new link");
    assert_eq!(scene.get(&page).status, 200);
    fails(
        &scene,
        &["held", "revoke", "nobody@else.test"],
        "no link of",
    );
}
