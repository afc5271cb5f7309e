//! Mail of our own: DSNs for what failed, never where they are forbidden, and letters.

use posthouse_hook::facts::Scans;
use posthouse_hook::{Clock as _, Scan, Scanned};
use posthouse_hook::{
    Column, Commit as _, Content, ForwardPath, Header, Judgement, Kept, Message, Origin, Outcome,
    Recipient, Refusal, ReversePath, Row, Session, Spf, SystemClock, Timestamp, Transaction,
    Vouched, Why,
};
use posthouse_store::Store;
use posthouse_tests::sink::{Delivery, Script, Sink};

use crate::relay_site::{Mail, Site, Zone, mail};

const BROKEN: &[u8] = b"From: ann@a.example\r\nSubject: =?utf-8?q?h=C3=A9llo?=\r\nX-Odd: \xe4\x07\r\nTo: b@b.example\r\n\r\n.body\r\n";

/// One sink for messages, one for what we write.
pub(crate) struct Ways {
    out: Sink,
    pub(crate) own: Sink,
    pub(crate) site: Site,
}

pub(crate) fn ways(script: Script, more: &str) -> Ways {
    let (out, own) = (Sink::start(script), Sink::start(Script::friendly()));
    let routes = format!(
        "route = [{{ domain = \"*\", kind = \"relayed\", next_hop = \"smtp://{}\" }}, {{ domain = \"*\", next_hop = \"smtp://{}\" }}]",
        out.addr(),
        own.addr()
    );
    let site = Site::start(&format!("{routes}\n{more}"), Zone::default());
    Ways { out, own, site }
}

