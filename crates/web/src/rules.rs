//! What the quarantine lets people do with their links: who may release, and how often.

use std::num::NonZeroU32;
use std::time::Duration;

use posthouse_hook::{Column, Judgement, Vouched};
use posthouse_store::ReleaseCaps;
use serde::Deserialize;

/// Whose senders may release their own mail: one word of `self_release`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelfRelease {
    /// Senders whose domain is ours.
    Ours,
    /// Senders for whom SPF passes.
    Spf,
}

impl SelfRelease {
    /// Whether this word covers a sender who is vouched for. One of ours whose SPF passes is covered
    /// by either.
    fn covers(self, ours: bool, vouched: Vouched) -> bool {
        match self {
            Self::Ours => ours,
            Self::Spf => vouched == Vouched::Spf,
        }
    }
}

/// What the quarantine lets people do with its links.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whose senders may release their own mail.
    pub self_release: Vec<SelfRelease>,
    /// How often they may.
    pub caps: ReleaseCaps,
    /// How many messages a day a recipient may release to the filtered address itself; none if none.
    pub recipient_releases: Option<NonZeroU32>,
    /// How long held copies are kept.
    pub retention: Duration,
}

impl Rules {
    /// Whether the sender may release a message that was judged so; otherwise the operator decides.
    pub(crate) fn sender_releases(&self, judgement: &Judgement) -> bool {
        let ours = judgement.ours;
        match judgement.column {
            Column::NotVouched => false,
            Column::Vouched(by) => self.self_release.iter().any(|word| word.covers(ours, by)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn only_the_listed_may_release() {
        let rules = |words: &[SelfRelease]| Rules {
            self_release: words.to_vec(),
            caps: ReleaseCaps::default(),
            recipient_releases: None,
            retention: Duration::from_secs(1),
        };
        let (spf, network) = (Vouched::Spf, Vouched::OursNetwork);
        let judged = |ours: bool, column: Column| Judgement {
            ours,
            column,
            ..samples::judgement()
        };
        for (words, ours, by, want) in [
            (&[SelfRelease::Spf][..], false, spf, true),
            (&[SelfRelease::Spf], true, network, false),
            (&[SelfRelease::Ours], false, spf, false),
            (&[SelfRelease::Ours], true, spf, true),
            (&[SelfRelease::Ours, SelfRelease::Spf], true, network, true),
            (&[], true, network, false),
        ] {
            let judgement = judged(ours, Column::Vouched(by));
            assert_eq!(
                rules(words).sender_releases(&judgement),
                want,
                "{words:?} {by:?}"
            );
        }
        let all = rules(&[SelfRelease::Ours, SelfRelease::Spf]);
        assert!(!all.sender_releases(&judged(true, Column::NotVouched)));
    }
}
