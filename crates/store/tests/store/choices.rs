//! Standing choices: asked for, confirmed, undone, within caps; what they do to mail; and what an
//! operator sets and sees.

use std::collections::BTreeMap;

use posthouse_hook::{Disposition, ForwardPath, Id, LinkClaim, LinkKind, Outcome, Recipient};
use posthouse_store::{
    Actor, Asked, AttemptResult, Confirmed, ErrandKind, Kind, LetterCaps, LetterSent, Letters,
    Objection, OwnMessage, Owner, Proven, RecipientChoice, Resent, SenderChoice, State, Who, Wish,
};

use crate::bench::{Bench, DAY, all, operator};

const OWNER: &str = "bob@big.example";
const TARGET: &str = "bob@else.example";

fn person() -> Actor {
    Actor {
        who: Who::Recipient,
        from: Some("203.0.113.5".parse().expect("valid")),
    }
}

fn path(address: &str) -> ForwardPath {
    ForwardPath::from_address(address).expect("valid")
}

fn redirect(target: &str) -> RecipientChoice {
    RecipientChoice::Redirect(path(target))
}

async fn owner(bench: &Bench, address: &str) -> Id {
    bench.store.recipient_row(address).await.expect("a row")
}

async fn ask(bench: &Bench, address: &str, choice: RecipientChoice) -> Asked {
    let wish = Wish::Recipient(owner(bench, address).await, choice);
    let asked = bench.store.ask_choice(wish, None, person());
    asked.await.expect("asked")
}

/// The pending choices whose confirm mails wait, the oldest first; each is proven by its link.
async fn mailed(bench: &Bench) -> Vec<(Id, String)> {
    let mut found = Vec::new();
    for errand in bench.store.errands_due(100).await.expect("reads") {
        if let ErrandKind::Confirm(pending, link) = errand.what {
            let claim = LinkClaim::parse(LinkKind::Confirm, &link.token()).expect("a token");
            let proven = bench.store.prove(&claim).await.expect("reads");
            assert!(matches!(proven, Some(Proven::Confirm(p)) if p.id == pending.id));
            found.push((pending.id, errand.to.address()));
        }
    }
    found
}

async fn confirm(bench: &Bench, pending: Id) -> Option<Confirmed> {
    let by = Actor::local(Who::Confirmer);
    bench.store.confirm(pending, by).await.expect("confirms")
}

/// Every row of every table, as text.
fn dump(bench: &Bench) -> BTreeMap<String, Vec<String>> {
    let db = rusqlite::Connection::open(bench.dir.path().join("ledger.db")).expect("opens");
    let mut names = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .expect("prepares");
    let names: Vec<String> = names
        .query_map([], |row| row.get(0))
        .expect("reads")
        .map(|name| name.expect("text"))
        .collect();
    names
        .into_iter()
        .map(|name| (name.clone(), rows(&db, &name)))
        .collect()
}

fn rows(db: &rusqlite::Connection, table: &str) -> Vec<String> {
    let mut all = db
        .prepare(&format!("SELECT * FROM {table}"))
        .expect("prepares");
    let columns = all.column_count();
    let text = |row: &rusqlite::Row<'_>| {
        let cells = (0..columns).map(|at| format!("{:?}", row.get_ref(at)));
        Ok(cells.collect::<Vec<_>>().join("|"))
    };
    let found = all.query_map([], text).expect("reads");
    found.map(|row| row.expect("reads")).collect()
}

