//! Buckets: who has used how much of a limit. Each holds as much as the limit allows at once, and
//! drains evenly (the generic cell rate algorithm: one moment a key says it all).
//!
//! Memory is bounded, and nobody can use the bound to get rid of his own count: a key that is full
//! again is the same as none, and otherwise the emptiest bucket goes first. To push out a key that
//! has used n, all the other keys have to use n too.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posthouse_hook::Timestamp;
use sha2::{Digest as _, Sha256};

/// Octets of a key's name that are kept, for reports.
const NAME: usize = 80;
/// Empty buckets that one call clears away: more than it can add.
const CLEARED: usize = 4;

/// A key, whatever its length, in 16 octets that nobody can make collide.
type Key = [u8; 16];

/// The buckets of one limit.
pub(super) struct Buckets {
    /// What one unit keeps a bucket busy, in microseconds.
    unit: i64,
    /// What a full bucket holds, in microseconds.
    full: i64,
    most_keys: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Key, Bucket>,
    /// By the moment at which they are empty: the emptiest first.
    by_level: BTreeSet<(i64, Key)>,
}

struct Bucket {
    /// When it is empty, in microseconds.
    empty_at: i64,
    name: Box<str>,
}

/// How full a bucket is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Level {
    pub(super) name: String,
    /// Of its limit: 1.0 is full.
    pub(super) used: f64,
}

impl Buckets {
    /// Buckets of `most` in `per`, of at most `most_keys` keys.
    pub(super) fn new(most: u32, per: Duration, most_keys: usize) -> Self {
        let per = i64::try_from(per.as_micros()).unwrap_or(i64::MAX);
        let unit = (per / i64::from(most.max(1))).max(1);
        Self {
            unit,
            full: unit.saturating_mul(i64::from(most.max(1))),
            most_keys: most_keys.max(1),
            kept: Mutex::default(),
        }
    }

    /// Whether one more fits.
    pub(super) fn has_room(&self, name: &str, now: Timestamp) -> bool {
        self.fits(&self.kept(), &key(name), micros(now))
    }

    /// Takes one, if it fits.
    pub(super) fn take(&self, name: &str, now: Timestamp) -> bool {
        let (key, now, mut kept) = (key(name), micros(now), self.kept());
        let fits = self.fits(&kept, &key, now);
        if fits {
            self.fill(&mut kept, key, name, now);
        }
        fits
    }

    /// Counts one that has happened already; a bucket is never more than full.
    pub(super) fn add(&self, name: &str, now: Timestamp) {
        self.fill(&mut self.kept(), key(name), name, micros(now));
    }

    fn fits(&self, kept: &Kept, key: &Key, now: i64) -> bool {
        let level = kept.by_key.get(key).map(|bucket| self.level(bucket, now));
        level.unwrap_or(0) + self.unit <= self.full
    }

    fn fill(&self, kept: &mut Kept, key: Key, name: &str, now: i64) {
        kept.clear_away(now, CLEARED);
        let level = match kept.remove(&key) {
            Some(bucket) => self.level(&bucket, now),
            None => 0,
        };
        while kept.by_key.len() >= self.most_keys {
            kept.drop_emptiest();
        }
        let bucket = Bucket {
            empty_at: now.saturating_add((level + self.unit).min(self.full)),
            name: cut(name).into(),
        };
        kept.by_level.insert((bucket.empty_at, key));
        kept.by_key.insert(key, bucket);
    }

    /// The fullest, at most `count`.
    #[cfg_attr(not(test), expect(dead_code, reason = "for reports"))]
    pub(super) fn fullest(&self, count: usize, now: Timestamp) -> Vec<Level> {
        let now = micros(now);
        let kept = self.kept();
        let fullest = kept.by_level.iter().rev().take(count);
        let buckets = fullest.filter_map(|(_, key)| kept.by_key.get(key));
        buckets
            .map(|bucket| Level {
                name: bucket.name.to_string(),
                used: share(self.level(bucket, now), self.full),
            })
            .filter(|level| level.used > 0.0)
            .collect()
    }

    /// What is in it. A clock that was set back makes no bucket fuller than full.
    fn level(&self, bucket: &Bucket, now: i64) -> i64 {
        bucket.empty_at.saturating_sub(now).clamp(0, self.full)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, key: &Key) -> Option<Bucket> {
        let bucket = self.by_key.remove(key)?;
        self.by_level.remove(&(bucket.empty_at, *key));
        Some(bucket)
    }

    fn clear_away(&mut self, now: i64, most: usize) {
        for _ in 0..most {
            match self.by_level.first() {
                Some((empty_at, _)) if *empty_at <= now => self.drop_emptiest(),
                _ => return,
            }
        }
    }

    fn drop_emptiest(&mut self) {
        if let Some((_, key)) = self.by_level.pop_first() {
            self.by_key.remove(&key);
        }
    }
}

fn micros(at: Timestamp) -> i64 {
    at.millis().saturating_mul(1000)
}

fn key(name: &str) -> Key {
    let hash: [u8; 32] = Sha256::digest(name).into();
    let mut key = Key::default();
    key.copy_from_slice(&hash[..16]);
    key
}

fn cut(name: &str) -> &str {
    let end = name.char_indices().map(|(at, _)| at).find(|at| *at >= NAME);
    end.map_or(name, |end| &name[..end])
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share is shown, never compared"
)]
fn share(level: i64, full: i64) -> f64 {
    level as f64 / full as f64
}

#[cfg(test)]
#[path = "buckets_tests.rs"]
mod tests;
