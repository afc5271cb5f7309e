//! What was acknowledged, what was held, what arrived and when; and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use posthouse_tests::wait;

use super::mail::{Fate, Mail};

/// How long a server may take to acknowledge a few messages, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// From the signal until the next server greets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    pub(super) begun: Instant,
    pub(super) ended: Instant,
}

#[derive(Default)]
pub(super) struct Record(Mutex<Facts>);

#[derive(Default)]
struct Facts {
    acknowledged: BTreeSet<Mail>,
    held: BTreeMap<Mail, usize>,
    arrived: BTreeMap<Mail, Vec<Instant>>,
    kills: Vec<Kill>,
    /// Replies, messages and copies that ought not to be.
    surprises: Vec<String>,
}

impl Record {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().expect("nobody panics with it")
    }

    pub(super) fn acknowledged(&self, mail: Mail) {
        self.facts().acknowledged.insert(mail);
    }

    pub(super) fn surprised(&self, at: String) {
        self.facts().surprises.push(at);
    }

    pub(super) fn killed(&self, kill: Kill) {
        self.facts().kills.push(kill);
    }

    pub(super) fn held(&self, subject: &str) {
        let mail = Mail::from_subject(subject).expect("only the senders' mail is held");
        *self.facts().held.entry(mail).or_default() += 1;
    }

    /// Our own letters to recipients come this way too, and are not the senders'.
    pub(super) fn arrived(&self, message: &[u8]) {
        let Some((mail, whole)) = Mail::arrived(message) else {
            return;
        };
        if !whole {
            self.surprised(format!("{mail:?} arrived changed"));
        }
        let now = Instant::now();
        self.facts().arrived.entry(mail).or_default().push(now);
    }

    /// Waits until that many more messages were acknowledged.
    pub(super) fn await_acknowledged(&self, more: usize) {
        let goal = self.facts().acknowledged.len() + more;
        wait::until("acknowledged messages", SOON, || {
            (self.facts().acknowledged.len() >= goal).then_some(())
        });
    }

    pub(super) fn all_relayed(&self) -> Option<()> {
        let facts = self.facts();
        let missing = |mail: &&Mail| mail.fate() == Fate::Relayed && !facts.has_arrived(mail);
        facts
            .acknowledged
            .iter()
            .find(missing)
            .is_none()
            .then_some(())
    }

    pub(super) fn all_released(&self) -> Option<()> {
        let facts = self.facts();
        let missing = |mail: &&Mail| !facts.has_arrived(mail);
        facts.held.keys().find(missing).is_none().then_some(())
    }

    pub(super) fn summary(&self) -> String {
        let facts = self.facts();
        format!(
            "{} kills, {} acknowledged, {} held, {} arrived, in hand at each kill: {:?}",
            facts.kills.len(),
            facts.acknowledged.len(),
            facts.held.len(),
            facts.arrived.len(),
            facts.doubled_by_kill(),
        )
    }

    /// The whole claim.
    pub(super) fn check(&self, in_hand: usize) {
        let facts = self.facts();
        assert_eq!(facts.surprises, [] as [&str; 0]);
        let lost = facts
            .acknowledged
            .iter()
            .filter(|mail| !facts.has_arrived(mail));
        assert_eq!(
            lost.collect::<Vec<_>>(),
            [] as [&Mail; 0],
            "acknowledged, then lost"
        );
        let held = facts
            .acknowledged
            .iter()
            .filter(|mail| mail.fate() != Fate::Relayed);
        for mail in held {
            assert_eq!(facts.held.get(mail), Some(&1), "{mail:?} is held once");
        }
        assert!(facts.held.values().all(|copies| *copies == 1), "held twice");
        for (mail, times) in &facts.arrived {
            assert!(
                times.len() < 2 || facts.kill_between(times).is_some(),
                "{mail:?} doubled"
            );
            assert!(times.len() < 3, "{mail:?} arrived three times");
        }
        let most = facts.doubled_by_kill().into_iter().max();
        assert!(most <= Some(in_hand), "more doubled than were in hand");
    }
}

impl Facts {
    fn has_arrived(&self, mail: &Mail) -> bool {
        self.arrived.contains_key(mail)
    }

    /// The kill at which a message that arrived twice was in hand.
    fn kill_between(&self, times: &[Instant]) -> Option<usize> {
        let (first, last) = (times.first()?, times.last()?);
        self.kills
            .iter()
            .position(|kill| *first <= kill.ended && *last >= kill.begun)
    }

    fn doubled_by_kill(&self) -> Vec<usize> {
        let mut count = vec![0; self.kills.len()];
        let doubled = self.arrived.values().filter(|times| times.len() > 1);
        for kill in doubled.filter_map(|times| self.kill_between(times)) {
            count[kill] += 1;
        }
        count
    }
}
