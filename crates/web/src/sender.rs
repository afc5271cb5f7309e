//! The sender's page: one message that was refused and is held; release it, discard it, ask the
//! operator about it, ask for another treatment of such mail. It opens through the link in the
//! refusal, and through a manage link of the same sender.
//!
//! It must never name a cap to the visitor, nor show anything of a recipient's own page, nor change
//! a standing choice: what a refusal carried may be in strange hands.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::IntoResponse as _;
use hyper::{HeaderMap, StatusCode};
use posthouse_hook::ForwardPath;
use posthouse_store::{Asked, Item, Objection, Proven, Released, Selection, SenderChoice, Wish};
use serde::Deserialize;

use self::deed::Deed;
pub(crate) use self::deed::{Word, choice, is_sure};
pub(crate) use self::explain::examples;
pub(crate) use self::view::{Choice, Own, View};
use crate::fault::{Answer, Fault};
use crate::form::{self, Posted};
use crate::manage;
use crate::pages::{Pages, see_other};
use crate::visit::Visit;

mod deed;
mod explain;
mod findings;
mod view;

/// How long a question to the operator stands before it can be asked anew.
const ASK_AGAIN: Duration = Duration::from_secs(3600);

/// What was done just before.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Behind {
    done: Option<Word>,
}

/// `GET /i/TOKEN` and `GET /m/TOKEN/m/ID`.
pub(crate) async fn show(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    behind: Result<Query<Behind>, QueryRejection>,
) -> Answer {
    let place = Place::of(&pages, &visit).await?;
    let Query(behind) = behind.map_err(|_| Fault::BadForm)?;
    pages.looked(&visit, place.item.id).await;
    let said = Said {
        word: behind.done,
        ..Said::default()
    };
    place.page(&pages, &visit, said).await
}

/// `POST` to the same.
pub(crate) async fn act(
    State(pages): State<Arc<Pages>>,
    visit: Visit,
    headers: HeaderMap,
    posted: Posted,
) -> Answer {
    let place = Place::of(&pages, &visit).await?;
    let key = pages.store.link_key();
    let fields = form::proven(posted, &headers, &pages.site.url, key, &visit.claim)?;
    match Deed::read(&fields).ok_or(Fault::BadForm)? {
        Deed::Release => place.release(&pages, &visit).await,
        Deed::Unsure => {
            let said = Said::word(Word::Unsure);
            place
                .refusal(&pages, &visit, StatusCode::UNPROCESSABLE_ENTITY, said)
                .await
        }
        Deed::Discard => {
            let done = pages.store.discard_held(place.all(), visit.actor());
            done.await?;
            Ok(see_other(&place.path))
        }
        Deed::Ask(comment) => place.ask(&pages, &visit, &comment).await,
        Deed::Choose(choice) => place.choose(&pages, &visit, choice).await,
        Deed::MailLink => place.mail_link(&pages, &visit).await,
    }
}

/// What a page says beside the facts.
#[derive(Default)]
struct Said {
    word: Option<Word>,
    objection: Option<Objection>,
    /// Whether a cap was reached just now.
    capped: bool,
}

impl Said {
    fn word(word: Word) -> Self {
        Self {
            word: Some(word),
            ..Self::default()
        }
    }
}

/// One message, and the link behind which it is looked at.
struct Place {
    item: Box<Item>,
    /// The page's own path.
    path: String,
    /// The path of the list that the page belongs to, for a manage link.
    list: Option<String>,
}

impl Place {
    async fn of(pages: &Pages, visit: &Visit) -> Result<Self, Fault> {
        match pages.prove(visit).await? {
            Proven::Item(item) => Ok(Self {
                item,
                path: visit.path.clone(),
                list: None,
            }),
            Proven::Manage(sender) => {
                let id = visit.message.ok_or(Fault::NotFound)?;
                let item = manage::item_from(pages, &sender, id).await?;
                Ok(Self {
                    item: Box::new(item.ok_or(Fault::NotFound)?),
                    path: format!("{}/m/{id}", visit.path),
                    list: Some(visit.path.clone()),
                })
            }
            _ => Err(Fault::NotFound),
        }
    }

    /// Every copy: the page is about the whole message.
    fn all(&self) -> Selection {
        all_of(&self.item)
    }

    fn behind(&self, word: Word) -> axum::response::Response {
        see_other(&format!("{}?done={}", self.path, word.name()))
    }

    /// Releases what is held, if this sender may; otherwise the page says that the operator decides.
    async fn release(&self, pages: &Pages, visit: &Visit) -> Answer {
        match release(pages, visit, &self.item).await? {
            Came::Released => Ok(see_other(&self.path)),
            Came::NotAllowed => {
                self.refusal(pages, visit, StatusCode::FORBIDDEN, Said::default())
                    .await
            }
            Came::Capped => {
                let said = Said {
                    capped: true,
                    ..Said::default()
                };
                self.refusal(pages, visit, StatusCode::TOO_MANY_REQUESTS, said)
                    .await
            }
        }
    }

