//! What the sender's page shows: the facts of one message, in the words that its template knows.

use std::time::Duration;

use posthouse_hook::Timestamp;
use posthouse_store::{
    Item, ItemRecipient, Objection, Owner, Pending, Sender, SenderChoice, State as CopyState,
};
use serde::Serialize;

use super::deed::{MAX_COMMENT, Word};
use super::findings::{Finding, findings};

use crate::preview::Reading;
use crate::rules::Rules;
use crate::show::{self, Moment};

/// Longest name or short text in characters.
const MAX_TEXT: usize = 300;

/// What the sender can do about held copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Choice {
    /// Nothing is held any more.
    Nothing,
    /// Release or discard.
    Release,
    /// Discard; whether it is released, the operator decides.
    Operator,
    /// As `Operator`, because a cap was reached just now.
    Capped,
}

impl Choice {
    /// What these rules leave to the sender of this message.
    pub(crate) fn of(item: &Item, rules: &Rules) -> Self {
        let judgement = item.judgement.as_ref();
        if Standing::of(&item.recipients) != Standing::Held {
            Self::Nothing
        } else if judgement.is_some_and(|judgement| rules.sender_releases(judgement)) {
            Self::Release
        } else {
            Self::Operator
        }
    }
}

/// Where the message stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    /// At least one copy is held.
    Held,
    /// None is held, and at least one is still to be delivered.
    Moving,
    /// All were delivered.
    Delivered,
    /// The next hop refused all.
    Failed,
    /// All were discarded.
    Discarded,
    /// All were held for too long.
    Expired,
    /// All is over, in different ways.
    Mixed,
}

impl Standing {
    fn of(copies: &[ItemRecipient]) -> Self {
        let any = |state| copies.iter().any(|copy| copy.state == state);
        let all = |state| copies.iter().all(|copy| copy.state == state);
        if any(CopyState::Held) {
            Self::Held
        } else if copies.iter().any(|copy| !copy.state.is_final()) {
            Self::Moving
        } else if all(CopyState::Delivered) {
            Self::Delivered
        } else if all(CopyState::Failed) {
            Self::Failed
        } else if all(CopyState::Discarded) {
            Self::Discarded
        } else if all(CopyState::Expired) {
            Self::Expired
        } else {
            Self::Mixed
        }
    }
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    standing: Standing,
    choice: Choice,
    /// Whether a scan called it spam; otherwise no scan came to an answer.
    spam: bool,
    subject: String,
    sender: String,
    received: Moment,
    until: Moment,
    /// In octets.
    size: u64,
    findings: Vec<Finding>,
    copies: Vec<CopyView>,
    form: String,
    reading: Option<Reading>,
    /// Where links for this sender go.
    mailed_to: String,
    /// What was done just before.
    word: Option<Word>,
    /// Why a choice was not asked for.
    objection: Option<Objection>,
    /// When the operator was asked.
    asked: Option<Moment>,
    /// Whether the operator can be asked (again).
    can_ask: bool,
    /// Longest comment in characters.
    max_comment: usize,
    /// The standing choice of this sender, where the page may speak of it.
    own: Option<Own>,
    /// The path of the list that this page belongs to.
    list: Option<String>,
}

impl View {
    /// The facts of one message, as seen `now`.
    pub(crate) fn of(item: &Item, choice: Choice, until: Timestamp, now: Timestamp) -> Self {
        Self {
            standing: Standing::of(&item.recipients),
            choice,
            spam: item.judgement.as_ref().is_none_or(|j| j.spam),
            subject: show::line(&item.subject, MAX_TEXT),
            sender: show::line(&item.reverse_path.address(), MAX_TEXT),
            received: show::moment(item.received_at, now),
            until: show::moment(until, now),
            size: item.size,
            findings: item.judgement.as_ref().map(findings).unwrap_or_default(),
            copies: item.recipients.iter().map(|r| copy(r, now)).collect(),
            form: String::new(),
            reading: None,
            mailed_to: show::line(&super::sender_of(item), MAX_TEXT),
            word: None,
            objection: None,
            asked: None,
            can_ask: matches!(choice, Choice::Operator | Choice::Capped),
            max_comment: MAX_COMMENT,
            own: None,
            list: None,
        }
    }

