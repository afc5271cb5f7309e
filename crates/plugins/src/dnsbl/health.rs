//! Whether a list may be believed: its test points (RFC 5782 §5), and what its answers give away.
//!
//! A list is believed only after a test that it passed. One that fails is set aside until it passes
//! again, and nobody is refused for it meanwhile.

use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posthouse_hook::{Domain, LookupError, Timestamp};
use serde::Serialize;

use super::answers::{Meaning, meaning};
use super::question::Family;

/// A list that is set aside is tested so often at least.
const ASIDE: Duration = Duration::from_secs(300);
/// A test that is older than this is repeated before a listing is believed: a list that has died
/// since then lists everybody.
const FRESH: Duration = Duration::from_secs(60);
/// Questions without an answer, in a row, after which a list is tested at once.
const SILENT: u32 = 3;

/// One kind of subject of a list, and how it stands with it.
pub(super) struct Face {
    pub(super) family: Family,
    /// Whether the list may lack this kind, without being broken.
    optional: bool,
    /// The name that is listed, and the name that is not.
    pub(super) points: [Domain; 2],
    retest: Duration,
    health: Mutex<Health>,
    /// Held while it is tested: whoever needs the result waits for the same test.
    pub(super) testing: tokio::sync::Mutex<()>,
}

/// How it stands with a list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Untested,
    Good,
    /// It has nothing of this kind.
    Absent,
    Aside(String),
}

#[derive(Debug)]
struct Health {
    standing: Standing,
    since: Option<Timestamp>,
    tested: Option<Timestamp>,
    /// Whether something made a test due before its time.
    suspect: bool,
    silent: u32,
    counts: Counts,
}

/// Since the start, or since the configuration was read.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Counts {
    asked: u64,
    listed: u64,
    /// Questions without an answer in time.
    unanswered: u64,
    /// Answers that say that the list does not answer us.
    #[serde(rename = "error_answers")]
    errors: u64,
    set_aside: u64,
}

/// How it stands, for an operator.
#[derive(Serialize)]
pub(super) struct Told {
    family: Family,
    state: &'static str,
    why: String,
    since: Option<Timestamp>,
    tested: Option<Timestamp>,
    #[serde(flatten)]
    counts: Counts,
}

/// What a test came to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it lists everybody: its test point {0} should not be listed")]
    ListsAll(Domain),
    #[error("it lists nobody: its test point {0} is not listed")]
    ListsNone(Domain),
    #[error("it does not answer us, and says so: {0}")]
    Refuses(Ipv4Addr),
    #[error("it answers with {0}, which no list does: it is gone, or the resolver invents answers")]
    Foreign(Ipv4Addr),
    #[error("no answer: {0}")]
    Silent(String),
}

/// What DNS said of a name.
pub(super) type Looked = Result<Vec<Ipv4Addr>, LookupError>;

impl Face {
    pub(super) fn new(
        family: Family,
        optional: bool,
        points: [Domain; 2],
        retest: Duration,
    ) -> Self {
        Self {
            family,
            optional,
            points,
            retest,
            health: Mutex::new(Health {
                standing: Standing::Untested,
                since: None,
                tested: None,
                suspect: false,
                silent: 0,
                counts: Counts::default(),
            }),
            testing: tokio::sync::Mutex::default(),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the list may be asked. Counts a question if so.
    pub(super) fn may_ask(&self) -> bool {
        let mut health = self.health();
        let good = health.standing == Standing::Good;
        health.counts.asked += u64::from(good);
        good
    }

    pub(super) fn is_good(&self) -> bool {
        self.health().standing == Standing::Good
    }

    /// Whether its last test is too old to believe a listing.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        let tested = self.health().tested;
        tested.is_none_or(|tested| now.since(tested) > FRESH)
    }

    /// Whether it is time for a test.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let health = self.health();
        let wait = match health.standing {
            Standing::Aside(_) => self.retest.min(ASIDE),
            _ => self.retest,
        };
        health.suspect || health.tested.is_none_or(|tested| now.since(tested) >= wait)
    }

    /// Takes the result of a test.
    pub(super) fn tested(&self, list: &str, [listed, unlisted]: [Looked; 2], now: Timestamp) {
        let standing = match judge(&self.points, &listed, &unlisted) {
            Ok(()) => Standing::Good,
            Err(Fault::ListsNone(_)) if self.optional => Standing::Absent,
            Err(fault) => Standing::Aside(fault.to_string()),
        };
        self.becomes(list, standing, now);
    }

    /// An answer that no list gives: it is set aside before any test.
    pub(super) fn foreign(&self, list: &str, answer: Ipv4Addr, now: Timestamp) {
        let why = Fault::Foreign(answer).to_string();
        self.becomes(list, Standing::Aside(why), now);
    }

