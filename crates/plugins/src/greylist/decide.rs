//! The decision: pure, from what is known of a triplet and the time.

use std::time::Duration;

use posthouse_hook::Timestamp;
use posthouse_store::GreySeen;

/// The spans that decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    /// How long a first try waits.
    pub(super) delay: Duration,
    /// Until when it has to come again.
    pub(super) window: Duration,
    /// How long one that came again is known.
    pub(super) lifetime: Duration,
}

/// What a try comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The first: it is noted and put off.
    First,
    /// It comes again too early.
    Early,
    /// It has come again in time.
    Again,
    /// It has before.
    Known(Refresh),
    /// Its network has come again often enough.
    Network(Refresh),
}

/// Whether to note that it was seen: not every time, for each is a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresh {
    Yes,
    No,
}

/// Decides about one try. `enough` successes make a network known; none for 0.
pub(super) fn decide(seen: &GreySeen, now: Timestamp, spans: &Spans, enough: u32) -> Decision {
    let fresh = now.after(spans.lifetime - spans.lifetime / 10);
    let refresh = |until: Timestamp| match until < fresh {
        true => Refresh::Yes,
        false => Refresh::No,
    };
    let network = seen.network.filter(|n| enough > 0 && n.successes >= enough);
    match (seen.tried, network) {
        (Some(tried), _) if tried.passed => Decision::Known(refresh(tried.expires)),
        (_, Some(network)) => Decision::Network(refresh(network.expires)),
        (Some(tried), _) if now >= tried.first.after(spans.delay) => Decision::Again,
        (Some(_), _) => Decision::Early,
        (None, _) => Decision::First,
    }
}

#[cfg(test)]
mod tests {
    use posthouse_store::{GreyNetwork, GreyTry};

    use super::*;

    const SPANS: Spans = Spans {
        delay: Duration::from_secs(300),
        window: Duration::from_secs(43_200),
        lifetime: Duration::from_secs(1_000_000),
    };

    fn tried(first: i64, passed: bool, expires: i64) -> Option<GreyTry> {
        Some(GreyTry {
            first: Timestamp(first * 1000),
            passed,
            expires: Timestamp(expires * 1000),
        })
    }

    #[test]
    fn who_waits_and_who_passes() {
        let network = |successes, expires: i64| {
            Some(GreyNetwork {
                successes,
                expires: Timestamp(expires * 1000),
            })
        };
        let (yes, no) = (Refresh::Yes, Refresh::No);
        for (now, tried, network, want) in [
            (0, None, None, Decision::First),
            (0, None, network(4, 9_000_000), Decision::First),
            (299, tried(0, false, 43_200), None, Decision::Early),
            (300, tried(0, false, 43_200), None, Decision::Again),
            (9, tried(0, true, 1_000_000), None, Decision::Known(no)),
            (
                200_000,
                tried(0, true, 1_000_000),
                None,
                Decision::Known(yes),
            ),
            (0, None, network(5, 1_000_000), Decision::Network(no)),
            (500_000, None, network(5, 1_000_000), Decision::Network(yes)),
            (
                9,
                tried(0, false, 43_200),
                network(5, 1_000_000),
                Decision::Network(no),
            ),
        ] {
            let seen = GreySeen { tried, network };
            let got = decide(&seen, Timestamp(now * 1000), &SPANS, 5);
            assert_eq!(got, want, "{now} {seen:?}");
        }
        let seen = GreySeen {
            tried: None,
            network: network(5, 1_000_000),
        };
        assert_eq!(
            decide(&seen, Timestamp(0), &SPANS, 0),
            Decision::First,
            "0 is never"
        );
    }
}
