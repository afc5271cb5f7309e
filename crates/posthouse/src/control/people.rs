//! What an operator changes for people: their letters and their choices. Every answer is a sentence
//! for the terminal, without a secret.

use posthouse_hook::{ForwardPath, Id, Language};
use posthouse_store::{
    Actor, Letters, Objection, RecipientChoice, Resent, SenderChoice, Store, StoreError, Who,
};
use serde::{Deserialize, Serialize};

use super::Answer;

/// A change that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// No letters to this address, or none of our mail to anybody.
    StopLetters(Option<ForwardPath>),
    /// Letters again.
    StartLetters(Option<ForwardPath>),
    /// A letter now.
    ResendLetter(ForwardPath),
    /// The item link of a message has no force any more.
    RevokeItem(Id),
    /// No link of this address has.
    RevokeAddress(ForwardPath),
    /// What becomes of spam from a sender.
    Sender(ForwardPath, SenderChoice),
    /// What becomes of mail to a recipient, and of letters.
    Recipient(RecipientOrder),
}

/// What is to be changed for a recipient; none stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecipientOrder {
    pub(crate) address: ForwardPath,
    /// Whether the target of a redirect is filtered, whoever asks has found out.
    pub(crate) choice: Option<RecipientChoice>,
    pub(crate) letters: Option<Switch>,
    pub(crate) days: Option<Setting<u16>>,
    pub(crate) language: Option<Setting<Language>>,
}

impl RecipientOrder {
    /// Whether nothing is to be changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.choice.is_none()
            && self.letters.is_none()
            && self.days.is_none()
            && self.language.is_none()
    }
}

/// Whether letters go to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Switch {
    On,
    Off,
}

/// A value of one's own, or the configured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Setting<T> {
    Default,
    To(T),
}

impl<T> Setting<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::Default => None,
            Self::To(value) => Some(value),
        }
    }
}

/// Does what is ordered.
pub(super) async fn carry_out(store: &Store, order: Order) -> Answer {
    tracing::info!(?order, "operator");
    let done = match order {
        Order::StopLetters(None) => stop_all(store, true).await,
        Order::StartLetters(None) => stop_all(store, false).await,
        Order::StopLetters(Some(address)) => switch(store, &address, Switch::Off).await,
        Order::StartLetters(Some(address)) => switch(store, &address, Switch::On).await,
        Order::ResendLetter(address) => resend(store, &address).await,
        Order::RevokeItem(item) => revoke_item(store, item).await,
        Order::RevokeAddress(address) => revoke_address(store, &address).await,
        Order::Sender(address, choice) => sender(store, &address, choice).await,
        Order::Recipient(order) => recipient(store, order).await,
    };
    done.unwrap_or_else(|error| Answer::Failed(error.to_string()))
}

fn operator() -> Actor {
    Actor::local(Who::Operator)
}

async fn stop_all(store: &Store, stopped: bool) -> Result<Answer, StoreError> {
    store.set_letters_stopped(stopped, operator()).await?;
    Ok(Answer::Said(match stopped {
        true => "all of our mail to people is stopped, restarts included; what waits goes out after `posthouse letters start`".to_owned(),
        false => "our mail to people goes out again".to_owned(),
    }))
}

async fn switch(store: &Store, to: &ForwardPath, letters: Switch) -> Result<Answer, StoreError> {
    if to.mailbox().is_none() {
        return Ok(Answer::Failed(objected(Objection::NoAddress)));
    }
    let id = store.recipient_row(&to.key()).await?;
    let word = match letters {
        Switch::On => {
            store.resume_letters(id, operator()).await?;
            "go out again"
        }
        Switch::Off => {
            store.stop_letters(id, operator()).await?;
            "are stopped; its mail is held as before"
        }
    };
    Ok(Answer::Said(format!("letters to {} {word}", to.address())))
}

