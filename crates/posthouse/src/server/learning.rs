//! Learning: scanners are told what people made of held messages. Nobody waits for it, and nothing
//! else depends on it.

use std::sync::Arc;
use std::time::Duration;

use posthouse_hook::{Content, Lesson, Live, Plugin, Step};
use posthouse_store::{LessonDue, Store, StoreError};
use tokio::sync::watch;

use crate::config::Chains;

/// Lessons that are looked for at a time.
const AT_ONCE: usize = 20;
/// How often it is looked whether one that failed is due again.
const LOOK: Duration = Duration::from_secs(30);

/// The scanners that learn.
#[derive(Default)]
pub(crate) struct Learners(Vec<Learner>);

struct Learner {
    name: String,
    plugin: Arc<dyn Plugin>,
    patience: Duration,
}

impl Learners {
    /// Those of every chain that have `feedback` on.
    pub(crate) fn of(chains: &Chains) -> Self {
        let steps = chains.values().flat_map(|chain| chain.steps());
        let learns = steps.filter(|step| step.plugin.learns());
        Self(learns.map(Learner::of).collect())
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells each of them. Says whether all have learned.
    async fn learn(&self, content: &Content, due: LessonDue) -> bool {
        let mut all = true;
        for learner in &self.0 {
            if let Err(why) = learner.learn(content.clone(), due.lesson).await {
                all = false;
                let (message, tries) = (due.message, due.tries + 1);
                tracing::warn!(%message, scanner = learner.name, tries, %why, "a lesson was not learned");
            }
        }
        all
    }
}

impl Learner {
    fn of(step: &Step) -> Self {
        Self {
            name: step.name.clone(),
            plugin: Arc::clone(&step.plugin),
            patience: step.timeout,
        }
    }

    /// In a task of its own, which may panic or hang.
    async fn learn(&self, content: Content, lesson: Lesson) -> Result<(), String> {
        let plugin = Arc::clone(&self.plugin);
        let patience = self.patience;
        let task = tokio::spawn(async move {
            let learn = plugin.learn(&content, lesson);
            tokio::time::timeout(patience, learn).await
        });
        match task.await {
            Ok(Ok(learned)) => learned.map_err(|error| error.to_string()),
            Ok(Err(_)) => Err(format!("no end within {patience:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Passes lessons on until told to stop.
pub(super) async fn run(store: Store, learners: Live<Learners>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = store.lesson_noted() => {}
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        tokio::select! {
            passed = pass_on(&store, &learners) => if let Err(error) = passed {
                tracing::error!(%error, "lessons are kept for later");
            },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Passes on all that is due.
async fn pass_on(store: &Store, learners: &Live<Learners>) -> Result<(), StoreError> {
    loop {
        let due = store.lessons_due(AT_ONCE).await?;
        for lesson in &due {
            one(store, &learners.load(), *lesson).await?;
        }
        if due.len() < AT_ONCE {
            return Ok(());
        }
    }
}

/// A message whose bytes are gone teaches nothing any more.
async fn one(store: &Store, learners: &Learners, due: LessonDue) -> Result<(), StoreError> {
    let learned = match store.content(due.message).await {
        Ok(Some(content)) => learners.learn(&content, due).await,
        Ok(None) => true,
        Err(error) => {
            tracing::warn!(message = %due.message, %error, "a lesson cannot be read");
            false
        }
    };
    match learned {
        true => store.learned(due).await,
        false => store.not_learned(due).await,
    }
}