    /// Asks the operator, if the message is held and was not asked about just now.
    async fn ask(&self, pages: &Pages, visit: &Visit, comment: &str) -> Answer {
        let asked = pages.store.request(self.item.id).await?;
        let recent = asked.is_some_and(|r| pages.now().since(r.at) < ASK_AGAIN);
        if Choice::of(&self.item, &pages.rules) == Choice::Nothing {
            return Ok(see_other(&self.path));
        }
        if !recent {
            let ask = pages
                .store
                .ask_operator(self.item.id, comment, visit.actor());
            ask.await?;
        }
        Ok(self.behind(Word::Asked))
    }

    /// Has a confirm link mailed. The link of one message has no say in a manage link's page, which
    /// has a form of its own.
    async fn choose(&self, pages: &Pages, visit: &Visit, choice: SenderChoice) -> Answer {
        let address = sender_of(&self.item);
        match ask_choice(pages, visit, &address, choice).await? {
            Ok(word) => Ok(self.behind(word)),
            Err(objection) => {
                let said = Said {
                    objection: Some(objection),
                    ..Said::default()
                };
                self.refusal(pages, visit, StatusCode::TOO_MANY_REQUESTS, said)
                    .await
            }
        }
    }

    async fn mail_link(&self, pages: &Pages, visit: &Visit) -> Answer {
        if let Ok(to) = ForwardPath::from_address(&sender_of(&self.item)) {
            let asked = pages
                .store
                .ask_links(&to, Some(visit.language), visit.actor());
            asked.await?;
        }
        Ok(self.behind(Word::LinkMailed))
    }

    /// The page under a status that says that something was not done.
    async fn refusal(
        &self,
        pages: &Pages,
        visit: &Visit,
        status: StatusCode,
        said: Said,
    ) -> Answer {
        let page = self.page(pages, visit, said).await?;
        Ok((status, page).into_response())
    }

    async fn page(&self, pages: &Pages, visit: &Visit, said: Said) -> Answer {
        let item = &self.item;
        let (until, now) = (item.received_at.after(pages.rules.retention), pages.now());
        let choice = match said.capped {
            true => Choice::Capped,
            false => Choice::of(item, &pages.rules),
        };
        let asked = pages.store.request(item.id).await?;
        let mut view = View::of(item, choice, until, now)
            .with_form(pages.form_token(visit))
            .with_list(self.list.clone())
            .with_said(said.word, said.objection)
            .with_request(asked.map(|r| r.at), ASK_AGAIN, now)
            .with_reading(pages.reading(item).await?);
        if self.list.is_none() {
            view = view.with_own(own(pages, &sender_of(item)).await?);
        }
        pages.page("sender.html", visit.language, &view)
    }
}

/// Every copy of a message.
fn all_of(item: &Item) -> Selection {
    Selection {
        item: item.id,
        addresses: Vec::new(),
    }
}

/// What came of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// All that was held is on its way.
    Released,
    /// The rules leave it to the operator.
    NotAllowed,
    /// A cap does.
    Capped,
}

/// Releases every held copy of a message, within the rules and the caps.
pub(crate) async fn release(pages: &Pages, visit: &Visit, item: &Item) -> Result<Came, Fault> {
    if Choice::of(item, &pages.rules) == Choice::Operator {
        return Ok(Came::NotAllowed);
    }
    let caps = Some(pages.rules.caps.clone());
    let released = pages.store.release(all_of(item), caps, visit.actor());
    Ok(match released.await? {
        Released::Done(_) => Came::Released,
        Released::Capped(cap) => {
            tracing::warn!(item = %item.id, cap, "release past a cap: the operator decides");
            Came::Capped
        }
    })
}

/// Drops every held copy of a message. Says whether there was one.
pub(crate) async fn discard(pages: &Pages, visit: &Visit, item: &Item) -> Result<bool, Fault> {
    let done = pages.store.discard_held(all_of(item), visit.actor());
    Ok(done.await?.changed > 0)
}

/// Has a confirm link mailed to a sender, unless that choice is in force. An objection is for the
/// page to tell.
pub(crate) async fn ask_choice(
    pages: &Pages,
    visit: &Visit,
    address: &str,
    choice: SenderChoice,
) -> Result<Result<Word, Objection>, Fault> {
    if pages.store.choices().of_sender(address) == choice {
        return Ok(Ok(Word::InForce));
    }
    let wish = Wish::Sender(address.to_owned(), choice);
    let asked = pages
        .store
        .ask_choice(wish, Some(visit.language), visit.actor());
    Ok(match asked.await? {
        Asked::Mailed(_) => Ok(Word::Mailed),
        Asked::Refused(objection) => Err(objection),
    })
}

/// The sender whose choices a message meets: unwrapped, where it was wrapped (SRS).
pub(crate) fn sender_of(item: &Item) -> String {
    let judged = item.judgement.as_ref().map(|judgement| &judgement.sender);
    judged.unwrap_or(&item.reverse_path).address()
}

/// What this sender has chosen, if it has an address that can be written to.
async fn own(pages: &Pages, address: &str) -> Result<Option<Own>, Fault> {
    let writable = ForwardPath::from_address(address).is_ok_and(|to| to.mailbox().is_some());
    if !writable {
        return Ok(None);
    }
    let row = pages.store.sender(address).await?;
    Ok(Some(match row {
        Some(sender) => Own::of(&sender, pages.now()),
        None => Own::default_of(address),
    }))
}
