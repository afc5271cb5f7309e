//! People at a relay's site: mail that is held for them, where they redirect it, and which targets
//! are filtered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use posthouse_hook::facts::Scans;
use posthouse_hook::{
    Clock as _, Column, Commit as _, Content, ForwardPath, Header, Id, Judgement, Kept,
    LookupError, Message, Origin, Outcome, Recipient, Refusal, ReversePath, Row, Rows, Scan,
    Scanned, Session, Spf, SystemClock, Transaction, Vouched, Why,
};
use posthouse_store::{Actor, Done, RecipientChoice, Released, Selection, State, Who};

use crate::relay_site::Site;

/// The rows of domains as a test tells them; every other one is not filtered.
#[derive(Clone, Default)]
pub(crate) struct RowTable(Arc<Mutex<HashMap<String, Told>>>);

/// What the table says of a domain.
#[derive(Clone, Copy)]
pub(crate) enum Told {
    Filtered,
    NoAnswer,
    /// The lookup never ends.
    Hangs,
    Panics,
}

impl RowTable {
    pub(crate) fn tell(&self, domain: &str, told: Told) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.insert(domain.to_owned(), told);
    }
}

#[async_trait]
impl Rows for RowTable {
    async fn row(&self, to: &ForwardPath) -> Result<Row, LookupError> {
        let domain = to.domain().map(ToString::to_string).unwrap_or_default();
        let told = {
            let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            table.get(&domain).copied()
        };
        match told {
            None => Ok(Row::Other),
            Some(Told::Filtered) => Ok(Row::Filtered),
            Some(Told::NoAnswer) => Err(LookupError::Temporary("SERVFAIL".to_owned())),
            Some(Told::Hangs) => std::future::pending().await,
            Some(Told::Panics) => panic!("a table of the test, as it was told"),
        }
    }
}

pub(crate) fn path(address: &str) -> ForwardPath {
    ForwardPath::from_address(address).expect("an address")
}

fn operator() -> Actor {
    Actor::local(Who::Operator)
}

pub(crate) fn all_of(item: Id) -> Selection {
    Selection {
        item,
        addresses: Vec::new(),
    }
}

impl Site {
    /// A recipient redirects all mail, or ends that; gives how many held copies went along.
    pub(crate) fn redirect(&self, owner: &str, target: Option<&str>) -> usize {
        let choice = target.map_or(RecipientChoice::Hold, |target| {
            RecipientChoice::Redirect(path(target))
        });
        let set = self
            .store
            .set_recipient(owner.to_owned(), choice, operator());
        self.block_on(set).expect("the store works")
    }

    /// Lets go what is held of a message.
    pub(crate) fn release(&self, item: Id) -> usize {
        let released = self.store.release(all_of(item), None, operator());
        match self.block_on(released).expect("the store works") {
            Released::Done(Done { changed, .. }) => changed,
            Released::Capped(cap) => panic!("{cap}"),
        }
    }

    /// Makes what is deferred due now.
    pub(crate) fn retry(&self, item: Id) {
        let retried = self.store.retry(all_of(item), operator());
        assert_ne!(self.block_on(retried).expect("the store works").changed, 0);
    }

    /// Where the copies of a message stand; none if it is forgotten.
    pub(crate) fn states(&self, item: Id) -> Vec<State> {
        let item = self.block_on(self.store.item(item)).expect("readable");
        let copies = item.map(|item| item.recipients).unwrap_or_default();
        copies.iter().map(|copy| copy.state).collect()
    }

    /// A message of a sender who is vouched for, in the quarantine for a filtered address.
    pub(crate) fn hold(&self, to: &str, subject: &str) -> Id {
        let now = SystemClock.now();
        let ids = self.store.ids();
        let client = ([192, 0, 2, 1], 4711).into();
        let session = Session::new(ids.next(now), client, client, now);
        let from = ReversePath::from_address("eve@e.example").expect("valid");
        let mut tx = Transaction::new(ids.next(now), now, from.clone());
        tx.recipients.push(Recipient::new(path(to)));
        let bytes = format!("From: Eve <eve@e.example>\r\nSubject: {subject}\r\n\r\nspam\r\n");
        let bytes = Bytes::from(bytes);
        tx.message = Message {
            header: Arc::new(Header::parse(bytes.clone())),
            content: Content::Memory(bytes),
        };
        tx.notes.put(judgement(&tx, from));
        let outcome = Outcome::Refused {
            refusal: Refusal::policy("held"),
            kept: vec![Kept::Held(Why::Spam(Row::Filtered))],
        };
        let commit = self.store.commit(&session, &tx, &outcome);
        self.block_on(commit).expect("the store works").id
    }
}

/// Each message is one of its own.
fn judgement(tx: &Transaction, sender: ReversePath) -> Judgement {
    let mut identity = [0; 32];
    identity[..8].copy_from_slice(&tx.id.0.to_be_bytes());
    Judgement {
        ours: false,
        sender,
        origin: Origin::Unknown,
        spf: Spf::Pass,
        column: Column::Vouched(Vouched::Spf),
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
    }
}
