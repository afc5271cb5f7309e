//! Tests of buckets: how much passes, and what the bound on their number is worth to a cheat.

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn at(seconds: i64) -> Timestamp {
    Timestamp(1_800_000_000_000 + seconds * 1000)
}

#[test]
fn as_many_at_once_as_the_limit_and_then_evenly() {
    let buckets = Buckets::new(60, HOUR, 100);
    let taken = (0..100).filter(|_| buckets.take("a", at(0))).count();
    assert_eq!(taken, 60);
    assert!(buckets.take("b", at(0)), "others have their own");
    assert!(!buckets.take("a", at(59)));
    assert!(buckets.take("a", at(60)), "one drains in a minute");
    assert!(!buckets.take("a", at(60)));
    let taken = (0..100).filter(|_| buckets.take("a", at(7200))).count();
    assert_eq!(taken, 60, "an hour later all of it");
}

#[test]
fn what_has_happened_already_fills_and_never_overfills() {
    let buckets = Buckets::new(2, HOUR, 100);
    for _ in 0..10 {
        buckets.add("a", at(0));
    }
    assert!(!buckets.has_room("a", at(1799)));
    assert!(buckets.has_room("a", at(1800)));
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out_for_longer_than_the_limit() {
    let buckets = Buckets::new(1, HOUR, 100);
    assert!(buckets.take("a", at(1_000_000)));
    assert!(!buckets.has_room("a", at(0)));
    buckets.add("a", at(0));
    assert!(buckets.has_room("a", at(3600)));
}

#[test]
fn the_fullest_come_first_in_a_report() {
    let buckets = Buckets::new(10, HOUR, 100);
    for (name, count) in [("a", 1), ("b", 5), ("c", 3)] {
        (0..count).for_each(|_| buckets.add(name, at(0)));
    }
    let names: Vec<_> = buckets
        .fullest(2, at(0))
        .into_iter()
        .map(|l| l.name)
        .collect();
    assert_eq!(names, ["b", "c"]);
    assert!((buckets.fullest(1, at(0))[0].used - 0.5).abs() < 1e-9);
    assert!(buckets.fullest(9, at(7200)).is_empty(), "all drained");
}

/// A hundred thousand clients that come once each do not make one forgotten that came often, and
/// take no more memory than was given.
#[test]
fn a_flood_of_keys_is_bounded_and_resets_nobody() {
    let buckets = Buckets::new(10, HOUR, 10_000);
    for _ in 0..10 {
        assert!(buckets.take("spammer", at(0)));
    }
    let long = "x".repeat(500);
    for n in 0..100_000 {
        buckets.add(&format!("{n}.{long}"), at(1));
    }
    assert!(!buckets.has_room("spammer", at(2)));
    let kept = buckets.kept();
    assert_eq!(kept.by_key.len(), 10_000);
    assert_eq!(kept.by_level.len(), 10_000);
    let names: usize = kept.by_key.values().map(|b| b.name.len()).sum();
    assert!(names <= 10_000 * NAME, "{names} octets of names");
}

#[test]
fn names_are_cut_between_characters() {
    let name = "ä".repeat(100);
    assert_eq!(cut(&name).len(), NAME);
    assert_eq!(cut("short"), "short");
}

proptest! {
    /// No sequence of moments lets more through in any window than one bucketful and what drained.
    #[test]
    fn no_window_lets_more_through(
        most in 1_u32..20,
        steps in prop::collection::vec(0_i64..400, 1..200),
    ) {
        let buckets = Buckets::new(most, HOUR, 10);
        let (mut now, mut taken) = (0, Vec::new());
        for step in steps {
            now += step;
            if buckets.take("a", at(now)) {
                taken.push(now);
            }
        }
        for (first, start) in taken.iter().enumerate() {
            for (last, end) in taken.iter().enumerate().skip(first) {
                let through = i64::try_from(last - first + 1).expect("small");
                let drained = (end - start) * i64::from(most) / 3600 + 1;
                prop_assert!(through <= i64::from(most) + drained);
            }
        }
    }

    /// Whatever is added by whom, there are never more keys than were given, both orders agree, and
    /// whoever is pushed out had used no more than anybody who stays.
    #[test]
    fn the_bound_pushes_out_the_emptiest(
        most_keys in 1_usize..8,
        who in prop::collection::vec((0_u8..30, 0_i64..30), 1..300),
    ) {
        let buckets = Buckets::new(50, HOUR, most_keys);
        let mut now = 0;
        for (who, step) in who {
            now += step;
            let before: Vec<(i64, Key)> = buckets.kept().by_level.iter().copied().collect();
            buckets.add(&who.to_string(), at(now));
            let kept = buckets.kept();
            prop_assert!(kept.by_key.len() <= most_keys);
            prop_assert_eq!(kept.by_key.len(), kept.by_level.len());
            let added = key(&who.to_string());
            let gone = before.iter().filter(|(_, k)| !kept.by_key.contains_key(k));
            for (level, _) in gone {
                let others = kept.by_level.iter().filter(|(_, k)| *k != added);
                prop_assert!(others.min().is_none_or(|(least, _)| level <= least));
            }
        }
    }
}
