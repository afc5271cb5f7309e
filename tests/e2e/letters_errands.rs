//! The mails that choices need: each goes to the address that it concerns, with the one link that
//! its purpose takes, and none is lost while our mail is stopped.

use posthouse_hook::{ForwardPath, Language, LinkClaim, LinkKind};
use posthouse_store::{
    Actor, Asked, Confirmed, Pending, Proven, RecipientChoice, SenderChoice, Who, Wish,
};
use posthouse_tests::sink::{Delivery, Script};

use crate::relay_notices::{Ways, hold, mail_text, ways};

fn actor() -> Actor {
    Actor {
        who: Who::Recipient,
        from: Some([192, 0, 2, 77].into()),
    }
}

fn path(address: &str) -> ForwardPath {
    ForwardPath::from_address(address).expect("valid")
}

fn errands(ways: &Ways) -> usize {
    let sent = ways.site.block_on(ways.site.letters().errands());
    sent.expect("the store works")
}

fn ask(ways: &Ways, wish: Wish, language: Option<Language>) -> Asked {
    let asked = ways.site.store.ask_choice(wish, language, actor());
    ways.site.block_on(asked).expect("the store works")
}

fn owner(ways: &Ways) -> posthouse_store::Address {
    let found = ways
        .site
        .block_on(ways.site.store.address("bob@big.example"));
    found.expect("the store works").expect("something is held")
}

/// The only link in a mail, and its kind.
fn link(mail: &Delivery) -> LinkClaim {
    let text = mail_text(mail);
    let start = "https://out.isp.example/";
    assert_eq!(text.matches(start).count(), 1, "{text}");
    let rest = text.split(start).nth(1).expect("a link");
    let (segment, rest) = rest.split_once('/').expect("a path");
    let token = rest.split_whitespace().next().expect("a token");
    let kind = LinkKind::ALL
        .into_iter()
        .find(|kind| kind.segment() == segment);
    LinkClaim::parse(kind.expect("a kind"), token).expect("a token of ours")
}

fn proven(ways: &Ways, claim: &LinkClaim) -> Proven {
    let proven = ways.site.block_on(ways.site.store.prove(claim));
    proven.expect("the store works").expect("a genuine link")
}

fn pending(ways: &Ways, mail: &Delivery) -> Box<Pending> {
    match proven(ways, &link(mail)) {
        Proven::Confirm(pending) => pending,
        other => panic!("{other:?}"),
    }
}

fn is_ours(mail: &Delivery, to: &str) {
    assert!(mail.mail.starts_with("MAIL FROM:<> "), "{}", mail.mail);
    assert_eq!(mail.rcpt, [format!("RCPT TO:<{to}>")]);
    let head = String::from_utf8_lossy(&mail.message).into_owned();
    assert!(
        head.contains("Auto-Submitted: auto-generated\r\n"),
        "{head}"
    );
}

#[test]
fn a_sender_s_choice_is_confirmed_by_the_sender() {
    let ways = ways(Script::friendly(), "");
    let wish = Wish::Sender("eve@e.example".to_owned(), SenderChoice::Refuse);
    assert_eq!(
        ask(&ways, wish, None),
        Asked::Mailed("eve@e.example".to_owned())
    );
    assert_eq!(errands(&ways), 1);
    let mail = ways.own.wait_for(1).remove(0);
    is_ours(&mail, "eve@e.example");
    let text = mail_text(&mail);
    assert!(
        text.contains("192.0.2.77") && text.contains("are refused"),
        "{text}"
    );
    let pending = pending(&ways, &mail);
    let done = ways
        .site
        .block_on(ways.site.store.confirm(pending.id, actor()));
    assert_eq!(done.expect("the store works"), Some(Confirmed::Done(0)));
    assert_eq!(errands(&ways), 0, "each is written once");
}

#[test]
fn a_redirect_is_accepted_by_its_target_and_told_to_its_owner() {
    let ways = ways(Script::friendly(), "");
    hold(&ways.site, "one");
    let bob = owner(&ways);
    let to = RecipientChoice::Redirect(path("bob@small.example"));
    ask(&ways, Wish::Recipient(bob.id, to), Some(Language::De));
    assert_eq!(errands(&ways), 1);
    let mail = ways.own.wait_for(1).remove(0);
    is_ours(&mail, "bob@small.example");
    let text = mail_text(&mail);
    assert!(text.contains("wem bob@big.example geh\u{f6}rt"), "{text}");
    assert!(
        !text.contains("192.0.2.77"),
        "the owner's place is not told: {text}"
    );
    assert_eq!(
        link(&mail).kind,
        LinkKind::Confirm,
        "never the owner's page"
    );

    let pending = pending(&ways, &mail);
    let done = ways
        .site
        .block_on(ways.site.store.confirm(pending.id, actor()));
    assert!(matches!(done, Ok(Some(Confirmed::Done(_)))), "{done:?}");
    assert_eq!(errands(&ways), 1);
    // The message that was held goes to the target; the notice to the owner.
    let told = ways.own.wait_for(3);
    let notice = told
        .iter()
        .find(|m| m.rcpt == ["RCPT TO:<bob@big.example>"]);
    let text = mail_text(notice.expect("the owner is told"));
    assert!(
        text.contains("bob@small.example") && text.contains("undo it"),
        "{text}"
    );
}

#[test]
fn links_that_were_asked_for_wait_out_an_emergency_stop() {
    let ways = ways(Script::friendly(), "");
    hold(&ways.site, "one");
    let stop = |stopped| {
        let set = ways.site.store.set_letters_stopped(stopped, actor());
        ways.site.block_on(set).expect("the store works");
    };
    stop(true);
    for address in ["bob@big.example", "eve@e.example", "nobody@big.example"] {
        let address = path(address);
        let asked = ways.site.store.ask_links(&address, None, actor());
        ways.site.block_on(asked).expect("the store works");
    }
    assert_eq!(errands(&ways), 0);
    stop(false);
    assert_eq!(
        errands(&ways),
        2,
        "nothing is lost, and nobody is told of nothing"
    );
    let mails = ways.own.wait_for(2);
    for (to, kind) in [
        ("bob@big.example", LinkKind::Address),
        ("eve@e.example", LinkKind::Manage),
    ] {
        let mail = mails.iter().find(|m| m.rcpt == [format!("RCPT TO:<{to}>")]);
        let mail = mail.expect(to);
        is_ours(mail, to);
        assert_eq!(link(mail).kind, kind);
        proven(&ways, &link(mail));
    }
}

#[test]
fn a_recipient_s_choice_to_discard_is_confirmed_in_its_own_language() {
    let ways = ways(Script::friendly(), "");
    hold(&ways.site, "one");
    let bob = owner(&ways);
    ask(
        &ways,
        Wish::Recipient(bob.id, RecipientChoice::Discard),
        Some(Language::De),
    );
    assert_eq!(errands(&ways), 1);
    let mail = ways.own.wait_for(1).remove(0);
    is_ours(&mail, "bob@big.example");
    let text = mail_text(&mail);
    assert!(text.contains("sofort verworfen"), "{text}");
    pending(&ways, &mail);
}
