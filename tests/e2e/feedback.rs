//! Feedback: what people release and discard is learned by real scanners, once each, and a scanner
//! that is gone keeps nobody and loses nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::ports;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::rspamd::{PASSWORD, Rspamd};
use posthouse_tests::smtp::Smtp;
use posthouse_tests::spamd::Spamd;
use posthouse_tests::wait;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";

/// A house whose chain of scanners is `gtube` and these steps.
fn house(scanners: &str) -> (Posthouse, Dns) {
    let dns = Dns::start("");
    let mut outbound = Outbound::new(ports::free_addr(), dns.addr());
    outbound.more = scanners.to_owned();
    outbound.store = "spool_threshold = 0".to_owned();
    let house = Posthouse::start(config_dir(), &outbound.toml(), outbound.smtp);
    (house, dns)
}

/// Has one message held; gives its id.
fn hold(house: &Posthouse, subject: &str, sign: &str) -> String {
    let mail = format!(
        "From: Ann <ann@ours.test>\r\nTo: bob@filtered.test\r\nSubject: {subject}\r\n\
         Message-ID: <{subject}@ours.test>\r\nDate: Fri, 20 Nov 2026 06:00:00 +0000\r\n\r\n\
         These are the minutes of the {subject} meeting in the old town hall with all of the\r\n\
         neighbours and their children and dogs, and what was said about the new bridge.\r\n{sign}"
    );
    let mut client = Smtp::hello(house.addr).expect("greets");
    let heard = client.send("ann@ours.test", &["bob@filtered.test"], mail.as_bytes());
    assert_eq!(heard.expect("answers").code, 552);
    let json = run(command(&house.config()).args(["held", "list", "--limit", "1", "--json"]));
    let items: Vec<Value> = serde_json::from_str(&json).expect("JSON");
    items[0]["id"].as_str().expect("an id").to_owned()
}

fn held(house: &Posthouse, deed: &str, id: &str) {
    run(command(&house.config()).args(["held", deed, id]));
}

/// Spool files, which go when nobody needs the bytes any more.
fn files(house: &Posthouse) -> usize {
    let spool: &Path = &house.dir.path().join("state/spool");
    fs::read_dir(spool).expect("a directory").count()
}

#[test]
fn spamd_learns_what_people_decide() {
    let spamd = Spamd::learning();
    let step = format!(
        "[[chain.spam]]\nplugin = \"spamassassin\"\naddress = \"{}\"\nfeedback = true\n",
        spamd.addr()
    );
    let (house, _dns) = house(&step);
    let (first, second) = (hold(&house, "spring", GTUBE), hold(&house, "autumn", GTUBE));
    assert_eq!(spamd.learned(), (0, 0));
    held(&house, "discard", &first);
    wait::until("the spam to be learned", LIMIT, || {
        (spamd.learned() == (1, 0)).then_some(())
    });
    held(&house, "release", &second);
    wait::until("the ham to be learned", LIMIT, || {
        (spamd.learned() == (1, 1)).then_some(())
    });
    wait::until("the discarded bytes to go", LIMIT, || {
        (files(&house) == 1).then_some(())
    });
}

/// rspamd learns nothing from GTUBE, so here it calls everything spam.
#[test]
fn rspamd_learns_what_people_decide() {
    let rspamd = Rspamd::start("");
    let step = format!(
        "[[chain.spam]]\nplugin = \"rspamd\"\naddress = \"{}\"\nfeedback = true\n\
         spam_from = -100\ncontroller = \"{}\"\ncontroller_password = \"{PASSWORD}\"\n",
        rspamd.addr(),
        rspamd.controller()
    );
    let (house, _dns) = house(&step);
    let (first, second) = (hold(&house, "spring", ""), hold(&house, "autumn", ""));
    for (deed, id, lessons) in [("discard", &first, 1), ("release", &second, 2)] {
        held(&house, deed, id);
        wait::until("the lesson", LIMIT, || {
            (rspamd.learned() == lessons).then_some(())
        });
    }
    wait::until("the discarded bytes to go", LIMIT, || {
        (files(&house) == 1).then_some(())
    });
    // The very same message again: rspamd knows it, and that is no fault.
    let again = hold(&house, "spring", "");
    held(&house, "discard", &again);
    wait::until("the bytes to go", LIMIT, || {
        (files(&house) == 1).then_some(())
    });
    assert_eq!(rspamd.learned(), 2);
    assert!(
        !house.proc.log().contains("was not learned"),
        "{}",
        house.proc.log()
    );
}

/// The lesson outlives a scanner that is gone and a server that is killed.
#[test]
fn a_lesson_waits_for_its_scanner() {
    let nobody = ports::free_addr();
    let step = format!(
        "[[chain.spam]]\nplugin = \"spamassassin\"\naddress = \"{nobody}\"\nfeedback = true\n"
    );
    let (house, _dns) = house(&step);
    let id = hold(&house, "winter", GTUBE);
    held(&house, "discard", &id);
    wait::until("a first try", LIMIT, || {
        house.proc.log().contains("was not learned").then_some(())
    });
    assert_eq!(files(&house), 1, "the bytes are kept for it");
    let config = fs::read_to_string(house.config()).expect("a file");
    let house = house.crash(&config.replace("feedback = true", "feedback = false"));
    // Nobody learns any more: what was kept for it goes when it is due again, and new deeds keep none.
    let id = hold(&house, "summer", GTUBE);
    held(&house, "discard", &id);
    assert_eq!(files(&house), 1, "only the one that was put off");
}
