//! The manage page: all that is held of one sender; search, release, discard, the standing choice.
//!
//! Its link was mailed to the sender's own address. Each message is released by the rules of its own
//! page; an id that is not this sender's changes nothing.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::IntoResponse as _;
use hyper::{HeaderMap, StatusCode};
use posthouse_hook::Id;
use posthouse_store::{
    Filter, Item, Objection, Proven, Sender, SenderChoice, State as CopyState, StoreError,
};
use serde::Deserialize;

use self::deed::Deed;
pub(crate) use self::view::{PAGE, SETTLED, View};
use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::pages::{Pages, see_other};
use crate::sender::{Came, Choice, Word, ask_choice, discard, release, sender_of};
use crate::visit::Visit;

mod deed;
mod view;

/// Longest text to search for, in characters.
const MAX_SEARCH: usize = 100;

/// Which part of the list is wanted, and what was done just before.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    before: Option<Id>,
    text: Option<String>,
    done: Option<Word>,
}

impl Wanted {
    /// The text to search for; none if there is nothing in it.
    fn text(&self) -> Option<String> {
        let text: String = self
            .text
            .as_deref()?
            .trim()
            .chars()
            .take(MAX_SEARCH)
            .collect();
        (!text.is_empty()).then_some(text)
    }
}

/// `GET /m/TOKEN`.
pub(crate) async fn show(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Answer {
    let sender = sender_behind(&pages, &visit).await?;
    let Query(wanted) = wanted.map_err(|_| Fault::BadForm)?;
    pages.looked(&visit, sender.id).await;
    page(&pages, &visit, &sender, &wanted, None).await
}

/// `POST /m/TOKEN`: release or discard what is selected, or change the standing choice.
pub(crate) async fn act(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    headers: HeaderMap,
    posted: Posted,
) -> Answer {
    let sender = sender_behind(&pages, &visit).await?;
    let key = pages.store.link_key();
    let fields = form::proven(posted, &headers, &pages.site.url, key, &visit.claim)?;
    let word = match Deed::read(&fields).ok_or(Fault::BadForm)? {
        Deed::Release(ids) => release_all(&pages, &visit, &sender, &ids).await?,
        Deed::Discard(ids) => discard_all(&pages, &visit, &sender, &ids).await?,
        Deed::Unsure => {
            let wanted = Wanted {
                done: Some(Word::Unsure),
                ..Wanted::default()
            };
            let page = page(&pages, &visit, &sender, &wanted, None).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
        Deed::Choose(choice) => match choose(&pages, &visit, &sender, choice).await? {
            Ok(word) => word,
            Err(objection) => return objected(&pages, &visit, &sender, objection).await,
        },
    };
    Ok(see_other(&format!("{}?done={}", visit.path, word.name())))
}

/// The message, if it is one of those that this sender was told of.
pub(crate) async fn item_from(
    pages: &Pages,
    sender: &Sender,
    id: Id,
) -> Result<Option<Item>, StoreError> {
    let item = pages.store.item(id).await?;
    let own = |item: &Item| item.refused && sender_of(item).eq_ignore_ascii_case(&sender.address);
    Ok(item.filter(own))
}

async fn sender_behind(pages: &Pages, visit: &Visit) -> Result<Sender, Fault> {
    match pages.prove(visit).await? {
        Proven::Manage(sender) => Ok(sender),
        _ => Err(Fault::NotFound),
    }
}

/// Releases one after the other: each by the rules, and under the caps that those before it left.
async fn release_all(
    pages: &Pages,
    visit: &Visit,
    sender: &Sender,
    ids: &[Id],
) -> Result<Word, Fault> {
    let (mut released, mut withheld) = (false, false);
    for id in ids {
        let Some(item) = item_from(pages, sender, *id).await? else {
            continue;
        };
        if Choice::of(&item, &pages.rules) == Choice::Nothing {
            continue;
        }
        match release(pages, visit, &item).await? {
            Came::Released => released = true,
            Came::NotAllowed | Came::Capped => withheld = true,
        }
    }
    Ok(match (released, withheld) {
        (true, true) => Word::ReleasedSome,
        (true, false) => Word::Released,
        (false, true) => Word::Withheld,
        (false, false) => Word::Nothing,
    })
}

async fn discard_all(
    pages: &Pages,
    visit: &Visit,
    sender: &Sender,
    ids: &[Id],
) -> Result<Word, Fault> {
    let mut word = Word::Nothing;
    for id in ids {
        if let Some(item) = item_from(pages, sender, *id).await?
            && discard(pages, visit, &item).await?
        {
            word = Word::Discarded;
        }
    }
    Ok(word)
}

/// Back to the default at once; anything else through a confirm link.
async fn choose(
    pages: &Pages,
    visit: &Visit,
    sender: &Sender,
    choice: SenderChoice,
) -> Result<Result<Word, Objection>, Fault> {
    let waits = pages.store.waiting_choice(sender.id).await?.is_some();
    if choice != SenderChoice::Hold || (sender.choice == choice && !waits) {
        return ask_choice(pages, visit, &sender.address, choice).await;
    }
    let address = sender.address.clone();
    let set = pages.store.set_sender(address, choice, visit.actor());
    set.await?;
    Ok(Ok(Word::Default))
}

async fn objected(pages: &Pages, visit: &Visit, sender: &Sender, why: Objection) -> Answer {
    let page = page(pages, visit, sender, &Wanted::default(), Some(why)).await?;
    Ok((StatusCode::TOO_MANY_REQUESTS, page).into_response())
}

async fn page(
    pages: &Pages,
    visit: &Visit,
    sender: &Sender,
    wanted: &Wanted,
    objection: Option<Objection>,
) -> Answer {
    let text = wanted.text();
    let held = Filter {
        states: vec![CopyState::Held],
        before: wanted.before,
        text: text.clone(),
        limit: PAGE + 1,
        ..Filter::default()
    };
    let held = pages.store.items_from(&sender.address, held).await?;
    let settled = match (wanted.before, &text) {
        (None, None) => settled(pages, sender).await?,
        _ => Vec::new(),
    };
    let waiting = pages.store.waiting_choice(sender.id).await?;
    let view = View::of(sender, &held, &pages.rules, pages.now())
        .with_waiting(waiting.as_ref(), pages.now())
        .with_settled(&settled, pages.now())
        .with_place(&visit.path, text.as_deref(), wanted.before)
        .with_said(wanted.done, objection)
        .with_form(pages.form_token(visit));
    pages.page("manage.html", visit.language, &view)
}

/// The newest messages of this sender of which no copy is held any more.
async fn settled(pages: &Pages, sender: &Sender) -> Result<Vec<Item>, StoreError> {
    let states = CopyState::ALL.into_iter().filter(|s| *s != CopyState::Held);
    let filter = Filter {
        states: states.collect(),
        limit: 2 * SETTLED,
        ..Filter::default()
    };
    let mut items = pages.store.items_from(&sender.address, filter).await?;
    items.retain(|item| item.recipients.iter().all(|r| r.state != CopyState::Held));
    items.truncate(SETTLED);
    Ok(items)
}