#[tokio::test]
async fn a_choice_is_in_force_once_its_link_was_used() {
    let bench = Bench::new();
    assert_eq!(
        ask(&bench, OWNER, redirect(TARGET)).await,
        Asked::Mailed(TARGET.to_owned()),
        "to the target: only who reads its mail can say yes"
    );
    let asked = bench.store.ask_choice(
        Wish::Sender("Ann@ISP.example".to_owned(), SenderChoice::Discard),
        None,
        person(),
    );
    assert_eq!(
        asked.await.expect("asked"),
        Asked::Mailed("ann@isp.example".to_owned())
    );
    let choices = bench.store.choices();
    assert_eq!(choices.of_recipient(&path(OWNER)), &RecipientChoice::Hold);
    assert_eq!(choices.of_sender("ann@isp.example"), SenderChoice::Hold);
    let mailed = mailed(&bench).await;
    assert_eq!(mailed[0].1, TARGET);
    for (pending, _) in &mailed {
        assert_eq!(confirm(&bench, *pending).await, Some(Confirmed::Done(0)));
        assert_eq!(confirm(&bench, *pending).await, Some(Confirmed::Already));
    }
    let bench = bench.reopen();
    let choices = bench.store.choices();
    assert_eq!(
        choices.of_recipient(&path("BOB@big.example")),
        &redirect(TARGET)
    );
    assert_eq!(choices.of_sender("ANN@isp.example"), SenderChoice::Discard);
    let counts = bench.store.standing_counts().await.expect("reads");
    assert_eq!((counts.recipients_redirect, counts.senders_discard), (1, 1));
}

#[tokio::test]
async fn an_old_confirm_link_does_nothing() {
    let bench = Bench::new();
    ask(&bench, OWNER, RecipientChoice::Discard).await;
    let pending = mailed(&bench).await[0].0;
    bench.pass(7 * DAY);
    assert_eq!(confirm(&bench, pending).await, None);
    bench.store.tidy().await.expect("tidies");
    assert_eq!(confirm(&bench, pending).await, None);
    assert_eq!(confirm(&bench, Id(12345)).await, None, "unknown");
    assert_eq!(
        bench.store.choices().of_recipient(&path(OWNER)),
        &RecipientChoice::Hold
    );
}

#[tokio::test]
async fn the_owner_is_told_and_can_undo() {
    let bench = Bench::new();
    ask(&bench, OWNER, redirect(TARGET)).await;
    confirm(&bench, mailed(&bench).await[0].0).await;
    let errands = bench.store.errands_due(100).await.expect("reads");
    let undo = errands.iter().find_map(|errand| match &errand.what {
        ErrandKind::Redirected(pending, _) => Some((pending.clone(), errand.to.address())),
        _ => None,
    });
    let (undo, to) = undo.expect("a notice");
    assert_eq!(to, OWNER, "to the owner, never to the target");
    assert!(matches!(
        undo.owner,
        Owner::Recipient(_, RecipientChoice::Hold)
    ));
    bench.pass(20 * DAY);
    assert_eq!(confirm(&bench, undo.id).await, Some(Confirmed::Done(0)));
    assert_eq!(
        bench.store.choices().of_recipient(&path(OWNER)),
        &RecipientChoice::Hold
    );
}

#[tokio::test]
async fn confirm_letters_are_capped_by_owner_and_by_target() {
    let bench = Bench::new();
    for n in 0..3 {
        let asked = ask(&bench, OWNER, redirect(&format!("t{n}@else.example"))).await;
        assert!(matches!(asked, Asked::Mailed(_)), "{n}: {asked:?}");
    }
    let over = ask(&bench, OWNER, redirect("t3@else.example")).await;
    assert_eq!(over, Asked::Refused(Objection::OwnerCap));
    let other = ask(&bench, "cid@big.example", redirect("T0@else.example")).await;
    assert_eq!(other, Asked::Refused(Objection::TargetCap));
    bench.pass(DAY);
    assert!(matches!(
        ask(&bench, OWNER, redirect("t3@else.example")).await,
        Asked::Mailed(_)
    ));
    bench.pass(5 * DAY);
    let early = ask(&bench, "cid@big.example", redirect("t0@else.example")).await;
    assert_eq!(early, Asked::Refused(Objection::TargetCap));
    bench.pass(DAY);
    assert!(matches!(
        ask(&bench, "cid@big.example", redirect("t0@else.example")).await,
        Asked::Mailed(_)
    ));
}

