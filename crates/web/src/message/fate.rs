//! What became of a copy that is not held any more: for the owner of the address, in one word.
//!
//! Either party may discard while it is held; the other one is told that it was the other, not who
//! that is.

use posthouse_hook::Timestamp;
use posthouse_store::{Audited, ItemRecipient, State as CopyState, Who};
use serde::Serialize;

use crate::show::{self, Moment};

/// A copy's end, or the way that it is on.
#[derive(Debug, Serialize)]
pub(crate) struct Fate {
    /// What happened, a key below `message.` in the words.
    what: &'static str,
    /// How it stands now, for what was released.
    state: Option<CopyState>,
    changed: Moment,
}

impl Fate {
    /// What the audit tells of a copy; none while it is held.
    pub(crate) fn of(copy: &ItemRecipient, audit: &[Audited], now: Timestamp) -> Option<Self> {
        let what = match copy.state {
            CopyState::Held => return None,
            CopyState::Expired => "expired",
            CopyState::Discarded => discarded(who(copy, audit, "discard")),
            _ if copy.redirected => "redirected",
            _ => released(who(copy, audit, "release")),
        };
        let ended = matches!(copy.state, CopyState::Discarded | CopyState::Expired);
        Some(Self {
            what,
            state: (!ended).then_some(copy.state),
            changed: show::moment(copy.changed_at, now),
        })
    }
}

/// Who did that to the copy last; none if the audit is not kept so long.
fn who<'a>(copy: &ItemRecipient, audit: &'a [Audited], event: &str) -> Option<&'a str> {
    let last = audit
        .iter()
        .rev()
        .find(|line| line.subject == copy.id && line.event == event);
    last.map(|line| line.who.as_str())
}

fn discarded(by: Option<&str>) -> &'static str {
    match by {
        Some(who) if who == Who::Recipient.name() => "discarded_you",
        Some(who) if who == Who::Sender.name() => "discarded_sender",
        Some(who) if who == Who::Operator.name() => "discarded_operator",
        _ => "discarded",
    }
}

fn released(by: Option<&str>) -> &'static str {
    match by {
        Some(who) if who == Who::Recipient.name() => "released_you",
        Some(who) if who == Who::Sender.name() => "released_sender",
        Some(who) if who == Who::Operator.name() => "released_operator",
        _ => "released",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn line(subject: i64, event: &str, who: Who) -> Audited {
        Audited {
            at: Timestamp(0),
            subject: posthouse_hook::Id(subject),
            event: event.to_owned(),
            state: String::new(),
            who: who.name().to_owned(),
            detail: String::new(),
        }
    }

    #[test]
    fn each_end_has_its_word() {
        use CopyState::{Deferred, Delivered, Discarded, Expired, Held, Queued};
        for (state, event, by, want) in [
            (Held, "viewed", Who::Recipient, None),
            (Discarded, "discard", Who::Recipient, Some("discarded_you")),
            (Discarded, "discard", Who::Sender, Some("discarded_sender")),
            (
                Discarded,
                "discard",
                Who::Operator,
                Some("discarded_operator"),
            ),
            (Discarded, "viewed", Who::Sender, Some("discarded")),
            (Expired, "expire", Who::Retention, Some("expired")),
            (Queued, "release", Who::Recipient, Some("released_you")),
            (Delivered, "release", Who::Sender, Some("released_sender")),
            (
                Deferred,
                "release",
                Who::Operator,
                Some("released_operator"),
            ),
            (Deferred, "deliver", Who::Relay, Some("released")),
        ] {
            let copy = &samples::item(&[state]).recipients[0];
            let fate = Fate::of(copy, &[line(copy.id.0, event, by)], Timestamp(0));
            let shown = fate.as_ref().map(|fate| fate.what);
            assert_eq!(shown, want, "{state:?} {event} {by:?}");
            let moves = matches!(state, Queued | Delivered | Deferred);
            assert_eq!(fate.and_then(|f| f.state).is_some(), moves, "{state:?}");
        }
    }

    #[test]
    fn what_was_done_to_anothers_copy_is_not_told() {
        let copy = &samples::item(&[CopyState::Discarded]).recipients[0];
        let audit = [
            line(copy.id.0, "discard", Who::Recipient),
            line(copy.id.0 + 1, "discard", Who::Sender),
        ];
        let fate = Fate::of(copy, &audit, Timestamp(0)).expect("it is gone");
        assert_eq!(fate.what, "discarded_you");
    }

    #[test]
    fn what_was_redirected_says_so() {
        let mut copy = samples::item(&[CopyState::Queued]).recipients.remove(0);
        copy.redirected = true;
        let fate = Fate::of(&copy, &[], Timestamp(0)).expect("it is gone");
        assert_eq!(fate.what, "redirected");
    }
}
