//! Erasing an address: nothing names it afterwards, nobody else loses anything, and what is on its
//! way arrives.

use std::fs;
use std::path::Path;

use posthouse_hook::{ForwardPath, Id};
use posthouse_store::{
    Actor, AttemptResult, Erased, LetterCaps, RecipientChoice, ReleaseCaps, SenderChoice, State,
    Who, Wish,
};

use crate::bench::{Bench, DAY, all, operator};

const ANN: &str = "ann@isp.example";
const BOB: &str = "bob@f.example";

impl Bench {
    async fn erase(&self, address: &str) -> Erased {
        let address = ForwardPath::from_address(address).expect("an address");
        self.store
            .erase(&address, operator())
            .await
            .expect("erased")
    }

    /// Every file of the ledger and the spool that has these octets, in any case.
    fn files_with(&self, wanted: &str) -> Vec<String> {
        let mut found = Vec::new();
        search(self.dir.path(), wanted, &mut found);
        found
    }
}

fn search(dir: &Path, wanted: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            search(&path, wanted, found);
            continue;
        }
        let octets = fs::read(&path).expect("a file");
        let text = String::from_utf8_lossy(&octets).to_ascii_lowercase();
        if text.contains(&wanted.to_ascii_lowercase()) {
            found.push(path.display().to_string());
        }
    }
}

fn mail(n: usize, size: usize) -> String {
    let line = format!("{n} writes Ann@isp.example to BOB@f.example\r\n");
    let lines = line.repeat(size / line.len());
    format!("From: {ANN}\r\nTo: {BOB}\r\nSubject: {n} to {BOB}\r\n\r\n{lines}")
}

/// Much about Ann and Bob: rows, files, letters, caps, looks, attempts.
async fn lived_in(bench: &Bench) -> Vec<Id> {
    let mut ids = Vec::new();
    for (n, size) in [100, 800, 40_000, 100_000].into_iter().enumerate() {
        ids.push(bench.hold(ANN, &[BOB], &mail(n, size)).await.id);
    }
    let srs = "SRS0=aa=AA=isp.example=ann@f.example";
    ids.push(bench.hold_as(srs, ANN, &["Bob@F.example"], "x").await.id);
    let caps = ReleaseCaps::default();
    let released = bench.store.release(all(ids[0]), Some(caps), operator());
    released.await.expect("released");
    bench.settle_all(AttemptResult::Delivered).await;
    bench.send_letters(&LetterCaps::default()).await;
    let owner = bench
        .store
        .address(BOB)
        .await
        .expect("reads")
        .expect("a row");
    let by = Actor {
        who: Who::Recipient,
        from: Some([203, 0, 113, 77].into()),
    };
    bench
        .store
        .stop_letters(owner.id, by)
        .await
        .expect("stopped");
    ids
}

#[tokio::test]
async fn nothing_names_an_address_that_was_erased() {
    for address in [ANN, BOB] {
        // One of the bodies takes pages of its own, another is a file.
        let bench = Bench::with(|settings| settings.spool_threshold = 50_000);
        lived_in(&bench).await;
        assert!(!bench.files_with(address).is_empty());
        let receipt = bench.erase(address).await;
        assert_eq!(bench.files_with(address), [""; 0], "{address}");
        assert_eq!(receipt.erased["held copies"], 4, "{receipt:?}");
        assert_eq!(receipt.erased["past copies"], 1, "{receipt:?}");
        assert_eq!(
            receipt.erased["messages"],
            5 + usize::from(address == BOB),
            "{receipt:?}"
        );
        let counts = receipt.erased.contains_key("counts");
        assert_eq!(
            counts,
            address == ANN,
            "caps are counted by sender: {receipt:?}"
        );
        assert_eq!((receipt.waiting, receipt.shared), (0, 0));
        let audit = bench.store.audit(receipt.receipt).await.expect("reads");
        assert_eq!((audit.len(), audit[0].event.as_str()), (1, "erase"));
        assert_eq!(
            bench.erase(address).await.erased.len(),
            0,
            "nothing is left"
        );
    }
}

/// From where somebody pressed a button is stored about them too.
#[tokio::test]
async fn the_audit_keeps_what_was_done_and_not_from_where() {
    let bench = Bench::new();
    lived_in(&bench).await;
    let owner = bench
        .store
        .address(BOB)
        .await
        .expect("reads")
        .expect("a row");
    bench.erase(BOB).await;
    assert_eq!(bench.files_with("203.0.113.77"), [""; 0]);
    let audit = bench.store.audit(owner.id).await.expect("reads");
    assert_eq!(audit.last().map(|l| l.who.as_str()), Some("recipient link"));
}

