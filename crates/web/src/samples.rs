//! Made-up facts, with which every page is rendered once at start: a template that names what does
//! not exist is found then, not by a visitor. The tests use them too.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use posthouse_hook::facts::Scans;
use posthouse_hook::{
    Column, ForwardPath, Id, Judgement, Language, Origin, ReversePath, Row, Scan, Scanned, Spf,
    Timestamp, Trail, Vouched,
};
use posthouse_store::{
    Address, Audited, Item, ItemRecipient, Kind, Letters, Objection, Owner, Pending,
    RecipientChoice, State, Who,
};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::letters;
use crate::message::{self, Fate};
use crate::pages::Site;
use crate::preview::{self, Reading, Source};
use crate::recipient::{self, Done, Part, Standing};
use crate::sender::{self, Choice, Word, examples};
use crate::templates::{TemplateError, Templates};

#[cfg(test)]
pub(crate) use self::outgoing::{pending, rules, sender};

mod outgoing;

const MESSAGE: &[u8] = b"From: Ann <ann@x.example>\r\nTo: bob@y.example\r\nSubject: Hello\r\n\
    Date: Fri, 20 Nov 2026 06:48:00 +0000\r\n\r\nHello Bob.\r\n";
const NOW: Timestamp = Timestamp(1_795_157_280_000);
const LATER: Timestamp = Timestamp(1_797_749_280_000);
const ADDRESSES: [&str; 3] = ["first@y.example", "second@y.example", "third@z.example"];

/// Renders every page in every state that its template tells apart, in every language.
pub(crate) fn render_all(templates: &Templates, site: &Site) -> Result<(), TemplateError> {
    for (template, view) in views() {
        for language in Language::ALL {
            templates.render(template, language, site, &view)?;
        }
    }
    Ok(())
}

/// Every template with a view for each of the states that it tells apart.
pub(crate) fn views() -> Vec<(&'static str, Value)> {
    let mut views: Vec<(&str, Value)> = Vec::new();
    views.extend(outgoing::homes().map(|view| ("home.html", json!(view))));
    views.extend(outgoing::confirms().map(|view| ("confirm.html", json!(view))));
    views.extend(
        outgoing::manages()
            .into_iter()
            .map(|view| ("manage.html", json!(view))),
    );
    views.extend(faults().map(|view| ("fault.html", view)));
    views.extend(
        senders()
            .into_iter()
            .map(|view| ("sender.html", json!(view))),
    );
    views.extend(
        recipients()
            .into_iter()
            .map(|view| ("recipient.html", json!(view))),
    );
    views.extend(stops().map(|view| ("letters.html", json!(view))));
    views.extend(
        messages()
            .into_iter()
            .map(|view| ("message.html", json!(view))),
    );
    views
}

fn faults() -> impl Iterator<Item = Value> {
    use Fault::{BadForm, Failing, Foreign, Method, NotFound, TooLarge, TooSlow};
    let all = [
        BadForm, Foreign, NotFound, Method, TooLarge, TooSlow, Failing,
    ];
    all.into_iter().map(|fault| json!({ "fault": fault }))
}

fn senders() -> Vec<sender::View> {
    use Choice::{Capped, Nothing, Operator, Release};
    let mut views = Vec::new();
    let states = State::ALL.into_iter().map(|state| vec![state]);
    let mixed = vec![State::Delivered, State::Failed, State::Discarded];
    for states in states.chain([mixed]) {
        for (choice, reading) in [Nothing, Release, Operator, Capped]
            .into_iter()
            .zip(readings())
        {
            let view = sender::View::of(&item(&states), choice, LATER, NOW);
            views.push(view.with_reading(reading));
        }
    }
    let mut bare = item(&[State::Held]);
    bare.judgement = None;
    bare.subject = String::new();
    let mut unscanned = item(&[State::Held]);
    unscanned.judgement = Some(Judgement {
        spam: false,
        ..judgement()
    });
    views.extend([bare, unscanned].map(|item| sender::View::of(&item, Nothing, NOW, NOW)));
    let mut dropped = item(&[State::Discarded]);
    "discarded: recipient link".clone_into(&mut dropped.recipients[0].said);
    views.push(sender::View::of(&dropped, Nothing, NOW, NOW).with_list(Some("/m/x".to_owned())));
    views.extend(outgoing::people().map(|own| {
        let view = sender::View::of(&item(&[State::Held]), Operator, LATER, NOW);
        let asked = view.with_request(Some(NOW), Duration::ZERO, NOW);
        asked
            .with_own(Some(own))
            .with_said(Some(Word::Unsure), Some(Objection::OwnerCap))
    }));
    views
}

