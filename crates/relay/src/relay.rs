//! The relay as the program sees it: built from the configuration and the ports, run until stop.

use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthouse_hook::{Clock, Domain, Live, Resolver, Rows};
use posthouse_store::{AttemptResult, Attempted, Store};
use tokio::sync::{mpsc, watch};

use crate::attempt::Attempts;
use crate::config::{LettersConfig, RelayConfig};
use crate::connect::Opener;
use crate::desk::MailError;
use crate::dsn::Dsns;
use crate::hand::Hand;
use crate::letters::Letters;
use crate::pool::{Limits, Pool, Report};
use crate::reach::Reach;
use crate::redirect::Redirects;
use crate::runner::{Runner, Sorter};
use crate::schedule::Schedule;
use crate::settle::Settler;
use crate::tls::{Connectors, TlsError};
use crate::writer::LetterWriter;

/// How long the store may take to record the last results at shutdown.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How long it may take to know whether the target of a redirect is filtered.
const ROW: Duration = Duration::from_secs(15);

/// What the relay needs of others.
#[derive(Clone)]
pub struct Surroundings {
    /// Our own host name.
    pub hostname: Domain,
    /// Ledger and spool.
    pub store: Store,
    /// DNS.
    pub resolver: Arc<dyn Resolver>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// To whom letters may go; may be swapped while the relay runs.
    pub reach: Live<Reach>,
    /// Tells whether a redirect leads to a filtered address.
    pub rows: Arc<dyn Rows>,
}

/// Why the relay cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Our own mail cannot be written.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The queue runner and the writer of letters.
pub struct Relay {
    config: RelayConfig,
    around: Surroundings,
    tls: Connectors,
    letters: Letters,
}

impl Relay {
    /// Reads the templates, the key and the trusted certificates; opens no connection.
    ///
    /// `templates` is a directory whose files replace the built-in texts of the same name.
    pub fn new(
        config: RelayConfig,
        letters: LettersConfig,
        around: Surroundings,
        templates: Option<&Path>,
    ) -> Result<Self, RelayError> {
        let tls = Connectors::new(config.ca_file.as_deref())?;
        let ours = around.hostname.clone();
        let writer = LetterWriter::new(letters, ours, templates, Arc::clone(&around.clock))?;
        let letters = Letters {
            writer,
            store: around.store.clone(),
            reach: around.reach.clone(),
        };
        Ok(Self {
            config,
            around,
            tls,
            letters,
        })
    }

    /// The sender of letters: for tests that do not wait a minute.
    pub fn letters(&self) -> &Letters {
        &self.letters
    }

    /// Runs until `stop` is true; then lets running transactions end within `shutdown_grace` and
    /// gives back everything else. Needs no particular kind of runtime.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        let hand = Arc::new(Hand::default());
        let (reports, reported) = mpsc::unbounded_channel();
        let settling = tokio::spawn(self.settler(&hand, &stop).run(reported));
        let runner = self.runner(&hand, reports, &stop);
        let fresh = self.around.store.take_fresh();
        tokio::join!(
            runner.run(fresh, stop.clone()),
            self.letters.run(stop.clone())
        );
        runner
            .sorter
            .pool
            .finish(self.config.shutdown_grace.0)
            .await;
        drop(runner);
        if tokio::time::timeout(LAST_WORDS, settling).await.is_err() {
            tracing::error!("the last attempts were not recorded: they will be repeated");
        }
        self.give_back(&hand).await;
    }

    fn settler(&self, hand: &Arc<Hand>, stop: &watch::Receiver<bool>) -> Settler {
        Settler {
            store: self.around.store.clone(),
            clock: Arc::clone(&self.around.clock),
            schedule: Schedule {
                retry: self.config.retry.clone(),
                expire: self.config.expire.0,
            },
            dsns: Dsns {
                desk: Arc::clone(&self.letters.writer.desk),
                ids: self.around.store.ids(),
            },
            hand: Arc::clone(hand),
            stop: stop.clone(),
        }
    }

    fn runner(
        &self,
        hand: &Arc<Hand>,
        reports: mpsc::UnboundedSender<Report>,
        stop: &watch::Receiver<bool>,
    ) -> Runner {
        let clock = Arc::clone(&self.around.clock);
        let limits = Limits {
            connections: self.config.connections.get(),
            per_lane: self.config.connections_per_next_hop.get(),
            idle: self.config.idle.0,
            rest: self.config.rest.0,
        };
        let redirects = Arc::new(Redirects {
            store: self.around.store.clone(),
            rows: Arc::clone(&self.around.rows),
            patience: ROW,
        });
        let pool = Pool::new(
            self.attempts(&redirects),
            limits,
            clock,
            reports.clone(),
            stop.clone(),
        );
        Runner {
            store: self.around.store.clone(),
            clock: Arc::clone(&self.around.clock),
            hand: Arc::clone(hand),
            redirects,
            sorter: Arc::new(Sorter {
                routes: self.config.route.clone(),
                ours: self.around.hostname.clone(),
                pool,
                reports,
            }),
            looks: Mutex::default(),
        }
    }

    fn attempts(&self, redirects: &Arc<Redirects>) -> Attempts {
        let ours = self.around.hostname.clone();
        let helo = self.config.helo.as_ref().unwrap_or(&ours).to_string();
        Attempts {
            opener: Opener {
                helo,
                ours,
                timeouts: self.config.timeout.clone(),
                tls: self.tls.clone(),
            },
            redirects: Arc::clone(redirects),
            resolver: Arc::clone(&self.around.resolver),
            mx_port: self.config.mx_port.get(),
            messages_per_connection: self.config.messages_per_connection.get(),
            turn: AtomicUsize::new(0),
        }
    }

    /// What was never settled goes back to the queue.
    async fn give_back(&self, hand: &Hand) {
        let back = |copy| Attempted {
            copy,
            result: AttemptResult::GivenBack,
            said: "shutdown".to_owned(),
            next_hop: String::new(),
        };
        let rest: Vec<_> = hand.rest().into_iter().map(back).collect();
        if rest.is_empty() {
            return;
        }
        tracing::info!(copies = rest.len(), "given back at shutdown");
        if let Err(error) = self.around.store.settle(rest, Vec::new()).await {
            tracing::error!(%error, "copies keep their lease until the next start");
        }
    }
}
