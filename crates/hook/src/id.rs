//! Ids that carry the time and the node, so that several nodes can share a store one day.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// 2024-01-01T00:00:00Z in milliseconds: ids count from here.
const EPOCH: i64 = 1_704_067_200_000;
const NODE_BITS: u32 = 8;
const COUNT_BITS: u32 = 14;

/// The id of a session, a transaction, a held item or a recipient. In the order of time.
///
/// 41 bits of milliseconds since 2024, 8 bits of node, 14 bits of a counter: 63 bits, so that it is
/// a row id too. Written as a decimal number; in JSON as a string, because readers that take every
/// number for a double would round it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(pub i64);

impl Id {
    /// The least id that can be made at that moment.
    pub fn first_of(time: Timestamp) -> Self {
        Self((time.0 - EPOCH).max(0) << (NODE_BITS + COUNT_BITS))
    }

    /// When the id was made.
    pub fn time(self) -> Timestamp {
        Timestamp((self.0 >> (NODE_BITS + COUNT_BITS)) + EPOCH)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Id {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl TryFrom<String> for Id {
    type Error = std::num::ParseIntError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

/// Makes ids that never repeat within one node while its clock does not run back past a restart.
#[derive(Debug)]
pub struct IdMaker {
    node: i64,
    /// Milliseconds and counter of the last id, as one number.
    last: AtomicI64,
}

impl IdMaker {
    /// A maker for one node.
    pub fn new(node: u8) -> Self {
        Self {
            node: i64::from(node),
            last: AtomicI64::new(0),
        }
    }

    /// The next id. A clock that stands still or runs back only makes the counter run on.
    pub fn next(&self, now: Timestamp) -> Id {
        let floor = (now.millis() - EPOCH).max(0) << COUNT_BITS;
        let step = |last: i64| floor.max(last + 1);
        let last = self.last.update(Ordering::Relaxed, Ordering::Relaxed, step);
        let tick = step(last);
        let (millis, count) = (tick >> COUNT_BITS, tick & ((1 << COUNT_BITS) - 1));
        Id((millis << (NODE_BITS + COUNT_BITS)) | (self.node << COUNT_BITS) | count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_even_if_the_clock_falls() {
        let maker = IdMaker::new(7);
        let later = maker.next(Timestamp(EPOCH + 5_000));
        let earlier = maker.next(Timestamp(EPOCH + 1_000));
        assert!(earlier > later);
        assert_eq!(later.time(), Timestamp(EPOCH + 5_000));
    }

    #[test]
    fn no_reader_of_json_rounds_an_id() {
        let id = Id(382_078_526_771_167_233);
        let json = serde_json::to_string(&id).expect("JSON");
        assert_eq!(json, "\"382078526771167233\"");
        assert_eq!(serde_json::from_str::<Id>(&json).expect("an id"), id);
        assert!(serde_json::from_str::<Id>("\"x\"").is_err());
    }
}