fn recipients() -> Vec<recipient::View> {
    let mut unnamed = item(&[State::Held]);
    unnamed.subject = String::new();
    let lists = [
        vec![],
        vec![item(&[State::Held])],
        vec![unnamed; recipient::PAGE + 1],
    ];
    let parts = [
        (None, None),
        (Some(Id(1)), None),
        (None, Some("boat".to_owned())),
    ];
    let mut parts = parts.into_iter().cycle();
    let mut done = Done::ALL.map(|(done, _)| Some(done)).into_iter();
    let mut views = Vec::new();
    for (address, items) in choosers().iter().cycle().zip(lists.iter().cycle()).take(30) {
        for waiting in waiting(address) {
            let (before, sought) = parts.next().unwrap_or_default();
            let standing = Standing::of(address, waiting.as_ref(), 2, NOW);
            let view = recipient::View::of(address, items, "/a/x", NOW);
            let view = view.at(Part { before, sought }).with_standing(standing);
            views.push(view.with_form("x".to_owned(), done.next().flatten()));
        }
    }
    views
}

/// Addresses whose owners have chosen everything that can be chosen.
fn choosers() -> Vec<Address> {
    let redirect = RecipientChoice::Redirect(forward_path(ADDRESSES[2]));
    let chosen = [redirect, RecipientChoice::Discard].map(|choice| Address {
        choice,
        chosen_at: Some(NOW),
        interval_days: Some(10),
        language: Some(Language::De),
        ..address(ADDRESSES[0])
    });
    addresses().into_iter().chain(chosen).collect()
}

/// What can wait to be confirmed.
fn waiting(owner: &Address) -> [Option<Pending>; 3] {
    let pending = |choice| {
        Some(Pending {
            id: Id(6),
            owner: Owner::Recipient(owner.clone(), choice),
            mailed: ADDRESSES[2].to_owned(),
            made_at: NOW,
            ends_at: LATER,
            done_at: None,
        })
    };
    let redirect = RecipientChoice::Redirect(forward_path(ADDRESSES[2]));
    [None, pending(redirect), pending(RecipientChoice::Discard)]
}

fn stops() -> impl Iterator<Item = letters::View> {
    addresses()
        .into_iter()
        .map(|address| letters::View::of(&address, address.letters))
}

fn messages() -> Vec<message::View> {
    let mut views = Vec::new();
    for reading in readings() {
        let mut item = item(&[State::Held]);
        item.subject.truncate(if reading.is_some() { 5 } else { 0 });
        for capped in [false, true] {
            views.push(message::View {
                reading: reading.clone(),
                releases: NonZeroU32::new(3),
                capped,
                ..message_view(&item, None)
            });
        }
    }
    let gone = fates().into_iter().map(Some);
    views.extend(gone.map(|fate| message_view(&item(&[State::Held]), fate)));
    views
}

fn message_view(item: &Item, fate: Option<Fate>) -> message::View {
    message::View {
        message: recipient::Row::of(item, NOW),
        address: ADDRESSES[0].to_owned(),
        path: "/a/x".to_owned(),
        form: "x".to_owned(),
        fate,
        releases: None,
        capped: false,
        reading: None,
    }
}

/// Every end of a copy.
fn fates() -> Vec<Fate> {
    let mut fates = Vec::new();
    for state in State::ALL {
        for who in [Who::Recipient, Who::Sender, Who::Operator, Who::Chain] {
            let mut copy = copy(Id(1), ADDRESSES[0], state);
            let audit = ["discard", "release"].map(|event| audited(event, who));
            fates.extend(Fate::of(&copy, &audit, NOW));
            copy.redirected = true;
            fates.extend(Fate::of(&copy, &audit, NOW));
        }
    }
    fates
}