#[tokio::test]
async fn other_peoples_copies_stay() {
    let bench = Bench::new();
    let to = ["carl@f.example", BOB, "dora@f.example"];
    let item = bench
        .hold("eve@isp.example", &to, "Subject: x\r\n\r\nhi")
        .await
        .id;
    let receipt = bench.erase(BOB).await;
    assert_eq!((receipt.erased["held copies"], receipt.shared), (1, 1));
    assert_eq!(bench.states(item).await, [State::Held; 2]);
    assert!(bench.store.content(item).await.expect("reads").is_some());
    assert_eq!(bench.files_with(BOB), [""; 0]);
    let kept = bench.store.item(item).await.expect("reads").expect("kept");
    assert_eq!(kept.recipients[1].address.address(), "dora@f.example");
    let receipt = bench.erase("eve@isp.example").await;
    assert_eq!(
        receipt.erased["held copies"], 2,
        "the sender's are all of them"
    );
    assert!(bench.store.content(item).await.expect("reads").is_none());
}

/// A promise is kept, and then its rows go too.
#[tokio::test]
async fn what_is_on_its_way_arrives_and_goes_then() {
    for address in [ANN, BOB] {
        let bench = Bench::new();
        let to = [BOB, "carl@f.example"];
        let held = bench.hold(ANN, &to, "Subject: x\r\n\r\nhi").await.id;
        bench.relay(&["fred@x.example"], "y").await;
        let mut what = all(held);
        what.addresses.push(BOB.to_owned());
        let released = bench.store.release(what, None, operator());
        released.await.expect("released");
        let receipt = bench.erase(address).await;
        assert_eq!(receipt.waiting, 1, "{receipt:?}");
        let claimed = bench.claim().await;
        let mut bodies = Vec::new();
        for message in &claimed {
            bodies.push(message.content.head(99).await.expect("reads"));
        }
        bodies.sort();
        let want: [&[u8]; 2] = [b"Subject: x\r\n\r\nhi", b"y"];
        let sent_by_ann = claimed.iter().any(|m| m.reverse_path.address() == ANN);
        assert_eq!(bodies, want, "it is relayed whole");
        assert!(sent_by_ann, "from whom it came");
        for message in claimed {
            let done = crate::bench::attempt(message.recipients[0].id, AttemptResult::Delivered);
            bench
                .store
                .settle(vec![done], Vec::new())
                .await
                .expect("settled");
        }
        bench.store.tidy().await.expect("tidied");
        let rest = bench.states(held).await;
        let carl: &[State] = if address == BOB { &[State::Held] } else { &[] };
        assert_eq!(rest, carl);
        bench.pass(DAY);
        bench.erase("nobody@nowhere.example").await;
        assert_eq!(bench.files_with(address), [""; 0], "{address}");
    }
}

/// Choices, what waits for a confirmation, mail that is still to be written, redirects of others.
#[tokio::test]
async fn choices_go_and_nobody_redirects_to_whom_was_erased() {
    const HOME: &str = "bob@home.example";
    let target = || RecipientChoice::Redirect(ForwardPath::from_address(HOME).expect("valid"));
    for address in [BOB, HOME, ANN] {
        let bench = Bench::new();
        let store = &bench.store;
        let held = bench.hold(ANN, &[BOB], "x").await.id;
        store
            .ask_operator(held, &format!("I am {ANN}, for {BOB}"), operator())
            .await
            .expect("asked");
        let owner = store.address(BOB).await.expect("reads").expect("a row");
        store
            .ask_choice(Wish::Recipient(owner.id, target()), None, operator())
            .await
            .expect("asked");
        let quiet = Wish::Sender(ANN.to_owned(), SenderChoice::Discard);
        store
            .ask_choice(quiet, None, operator())
            .await
            .expect("asked");
        store
            .set_recipient(BOB.to_owned(), target(), operator())
            .await
            .expect("set");
        store
            .set_sender(ANN.to_owned(), SenderChoice::Refuse, operator())
            .await
            .expect("set");
        bench.settle_all(AttemptResult::Delivered).await;
        assert!(!bench.files_with(address).is_empty());
        bench.erase(address).await;
        assert_eq!(bench.files_with(address), [""; 0], "{address}");
        let choices = store.choices();
        let bob = ForwardPath::from_address(BOB).expect("valid");
        assert_eq!(choices.of_sender(ANN) == SenderChoice::Hold, address == ANN);
        let holds = *choices.of_recipient(&bob) == RecipientChoice::Hold;
        assert_eq!(holds, address != ANN, "{address}");
    }
}
