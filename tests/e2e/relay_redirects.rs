//! Redirects at delivery: before every attempt it is asked whether the recipient's choice still
//! stands and whether its target is filtered by now.

use std::time::{Duration, Instant};

use posthouse_hook::Id;
use posthouse_store::State;
use posthouse_tests::sink::{Act, Script, Sink};

use crate::relay_people::Told;
use crate::relay_site::{Site, Zone, mail};

const HELLO: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";
const ONCE: &str = "retry = [\"1h\"]";
const OWNER: &str = "bob@big.example";
const TARGET: &str = "bob@else.example";

fn later() -> Act {
    Act::Say(b"450 4.2.0 Not now\r\n".to_vec())
}

/// The next hop says "not now" to the first attempt.
fn after_one_attempt() -> (Sink, Site) {
    after_attempts(1)
}

fn after_attempts(count: usize) -> (Sink, Site) {
    let sink = Sink::start(Script::friendly().act_times("RCPT", later(), count));
    let site = Site::to(sink.addr(), ONCE);
    assert_eq!(site.redirect(OWNER, Some(TARGET)), 0);
    (sink, site)
}

/// A message on its way to the target, attempted once.
fn redirected(site: &Site) -> Id {
    let id = site.submit(&mail(&[OWNER], HELLO));
    site.said(id, "defer");
    id
}

/// A message that was held, released to the target, and attempted once.
fn released(site: &Site) -> Id {
    let id = site.hold(OWNER, "was held");
    assert_eq!(site.release(id), 1);
    site.said(id, "defer");
    id
}

fn asked(sink: &Sink) -> Vec<String> {
    let commands = sink.commands().into_iter();
    commands.filter(|line| line.starts_with("RCPT")).collect()
}

#[test]
fn a_redirect_that_is_undone_between_two_attempts() {
    let (sink, site) = after_one_attempt();
    let id = redirected(&site);
    site.redirect(OWNER, None);
    site.retry(id);
    let said = site.said(id, "withhold");
    assert!(said.contains("the redirect was ended"), "{said}");
    assert_eq!(site.states(id), [State::Held], "its owner finds it there");
    assert_eq!(asked(&sink), ["RCPT TO:<bob@else.example>"]);
    site.release(id);
    sink.wait_for(1);
    assert_eq!(asked(&sink)[1..], ["RCPT TO:<bob@big.example>"]);
}

#[test]
fn a_target_that_became_filtered() {
    let (sink, site) = after_one_attempt();
    let id = redirected(&site);
    site.rows.tell("else.example", Told::Filtered);
    site.retry(id);
    let said = site.said(id, "withhold");
    assert!(said.contains("filtered by now"), "{said}");
    assert_eq!(site.states(id), [State::Held]);
    assert_eq!(asked(&sink).len(), 1);
}

#[test]
fn a_released_message_goes_home_and_is_never_held_again() {
    for end in [None, Some(Told::Filtered)] {
        let (sink, site) = after_one_attempt();
        let id = released(&site);
        match end {
            None => drop(site.redirect(OWNER, None)),
            Some(told) => site.rows.tell("else.example", told),
        }
        site.retry(id);
        let took = sink.wait_for(1);
        assert_eq!(took[0].rcpt, ["RCPT TO:<bob@big.example>"]);
        site.events(id, "deliver", 1);
        assert!(site.audited(id, "withhold").is_empty());
    }
}

/// The ancestor wrote the target into its page and mailed the message to the old address.
#[test]
fn a_redirected_release_does_not_go_to_the_old_address() {
    let sink = Sink::start(Script::friendly());
    let site = Site::to(sink.addr(), ONCE);
    let before = site.hold(OWNER, "held before the redirect");
    let single = site.hold("cid@big.example", "released by hand");
    assert_eq!(site.redirect(OWNER, Some(TARGET)), 1, "it goes along");
    site.redirect("cid@big.example", Some("cid@else.example"));
    let after = site.hold(OWNER, "held although it is redirected");
    site.release(after);
    for id in [before, single, after] {
        site.events(id, "deliver", 1);
    }
    let mut rcpt = asked(&sink);
    rcpt.sort();
    let want = ["bob@else.example", "bob@else.example", "cid@else.example"];
    assert_eq!(rcpt, want.map(|to| format!("RCPT TO:<{to}>")));
}

