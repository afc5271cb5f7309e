//! A spammer whose SPF passes, and who has a script for our pages: the caps end it, and the operator
//! sees it.

use posthouse_tests::sink::Script;

use crate::scene::{GTUBE, Scene, entered_from, form_token, message};

const MESSAGES: usize = 20;
/// Releases in a day by one sender, and from one network.
const PER_SENDER: usize = 4;
const PER_NETWORK: usize = 7;

fn scene() -> Scene {
    let caps = format!(
        "[quarantine.caps]\nper_sender = {PER_SENDER}\nper_origin_network = {PER_NETWORK}\n\n[web]\n"
    );
    Scene::with(Script::friendly(), |config| {
        config.replace("[web]\n", &caps)
    })
}

/// Sends spam to a victim of its own, and gives the link that it is refused with.
fn refused(scene: &Scene, from: &str, n: usize) -> String {
    let spam = message(&entered_from("198.51.100.7"), &format!("{from}{n}"), GTUBE);
    let heard = scene.send(from, &[&format!("v{n}@other.test")], &spam);
    assert_eq!(heard.code, 552, "{heard:?}");
    scene.link_in(&heard.text, 'i').expect("a link")
}

/// Every trick that a script has, without reading the page: nothing comes of it.
fn blind(scene: &Scene, url: &str) {
    for query in ["", "?do=release&sure=yes", "?sure=yes"] {
        assert_eq!(scene.get(&format!("{url}{query}")).status, 200);
    }
    for form in [
        "",
        "do=release&sure=yes",
        "form=&do=release&sure=yes",
        "form=x&do=release",
    ] {
        assert_eq!(scene.post(url, form).status, 403, "{form}");
    }
    let token = form_token(&scene.get(url).text());
    let Some(token) = token else { return };
    let unticked = scene.post(url, &format!("form={token}&do=release"));
    assert_eq!(
        unticked.status, 422,
        "the tick is asked for on our side too"
    );
}

fn delivered(scene: &Scene) -> usize {
    let all = scene.sink.deliveries();
    let spam = all
        .iter()
        .filter(|mail| mail.rcpt[0].contains("@other.test"));
    spam.count()
}

#[test]
fn a_script_releases_no_more_than_the_caps() {
    let scene = scene();
    let mut tried = 0;
    for (sender, most) in [("a@pass.test", PER_SENDER), ("b@pass.test", PER_NETWORK)] {
        for n in 0..MESSAGES {
            let url = refused(&scene, sender, tried + n);
            blind(&scene, &url);
            let page = scene.get(&url).text();
            let token = form_token(&page).expect("a form to discard by, at the least");
            for _ in 0..3 {
                scene.post(&url, &format!("form={token}&do=release&sure=yes"));
            }
        }
        tried += MESSAGES;
        scene.settle();
        assert_eq!(delivered(&scene), most, "{sender}");
    }
    let held = scene.items(&["held", "list", "--limit", "1000"]);
    let theirs = held
        .iter()
        .filter(|item| item.to_string().contains("@pass.test"));
    assert_eq!(theirs.count(), tried - PER_NETWORK, "the rest is held");
    for cap in ["per_sender", "per_origin_network"] {
        scene.server.proc.log_with(cap);
    }
}

#[test]
fn past_the_caps_the_operator_is_asked_and_sees_who_asks() {
    let scene = scene();
    let mut last = String::new();
    for n in 0..=PER_SENDER {
        last = refused(&scene, "a@pass.test", n);
        scene.press(&last, "do=release&sure=yes");
    }
    let asked = scene.press(&last, "do=ask&comment=please+%1b%5b2J+%3Cscript%3E");
    assert_eq!(asked.status, 303);
    let requests = scene.items(&["held", "requests"]);
    assert_eq!(requests.len(), 1, "{requests:?}");
    let text = scene.command(&["held", "requests"]);
    assert!(
        text.contains("please") && text.contains("a@pass.test"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let id = requests[0]["item"].as_str().expect("an id");
    scene.command(&["held", "release", id]);
    scene.arrived(&format!("v{PER_SENDER}@other.test"), 1);
}
