//! What the scanners found, for the sender's page: scores, and tests by what they mean.

use posthouse_hook::{Judgement, Scan, Scanned};
use serde::Serialize;

use super::explain::meaning;
use crate::show;

/// Names of tests that are shown of one scanner.
const MAX_TESTS: usize = 40;
/// Longest name in characters.
const MAX_TEXT: usize = 300;

/// What one scanner found, for people. Why one could not scan is the operator's business.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Finding {
    scanner: String,
    found: Found,
    score: Option<f64>,
    limit: Option<f64>,
    /// Tests that we have words for, together with those that mean the same.
    reasons: Vec<Reason>,
    /// The others.
    tests: Vec<String>,
}

/// Tests of one meaning.
#[derive(Debug, PartialEq, Serialize)]
struct Reason {
    /// The key of the words.
    means: &'static str,
    tests: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Found {
    Spam,
    Clean,
    Unscanned,
}

pub(super) fn findings(judgement: &Judgement) -> Vec<Finding> {
    judgement.scans.0.iter().map(finding).collect()
}

fn finding(scan: &Scan) -> Finding {
    let mut reasons: Vec<Reason> = Vec::new();
    let mut tests = Vec::new();
    for name in scan.tests.iter().take(MAX_TESTS) {
        let shown = show::line(name, MAX_TEXT);
        let Some(means) = meaning(name) else {
            tests.push(shown);
            continue;
        };
        match reasons.iter_mut().find(|reason| reason.means == means) {
            Some(reason) => reason.tests.push(shown),
            None => reasons.push(Reason {
                means,
                tests: vec![shown],
            }),
        }
    }
    Finding {
        scanner: show::line(&scan.scanner, MAX_TEXT),
        found: match scan.found {
            Scanned::Spam => Found::Spam,
            Scanned::Clean => Found::Clean,
            Scanned::Unscanned(_) => Found::Unscanned,
        },
        score: scan.score,
        limit: scan.limit,
        reasons,
        tests,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_one_meaning_stand_together() {
        let scan = Scan {
            scanner: "spamassassin".to_owned(),
            found: Scanned::Spam,
            score: None,
            limit: None,
            action: None,
            tests: ["URIBL_A", "MY_RULE", "URIBL_B"].map(str::to_owned).into(),
        };
        let shown = finding(&scan);
        assert_eq!(shown.reasons.len(), 1);
        assert_eq!(shown.reasons[0].tests, ["URIBL_A", "URIBL_B"]);
        assert_eq!(shown.tests, ["MY_RULE"]);
    }

    #[test]
    fn why_a_scanner_failed_is_not_shown() {
        let scan = Scan {
            scanner: "spamassassin".to_owned(),
            found: Scanned::Unscanned("10.0.0.7 refused".to_owned()),
            score: None,
            limit: None,
            action: None,
            tests: vec!["T".to_owned(); 1000],
        };
        let shown = finding(&scan);
        assert!(!format!("{shown:?}").contains("10.0.0.7"));
        assert_eq!(shown.tests.len(), MAX_TESTS);
    }
}
