//! From the scan's answer to a decision. Pure, as the matrix is.

use posthouse_hook::{Column, Disposition, Row, Why};

use super::answer::Answer;
use super::config::Unscanned;
use super::matrix::{Cause, Told, dispose};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Every copy goes on.
    Relay,
    /// The message goes on though nobody could scan it.
    RelayUnscanned(String),
    /// 451, and why.
    Defer(String),
    /// The matrix's word.
    Dispose {
        told: Told,
        /// For each recipient, in order.
        dispositions: Vec<Disposition>,
    },
}

/// Decides. `rows` is an error if DNS could not place a recipient: then spam must wait, for it
/// could be the filtered row.
pub(super) fn decide(
    answer: &Answer,
    unscanned: Unscanned,
    rows: Result<Vec<Row>, String>,
    column: Column,
) -> Decision {
    let cause: Cause = match (answer, unscanned) {
        (Answer::Clean, _) => return Decision::Relay,
        (Answer::Unscanned(why), Unscanned::Pass) => return Decision::RelayUnscanned(why.clone()),
        (Answer::Unscanned(why), Unscanned::Defer) => return Decision::Defer(why.clone()),
        (Answer::Unscanned(_), Unscanned::Hold) => Why::Unscanned,
        (Answer::Spam, _) => Why::Spam,
    };
    match rows {
        Err(why) => Decision::Defer(why),
        Ok(rows) => {
            let (told, dispositions) = dispose(cause, &rows, column);
            Decision::Dispose { told, dispositions }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: [Unscanned; 3] = [Unscanned::Pass, Unscanned::Hold, Unscanned::Defer];

    fn of(answer: &Answer, unscanned: Unscanned) -> Decision {
        decide(
            answer,
            unscanned,
            Ok(vec![Row::Filtered]),
            Column::NotVouched,
        )
    }

    fn held(why: Why) -> Decision {
        Decision::Dispose {
            told: Told::Accepted,
            dispositions: vec![Disposition::Hold(why)],
        }
    }

    #[test]
    fn each_answer_under_each_policy() {
        let no_answer = Answer::Unscanned("down".to_owned());
        for policy in ANY {
            assert_eq!(of(&Answer::Clean, policy), Decision::Relay);
            assert_eq!(of(&Answer::Spam, policy), held(Why::Spam(Row::Filtered)));
        }
        let down = || "down".to_owned();
        assert_eq!(
            of(&no_answer, Unscanned::Pass),
            Decision::RelayUnscanned(down())
        );
        assert_eq!(of(&no_answer, Unscanned::Defer), Decision::Defer(down()));
        let want = held(Why::Unscanned(Row::Filtered));
        assert_eq!(of(&no_answer, Unscanned::Hold), want);
    }

    #[test]
    fn spam_waits_until_its_rows_are_known_and_clean_mail_does_not() {
        let rows = || Err("MX of b.example".to_owned());
        for policy in ANY {
            let spam = decide(&Answer::Spam, policy, rows(), Column::NotVouched);
            assert_eq!(spam, Decision::Defer("MX of b.example".to_owned()));
            let clean = decide(&Answer::Clean, policy, rows(), Column::NotVouched);
            assert_eq!(clean, Decision::Relay);
        }
    }
}
