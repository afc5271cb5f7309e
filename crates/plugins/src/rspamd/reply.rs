//! The reply: JSON from rspamd, and what it comes to. A pure reading of what was said.

use std::collections::BTreeMap;

use posthouse_hook::trail::visible;
use posthouse_hook::{Scan, Scanned};
use serde::{Deserialize, Deserializer};

use crate::scan;

/// Longest action that is kept, in characters.
const MAX_ACTION: usize = 64;

/// What rspamd answered; keys that we do not read are passed over.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    /// The sum of the symbols' scores.
    pub(super) score: f64,
    required_score: f64,
    action: String,
    #[serde(default)]
    is_skipped: bool,
    #[serde(default)]
    symbols: BTreeMap<String, Symbol>,
}

#[derive(Debug, Deserialize)]
struct Symbol {
    #[serde(default)]
    score: f64,
}

impl Reply {
    /// Reads the body of a reply.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| format!("this is not rspamd's reply: {error}"))
    }

    /// What rspamd would do, in its own word.
    pub(super) fn action(&self) -> String {
        visible(&self.action.chars().take(MAX_ACTION).collect::<String>())
    }

    /// The names of the symbols that counted, those that counted most first.
    pub(super) fn tests(&self) -> Vec<String> {
        let weight = |symbol: &Symbol| symbol.score.abs();
        let mut symbols: Vec<_> = self.symbols.iter().collect();
        symbols.sort_by(|(_, a), (_, b)| weight(b).total_cmp(&weight(a)));
        scan::tests(symbols.into_iter().map(|(name, _)| name.as_str()))
    }

    /// A message that rspamd did not look at, and had nothing against.
    fn was_skipped(&self) -> bool {
        self.is_skipped && self.action == "no action"
    }
}

/// rspamd's actions that say how bad a message is, in the order of their scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// Nothing against it.
    Nothing,
    /// Somewhat suspicious: try again later.
    Greylist,
    /// Probably spam: mark it.
    AddHeader,
    /// Probably spam: mark it in the subject.
    RewriteSubject,
    /// Spam, to be kept aside.
    Quarantine,
    /// Spam.
    Reject,
    /// Spam, to be dropped.
    Discard,
}

/// Every action under rspamd's own name.
const ACTIONS: [(&str, Action); 7] = [
    ("no action", Action::Nothing),
    ("greylist", Action::Greylist),
    ("add header", Action::AddHeader),
    ("rewrite subject", Action::RewriteSubject),
    ("quarantine", Action::Quarantine),
    ("reject", Action::Reject),
    ("discard", Action::Discard),
];

fn action(name: &str) -> Option<Action> {
    let found = ACTIONS.iter().find(|(known, _)| *known == name);
    found.map(|(_, action)| *action)
}

/// From where on a message is spam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SpamFrom {
    /// From this action on.
    Action(Action),
    /// From this score on, whatever the action.
    Score(f64),
}

impl Default for SpamFrom {
    /// What an operator of rspamd would have marked as spam.
    fn default() -> Self {
        Self::Action(Action::AddHeader)
    }
}

impl SpamFrom {
    fn score(score: f64) -> Option<Self> {
        score.is_finite().then_some(Self::Score(score))
    }

    /// `no action` would make spam of everything.
    fn action(name: &str) -> Option<Self> {
        let bad = action(name).filter(|action| *action != Action::Nothing);
        bad.map(Self::Action)
    }

    /// What the reply comes to; an error if rspamd did not judge.
    pub(super) fn judge(self, reply: &Reply) -> Result<Scanned, String> {
        if reply.was_skipped() {
            return Err("rspamd skipped the message".to_owned());
        }
        let spam = match self {
            Self::Score(limit) => reply.score >= limit,
            Self::Action(least) => judged(&reply.action)? >= least,
        };
        Ok(if spam { Scanned::Spam } else { Scanned::Clean })
    }

    /// What this limit makes of a scan that was kept; none if its score or action was not.
    pub(super) fn again(self, scan: &Scan) -> Option<Scan> {
        if matches!(scan.found, Scanned::Unscanned(_)) {
            return Some(scan.clone());
        }
        let (spam, limit) = match self {
            Self::Score(limit) => (scan.score? >= limit, Some(limit)),
            Self::Action(least) => (action(scan.action.as_deref()?)? >= least, scan.limit),
        };
        let found = if spam { Scanned::Spam } else { Scanned::Clean };
        Some(Scan {
            found,
            limit,
            ..scan.clone()
        })
    }

    /// The score from which on a message is spam, where rspamd tells or the operator said.
    pub(super) fn limit(self, reply: &Reply) -> Option<f64> {
        match self {
            Self::Score(limit) => Some(limit),
            Self::Action(Action::Reject) => Some(reply.required_score),
            Self::Action(_) => None,
        }
    }
}

