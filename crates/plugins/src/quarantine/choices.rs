//! Standing choices: what they make of a decision. Pure, as the matrix is.
//!
//! A sender's choice binds only mail that is vouched for, because anybody can write a sender's name;
//! a recipient's binds only what would be held for that recipient.

use posthouse_hook::{Disposition, Row, Why};
use posthouse_store::{RecipientChoice, SenderChoice};

use super::matrix::Told;

/// What the choices make of the matrix's word about spam; `sender` is the choice of a sender who is
/// vouched for, else the default.
pub(super) fn apply(
    told: Told,
    dispositions: Vec<Disposition>,
    sender: SenderChoice,
    recipients: &[RecipientChoice],
) -> (Told, Vec<Disposition>) {
    match sender {
        SenderChoice::Refuse => (Told::Turned, all(&dispositions, Disposition::Relay)),
        SenderChoice::Discard => (Told::Accepted, all(&dispositions, Disposition::Discard)),
        SenderChoice::Hold => {
            let pairs = dispositions.into_iter().zip(recipients);
            let chosen: Vec<_> = pairs.map(|(d, choice)| of_recipient(d, choice)).collect();
            (still_held(told, &chosen), chosen)
        }
    }
}

fn all(dispositions: &[Disposition], one: Disposition) -> Vec<Disposition> {
    vec![one; dispositions.len()]
}

fn of_recipient(disposition: Disposition, choice: &RecipientChoice) -> Disposition {
    match (disposition, choice) {
        (Disposition::Hold(Why::Spam(Row::Filtered)), RecipientChoice::Discard) => {
            Disposition::Discard
        }
        (disposition, _) => disposition,
    }
}

/// A refusal with a link needs something that is held.
fn still_held(told: Told, dispositions: &[Disposition]) -> Told {
    let held = dispositions
        .iter()
        .any(|d| matches!(d, Disposition::Hold(_)));
    match told {
        Told::Refused if !held => Told::Turned,
        told => told,
    }
}

/// Past the threshold the recipients are told in place of the sender: everything is held as in the
/// filtered row, and the client hears no refusal.
pub(super) fn tell_recipients(dispositions: Vec<Disposition>) -> (Told, Vec<Disposition>) {
    let dispositions = dispositions.into_iter().map(|d| match d {
        Disposition::Hold(Why::Spam(_)) => Disposition::Hold(Why::Spam(Row::Filtered)),
        disposition => disposition,
    });
    (Told::Accepted, dispositions.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Disposition = Disposition::Hold(Why::Spam(Row::Filtered));
    const OTHER: Disposition = Disposition::Hold(Why::Spam(Row::Other));
    use RecipientChoice::{Discard, Hold};

    #[test]
    fn a_sender_who_wants_no_copy_kept_is_refused_without_one() {
        let (told, kept) = apply(Told::Refused, vec![HELD, OTHER], SenderChoice::Refuse, &[]);
        assert_eq!(told, Told::Turned);
        assert_eq!(kept, [Disposition::Relay; 2], "a refusal relays nothing");
    }

    #[test]
    fn a_sender_who_wants_it_dropped_hears_nothing() {
        let (told, kept) = apply(Told::Refused, vec![HELD, OTHER], SenderChoice::Discard, &[]);
        assert_eq!(
            (told, kept),
            (Told::Accepted, vec![Disposition::Discard; 2])
        );
    }

    #[test]
    fn a_recipient_s_choice_is_about_that_recipient_s_copy_alone() {
        let choices = [Discard, Hold, Discard];
        let word = vec![HELD, HELD, OTHER];
        let (told, kept) = apply(Told::Refused, word, SenderChoice::Hold, &choices);
        assert_eq!(kept, [Disposition::Discard, HELD, OTHER]);
        assert_eq!(told, Told::Refused);
    }

    #[test]
    fn nobody_is_told_of_a_link_when_nothing_is_held() {
        let (told, _) = apply(Told::Refused, vec![HELD], SenderChoice::Hold, &[Discard]);
        assert_eq!(told, Told::Turned);
        let (told, _) = apply(Told::Accepted, vec![HELD], SenderChoice::Hold, &[Discard]);
        assert_eq!(told, Told::Accepted);
    }

    #[test]
    fn past_the_threshold_every_recipient_is_told_and_the_sender_is_not() {
        let (told, kept) = tell_recipients(vec![HELD, OTHER, Disposition::Relay]);
        assert_eq!(
            (told, kept),
            (Told::Accepted, vec![HELD, HELD, Disposition::Relay])
        );
    }
}
