//! What listings come to: refused for one of them, for their sum, or not. Pure.

use posthouse_hook::proofs::{ListKind, Listing};

use super::config::Action;

/// A listing that was found just now, and what its list does with whom it lists.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hit {
    pub(super) listing: Listing,
    pub(super) action: Action,
    /// The place of its list in the configuration.
    pub(super) place: usize,
}

/// Whom other lists speak for is not held against: what is listed weighs nothing then.
pub(super) fn weigh(hits: &mut [Hit]) {
    let allowed: Vec<_> = hits
        .iter()
        .filter(|hit| hit.listing.kind == ListKind::Allow)
        .map(|hit| hit.listing.what.clone())
        .collect();
    for hit in hits {
        if hit.listing.kind == ListKind::Allow || allowed.contains(&hit.listing.what) {
            (hit.listing.weight, hit.action) = (0, Action::Note);
        }
    }
}

/// The listing that a refusal is for; none if there is none. `before` is what earlier listings
/// count, `reject_at` the sum from which on it is refused.
pub(super) fn refused_for(hits: &[Hit], before: u32, reject_at: Option<u32>) -> Option<&Hit> {
    let mut deny = hits.iter().filter(|hit| hit.listing.kind == ListKind::Deny);
    if let Some(hit) = deny.clone().find(|hit| hit.action == Action::Reject) {
        return Some(hit);
    }
    let now = deny.clone().map(|hit| hit.listing.weight);
    let sum = now.fold(before, u32::saturating_add);
    let heaviest = deny.find(|hit| hit.listing.weight > 0)?;
    (sum >= reject_at?).then_some(heaviest)
}

#[cfg(test)]
mod tests {
    use posthouse_hook::proofs::ListedOf;

    use super::*;

    fn hit(what: &str, kind: ListKind, action: Action, weight: u32) -> Hit {
        Hit {
            listing: Listing {
                list: "bl".to_owned(),
                of: ListedOf::Client,
                what: what.to_owned(),
                kind,
                answers: Vec::new(),
                weight,
            },
            action,
            place: 0,
        }
    }

    #[test]
    fn one_that_rejects_is_enough_and_others_add_up() {
        use ListKind::Deny;
        let (one, two) = (
            hit("a", Deny, Action::Note, 1),
            hit("a", Deny, Action::Note, 2),
        );
        let reject = hit("a", Deny, Action::Reject, 1);
        for (hits, before, reject_at, want) in [
            (vec![], 9, Some(1), None),
            (vec![one.clone()], 0, None, None),
            (vec![one.clone()], 0, Some(2), None),
            (vec![one.clone()], 1, Some(2), Some(0)),
            (vec![one.clone(), two.clone()], 0, Some(3), Some(0)),
            (vec![one.clone(), two], u32::MAX, Some(u32::MAX), Some(0)),
            (vec![one, reject], 0, None, Some(1)),
        ] {
            let found = refused_for(&hits, before, reject_at);
            assert_eq!(found, want.map(|at: usize| &hits[at]), "{hits:?}");
        }
    }

    #[test]
    fn whom_a_list_speaks_for_nothing_is_held_against() {
        use ListKind::{Allow, Deny};
        let mut hits = [
            hit("a", Deny, Action::Reject, 5),
            hit("a", Allow, Action::Reject, 1),
            hit("b", Deny, Action::Note, 2),
        ];
        weigh(&mut hits);
        let weights = hits.each_ref().map(|hit| hit.listing.weight);
        assert_eq!(weights, [0, 0, 2]);
        assert_eq!(refused_for(&hits, 0, None), None);
        assert_eq!(refused_for(&hits, 0, Some(2)), Some(&hits[2]));
    }
}