    /// The same with what came of the form before.
    pub(crate) fn with_said(mut self, word: Option<Word>, objection: Option<Objection>) -> Self {
        self.word = word;
        self.objection = objection;
        self
    }

    /// The same, the operator having been asked at that time; that can be repeated after a while.
    pub(crate) fn with_request(
        mut self,
        asked: Option<Timestamp>,
        again: Duration,
        now: Timestamp,
    ) -> Self {
        self.can_ask = match asked {
            Some(at) => self.standing == Standing::Held && now.since(at) >= again,
            None => self.can_ask,
        };
        self.asked = asked.map(|at| show::moment(at, now));
        self
    }

    /// The same with the sender's standing choice.
    pub(crate) fn with_own(mut self, own: Option<Own>) -> Self {
        self.own = own;
        self
    }

    /// The same as a page of a list.
    pub(crate) fn with_list(mut self, list: Option<String>) -> Self {
        self.list = list;
        self
    }

    /// The same with the token that its form needs.
    pub(crate) fn with_form(mut self, form: String) -> Self {
        self.form = form;
        self
    }

    /// The same with the text of the message.
    pub(crate) fn with_reading(mut self, reading: Option<Reading>) -> Self {
        self.reading = reading;
        self
    }
}

/// What becomes of spam from a sender, for the form that changes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Own {
    address: String,
    choice: SenderChoice,
    since: Option<Moment>,
    /// The choices that there are.
    all: [SenderChoice; 3],
    /// Whether the page takes the default back at once.
    at_once: bool,
    /// The choice that waits for its confirm link, where the page may speak of it.
    waiting: Option<SenderChoice>,
    /// When that was asked for.
    asked: Option<Moment>,
}

impl Own {
    /// What this sender has chosen.
    pub(crate) fn of(sender: &Sender, now: Timestamp) -> Self {
        Self {
            choice: sender.choice,
            since: sender.chosen_at.map(|at| show::moment(at, now)),
            ..Self::default_of(&sender.address)
        }
    }

    /// A sender who has chosen nothing.
    pub(crate) fn default_of(address: &str) -> Self {
        Self {
            address: show::line(address, MAX_TEXT),
            choice: SenderChoice::default(),
            since: None,
            all: SenderChoice::ALL,
            at_once: false,
            waiting: None,
            asked: None,
        }
    }

    /// The same with a choice that waits; going back to the default ends it too.
    pub(crate) fn waiting(self, pending: &Pending, now: Timestamp) -> Self {
        let Owner::Sender(_, choice) = &pending.owner else {
            return self;
        };
        Self {
            waiting: Some(*choice),
            asked: Some(show::moment(pending.made_at, now)),
            at_once: true,
            ..self
        }
    }

    /// The same on a page that takes the default back at once.
    pub(crate) fn at_once(self) -> Self {
        Self {
            at_once: self.choice != SenderChoice::Hold,
            ..self
        }
    }
}

/// One recipient's copy.
#[derive(Debug, PartialEq, Serialize)]
struct CopyView {
    address: String,
    state: CopyState,
    /// The next hop's words, if they are about this state.
    said: String,
    /// Whether its recipient discarded it; more of that is not the sender's business.
    by_recipient: bool,
    changed: Moment,
    next: Option<Moment>,
}