    fn becomes(&self, list: &str, standing: Standing, now: Timestamp) {
        let mut health = self.health();
        health.tested = Some(now);
        (health.suspect, health.silent) = (false, 0);
        if health.standing == standing {
            return;
        }
        let family = self.family;
        match (&health.standing, &standing) {
            (_, Standing::Aside(why)) => {
                tracing::error!(list, ?family, why, "a DNS list is set aside");
            }
            (Standing::Aside(_), _) => tracing::info!(list, ?family, "a DNS list is back"),
            _ => tracing::debug!(list, ?family, ?standing, "a DNS list was tested"),
        }
        let was_aside = matches!(health.standing, Standing::Aside(_));
        if matches!(standing, Standing::Aside(_)) && !was_aside {
            health.counts.set_aside += 1;
        }
        (health.standing, health.since) = (standing, Some(now));
    }

    /// A question was answered, whatever with.
    pub(super) fn answered(&self) {
        self.health().silent = 0;
    }

    pub(super) fn listed(&self) {
        self.health().counts.listed += 1;
    }

    /// The list said that it does not answer us: so it will at its test points.
    pub(super) fn refused(&self) {
        let mut health = self.health();
        health.counts.errors += 1;
        health.suspect = true;
    }

    /// A question was not answered.
    pub(super) fn unanswered(&self) {
        let mut health = self.health();
        health.counts.unanswered += 1;
        health.silent += 1;
        health.suspect |= health.silent >= SILENT;
    }

    pub(super) fn told(&self) -> Told {
        let health = self.health();
        let (state, why) = match &health.standing {
            Standing::Untested => ("untested", String::new()),
            Standing::Good => ("good", String::new()),
            Standing::Absent => ("absent", "the list has none of these".to_owned()),
            Standing::Aside(why) => ("aside", why.clone()),
        };
        Told {
            family: self.family,
            state,
            why,
            since: health.since,
            tested: health.tested,
            counts: health.counts,
        }
    }
}

/// What the two test points say of a list.
fn judge(points: &[Domain; 2], listed: &Looked, unlisted: &Looked) -> Result<(), Fault> {
    let [listed_at, unlisted_at] = points;
    match meaning_of(unlisted)? {
        Meaning::NotListed => {}
        _ => return Err(Fault::ListsAll(unlisted_at.clone())),
    }
    match meaning_of(listed)? {
        Meaning::Listed(_) => Ok(()),
        _ => Err(Fault::ListsNone(listed_at.clone())),
    }
}

/// A listing or none; anything else is a fault.
fn meaning_of(looked: &Looked) -> Result<Meaning, Fault> {
    match looked {
        Err(LookupError::NotFound) => Ok(Meaning::NotListed),
        Err(LookupError::Temporary(why)) => Err(Fault::Silent(why.clone())),
        Ok(answers) => match meaning(answers, &[]) {
            Meaning::Error(answer) => Err(Fault::Refuses(answer)),
            Meaning::Foreign(answer) => Err(Fault::Foreign(answer)),
            other => Ok(other),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_passes_if_it_lists_the_one_and_not_the_other() {
        let points = ["2.0.0.127.bl.example", "1.0.0.127.bl.example"];
        let points = points.map(|name| Domain::parse(name).expect("a domain"));
        let says = |text: &str| -> Looked { Ok(vec![text.parse().expect("an address")]) };
        let nothing = || -> Looked { Err(LookupError::NotFound) };
        let fails = || -> Looked { Err(LookupError::Temporary("SERVFAIL".to_owned())) };
        let foreign = "192.0.2.1".parse().expect("an address");
        let refuses = "127.255.255.254".parse().expect("an address");
        for (listed, unlisted, want) in [
            (says("127.0.0.2"), nothing(), Ok(())),
            (
                says("127.0.0.2"),
                says("127.0.0.2"),
                Err(Fault::ListsAll(points[1].clone())),
            ),
            (
                nothing(),
                nothing(),
                Err(Fault::ListsNone(points[0].clone())),
            ),
            (
                fails(),
                nothing(),
                Err(Fault::Silent("SERVFAIL".to_owned())),
            ),
            (
                says("127.0.0.2"),
                fails(),
                Err(Fault::Silent("SERVFAIL".to_owned())),
            ),
            (
                says("192.0.2.1"),
                says("192.0.2.1"),
                Err(Fault::Foreign(foreign)),
            ),
            (
                says("127.0.0.2"),
                says("192.0.2.1"),
                Err(Fault::Foreign(foreign)),
            ),
            (
                says("127.255.255.254"),
                nothing(),
                Err(Fault::Refuses(refuses)),
            ),
        ] {
            let found = judge(&points, &listed, &unlisted);
            assert_eq!(found, want, "{listed:?} {unlisted:?}");
        }
    }
}
