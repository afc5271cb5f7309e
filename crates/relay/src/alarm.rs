//! Whether letters go out: for `posthouse status`, and for the event that wakes an operator.

use posthouse_hook::Timestamp;
use posthouse_store::{Store, StoreError};
use serde::Serialize;

use crate::config::LettersConfig;
use crate::reach::Reach;

/// Whether letters may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Running {
    /// They may.
    On,
    /// `[letters] send = false`.
    Off,
    /// An operator stopped them.
    Stopped,
}

impl Running {
    /// The name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Stopped => "stopped",
        }
    }
}

/// How it stands with letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LettersState {
    /// Whether they may go out.
    pub letters: Running,
    /// Since when a letter is due, if one has been for a day in which none went out.
    pub letters_overdue_since: Option<Timestamp>,
}

impl LettersState {
    /// How it stands now, by the ledger.
    pub async fn of(
        store: &Store,
        config: &LettersConfig,
        reach: &Reach,
    ) -> Result<Self, StoreError> {
        let reach = reach.clone();
        let wanted = move |address: &str| reach.takes(address);
        let overdue = store.letters_overdue(config.interval(), wanted).await?;
        let letters = match config.send {
            false => Running::Off,
            true if store.letters_stopped().await? => Running::Stopped,
            true => Running::On,
        };
        Ok(Self {
            letters,
            letters_overdue_since: overdue,
        })
    }

    /// Tells whoever reads the log, by a fixed message for each case.
    pub(crate) fn tell(self) {
        let Some(since) = self.letters_overdue_since.map(crate::dates::rfc5322) else {
            return;
        };
        match self.letters {
            Running::On => {
                tracing::error!(
                    since,
                    "mail waits for a letter, and none went out for a day"
                );
            }
            stopped => tracing::warn!(
                since,
                letters = stopped.name(),
                "mail waits for a letter, and letters are stopped"
            ),
        }
    }
}
