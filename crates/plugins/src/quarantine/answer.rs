//! What the scanners say together. What was not scanned is never called clean.

use posthouse_hook::Scanned;
use posthouse_hook::facts::Scans;
use serde::Deserialize;

/// When several scanners ran: how many must say spam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SpamWhen {
    /// One is enough.
    #[default]
    Any,
    /// Each of them.
    All,
}

/// The answer for the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Spam,
    Clean,
    /// Nobody could say, and why.
    Unscanned(String),
}

/// Joins the scans. A scanner without an answer can neither make a message spam nor clean it.
pub(super) fn answer(scans: &Scans, spam_when: SpamWhen) -> Answer {
    let mut unscanned = None;
    let (mut spam, mut clean) = (0, 0);
    for scan in &scans.0 {
        match &scan.found {
            Scanned::Spam => spam += 1,
            Scanned::Clean => clean += 1,
            Scanned::Unscanned(why) => {
                unscanned.get_or_insert_with(|| format!("{}: {why}", scan.scanner));
            }
        }
    }
    match (spam_when, spam, clean, unscanned) {
        (_, 0, 0, None) => Answer::Unscanned("no scanner answered".to_owned()),
        (SpamWhen::Any, 1.., ..) => Answer::Spam,
        (SpamWhen::All, _, 1.., _) => Answer::Clean,
        (_, _, _, Some(why)) => Answer::Unscanned(why),
        (SpamWhen::All, ..) => Answer::Spam,
        (SpamWhen::Any, ..) => Answer::Clean,
    }
}

#[cfg(test)]
mod tests {
    use posthouse_hook::Scan;

    use super::*;

    fn scans(found: &str) -> Scans {
        let scan = |c| Scan {
            scanner: "s".to_owned(),
            found: match c {
                's' => Scanned::Spam,
                'c' => Scanned::Clean,
                _ => Scanned::Unscanned("down".to_owned()),
            },
            score: None,
            limit: None,
            action: None,
            tests: Vec::new(),
        };
        Scans(found.chars().map(scan).collect())
    }

    /// Each line: the scanners' answers, then what they come to with `any` and with `all`.
    #[test]
    fn every_mix() {
        for (found, any, all) in [
            ("", '-', '-'),
            ("s", 's', 's'),
            ("c", 'c', 'c'),
            ("-", '-', '-'),
            ("sc", 's', 'c'),
            ("ss", 's', 's'),
            ("cc", 'c', 'c'),
            ("s-", 's', '-'),
            ("c-", '-', 'c'),
            ("--", '-', '-'),
            ("sc-", 's', 'c'),
        ] {
            for (when, want) in [(SpamWhen::Any, any), (SpamWhen::All, all)] {
                let got = match answer(&scans(found), when) {
                    Answer::Spam => 's',
                    Answer::Clean => 'c',
                    Answer::Unscanned(_) => '-',
                };
                assert_eq!(got, want, "{found} {when:?}");
            }
        }
    }
}
