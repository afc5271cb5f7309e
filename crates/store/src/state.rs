//! A recipient's state and what changes it: one table, and nothing outside this crate writes it.

use serde::Serialize;

/// Where one recipient's copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In the quarantine.
    Held,
    /// Waits for an attempt.
    Queued,
    /// An attempt is under way, under a lease.
    Sending,
    /// Waits for the time of its next attempt.
    Deferred,
    /// Stopped by an operator.
    Suspended,
    /// The next hop took it.
    Delivered,
    /// The next hop refused it, or its time in the queue is over.
    Failed,
    /// Dropped by a person.
    Discarded,
    /// Held for longer than the retention.
    Expired,
}

/// What happens to one recipient's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A relay worker takes it.
    Claim,
    /// The worker gave it back, or its lease ran out.
    GiveBack,
    /// The next hop said 2xx.
    Deliver,
    /// The next hop said 4xx, or could not be reached.
    Defer,
    /// The next hop said 5xx, or the queue time is over.
    Fail,
    /// An operator stops it.
    Suspend,
    /// An operator wants it tried now.
    Retry,
    /// A person releases it from the quarantine.
    Release,
    /// A person drops it.
    Discard,
    /// The retention is over.
    Expire,
    /// The redirect that it was on its way by is over.
    Withhold,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Held,
        Self::Queued,
        Self::Sending,
        Self::Deferred,
        Self::Suspended,
        Self::Delivered,
        Self::Failed,
        Self::Discarded,
        Self::Expired,
    ];

    /// The name in the ledger, in `--json` and on the pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Deferred => "deferred",
            Self::Suspended => "suspended",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing can happen to the copy any more.
    pub fn is_final(self) -> bool {
        Event::ALL.iter().all(|event| next(self, *event).is_none())
    }
}

impl Event {
    /// Every event.
    pub(crate) const ALL: [Self; 11] = [
        Self::Claim,
        Self::GiveBack,
        Self::Deliver,
        Self::Defer,
        Self::Fail,
        Self::Suspend,
        Self::Retry,
        Self::Release,
        Self::Discard,
        Self::Expire,
        Self::Withhold,
    ];

    /// The name in the audit.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::GiveBack => "give back",
            Self::Deliver => "deliver",
            Self::Defer => "defer",
            Self::Fail => "fail",
            Self::Suspend => "suspend",
            Self::Retry => "retry",
            Self::Release => "release",
            Self::Discard => "discard",
            Self::Expire => "expire",
            Self::Withhold => "withhold",
        }
    }

    /// Whether it ends an attempt that counts: the next hop was asked, and the relay heard or gave
    /// up waiting.
    pub(crate) fn ends_attempt(self) -> bool {
        matches!(self, Self::Deliver | Self::Defer | Self::Fail)
    }
}

/// The table. `None`: that cannot happen to a copy in this state, and nothing changes.
pub(crate) fn next(state: State, event: Event) -> Option<State> {
    use State::{
        Deferred, Delivered, Discarded, Expired, Failed, Held, Queued, Sending, Suspended,
    };
    match (state, event) {
        (Held, Event::Release) => Some(Queued),
        (Held, Event::Expire) => Some(Expired),
        (Queued | Deferred, Event::Claim) => Some(Sending),
        (Sending, Event::GiveBack) => Some(Queued),
        (Sending, Event::Deliver) => Some(Delivered),
        (Sending, Event::Defer) => Some(Deferred),
        (Sending, Event::Fail) => Some(Failed),
        (Sending, Event::Withhold) => Some(Held),
        (Queued | Deferred, Event::Suspend) => Some(Suspended),
        (Deferred | Suspended, Event::Retry) => Some(Queued),
        (Held | Queued | Deferred | Suspended, Event::Discard) => Some(Discarded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line a state, one column an event, in the order of `Event::ALL`; `-` is impossible.
    const TABLE: &str = "
        held      - - - - - - - queued discarded expired -
        queued    sending - - - - suspended - - discarded - -
        sending   - queued delivered deferred failed - - - - - held
        deferred  sending - - - - suspended queued - discarded - -
        suspended - - - - - - queued - discarded - -
        delivered - - - - - - - - - - -
        failed    - - - - - - - - - - -
        discarded - - - - - - - - - - -
        expired   - - - - - - - - - - -
    ";

    #[test]
    fn every_state_and_event() {
        let lines: Vec<_> = TABLE.trim().lines().collect();
        assert_eq!(lines.len(), State::ALL.len());
        for (state, line) in State::ALL.into_iter().zip(lines) {
            let mut words = line.split_whitespace();
            assert_eq!(words.next(), Some(state.name()));
            for event in Event::ALL {
                let want = words.next().expect("a cell for each event");
                let got = next(state, event).map_or("-", State::name);
                assert_eq!(got, want, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn names_are_read_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.name()), Some(state));
        }
        let ends: Vec<_> = State::ALL.into_iter().filter(|s| s.is_final()).collect();
        use State::{Delivered, Discarded, Expired, Failed};
        assert_eq!(ends, [Delivered, Failed, Discarded, Expired]);
    }
}
