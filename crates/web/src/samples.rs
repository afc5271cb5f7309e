//! Made-up facts, with which every page is rendered once at start: a template that names what does
//! not exist is found then, not by a visitor. The tests use them too.

use std::net::{IpAddr, Ipv4Addr};

use posthouse_hook::facts::Scans;
use posthouse_hook::{
    Column, ForwardPath, Id, Judgement, Origin, ReversePath, Row, Scan, Scanned, Spf, Timestamp,
    Trail, Vouched,
};
use posthouse_store::{Address, Item, ItemRecipient, Kind, Letters, State};

use crate::fault::Fault;
use crate::letters;
use crate::message;
use crate::pages::Site;
use crate::preview;
use crate::recipient;
use crate::sender::{self, Choice};
use crate::templates::{TemplateError, Templates};

const MESSAGE: &[u8] = b"From: Ann <ann@x.example>\r\nTo: bob@y.example\r\nSubject: Hello\r\n\
    Date: Fri, 20 Nov 2026 06:48:00 +0000\r\n\r\nHello Bob.\r\n";
const NOW: Timestamp = Timestamp(1_795_157_280_000);
const ADDRESSES: [&str; 3] = ["first@y.example", "second@y.example", "third@z.example"];

/// Renders every page in every state that its template tells apart.
pub(crate) fn render_all(templates: &Templates, site: &Site) -> Result<(), TemplateError> {
    render_faults(templates, site)?;
    render_sender(templates, site)?;
    render_recipient(templates, site)?;
    templates.render("home.html", site, &serde_json::json!({}))?;
    Ok(())
}

fn render_faults(templates: &Templates, site: &Site) -> Result<(), TemplateError> {
    use Fault::{BadForm, Failing, Foreign, Method, NotFound, TooLarge, TooSlow};
    for fault in [
        BadForm, Foreign, NotFound, Method, TooLarge, TooSlow, Failing,
    ] {
        templates.render("fault.html", site, &serde_json::json!({ "fault": fault }))?;
    }
    Ok(())
}

fn render_sender(templates: &Templates, site: &Site) -> Result<(), TemplateError> {
    use Choice::{Capped, Nothing, Operator, Release};
    let states = State::ALL.into_iter().map(|state| vec![state]);
    let mixed = vec![State::Delivered, State::Failed, State::Held];
    for states in states.chain([mixed]) {
        for choice in [Nothing, Release, Operator, Capped] {
            let reading = preview::read(MESSAGE, 10_000);
            let view =
                sender::View::of(&item(&states), choice, NOW, NOW).with_reading(Some(reading));
            templates.render("sender.html", site, &view)?;
        }
    }
    let mut bare = item(&[]);
    bare.judgement = None;
    let mut unscanned = item(&[State::Held]);
    unscanned.judgement = Some(Judgement {
        spam: false,
        ..judgement()
    });
    for item in [bare, unscanned] {
        let view = sender::View::of(&item, Nothing, NOW, NOW);
        templates.render("sender.html", site, &view)?;
    }
    Ok(())
}

fn render_recipient(templates: &Templates, site: &Site) -> Result<(), TemplateError> {
    let held = item(&[State::Held]);
    for letters in [Letters::On, Letters::Stopped, Letters::Failed] {
        let mut address = address(ADDRESSES[0]);
        address.letters = letters;
        for items in [&[][..], std::slice::from_ref(&held)] {
            let view = recipient::View::of(&address, items, "/a/x", NOW);
            templates.render("recipient.html", site, &view)?;
        }
        let view = letters::View::of(&address, letters);
        templates.render("letters.html", site, &view)?;
    }
    for reading in [None, Some(preview::read(MESSAGE, 10_000))] {
        let view = message::View {
            message: recipient::Row::of(&held, NOW),
            path: "/a/x".to_owned(),
            form: "x".to_owned(),
            reading,
        };
        templates.render("message.html", site, &view)?;
    }
    Ok(())
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
    }
}

pub(crate) fn judgement() -> Judgement {
    let found = [
        Scanned::Spam,
        Scanned::Clean,
        Scanned::Unscanned("too large".to_owned()),
    ];
    let scans = found.map(|found| Scan {
        scanner: "spamassassin".to_owned(),
        found,
        score: Some(15.3),
        limit: Some(5.0),
        tests: vec!["GTUBE".to_owned()],
    });
    Judgement {
        ours: false,
        sender: ReversePath::from_address("ann@x.example").expect("an address"),
        origin: Origin::Unknown,
        spf: Spf::Pass,
        column: Column::Vouched(Vouched::Spf),
        rows: vec![Row::Other],
        scans: Scans(scans.to_vec()),
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
    }
}

/// A forward-path that is known to be one.
pub(crate) fn forward_path(address: &str) -> ForwardPath {
    ForwardPath::from_address(address).expect("an address")
}