/// `soft reject` (overload, rate limits) and actions of an operator's own judge nothing.
fn judged(name: &str) -> Result<Action, String> {
    action(name).ok_or_else(|| format!("rspamd's action `{name}` says neither spam nor clean"))
}

impl<'de> Deserialize<'de> for SpamFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a score or the name of an action of rspamd's")]
        enum Written {
            Score(f64),
            Action(String),
        }
        let (read, written) = match Written::deserialize(deserializer)? {
            Written::Score(score) => (Self::score(score), score.to_string()),
            Written::Action(name) => (Self::action(&name), name),
        };
        read.ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{written}` cannot mean spam; write a score such as 6.0, or one of \"greylist\", \
                 \"add header\", \"rewrite subject\", \"quarantine\", \"reject\", \"discard\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(action: &str, score: f64) -> Reply {
        let json = format!(r#"{{"action":"{action}","score":{score},"required_score":15.0}}"#);
        Reply::parse(json.as_bytes()).expect("a reply")
    }

    fn spam_from(written: &str) -> Result<SpamFrom, serde_json::Error> {
        serde_json::from_str(written)
    }

    #[test]
    fn each_action_from_the_configured_one_on_is_spam() {
        let spam = |least: &str| {
            let least = spam_from(least).expect("valid");
            let spam = |(name, _): &(&'static str, Action)| {
                let found = least.judge(&reply(name, 7.0)).expect("judged");
                (found == Scanned::Spam).then_some(*name)
            };
            ACTIONS
                .iter()
                .filter_map(spam)
                .collect::<Vec<_>>()
                .join(",")
        };
        let default = "add header,rewrite subject,quarantine,reject,discard";
        assert_eq!(spam("\"add header\""), default);
        assert_eq!(spam("\"greylist\""), format!("greylist,{default}"));
        assert_eq!(spam("\"reject\""), "reject,discard");
        assert_eq!(spam("7"), ACTIONS.map(|(name, _)| name).join(","));
        assert_eq!(spam("7.1"), "");
    }

    #[test]
    fn what_rspamd_did_not_judge_is_not_clean() {
        let judge = |action| SpamFrom::default().judge(&reply(action, 0.0));
        assert_eq!(judge("no action"), Ok(Scanned::Clean));
        assert!(judge("soft reject").is_err());
        assert!(judge("call mother").is_err());
        let mut skipped = reply("no action", 0.0);
        skipped.is_skipped = true;
        assert!(SpamFrom::default().judge(&skipped).is_err());
        skipped.action = "reject".into();
        assert_eq!(SpamFrom::default().judge(&skipped), Ok(Scanned::Spam));
    }

    /// Under each limit, a reply that was kept is judged as it was when it came.
    #[test]
    fn a_kept_scan_is_judged_as_the_reply_was() {
        let limits = ["\"greylist\"", "\"add header\"", "\"reject\"", "7", "7.1"];
        for (name, _) in ACTIONS {
            let reply = reply(name, 7.0);
            let kept = Scan {
                scanner: "rspamd".to_owned(),
                found: Scanned::Clean,
                score: Some(reply.score),
                limit: None,
                action: Some(reply.action()),
                tests: Vec::new(),
            };
            for limit in limits.map(|written| spam_from(written).expect("valid")) {
                let again = limit.again(&kept).map(|scan| scan.found);
                assert_eq!(again, limit.judge(&reply).ok(), "{name} {limit:?}");
            }
            let bare = Scan {
                score: None,
                action: None,
                ..kept
            };
            let known = limits.map(|written| spam_from(written).expect("valid").again(&bare));
            assert_eq!(known, [const { None }; 5], "nothing was kept to judge by");
        }
    }

    #[test]
    fn what_cannot_mean_spam_is_refused() {
        for written in ["\"no action\"", "\"add_header\"", "true", "[]"] {
            assert!(spam_from(written).is_err(), "{written}");
        }
    }

    #[test]
    fn the_heaviest_symbols_come_first() {
        let json = br#"{"action":"reject","score":3,"required_score":15,"other":[],
            "symbols":{"A":{"score":0},"B":{"score":-2.5,"options":["x"]},"C":{"score":1}}}"#;
        assert_eq!(
            Reply::parse(json).expect("a reply").tests(),
            ["B", "C", "A"]
        );
    }

    #[test]
    fn nonsense_is_an_error() {
        for body in [
            "",
            "{}",
            "[]",
            "{\"action\":1}",
            "{\"score\":\"x\"}",
            "<html>",
        ] {
            assert!(Reply::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