fn copy(recipient: &ItemRecipient, now: Timestamp) -> CopyView {
    use CopyState::{Deferred, Delivered, Failed};
    // Where a recipient redirects its mail, and what is said there, is not the sender's business.
    let spoken = matches!(recipient.state, Deferred | Delivered | Failed) && !recipient.redirected;
    let said = if spoken { recipient.said.as_str() } else { "" };
    CopyView {
        address: show::line(&recipient.address.address(), MAX_TEXT),
        state: recipient.state,
        said: show::line(said, MAX_TEXT),
        by_recipient: recipient.recipient_discarded(),
        changed: show::moment(recipient.changed_at, now),
        next: recipient.next_attempt.map(|at| show::moment(at, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::SelfRelease;
    use crate::samples;
    use posthouse_hook::{Column, Vouched};
    use posthouse_store::ReleaseCaps;
    use std::time::Duration;

    fn rules(words: &[SelfRelease]) -> Rules {
        Rules {
            self_release: words.to_vec(),
            caps: ReleaseCaps::default(),
            recipient_releases: None,
            retention: Duration::from_secs(86_400),
        }
    }

    #[test]
    fn the_standing_of_a_message_is_that_of_its_slowest_copy() {
        use CopyState::{Deferred, Delivered, Discarded, Expired, Failed, Held, Queued};
        for (states, want) in [
            (&[Held, Delivered][..], Standing::Held),
            (&[Queued, Delivered], Standing::Moving),
            (&[Deferred], Standing::Moving),
            (&[Delivered, Delivered], Standing::Delivered),
            (&[Failed], Standing::Failed),
            (&[Discarded], Standing::Discarded),
            (&[Expired], Standing::Expired),
            (&[Delivered, Failed], Standing::Mixed),
        ] {
            let item = samples::item(states);
            assert_eq!(Standing::of(&item.recipients), want, "{states:?}");
        }
    }

    #[test]
    fn who_may_release_depends_on_what_vouches() {
        let mut item = samples::item(&[CopyState::Held]);
        let column = |item: &mut Item, column| {
            item.judgement.as_mut().expect("judged").column = column;
        };
        column(&mut item, Column::Vouched(Vouched::Spf));
        let spf = rules(&[SelfRelease::Spf]);
        assert_eq!(Choice::of(&item, &spf), Choice::Release);
        assert_eq!(
            Choice::of(&item, &rules(&[SelfRelease::Ours])),
            Choice::Operator
        );
        column(&mut item, Column::NotVouched);
        assert_eq!(Choice::of(&item, &spf), Choice::Operator);
        item.judgement = None;
        assert_eq!(Choice::of(&item, &spf), Choice::Operator);
        let gone = samples::item(&[CopyState::Delivered]);
        assert_eq!(Choice::of(&gone, &spf), Choice::Nothing);
    }

    #[test]
    fn a_recipient_who_discarded_is_named_and_nothing_more() {
        let mut item = samples::item(&[CopyState::Discarded]);
        for (said, want) in [
            ("discarded: recipient link", true),
            ("discarded: sender link", false),
            ("", false),
        ] {
            item.recipients[0].said = said.to_owned();
            let shown = copy(&item.recipients[0], Timestamp(0));
            assert_eq!(
                (shown.said.as_str(), shown.by_recipient),
                ("", want),
                "{said}"
            );
        }
    }

    #[test]
    fn where_a_copy_was_redirected_nothing_is_quoted() {
        for state in [CopyState::Delivered, CopyState::Failed, CopyState::Deferred] {
            let mut item = samples::item(&[state]);
            item.recipients[0].said = "550 <secret@elsewhere.example> unknown".to_owned();
            item.recipients[0].redirected = true;
            let json = serde_json::to_string(&copy(&item.recipients[0], Timestamp(0)));
            assert!(!json.expect("a view").contains("elsewhere"), "{state:?}");
        }
    }

    #[test]
    fn the_operator_is_asked_again_after_a_while_only() {
        let hour = Duration::from_secs(3600);
        let item = samples::item(&[CopyState::Held]);
        let now = Timestamp(10_000_000);
        let ask = |choice, asked: Option<i64>| {
            let view = View::of(&item, choice, now, now);
            view.with_request(asked.map(Timestamp), hour, now).can_ask
        };
        assert!(ask(Choice::Operator, None));
        assert!(!ask(Choice::Release, None));
        assert!(!ask(Choice::Operator, Some(9_999_000)));
        assert!(ask(Choice::Release, Some(0)));
    }
}
