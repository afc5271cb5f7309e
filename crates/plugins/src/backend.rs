//! A backend that is asked the same things again and again: its answers are kept for a while,
//! equal questions at the same time are asked once, and one that is dead is left alone for a while.
//!
//! Nothing here knows a protocol, and no failure is ever kept as an answer.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_hook::{Clock, Timestamp};
use quick_cache::sync::Cache;

/// Failures in a row after which a backend counts as dead.
const FAILURES: u32 = 5;

/// The backend gave no answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Dead(pub(crate) String);

/// How long answers are kept, and how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeping {
    pub(crate) entries: usize,
    /// How long a dead backend is left alone before one question tries it again.
    pub(crate) rest: Duration,
}

/// Asks a backend through a cache.
pub(crate) struct Backend<K, V> {
    answers: Cache<K, Kept<V>>,
    health: Mutex<Health>,
    rest: Duration,
    clock: Arc<dyn Clock>,
}

#[derive(Clone)]
struct Kept<V> {
    answer: V,
    until: Timestamp,
}

/// How the backend did lately.
#[derive(Default)]
struct Health {
    failures: u32,
    /// Nobody asks it before this.
    rests_until: Option<Timestamp>,
    /// What it failed with last.
    why: String,
}

impl<K: Hash + Eq + Clone, V: Clone> Backend<K, V> {
    pub(crate) fn new(keeping: Keeping, clock: Arc<dyn Clock>) -> Self {
        Self {
            answers: Cache::new(keeping.entries),
            health: Mutex::default(),
            rest: keeping.rest,
            clock,
        }
    }

    /// The answer that is kept, or that of `ask`, which also says for how long to keep it.
    pub(crate) async fn get(
        &self,
        key: &K,
        ask: impl Future<Output = Result<(V, Duration), Dead>>,
    ) -> Result<V, Dead> {
        let now = self.clock.now();
        self.answers.remove_if(key, |kept| kept.until <= now);
        let guard = match self.answers.get_value_or_guard_async(key).await {
            Ok(kept) => return Ok(kept.answer),
            Err(guard) => guard,
        };
        self.may_ask(now)?;
        let (answer, keep) = self.heard(ask.await)?;
        let kept = Kept {
            answer: answer.clone(),
            until: self.clock.now().after(keep),
        };
        // Somebody else's newer answer is as good.
        let _ = guard.insert(kept);
        Ok(answer)
    }

    /// Whether the backend is left alone just now. When its rest is over, one question goes out,
    /// and the others wait for what comes of it.
    fn may_ask(&self, now: Timestamp) -> Result<(), Dead> {
        let mut health = self.health();
        match health.rests_until {
            Some(until) if now < until => Err(Dead(format!("left alone after {}", health.why))),
            Some(_) => {
                health.rests_until = Some(now.after(self.rest));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn heard<T>(&self, answer: Result<T, Dead>) -> Result<T, Dead> {
        let mut health = self.health();
        match &answer {
            Ok(_) => *health = Health::default(),
            Err(Dead(why)) => {
                health.failures += 1;
                health.why.clone_from(why);
                if health.failures >= FAILURES {
                    if health.failures == FAILURES {
                        tracing::error!(why, "a backend is dead and is left alone for a while");
                    }
                    health.rests_until = Some(self.clock.now().after(self.rest));
                }
            }
        }
        answer
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

    use super::*;

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }
    }

    const KEEP: Duration = Duration::from_secs(60);

    struct Bench {
        clock: Arc<Hand>,
        backend: Backend<&'static str, u32>,
        asked: AtomicU32,
    }

    impl Bench {
        fn new() -> Self {
            let clock = Arc::new(Hand(AtomicI64::new(0)));
            let keeping = Keeping {
                entries: 10,
                rest: Duration::from_secs(30),
            };
            Self {
                backend: Backend::new(keeping, clock.clone()),
                clock,
                asked: AtomicU32::new(0),
            }
        }

        async fn ask(&self, answer: Result<u32, Dead>) -> Result<u32, Dead> {
            let ask = async {
                self.asked.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                answer.map(|n| (n, KEEP))
            };
            self.backend.get(&"key", ask).await
        }

        fn asked(&self) -> u32 {
            self.asked.load(Ordering::SeqCst)
        }

        fn pass(&self, seconds: i64) {
            self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
        }
    }

    fn dead() -> Result<u32, Dead> {
        Err(Dead("no route".to_owned()))
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_its_time_and_no_longer() {
        let bench = Bench::new();
        assert_eq!(bench.ask(Ok(1)).await, Ok(1));
        bench.pass(59);
        assert_eq!(bench.ask(Ok(2)).await, Ok(1));
        bench.pass(1);
        assert_eq!(bench.ask(Ok(2)).await, Ok(2));
        assert_eq!(bench.asked(), 2);
    }

    #[tokio::test]
    async fn equal_questions_at_the_same_time_are_asked_once() {
        let bench = Bench::new();
        let all = futures_util::future::join_all((0..50).map(|_| bench.ask(Ok(7)))).await;
        assert!(all.iter().all(|answer| *answer == Ok(7)));
        assert_eq!(bench.asked(), 1);
    }

    #[tokio::test]
    async fn a_failure_is_never_kept_as_an_answer() {
        let bench = Bench::new();
        assert_eq!(bench.ask(dead()).await, dead());
        assert_eq!(bench.ask(Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn a_dead_backend_is_left_alone_and_comes_back_unaided() {
        let bench = Bench::new();
        for _ in 0..FAILURES {
            assert!(bench.ask(dead()).await.is_err());
        }
        let error = bench.ask(Ok(1)).await.expect_err("left alone").to_string();
        assert!(error.contains("no route"), "{error}");
        assert_eq!(bench.asked(), FAILURES);
        bench.pass(30);
        assert_eq!(bench.ask(Ok(1)).await, Ok(1));
        bench.pass(61);
        assert_eq!(bench.ask(Ok(2)).await, Ok(2));
    }
}
