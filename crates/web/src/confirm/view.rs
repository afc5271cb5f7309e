//! What the confirm page shows: whose choice, which, and whether it is in force.

use posthouse_hook::Timestamp;
use posthouse_store::{Objection, Owner, Pending, RecipientChoice};
use serde::Serialize;

use crate::show::{self, Moment};

/// Longest address in characters.
const MAX_TEXT: usize = 300;

/// Why a choice is not put in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// This forbids it.
    Objection(Objection),
    /// The target's domain cannot be looked up at present.
    Lookup,
}

/// How far the choice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// It waits for the button.
    Asks,
    /// The button was pressed, and nothing was chosen since.
    Done,
    /// The button was pressed, and something else was chosen since.
    Over,
    /// It was tried just now, and is forbidden.
    Refused,
    /// It was tried just now, and can be tried later.
    Later,
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    stage: Stage,
    /// Whose choice, and which: the key of the words.
    change: &'static str,
    owner: String,
    /// Where a redirect leads.
    target: String,
    /// When the button was pressed.
    since: Option<Moment>,
    /// When the link ends.
    ends: Moment,
    objection: Option<Objection>,
    form: String,
}

impl View {
    /// The page of a choice, as seen `now`.
    pub(crate) fn of(pending: &Pending, hindrance: Option<Hindrance>, now: Timestamp) -> Self {
        Self {
            stage: stage(pending, hindrance),
            change: change(&pending.owner),
            owner: show::line(owner(&pending.owner), MAX_TEXT),
            target: show::line(&target(&pending.owner), MAX_TEXT),
            since: pending.done_at.map(|at| show::moment(at, now)),
            ends: show::moment(pending.ends_at, now),
            objection: match hindrance {
                Some(Hindrance::Objection(why)) => Some(why),
                _ => None,
            },
            form: String::new(),
        }
    }

    /// The same with the token that its form needs.
    pub(crate) fn with_form(mut self, form: String) -> Self {
        self.form = form;
        self
    }
}

fn stage(pending: &Pending, hindrance: Option<Hindrance>) -> Stage {
    match (pending.done_at, hindrance) {
        (Some(_), _) if in_force(&pending.owner) => Stage::Done,
        (Some(_), _) => Stage::Over,
        (None, Some(Hindrance::Objection(_))) => Stage::Refused,
        (None, Some(Hindrance::Lookup)) => Stage::Later,
        (None, None) => Stage::Asks,
    }
}

/// Whether what was chosen is what holds now.
fn in_force(owner: &Owner) -> bool {
    match owner {
        Owner::Sender(sender, choice) => sender.choice == *choice,
        Owner::Recipient(address, choice) => address.choice == *choice,
    }
}

fn change(owner: &Owner) -> &'static str {
    use posthouse_store::SenderChoice;
    match owner {
        Owner::Sender(_, SenderChoice::Hold) => "sender_hold",
        Owner::Sender(_, SenderChoice::Refuse) => "sender_refuse",
        Owner::Sender(_, SenderChoice::Discard) => "sender_discard",
        Owner::Recipient(_, RecipientChoice::Hold) => "recipient_hold",
        Owner::Recipient(_, RecipientChoice::Discard) => "recipient_discard",
        Owner::Recipient(_, RecipientChoice::Redirect(_)) => "recipient_redirect",
    }
}

fn owner(owner: &Owner) -> &str {
    match owner {
        Owner::Sender(sender, _) => &sender.address,
        Owner::Recipient(address, _) => &address.address,
    }
}

fn target(owner: &Owner) -> String {
    let target = match owner {
        Owner::Sender(..) => None,
        Owner::Recipient(_, choice) => choice.target(),
    };
    target.map(|to| to.address()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use posthouse_store::SenderChoice;

    #[test]
    fn a_choice_that_was_changed_since_is_over() {
        for (now, done, want) in [
            (SenderChoice::Hold, false, Stage::Asks),
            (SenderChoice::Refuse, true, Stage::Done),
            (SenderChoice::Hold, true, Stage::Over),
        ] {
            let mut sender = samples::sender("ann@x.example");
            sender.choice = now;
            let mut pending = samples::pending(Owner::Sender(sender, SenderChoice::Refuse));
            pending.done_at = done.then_some(Timestamp(5));
            assert_eq!(View::of(&pending, None, Timestamp(9)).stage, want);
        }
    }
}