#[test]
fn a_redirect_that_was_changed_leads_to_the_new_target() {
    let (sink, site) = after_attempts(2);
    let ids = [redirected(&site), released(&site)];
    site.redirect(OWNER, Some("new@third.example"));
    for id in ids {
        site.retry(id);
        site.events(id, "deliver", 1);
    }
    let rcpt: Vec<_> = sink.deliveries().into_iter().flat_map(|t| t.rcpt).collect();
    assert!(
        rcpt.ends_with(&["RCPT TO:<new@third.example>".to_owned()]),
        "{rcpt:?}"
    );
    assert!(!rcpt.iter().any(|to| to.contains("bob@big")), "{rcpt:?}");
}

/// A copy may wait for a connection long after its way was chosen.
#[test]
fn a_redirect_that_is_undone_while_its_copy_waits_for_a_connection() {
    let slow = Script::friendly().act_times("BODY", Act::Hang, 1);
    let sink = Sink::start(slow);
    let site = Site::to(
        sink.addr(),
        &format!("connections_per_next_hop = 1\n{ONCE}"),
    );
    site.redirect(OWNER, Some(TARGET));
    let first = site.submit(&mail(&["ann@a.example"], HELLO));
    posthouse_tests::wait::until("DATA", Duration::from_secs(10), || {
        sink.commands().contains(&"DATA".to_owned()).then_some(())
    });
    let second = site.submit(&mail(&[OWNER, "cid@c.example"], HELLO));
    site.redirect(OWNER, None);
    site.events(first, "defer", 1);
    site.events(second, "withhold", 1);
    sink.wait_for(1);
    assert!(
        !asked(&sink).iter().any(|to| to.contains("else")),
        "{:?}",
        asked(&sink)
    );
}

#[test]
fn dns_that_does_not_answer_costs_this_copy_an_attempt_and_nobody_else() {
    let sink = Sink::start(Script::friendly());
    let site = Site::to(sink.addr(), ONCE);
    for (told, said) in [
        (Told::NoAnswer, "SERVFAIL"),
        (Told::Panics, "internal error"),
    ] {
        site.redirect(OWNER, Some(TARGET));
        site.rows.tell("else.example", told);
        let id = site.submit(&mail(&[OWNER], HELLO));
        let got = site.said(id, "defer");
        let want = "whether the target of the redirect is filtered is not known";
        assert!(got.contains(want) && got.contains(said), "{got}");
    }
    site.rows.tell("else.example", Told::Hangs);
    let begun = Instant::now();
    for _ in 0..20 {
        let id = site.submit(&mail(&[OWNER, "cid@c.example"], HELLO));
        site.events(id, "deliver", 1);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "nobody waited");
    assert_eq!(asked(&sink).len(), 20);
    drop(site);
}

/// A shutdown while DNS hangs neither waits for it nor loses the message.
#[test]
fn a_stop_gives_back_what_still_waits_for_dns() {
    let sink = Sink::start(Script::friendly());
    let mut site = Site::to(sink.addr(), ONCE);
    site.redirect(OWNER, Some(TARGET));
    site.rows.tell("else.example", Told::Hangs);
    let id = site.submit(&mail(&[OWNER, "cid@c.example"], HELLO));
    site.events(id, "deliver", 1);
    let begun = Instant::now();
    site.stop();
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(site.states(id)[0], State::Queued);
}

#[test]
fn a_dsn_does_not_tell_of_the_target() {
    let refuses = Script::friendly().on("RCPT TO:<bob@", "550 5.1.1 bob@else.example unknown here");
    let (out, own) = (Sink::start(refuses), Sink::start(Script::friendly()));
    let routes = format!(
        "route = [{{ domain = \"*\", kind = \"dsn\", next_hop = \"smtp://{}\" }}, {{ domain = \"*\", next_hop = \"smtp://{}\" }}]\n{ONCE}",
        own.addr(),
        out.addr()
    );
    let site = Site::start(&routes, Zone::default());
    site.redirect(OWNER, Some(TARGET));
    let id = site.submit(&mail(&[OWNER], HELLO));
    let said = site.said(id, "fail");
    assert!(
        said.contains("bob@else.example"),
        "the operator sees it: {said}"
    );
    let dsn = own.wait_for(1).remove(0);
    let text = String::from_utf8_lossy(&dsn.message).into_owned();
    assert!(
        !text.contains("else") && !text.contains("127.0.0.1"),
        "{text}"
    );
    for want in [
        "Final-Recipient: rfc822; bob@big.example\r\n",
        "Status: 5.0.0\r\n",
        "Diagnostic-Code: x-posthouse; 5.0.0 the address to which its owner redirects mail did not take it\r\n",
    ] {
        assert!(text.contains(want), "{want} in {text}");
    }
    assert!(!text.contains("Remote-MTA"), "{text}");
}
