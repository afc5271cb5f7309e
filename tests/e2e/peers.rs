//! The peers themselves: each starts, does its one thing, and ends. When one of these fails, the
//! harness or the machine is at fault, not Posthouse.

use posthouse_tests::postfix::{Postfix, Role};
use posthouse_tests::{clients, ports, proc, smtp};

/// Whole, so that Postfix adds no field of its own below.
const MESSAGE: &[u8] = b"Date: Fri, 20 Nov 2026 06:00:00 +0000\r\n\
    Message-ID: <peers@a.test>\r\nFrom: a@a.test\r\nTo: b@b.test\r\n\
    Subject: peers\r\n\r\nHello.\r\n";

#[test]
fn postfix_takes_mail_from_each_client_and_ends() {
    let postfix = Postfix::mailbox();
    let addr = postfix.addr();
    let ran = clients::swaks(addr, "a@a.test", &["b@b.test"], MESSAGE);
    assert_eq!(ran.code, 0, "{}", ran.said);
    let ran = clients::smtplib(addr, "a@a.test", &["b@b.test"], MESSAGE);
    assert_eq!(ran.code, 0, "{}", ran.said);
    let mut own = smtp::Smtp::hello(addr).expect("a greeting");
    let heard = own.send("a@a.test", &["b@b.test"], MESSAGE);
    assert_eq!(heard.expect("a reply").code, 250);
    for message in postfix.wait_for(3) {
        let text = String::from_utf8_lossy(&message);
        assert!(text.ends_with("Subject: peers\n\nHello.\n"), "{text}");
    }
    let master = postfix.pid().expect("Postfix runs");
    drop(postfix);
    assert!(!ports::is_open(addr));
    assert!(!std::path::Path::new(&format!("/proc/{master}")).exists());
}

#[test]
fn a_client_reports_a_refusal() {
    let postfix = Postfix::start(&Role::Mailbox, "smtpd_recipient_restrictions = reject");
    let ran = clients::smtplib(postfix.addr(), "a@a.test", &["b@b.test"], MESSAGE);
    assert_eq!(ran.code, 1, "{}", ran.said);
    assert!(ran.said.contains("554"), "{}", ran.said);
    let ran = clients::swaks(postfix.addr(), "a@a.test", &["b@b.test"], MESSAGE);
    assert_ne!(ran.code, 0, "{}", ran.said);
}

#[test]
#[should_panic(expected = "install the Debian package `no-package`")]
fn a_missing_peer_names_its_package() {
    proc::require("no-such-command", "no-package");
}
