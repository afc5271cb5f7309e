//! Made-up facts for the sender's pages, and for the pages that need no list.

use std::time::Duration;

use posthouse_hook::Id;
use posthouse_store::{
    Item, Objection, Owner, Pending, RecipientChoice, ReleaseCaps, Sender, SenderChoice, State,
};

use super::{ADDRESSES, LATER, NOW, address, copy, forward_path, item};
use crate::confirm::{self, Hindrance};
use crate::home;
use crate::manage;
use crate::rules::{Rules, SelfRelease};
use crate::sender::{Own, Word};

const OBJECTIONS: [Objection; 7] = [
    Objection::Itself,
    Objection::Chain,
    Objection::Filtered,
    Objection::OwnerCap,
    Objection::TargetCap,
    Objection::TotalCap,
    Objection::NoAddress,
];

pub(super) fn homes() -> impl Iterator<Item = home::View> {
    [None, Some(home::Done::Asked)].into_iter().map(|done| {
        let form = "x".to_owned();
        home::View { form, done }
    })
}

/// Every choice, waiting, done, overtaken and hindered.
pub(super) fn confirms() -> impl Iterator<Item = confirm::View> {
    let target = RecipientChoice::Redirect(forward_path(ADDRESSES[2]));
    let recipients = [RecipientChoice::Hold, RecipientChoice::Discard, target]
        .map(|choice| Owner::Recipient(address(ADDRESSES[0]), choice));
    let senders = SenderChoice::ALL.map(|choice| Owner::Sender(sender(ADDRESSES[0]), choice));
    let hindrances = OBJECTIONS.map(|why| Some(Hindrance::Objection(why)));
    let hindrances = hindrances
        .into_iter()
        .chain([Some(Hindrance::Lookup), None]);
    let hindrances: Vec<_> = hindrances.collect();
    recipients
        .into_iter()
        .chain(senders)
        .flat_map(move |owner| {
            let done = Pending {
                done_at: Some(NOW),
                ..pending(owner.clone())
            };
            let waits = hindrances.clone().into_iter();
            let views = waits.map(move |why| confirm::View::of(&pending(owner.clone()), why, NOW));
            views.chain([confirm::View::of(&done, None, NOW)])
        })
}

pub(super) fn manages() -> Vec<manage::View> {
    let mut crowded = item(&[State::Held; 3]);
    crowded
        .recipients
        .push(copy(Id(4), ADDRESSES[0], State::Held));
    crowded.subject = String::new();
    let unjudged = Item {
        judgement: None,
        ..item(&[State::Held])
    };
    let settled = [item(&[State::Delivered, State::Failed]), crowded.clone()];
    let lists = [
        vec![],
        vec![item(&[State::Held]), unjudged],
        vec![crowded; manage::PAGE + 1],
    ];
    let mut views = Vec::new();
    for (items, settled) in lists.iter().zip([&settled[..], &[], &settled]) {
        for (text, before) in [(None, None), (Some("x"), None), (None, Some(Id(9)))] {
            let view = manage::View::of(&sender(ADDRESSES[0]), items, &rules(), NOW);
            let view = view.with_settled(settled, NOW);
            views.push(view.with_place("/m/x", text, before));
        }
    }
    let empty = || manage::View::of(&sender(ADDRESSES[0]), &[], &rules(), NOW);
    views.extend([SenderChoice::Refuse, SenderChoice::Discard].map(|choice| {
        let waits = pending(Owner::Sender(sender(ADDRESSES[0]), choice));
        empty().with_waiting(Some(&waits), NOW)
    }));
    let said = Word::ALL.map(|word| empty().with_said(Some(word), None));
    views.extend(said);
    views.extend(OBJECTIONS.map(|why| empty().with_said(None, Some(why))));
    views
}

/// Senders with every choice.
pub(super) fn people() -> impl Iterator<Item = Own> {
    SenderChoice::ALL.into_iter().map(|choice| {
        let sender = Sender {
            choice,
            ..sender(ADDRESSES[0])
        };
        Own::of(&sender, NOW)
    })
}

/// A sender who once chose to be refused.
pub(crate) fn sender(address: &str) -> Sender {
    Sender {
        id: Id(6),
        address: address.to_owned(),
        choice: SenderChoice::Refuse,
        chosen_at: Some(NOW),
    }
}

/// A choice that waits.
pub(crate) fn pending(owner: Owner) -> Pending {
    Pending {
        id: Id(7),
        owner,
        mailed: ADDRESSES[0].to_owned(),
        made_at: NOW,
        ends_at: LATER,
        done_at: None,
    }
}

/// Rules that let every sender who is vouched for release.
pub(crate) fn rules() -> Rules {
    Rules {
        self_release: vec![SelfRelease::Ours, SelfRelease::Spf],
        caps: ReleaseCaps::default(),
        recipient_releases: None,
        retention: Duration::from_secs(30 * 86_400),
    }
}
