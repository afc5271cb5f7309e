//! Smuggling: whatever a client sends for the end of a message, a next hop that splits at a bare
//! LF (Debian's Postfix with default settings) never sees two messages.

use posthouse_tests::dns::Dns;
use posthouse_tests::postfix::Postfix;
use posthouse_tests::posthouse::{Outbound, Posthouse, config_dir};
use posthouse_tests::smtp::Smtp;

/// Wrong forms of the end of a message, each with a second message hidden behind it.
const FORMS: [&str; 13] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r\n.\r",
    "\r.\r\n",
    "\n.\r",
    "\r.\n",
    "\n\n.\n",
    "\r\r\n.\r\r\n",
    "\r\n.\r\r\n",
    "\r\n.\r\r",
    "\r\n\0.\r\n",
];

#[test]
fn no_form_splits_a_message() {
    let (dns, postfix) = (Dns::start(""), Postfix::mailbox());
    let outbound = Outbound::new(postfix.addr(), dns.addr());
    let server = Posthouse::start(config_dir(), &outbound.toml(), outbound.smtp);
    let mut accepted = 0;
    for (n, form) in FORMS.iter().enumerate() {
        let message = format!(
            "Subject: outer {n}\r\n\r\nouter{form}MAIL FROM:<evil@ours.test>\r\n\
             RCPT TO:<victim@x.test>\r\nDATA\r\nSubject: smuggled {n}\r\n\r\ninner\r\n"
        );
        let mut client = Smtp::hello(server.addr).expect("greets");
        let heard = client.send("a@ours.test", &["b@x.test"], message.as_bytes());
        match heard.expect("answers").code {
            250 => accepted += 1,
            554 => {}
            code => panic!("form {n} heard {code}"),
        }
        assert_eq!(
            client.command("NOOP").expect("in step").code,
            250,
            "form {n}"
        );
    }
    // Only the NUL form has no bare CR or LF: it is one message, and stays one.
    assert_eq!(accepted, 1);
    let mut client = Smtp::hello(server.addr).expect("greets");
    let last = client.send("a@ours.test", &["b@x.test"], b"Subject: last\r\n\r\n");
    assert_eq!(last.expect("answers").code, 250);
    let arrived = postfix.wait_for(2);
    assert_eq!(arrived.len(), 2);
    for message in arrived {
        let text = String::from_utf8_lossy(&message);
        let header = text.split("\n\n").next().unwrap_or_default();
        assert!(!header.contains("smuggled"), "{text}");
    }
}