async fn resend(store: &Store, to: &ForwardPath) -> Result<Answer, StoreError> {
    let address = to.address();
    let failed = |why: &str| Answer::Failed(format!("{address}: {why}"));
    Ok(match store.resend_letter(&to.key(), operator()).await? {
        Resent::Due(held) => {
            let mut said = format!(
                "a letter to {address} about {held} held is due now, whenever the last one went; caps still bind it"
            );
            if store.letters_stopped().await? {
                said.push_str(
                    "; it goes out after `posthouse letters start`, for all letters are stopped",
                );
            }
            Answer::Said(said)
        }
        Resent::NothingHeld => failed("nothing is held for it"),
        Resent::OnlyAutomatic => {
            failed("all that is held are automatic messages, which cause no letter")
        }
        Resent::Off(Letters::Failed) => {
            failed("a letter to it failed for good; `posthouse letters start` it first")
        }
        Resent::Off(_) => failed("letters to it are stopped; `posthouse letters start` it first"),
    })
}

async fn revoke_item(store: &Store, item: Id) -> Result<Answer, StoreError> {
    Ok(match store.revoke_item(item, operator()).await? {
        true => Answer::Said(format!(
            "the link to {item} is revoked; if the message is sent again, its sender gets a new one"
        )),
        false => Answer::Failed(format!("there is no message {item}")),
    })
}

async fn revoke_address(store: &Store, address: &ForwardPath) -> Result<Answer, StoreError> {
    let name = address.address();
    Ok(
        match store.revoke_address(&address.key(), operator()).await? {
            0 => Answer::Failed(format!("no link of {name} is known")),
            _ => Answer::Said(format!(
                "all links of {name} are revoked; it gets new ones with the next letter, or on request"
            )),
        },
    )
}

async fn sender(
    store: &Store,
    address: &ForwardPath,
    choice: SenderChoice,
) -> Result<Answer, StoreError> {
    if address.mailbox().is_none() {
        return Ok(Answer::Failed(objected(Objection::NoAddress)));
    }
    store.set_sender(address.key(), choice, operator()).await?;
    let (address, choice) = (address.address(), choice.name());
    Ok(Answer::Said(format!("spam from {address}: {choice}")))
}

async fn recipient(store: &Store, order: RecipientOrder) -> Result<Answer, StoreError> {
    let key = order.address.key();
    if let Some(objection) = objection(store, &order).await? {
        return Ok(Answer::Failed(objected(objection)));
    }
    let id = store.recipient_row(&key).await?;
    match order.letters {
        Some(Switch::On) => store.resume_letters(id, operator()).await?,
        Some(Switch::Off) => store.stop_letters(id, operator()).await?,
        None => {}
    }
    if order.days.is_some() || order.language.is_some() {
        let now = store.address(&key).await?;
        let days = now.as_ref().and_then(|row| row.interval_days);
        let language = now.and_then(|row| row.language);
        let days = order.days.map_or(days, Setting::value);
        let language = order.language.map_or(language, Setting::value);
        store
            .set_correspondence(id, days, language, operator())
            .await?;
    }
    let mut said = format!("{} is set", order.address.address());
    if let Some(choice) = order.choice {
        let name = choice.name();
        let moved = store.set_recipient(key, choice, operator()).await?;
        said = format!("mail to {}: {name}", order.address.address());
        if moved > 0 {
            said.push_str(&format!("; {moved} held went along"));
        }
    }
    Ok(Answer::Said(said))
}

async fn objection(store: &Store, order: &RecipientOrder) -> Result<Option<Objection>, StoreError> {
    if order.address.mailbox().is_none() {
        return Ok(Some(Objection::NoAddress));
    }
    match order.choice.as_ref().and_then(RecipientChoice::target) {
        Some(target) => store.redirect_objection(&order.address.key(), target).await,
        None => Ok(None),
    }
}

/// Why a choice cannot be made, in words.
pub(crate) fn objected(objection: Objection) -> String {
    match objection {
        Objection::Itself => "an address cannot redirect to itself",
        Objection::Chain => {
            "that would be a chain or a loop: the target redirects its mail, or mail is redirected to the owner"
        }
        Objection::Filtered => "the target is a filtered address",
        Objection::OwnerCap | Objection::TargetCap | Objection::TotalCap => {
            "too many confirm letters were asked for"
        }
        Objection::NoAddress => "the null sender and <postmaster> choose nothing",
    }
    .to_owned()
}