#[tokio::test]
async fn redirects_to_itself_and_chains_are_refused_both_ways() {
    let bench = Bench::new();
    let set = |from: &str, to: &str| {
        let store = bench.store.clone();
        let (from, choice) = (from.to_owned(), redirect(to));
        async move {
            store
                .set_recipient(from, choice, operator())
                .await
                .expect("set")
        }
    };
    set("a@big.example", "B@else.example").await;
    for (owner, target, want) in [
        ("c@big.example", "C@Big.example", Some(Objection::Itself)),
        ("c@big.example", "postmaster", Some(Objection::NoAddress)),
        ("c@big.example", "A@big.example", Some(Objection::Chain)),
        ("b@else.example", "c@big.example", Some(Objection::Chain)),
        ("b@else.example", "a@big.example", Some(Objection::Chain)),
        ("c@big.example", "b@else.example", None),
        ("a@big.example", "d@else.example", None),
    ] {
        let found = bench.store.redirect_objection(owner, &path(target)).await;
        assert_eq!(found.expect("reads"), want, "{owner} to {target}");
        if let Some(want) = want {
            let asked = ask(&bench, owner, redirect(target)).await;
            assert_eq!(asked, Asked::Refused(want), "{owner} to {target}");
        }
    }
    // A loop that is made between the wish and its confirmation.
    ask(&bench, "x@big.example", redirect("y@else.example")).await;
    set("y@else.example", "z@third.example").await;
    let pending = mailed(&bench).await.pop().expect("mailed").0;
    assert_eq!(
        confirm(&bench, pending).await,
        Some(Confirmed::Refused(Objection::Chain))
    );
}

#[tokio::test]
async fn a_redirect_takes_along_what_is_held_and_nothing_else() {
    let bench = Bench::new();
    let held = bench
        .hold("a@isp.example", &[OWNER, "cid@big.example"], "x")
        .await
        .id;
    let gone = bench.hold("a@isp.example", &[OWNER], "gone").await.id;
    bench
        .store
        .discard_held(all(gone), operator())
        .await
        .expect("discarded");
    ask(&bench, OWNER, redirect(TARGET)).await;
    let pending = mailed(&bench).await[0].0;
    assert_eq!(confirm(&bench, pending).await, Some(Confirmed::Done(1)));
    assert_eq!(bench.states(held).await, [State::Queued, State::Held]);
    let claimed = bench.claim().await;
    let copy = &claimed[0].recipients[0];
    assert_eq!((claimed.len(), copy.kind), (1, Kind::Redirected));
    assert_eq!(copy.deliver_to(), &path(TARGET));
    assert_eq!(copy.forward_path, path(OWNER));
}

#[tokio::test]
async fn what_is_withheld_is_back_in_the_quarantine_and_causes_a_letter() {
    let bench = Bench::new();
    let id = bench.hold("a@isp.example", &[OWNER], "x").await.id;
    let set = bench
        .store
        .set_recipient(OWNER.to_owned(), redirect(TARGET), operator());
    assert_eq!(set.await.expect("set"), 1);
    let set = bench
        .store
        .set_recipient(OWNER.to_owned(), RecipientChoice::Hold, operator());
    set.await.expect("set");
    assert_eq!(bench.settle_all(AttemptResult::Withheld).await, 1);
    assert_eq!(bench.states(id).await, [State::Held]);
    let counts = bench.store.counts().await.expect("reads");
    assert_ne!(counts.held_octets, 0, "it counts for the bounds again");
    let sent = bench.send_letters(&LetterCaps::default()).await;
    assert!(matches!(sent[..], [LetterSent::Queued(_)]), "{sent:?}");
    bench.settle_all(AttemptResult::Delivered).await;
    bench
        .store
        .release(all(id), None, operator())
        .await
        .expect("released");
    let claimed = bench.claim().await;
    let copy = &claimed[0].recipients[0];
    assert_eq!(
        (copy.kind, copy.deliver_to()),
        (Kind::Released, &path(OWNER))
    );
}

