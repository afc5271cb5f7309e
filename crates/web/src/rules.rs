//! What the quarantine lets people do with their links: who may release, and how often.

use std::time::Duration;

use posthouse_hook::{Column, Vouched};
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
    /// Whether this word covers what vouches for the sender.
    fn covers(self, vouched: Vouched) -> bool {
        match vouched {
            Vouched::Spf => self == Self::Spf,
            Vouched::OursAuthenticated | Vouched::OursNetwork | Vouched::OursSpfNotFail => {
                self == Self::Ours
            }
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
    /// How long held copies are kept.
    pub retention: Duration,
}

impl Rules {
    /// Whether a sender in this column may release the message; otherwise the operator decides.
    pub(crate) fn sender_releases(&self, column: Column) -> bool {
        match column {
            Column::NotVouched => false,
            Column::Vouched(by) => self.self_release.iter().any(|word| word.covers(by)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_may_release() {
        let rules = |words: &[SelfRelease]| Rules {
            self_release: words.to_vec(),
            caps: ReleaseCaps::default(),
            retention: Duration::from_secs(1),
        };
        let (spf, ours) = (Vouched::Spf, Vouched::OursNetwork);
        for (words, by, want) in [
            (&[SelfRelease::Spf][..], spf, true),
            (&[SelfRelease::Spf], ours, false),
            (&[SelfRelease::Ours], spf, false),
            (&[SelfRelease::Ours, SelfRelease::Spf], ours, true),
            (&[], ours, false),
        ] {
            assert_eq!(rules(words).sender_releases(Column::Vouched(by)), want);
        }
        let all = rules(&[SelfRelease::Ours, SelfRelease::Spf]);
        assert!(!all.sender_releases(Column::NotVouched));
    }
}
