//! A scanner that says what it is told, and counts how often it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use posthouse_hook::facts::Scans;
use posthouse_hook::plugin::{Answer, Nature, PluginError};
use posthouse_hook::{HookPoint, Plugin, Scan, Scanned, Session, Transaction, Verdict};

/// See the module.
pub(crate) struct Scanner {
    says: Option<Scanned>,
    asked: AtomicUsize,
}

impl Scanner {
    pub(crate) fn says(found: Scanned) -> Arc<Self> {
        Arc::new(Self {
            says: Some(found),
            asked: AtomicUsize::new(0),
        })
    }

    /// A scanner that errs, as a plugin, at every message.
    pub(crate) fn broken() -> Arc<Self> {
        Arc::new(Self {
            says: None,
            asked: AtomicUsize::new(0),
        })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Plugin for Scanner {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        Nature::Measures
    }

    async fn data(&self, _session: &mut Session, tx: &mut Transaction) -> Answer {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.says.clone().ok_or(PluginError("broken".to_owned()))?;
        let mut scans = tx.notes.get::<Scans>().cloned().unwrap_or_default();
        scans.0.push(Scan {
            scanner: "scanner".to_owned(),
            found,
            score: Some(7.5),
            limit: Some(5.0),
            action: None,
            tests: vec!["TEST".to_owned()],
        });
        tx.notes.put(scans);
        Ok(Verdict::Pass)
    }
}