/// Mail that was no spam, on its way by a redirect that ended: its owner finds it as well.
#[tokio::test]
async fn clean_mail_is_withheld_too() {
    let bench = Bench::new();
    let mut tx = bench.tx("a@isp.example", &[], "Subject: hello\r\n\r\nhello\r\n");
    tx.recipients.push(Recipient {
        redirect: Some(path(TARGET)),
        ..Recipient::new(path(OWNER))
    });
    let id = bench
        .commit(&tx, &Outcome::Accepted(vec![Disposition::Relay]))
        .await
        .id;
    owner(&bench, OWNER).await;
    assert_eq!(bench.settle_all(AttemptResult::Withheld).await, 1);
    assert_eq!(bench.states(id).await, [State::Held]);
    let address = bench
        .store
        .address(OWNER)
        .await
        .expect("reads")
        .expect("a row");
    let items = bench
        .store
        .items_of(&address, Default::default())
        .await
        .expect("reads");
    assert_eq!(items.len(), 1, "on the owner's page");
    bench.pass(31 * DAY);
    bench.store.tidy().await.expect("tidies");
    assert_eq!(bench.states(id).await, [], "kept for as long as any other");
    let counts = bench.store.counts().await.expect("reads");
    assert_eq!((counts.held_octets, counts.expired.age), (0, 1));
}

#[tokio::test]
async fn what_every_copy_is_discarded_of_leaves_an_audit_and_a_count() {
    let bench = Bench::new();
    let set = bench
        .store
        .set_recipient(OWNER.to_owned(), RecipientChoice::Discard, operator());
    set.await.expect("set");
    let before = dump(&bench);
    for body in ["small".to_owned(), "x".repeat(5_000)] {
        let tx = bench.tx("ann@isp.example", &[OWNER], &body);
        bench
            .commit(&tx, &Outcome::Accepted(vec![Disposition::Discard]))
            .await;
    }
    let after = dump(&bench);
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, rows)| before[*name] != **rows)
        .collect();
    let names: Vec<_> = changed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["audit", "tally"]);
    assert!(
        bench
            .store
            .items(Default::default())
            .await
            .expect("reads")
            .is_empty()
    );
    let spool = std::fs::read_dir(bench.dir.path().join("spool")).expect("there");
    let files = spool.filter(|f| f.as_ref().is_ok_and(|f| f.path().is_file()));
    assert_eq!(files.count(), 0, "no bytes stay");
    assert_eq!(bench.store.discarded(OWNER).await.expect("reads"), (0, 2));
    assert_eq!(
        bench
            .store
            .discarded("ann@isp.example")
            .await
            .expect("reads"),
        (0, 0)
    );
    assert_eq!(bench.store.counts().await.expect("reads").discarded, 2);
}

#[tokio::test]
async fn asking_for_a_link_of_an_unknown_address_creates_nothing() {
    let bench = Bench::new();
    bench.hold("ann@isp.example", &[OWNER], "x").await;
    let before = dump(&bench);
    for unknown in ["eve@big.example", "nobody@isp.example", "postmaster"] {
        let address = path(unknown);
        let asked = bench.store.ask_links(&address, None, person());
        asked.await.expect("asked");
    }
    assert_eq!(dump(&bench), before);
    let links = |due: Vec<posthouse_store::Errand>| -> Vec<_> {
        due.into_iter()
            .map(|errand| {
                (
                    errand.to.address(),
                    matches!(errand.what, ErrandKind::Manage(..)),
                )
            })
            .collect()
    };
    for (known, manages) in [(OWNER, false), ("Ann@isp.example", true)] {
        for _ in 0..3 {
            let address = path(known);
            let asked = bench.store.ask_links(&address, None, person());
            asked.await.expect("asked");
        }
        let found = links(bench.store.errands_due(10).await.expect("reads"));
        let want = (known.to_ascii_lowercase(), manages);
        assert_eq!(
            found.iter().filter(|one| **one == want).count(),
            1,
            "once a day"
        );
    }
}

