//! Servers that mean well and see our 552: a mailing list whose bounce processing opens every link,
//! and forwarders who wrap our refusal into a DSN of theirs.

use posthouse_tests::ledger::differences;

use crate::scene::{GTUBE, Scene, entered_from, message};

/// DSNs that one link lets pass.
const PASSES: usize = 3;
const ADMIN: &str = "admin@filtered.test";

/// A DSN of another server about a message that we refused in these words; it quotes the spam.
fn dsn(n: usize, said: &str) -> Vec<u8> {
    let said = said.replace('\n', "\r\n    ");
    format!(
        "Received: from list.test ([198.51.100.7]) by mail.ours.test; Fri, 20 Nov 2026 09:0{n}:00 +0000\r\n\
         From: MAILER-DAEMON@list.test\r\nTo: <{ADMIN}>\r\nSubject: Undelivered mail {n}\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nYour message could not be delivered:\r\n    {said}\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; list.test\r\n\r\n\
         Final-Recipient: rfc822; bob@filtered.test\r\nAction: failed\r\nStatus: 5.7.1\r\n\
         Diagnostic-Code: smtp; 552 {said}\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: spam {n}\r\n\r\n{GTUBE}\r\n--b--\r\n"
    )
    .into_bytes()
}

#[test]
fn a_mailing_list_that_opens_the_link_moves_nothing() {
    let scene = Scene::open();
    let list = "list-bounces+bob=filtered.test@pass.test";
    let fields = format!("{}List-Id: <l.pass.test>\r\n", entered_from("198.51.100.7"));
    let post = message(&fields, "digest", GTUBE);
    let refused = scene.send(list, &["bob@filtered.test"], &post);
    assert_eq!(refused.code, 552, "{refused:?}");
    let url = scene.link_in(&refused.text, 'i').expect("a link");
    scene.arrived("bob@filtered.test", 1);
    scene.settle();
    let before = scene.dump();
    for agent in [
        "bounce-processor/1.0",
        "Mozilla/5.0",
        "facebookexternalhit/1.1",
        "",
    ] {
        for method in ["GET", "HEAD"] {
            for _ in 0..25 {
                let answer = scene.ask(method, &url, &[("User-Agent", agent)], "");
                assert_eq!(answer.status, 200);
            }
        }
    }
    assert_eq!(differences(&before, &scene.dump()), [""; 0]);
}

#[test]
fn our_own_refusal_in_a_dsn_passes_three_times_an_item() {
    let scene = Scene::open();
    let spam = message(&entered_from("198.51.100.7"), "list", GTUBE);
    let refused = scene.send("list@pass.test", &["bob@filtered.test"], &spam);
    assert_eq!(refused.code, 552);
    for n in 0..PASSES + 3 {
        assert_eq!(
            scene.send("", &[ADMIN], &dsn(n, &refused.text)).code,
            250,
            "silently, always"
        );
    }
    scene.arrived(ADMIN, PASSES);
    scene.settle();
    let arrived = scene.so_far(ADMIN);
    assert_eq!(
        arrived.len(),
        PASSES,
        "and no letter about the others: they are DSNs"
    );
    let url = scene.link_in(&refused.text, 'i').expect("a link");
    for dsn in arrived {
        assert!(String::from_utf8_lossy(&dsn.message).contains(&url));
    }
    let held = scene.items(&["held", "list", "--recipient", ADMIN]);
    assert_eq!(held.len(), 3);
}

#[test]
fn only_a_dsn_with_a_live_link_passes() {
    let scene = Scene::open();
    let spam = message(&entered_from("198.51.100.7"), "list", GTUBE);
    let refused = scene.send("list@pass.test", &["bob@filtered.test"], &spam);
    let live = refused.text.clone();
    let url = scene.link_in(&live, 'i').expect("a link");
    let dead = live.replace(&url[url.len() - 39..url.len() - 30], "aaaaaaaaa");
    assert_ne!(dead, live);
    assert_eq!(scene.send("", &[ADMIN], &dsn(1, &dead)).code, 250);
    // A live link is no passport for mail that is no DSN.
    assert_eq!(
        scene.send("x@stranger.test", &[ADMIN], &dsn(2, &live)).code,
        250
    );
    assert_eq!(
        scene.send("list@pass.test", &[ADMIN], &dsn(3, &live)).code,
        552
    );
    assert_eq!(
        scene.items(&["held", "list", "--recipient", ADMIN]).len(),
        3
    );
    scene.press(&url, "do=discard");
    scene.settle();
    let arrived = scene.so_far(ADMIN);
    let spam = arrived
        .iter()
        .filter(|mail| !mail.mail.starts_with("MAIL FROM:<>"));
    assert_eq!(spam.count(), 0);
}