fn parts(dsn: &Delivery) -> Vec<String> {
    let text = String::from_utf8(dsn.message.clone()).expect("ASCII");
    let boundary = text.split("boundary=\"").nth(1).expect("a boundary");
    let boundary = boundary.split('"').next().expect("a quoted boundary");
    text.split(&format!("--{boundary}"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_dsn_tells_what_failed() {
    let script = Script::friendly()
        .on("RCPT TO:<no@", "550-5.1.1 Nobody\r\n550 5.1.1 here")
        .on("RCPT TO:<gone@", "551 Moved");
    let ways = ways(script, "");
    ways.site.submit(&mail(
        &["no@b.example", "yes@b.example", "gone@b.example"],
        BROKEN,
    ));
    let dsn = ways.own.wait_for(1).remove(0);
    assert_eq!(ways.out.wait_for(1)[0].rcpt, ["RCPT TO:<yes@b.example>"]);
    assert!(dsn.mail.starts_with("MAIL FROM:<> "), "{}", dsn.mail);
    assert_eq!(dsn.rcpt, ["RCPT TO:<ann@a.example>"]);
    let parts = parts(&dsn);
    assert_eq!(parts.len(), 5, "header, three parts, end: {parts:#?}");
    for field in [
        "From: Mail Delivery System <MAILER-DAEMON@out.isp.example>\r\n",
        "To: ann@a.example\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "MIME-Version: 1.0\r\n",
        "Content-Type: multipart/report; report-type=delivery-status;",
    ] {
        assert!(parts[0].contains(field), "{field} in {}", parts[0]);
    }
    assert!(parts[1].contains("<no@b.example>") && parts[1].contains("<gone@b.example>"));
    assert!(parts[2].contains("Content-Type: message/delivery-status\r\n"));
    let want = [
        "Reporting-MTA: dns; out.isp.example\r\n",
        "\r\n\r\nFinal-Recipient: rfc822; no@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; [127.0.0.1]\r\nDiagnostic-Code: smtp; 550 5.1.1 Nobody here\r\n",
        "\r\n\r\nFinal-Recipient: rfc822; gone@b.example\r\nAction: failed\r\nStatus: 5.0.0\r\n",
    ];
    for want in want {
        assert!(parts[2].contains(want), "{want} in {}", parts[2]);
    }
    assert!(!parts[2].contains("yes@"));
    assert!(parts[3].contains("Content-Type: text/rfc822-headers\r\n"));
    assert!(parts[3].contains("To: b@b.example") && !parts[3].contains("body"));
}

#[test]
fn what_was_tried_for_too_long_fails_with_a_dsn() {
    let script = Script::friendly().on("RCPT", "450 4.2.0 Greylisted");
    let ways = ways(script, "expire = \"2s\"");
    let id = ways.site.submit(&mail(&["bob@b.example"], BROKEN));
    let status = parts(&ways.own.wait_for(1)[0]).remove(2);
    assert!(status.contains("Status: 5.4.7\r\n"), "{status}");
    assert!(status.contains("450 4.2.0 Greylisted"), "{status}");
    assert!(
        !ways.site.audited(id, "defer").is_empty(),
        "it was tried before"
    );
}

#[test]
fn no_dsn_where_none_may_go() {
    let spam = |column, spf, spam| Judgement {
        ours: false,
        sender: ReversePath::Null,
        origin: Origin::Unknown,
        spf,
        column,
        rows: vec![Row::Other],
        scans: Scans(Vec::new()),
        identity: Some([0; 32]),
        spam,
    };
    let ways = ways(Script::friendly().on("RCPT", "550 5.1.1 Nobody"), "");
    let forbidden = [
        Mail {
            from: "",
            ..mail(&["no@b.example"], BROKEN)
        },
        Mail {
            judgement: Some(spam(Column::NotVouched, Spf::None, true)),
            ..mail(&["no@b.example"], BROKEN)
        },
        Mail {
            judgement: Some(spam(Column::NotVouched, Spf::Fail, false)),
            ..mail(&["no@b.example"], BROKEN)
        },
    ];
    for mail in &forbidden {
        let id = ways.site.submit(mail);
        ways.site.said(id, "fail");
    }
    let vouched = Some(spam(Column::Vouched(Vouched::Spf), Spf::Pass, false));
    let id = ways.site.submit(&Mail {
        judgement: vouched,
        ..mail(&["no@b.example"], BROKEN)
    });
    ways.site.said(id, "fail");
    assert_eq!(ways.own.wait_for(1).len(), 1, "only for the last one");
}

#[test]
fn a_dsn_that_fails_causes_nothing() {
    let (out, own) = (
        Sink::start(Script::friendly().on("RCPT", "550 5.1.1 Nobody")),
        Sink::start(Script::friendly().on("RCPT", "550 5.1.1 Nobody")),
    );
    let routes = format!(
        "route = [{{ domain = \"*\", kind = \"dsn\", next_hop = \"smtp://{}\" }}, {{ domain = \"*\", next_hop = \"smtp://{}\" }}]",
        own.addr(),
        out.addr()
    );
    let site = Site::start(&routes, Zone::default());
    site.submit(&mail(&["no@b.example"], BROKEN));
    let sent = || {
        own.commands()
            .iter()
            .filter(|c| c.starts_with("MAIL"))
            .count()
    };
    posthouse_tests::wait::until("the DSN", std::time::Duration::from_secs(10), || {
        (sent() > 0).then_some(())
    });
    let id = site.submit(&Mail {
        from: "",
        ..mail(&["no@b.example"], BROKEN)
    });
    site.said(id, "fail");
    assert_eq!(sent(), 1);
}

/// A message in the quarantine for a filtered address.
pub(crate) fn hold(site: &Site, subject: &str) {
    site.block_on(hold_in(&site.store, SystemClock.now(), subject));
}

/// The same in any store, at any time.
pub(crate) async fn hold_in(store: &Store, now: Timestamp, subject: &str) {
    let ids = store.ids();
    let client = ([192, 0, 2, 1], 4711).into();
    let session = Session::new(ids.next(now), client, client, now);
    let from = ReversePath::from_address("eve@e.example").expect("valid");
    let mut tx = Transaction::new(ids.next(now), now, from.clone());
    let to = ForwardPath::from_address("bob@big.example").expect("valid");
    tx.recipients.push(Recipient::new(to));
    let bytes = format!("From: Eve <eve@e.example>\r\nSubject: {subject}\r\n\r\nspam\r\n");
    let bytes = bytes::Bytes::from(bytes);
    tx.message = Message {
        header: std::sync::Arc::new(Header::parse(bytes.clone())),
        content: Content::Memory(bytes),
    };
    let mut identity = [0; 32];
    identity[..8].copy_from_slice(&tx.id.0.to_be_bytes());
    tx.notes.put(Judgement {
        ours: false,
        sender: from,
        origin: Origin::Unknown,
        spf: Spf::None,
        column: Column::NotVouched,
        rows: vec![Row::Filtered],
        scans: Scans(vec![Scan {
            scanner: "gtube".to_owned(),
            found: Scanned::Spam,
            score: None,
            limit: None,
            action: None,
            tests: Vec::new(),
        }]),
        identity: Some(identity),
        spam: true,
    });
    let outcome = Outcome::Refused {
        refusal: Refusal::policy("held"),
        kept: vec![Kept::Held(Why::Spam(Row::Filtered))],
    };
    let commit = store.commit(&session, &tx, &outcome);
    commit.await.expect("the store works");
}

#[test]
fn one_letter_tells_the_recipient_what_is_held() {
    let ways = ways(Script::friendly(), "");
    hold(&ways.site, "Cheap {{ pills }}\u{202e} \u{1b}[2J");
    hold(&ways.site, &"long ".repeat(100));
    let sent = ways.site.block_on(ways.site.letters().round());
    assert_eq!(sent.expect("the store works"), 1);
    let letter = ways.own.wait_for(1).remove(0);
    assert!(letter.mail.starts_with("MAIL FROM:<> "));
    assert_eq!(letter.rcpt, ["RCPT TO:<bob@big.example>"]);
    let text = mail_text(&letter);
    for want in [
        "we are holding 2 messages for bob@big.example",
        "most likely spam, though we cannot be sure",
        "Cheap {{ pills }}",
        "https://out.isp.example/a/",
        "https://out.isp.example/s/",
        "@big.example blacklists servers that pass on too much spam",
        "no more often than every\n7 days",
        "redirect it on the page\nabove to an address whose service has no such policy",
    ] {
        assert!(text.contains(want), "{want} in {text}");
    }
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    assert!(
        text.lines().all(|line| line.chars().count() < 100),
        "{text}"
    );
    let head = String::from_utf8_lossy(&letter.message).into_owned();
    for field in [
        "Auto-Submitted: auto-generated\r\n",
        "From: postmaster@out.isp.example\r\n",
        "Subject: We are holding mail for you\r\n",
        "\r\nMessage-ID: <",
    ] {
        assert!(head.contains(field), "{head}");
    }
    hold(&ways.site, "another");
    let again = ways.site.block_on(ways.site.letters().round());
    assert_eq!(
        again.expect("the store works"),
        0,
        "not before the interval is over"
    );
}

/// The text of a letter with its transfer encoding undone.
pub(crate) fn mail_text(letter: &Delivery) -> String {
    let message = mail_parser::MessageParser::default().parse(&letter.message);
    let message = message.expect("a message");
    let text = message.body_text(0).expect("a text");
    text.replace("\r\n", "\n")
}