#[tokio::test]
async fn a_letter_is_sent_again_when_an_operator_wants_it() {
    let bench = Bench::new();
    let caps = LetterCaps::default();
    let resend = || bench.store.resend_letter(OWNER, operator());
    assert_eq!(resend().await.expect("asked"), Resent::NothingHeld);
    bench.hold("a@isp.example", &[OWNER], "x").await;
    assert_eq!(bench.send_letters(&caps).await.len(), 1);
    assert_eq!(
        bench.send_letters(&caps).await,
        [],
        "not before the interval is over"
    );
    assert_eq!(resend().await.expect("asked"), Resent::Due(1));
    let listed = bench
        .store
        .correspondents(7 * DAY)
        .await
        .expect("reads")
        .remove(0);
    assert_eq!(
        (listed.held, listed.letters, listed.next_due),
        (1, Letters::On, listed.waiting_since)
    );
    assert!(matches!(
        bench.send_letters(&caps).await[..],
        [LetterSent::Queued(_)]
    ));
    let id = owner(&bench, OWNER).await;
    bench
        .store
        .stop_letters(id, operator())
        .await
        .expect("stopped");
    assert_eq!(
        resend().await.expect("asked"),
        Resent::Off(Letters::Stopped)
    );
    assert_eq!(bench.send_letters(&caps).await, []);
}

#[tokio::test]
async fn the_stop_of_all_letters_outlives_a_restart() {
    let bench = Bench::new();
    assert!(!bench.store.letters_stopped().await.expect("reads"));
    bench
        .store
        .set_letters_stopped(true, operator())
        .await
        .expect("set");
    let bench = bench.reopen();
    assert!(bench.store.letters_stopped().await.expect("reads"));
    bench
        .store
        .set_letters_stopped(false, operator())
        .await
        .expect("set");
    assert!(!bench.store.letters_stopped().await.expect("reads"));
}

#[tokio::test]
async fn another_choice_ends_the_links_that_are_out() {
    let bench = Bench::new();
    ask(&bench, OWNER, redirect(TARGET)).await;
    ask(&bench, OWNER, redirect("bob@third.example")).await;
    let links: Vec<Id> = mailed(&bench).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(confirm(&bench, links[1]).await, Some(Confirmed::Done(0)));
    assert_eq!(confirm(&bench, links[0]).await, None, "superseded");
    let undo = undo_link(&bench).await;
    let set = bench
        .store
        .set_recipient(OWNER.to_owned(), RecipientChoice::Discard, operator());
    set.await.expect("set");
    assert_eq!(
        confirm(&bench, undo).await,
        None,
        "it was about the redirect"
    );
    ask(&bench, OWNER, redirect("bob@fourth.example")).await;
    let waiting = mailed(&bench).await.last().expect("an errand").0;
    let set = bench
        .store
        .set_recipient(OWNER.to_owned(), RecipientChoice::Hold, operator());
    set.await.expect("set");
    assert_eq!(
        confirm(&bench, waiting).await,
        None,
        "the operator's word is newer"
    );
    assert!(bench.store.errands_due(10).await.expect("reads").is_empty());
}

/// The undo link of the notice that waits.
async fn undo_link(bench: &Bench) -> Id {
    let errands = bench.store.errands_due(100).await.expect("reads");
    let undo = |what| match what {
        ErrandKind::Redirected(pending, _) => Some(pending.id),
        _ => None,
    };
    errands
        .into_iter()
        .find_map(|e| undo(e.what))
        .expect("a notice")
}

#[tokio::test]
async fn a_long_stop_of_letters_takes_nothing_off_the_life_of_a_link() {
    let bench = Bench::new();
    ask(&bench, OWNER, redirect(TARGET)).await;
    bench.pass(20 * DAY);
    bench.store.tidy().await.expect("tidies");
    let errand = bench.store.errands_due(1).await.expect("reads").remove(0);
    let ErrandKind::Confirm(pending, _) = errand.what else {
        panic!("{errand:?}");
    };
    let mail = OwnMessage {
        kind: Kind::Letter,
        to: errand.to,
        bytes: b"\r\n".to_vec(),
    };
    let done = bench.store.errand_done(errand.id, mail).await;
    assert!(done.expect("written").is_some());
    bench.pass(6 * DAY);
    assert_eq!(confirm(&bench, pending.id).await, Some(Confirmed::Done(0)));
}
