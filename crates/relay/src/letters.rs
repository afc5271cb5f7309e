//! The sender of letters: "we are holding mail for you". To whom and how many, the store decides;
//! what they say, the writer.

use std::time::Duration;

use posthouse_hook::{Live, Timestamp};
use posthouse_store::{LetterDue, LetterSent, Store, StoreError};
use tokio::sync::watch;

use crate::alarm::LettersState;
use crate::reach::Reach;
use crate::writer::LetterWriter;

/// The shortest pause between two looks, whatever the configuration says.
const LEAST: Duration = Duration::from_secs(1);
/// How often it is told that letters are overdue.
const QUIET: Duration = Duration::from_secs(3600);
/// Letters that cannot be written, after which a round ends: one that is odd keeps nobody waiting,
/// and a broken template does not fill the log.
const UNWRITTEN: usize = 10;
/// Letters that are written in one round.
const ROUND: usize = 200;

/// Sends letters.
pub struct Letters {
    pub(crate) writer: LetterWriter,
    pub(crate) store: Store,
    pub(crate) reach: Live<Reach>,
}

impl Letters {
    /// Sends what is due, looking now and then and whenever somebody asks for mail, until told to
    /// stop. While letters are off, it only tells that mail waits for one.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut quiet_until = Timestamp(0);
        loop {
            if self.writer.config.send {
                self.look().await;
            }
            let now = self.writer.clock.now();
            if now >= quiet_until {
                quiet_until = now.after(QUIET);
                self.watch().await;
            }
            tokio::select! {
                () = tokio::time::sleep(self.writer.config.check.0.max(LEAST)) => {}
                () = self.store.errand_asked() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn watch(&self) {
        match self.state().await {
            Ok(state) => state.tell(),
            Err(error) => tracing::error!(%error, "it is not known whether letters are overdue"),
        }
    }

    /// How it stands with letters.
    pub async fn state(&self) -> Result<LettersState, StoreError> {
        let reach = self.reach.load();
        LettersState::of(&self.store, &self.writer.config, &reach).await
    }

    async fn look(&self) {
        if let Err(error) = self.errands().await {
            tracing::error!(%error, "mail that was asked for waits");
        }
        if let Err(error) = self.round().await {
            tracing::error!(%error, "letters wait");
        }
    }

    /// Writes the mail that people asked for; returns how many went into the queue. What cannot be
    /// written stays to be done, and so does everything while an operator has stopped our mail.
    pub async fn errands(&self) -> Result<usize, StoreError> {
        if self.store.letters_stopped().await? {
            return Ok(0);
        }
        let mut sent = 0;
        for errand in self.store.errands_due(ROUND).await? {
            let id = self.store.ids().next(self.writer.clock.now());
            let mail = match self.writer.run_errand(&errand, id) {
                Ok(mail) => mail,
                Err(error) => {
                    tracing::error!(%error, errand = %errand.id, "mail that was asked for cannot be written");
                    continue;
                }
            };
            if let Some(id) = self.store.errand_done(errand.id, mail).await? {
                sent += 1;
                tracing::info!(message = %id, to = %errand.to, "mail that was asked for");
            }
        }
        Ok(sent)
    }

    /// Sends what is due now; returns how many letters went into the queue. A template that fails
    /// is logged, and the letters stay due.
    ///
    /// While an operator has stopped our mail to people, nothing goes out and all stays due.
    pub async fn round(&self) -> Result<usize, StoreError> {
        if self.store.letters_stopped().await? {
            return Ok(0);
        }
        let interval = self.writer.config.interval();
        let reach = self.reach.load();
        let wanted = move |address: &str| reach.takes(address);
        let due = self.store.letters_due_among(interval, ROUND, wanted);
        let (mut sent, mut unwritten) = (0, 0);
        for due in due.await? {
            match self.send(&due, interval).await? {
                Sent::Queued => sent += 1,
                Sent::KeptBack => {}
                Sent::Unwritten => unwritten += 1,
            }
            if unwritten == UNWRITTEN {
                break;
            }
        }
        Ok(sent)
    }

    async fn send(&self, due: &LetterDue, interval: Duration) -> Result<Sent, StoreError> {
        let id = self.store.ids().next(self.writer.clock.now());
        let letter = match self.writer.write(due, id) {
            Ok(letter) => letter,
            Err(error) => {
                tracing::error!(%error, "no letter can be written");
                return Ok(Sent::Unwritten);
            }
        };
        let caps = self.writer.config.caps.clone();
        Ok(
            match self.store.send_letter(due, letter, interval, caps).await? {
                LetterSent::Queued(id) => {
                    tracing::info!(message = %id, to = %due.to, held = due.held, "letter");
                    Sent::Queued
                }
                LetterSent::Capped(cap) => {
                    tracing::info!(to = %due.to, cap, "letter kept back");
                    Sent::KeptBack
                }
                LetterSent::NotDue => Sent::KeptBack,
            },
        )
    }
}

/// What came of one letter that was due.
enum Sent {
    Queued,
    KeptBack,
    /// No letter can be written just now.
    Unwritten,
}