fn audited(event: &str, who: Who) -> Audited {
    Audited {
        at: NOW,
        subject: Id(1),
        event: event.to_owned(),
        state: String::new(),
        who: who.name().to_owned(),
        detail: String::new(),
    }
}

/// What [`preview::read`] comes to, in all its kinds.
fn readings() -> [Option<Reading>; 4] {
    let whole = preview::read(MESSAGE, MESSAGE.len() as u64);
    let kind = |source, cut, name: &str| {
        Some(Reading {
            source,
            cut,
            attachments: vec![name.to_owned()],
            ..whole.clone()
        })
    };
    [
        kind(Source::Html, true, "a.exe"),
        kind(Source::Nothing, true, ""),
        kind(Source::Nothing, false, ""),
        None,
    ]
}

/// Addresses whose letters stand in every way.
fn addresses() -> Vec<Address> {
    let standing = [Letters::On, Letters::Stopped, Letters::Failed];
    let mut addresses: Vec<_> = standing
        .map(|letters| Address {
            letters,
            ..address(ADDRESSES[0])
        })
        .into();
    addresses.push(Address {
        last_letter: None,
        ..address(ADDRESSES[0])
    });
    addresses
}

/// A refused message with copies in these states, at most three.
pub(crate) fn item(states: &[State]) -> Item {
    let copies = states.iter().zip(ADDRESSES).zip(1..);
    Item {
        id: Id(17),
        received_at: NOW,
        reverse_path: ReversePath::from_address("ann@x.example").expect("an address"),
        client: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        helo: "pc.x.example".to_owned(),
        size: 12_345,
        from: "Ann <ann@x.example>".to_owned(),
        subject: "Hello".to_owned(),
        date: "Fri, 20 Nov 2026 06:48:00 +0000".to_owned(),
        refused: true,
        judgement: Some(judgement()),
        trail: Trail::default(),
        recipients: copies.map(|((s, a), id)| copy(Id(id), a, *s)).collect(),
    }
}

fn copy(id: Id, address: &str, state: State) -> ItemRecipient {
    ItemRecipient {
        id,
        address: forward_path(address),
        state,
        row: Some(Row::Other),
        kind: Kind::Released,
        attempts: 1,
        next_attempt: Some(NOW),
        said: "250 2.0.0 OK".to_owned(),
        changed_at: NOW,
        redirected: false,
    }
}

pub(crate) fn judgement() -> Judgement {
    let scan = |found: &Scanned, score, limit| Scan {
        scanner: "spamassassin".to_owned(),
        found: found.clone(),
        score,
        limit,
        action: None,
        tests: std::iter::once("A_TEST_OF_OUR_OWN".to_owned())
            .chain(examples())
            .collect(),
    };
    let unscanned = Scanned::Unscanned("too large".to_owned());
    let mut scans = Vec::new();
    for found in [Scanned::Spam, Scanned::Clean, unscanned] {
        scans.push(scan(&found, Some(15.3), Some(5.0)));
        scans.push(scan(&found, Some(15.3), None));
        scans.push(scan(&found, None, None));
    }
    Judgement {
        ours: false,
        sender: ReversePath::from_address("ann@x.example").expect("an address"),
        origin: Origin::Unknown,
        spf: Spf::Pass,
        column: Column::Vouched(Vouched::Spf),
        rows: vec![Row::Other],
        scans: Scans(scans),
        identity: Some([0; 32]),
        spam: true,
    }
}

/// An address for which letters are on.
pub(crate) fn address(address: &str) -> Address {
    Address {
        id: Id(5),
        address: address.to_owned(),
        letters: Letters::On,
        last_letter: Some(NOW),
        choice: RecipientChoice::Hold,
        chosen_at: None,
        interval_days: None,
        language: None,
    }
}

/// A forward-path that is known to be one.
pub(crate) fn forward_path(address: &str) -> ForwardPath {
    ForwardPath::from_address(address).expect("an address")
}

#[cfg(test)]
mod tests;
