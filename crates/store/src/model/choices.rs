//! What people choose about the mail that is held from them or for them.

use std::collections::HashMap;

use posthouse_hook::{ForwardPath, Id, Language, Link, Timestamp};
use serde::{Deserialize, Serialize};

use super::Address;

/// What becomes of spam from a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SenderChoice {
    /// Hold it and tell the sender.
    #[default]
    Hold,
    /// Refuse it without holding it.
    Refuse,
    /// Drop it without a word; counted.
    Discard,
}

impl SenderChoice {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Hold, Self::Refuse, Self::Discard];

    /// The name in the ledger, in forms and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Refuse => "refuse",
            Self::Discard => "discard",
        }
    }

    /// The choice of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

/// What becomes of mail to a recipient. Whether letters go out is a question of its own
/// ([`super::Letters`]).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecipientChoice {
    /// Hold spam.
    #[default]
    Hold,
    /// Drop spam without a word; counted.
    Discard,
    /// Send all mail there, unless that is a filtered address.
    Redirect(ForwardPath),
}

impl RecipientChoice {
    /// The name in the ledger and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Discard => "discard",
            Self::Redirect(_) => "redirect",
        }
    }

    /// Where all mail goes, if it is redirected.
    pub fn target(&self) -> Option<&ForwardPath> {
        match self {
            Self::Redirect(target) => Some(target),
            Self::Hold | Self::Discard => None,
        }
    }
}

/// Every standing choice but the default, as it is in force now. A whole of its own: whoever holds
/// it sees no later change.
#[derive(Debug, Default)]
pub struct Choices {
    pub(crate) senders: HashMap<String, SenderChoice>,
    pub(crate) recipients: HashMap<String, RecipientChoice>,
}

impl Choices {
    /// The choice of a sender, by its address in any case.
    pub fn of_sender(&self, address: &str) -> SenderChoice {
        if self.senders.is_empty() {
            return SenderChoice::Hold;
        }
        let found = self.senders.get(&address.to_ascii_lowercase());
        found.copied().unwrap_or_default()
    }

    /// The choice of a recipient.
    pub fn of_recipient(&self, to: &ForwardPath) -> &RecipientChoice {
        const HOLD: &RecipientChoice = &RecipientChoice::Hold;
        if self.recipients.is_empty() {
            return HOLD;
        }
        self.recipients.get(&to.key()).unwrap_or(HOLD)
    }
}

/// A sender who has chosen something, or asked for a link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sender {
    /// The row's id: what manage links are about.
    pub id: Id,
    /// The address, unwrapped (SRS), lower case.
    pub address: String,
    /// What becomes of spam from it.
    pub choice: SenderChoice,
    /// When that was chosen; none for the default.
    pub chosen_at: Option<Timestamp>,
}

/// Whose choice, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A sender's. The confirm link goes to that sender's address.
    Sender(String, SenderChoice),
    /// A recipient's, by its row. The confirm link goes to that address, or to the target of a
    /// redirect.
    Recipient(Id, RecipientChoice),
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The confirm link is on its way to this address.
    Mailed(String),
    /// It cannot be, and why.
    Refused(Objection),
}

/// Why a choice cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// The target is the address itself.
    Itself,
    /// The target redirects its own mail, or mail is redirected to the owner: a chain or a loop.
    Chain,
    /// The target's domain is filtered. The store cannot know; whoever asks it must.
    Filtered,
    /// Three confirm letters were asked for this owner within a day.
    OwnerCap,
    /// A confirm letter went to this target within a week.
    TargetCap,
    /// Too many confirm letters in all within an hour.
    TotalCap,
    /// The null sender and `<postmaster>` choose nothing.
    NoAddress,
}

/// A choice that waits for its confirm link, or that it has made.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The row's id: what the confirm link is about.
    pub id: Id,
    /// Whose choice.
    pub owner: Owner,
    /// To whom the confirm link was mailed.
    pub mailed: String,
    /// When it was asked for.
    pub made_at: Timestamp,
    /// When the link ends.
    pub ends_at: Timestamp,
    /// When the link was used.
    pub done_at: Option<Timestamp>,
}

/// Whose choice a [`Pending`] is, and which.
#[derive(Debug, Clone, PartialEq)]
pub enum Owner {
    /// A sender's.
    Sender(Sender, SenderChoice),
    /// A recipient's.
    Recipient(Address, RecipientChoice),
}

/// What came of the use of a confirm link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmed {
    /// The choice is in force; so many held messages went to the target of a redirect.
    Done(usize),
    /// It was in force already.
    Already,
    /// What has changed meanwhile forbids it.
    Refused(Objection),
}

/// Mail of ours that somebody asked for.
#[derive(Debug)]
pub struct Errand {
    /// The row's id.
    pub id: Id,
    /// What it says.
    pub what: ErrandKind,
    /// To whom it goes.
    pub to: ForwardPath,
    /// From which network address it was asked for; empty if from none.
    pub asked_by: String,
    /// The language of the page on which it was asked for.
    pub language: Option<Language>,
}

/// What an [`Errand`] says.
#[derive(Debug)]
pub enum ErrandKind {
    /// Asks to confirm a choice. The link is of kind confirm.
    Confirm(Box<Pending>, Link),
    /// Tells the owner of a redirect that it is in force. The link, of kind confirm, ends it.
    Redirected(Box<Pending>, Link),
    /// The link to the page of a recipient.
    Address(Address, Link),
    /// The link to all that is held from a sender.
    Manage(Sender, Link),
}

/// What a sender asks of the operator about a held message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    /// The message.
    pub item: Id,
    /// When it was asked.
    pub at: Timestamp,
    /// In the sender's words, cleaned and shortened.
    pub comment: String,
    /// From which network address.
    pub asked_by: String,
}
