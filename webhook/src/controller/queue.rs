//! What is to be reviewed when, and a few reviews at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until, timeout};

use super::metrics::Metrics;
use super::repair::Next;
use super::watch::{Change, Key};
use crate::server::panics::caught;

/// Reviews at once: most of their time they wait for the apiserver.
const AT_ONCE: usize = 4;

/// How long a change waits for the next one to the same object. It is part of the time to a right file.
const SETTLE: Duration = Duration::from_millis(10);

/// How long a review may take; most of it is the wait for a turn to write.
const PATIENCE: Duration = Duration::from_mins(2);

/// The first and the longest wait after a failure.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(5)];

/// The keys that wait, and those that are being reviewed.
#[derive(Debug, Default)]
struct Queue {
    due: BTreeMap<Key, Instant>,
    busy: BTreeSet<Key>,
    /// How often in a row the review of a key failed.
    failures: BTreeMap<Key, u32>,
    /// Those that are gone while they are being reviewed.
    gone: BTreeSet<Key>,
}

impl Queue {
    fn take(&mut self, change: Change, now: Instant) {
        match change {
            Change::Changed(key) => {
                self.failures.remove(&key);
                self.gone.remove(&key);
                self.due.insert(key, now + SETTLE);
            }
            Change::Gone(key) => {
                self.failures.remove(&key);
                self.due.remove(&key);
                if self.busy.contains(&key) {
                    self.gone.insert(key);
                }
            }
        }
    }

    /// The key that waits longest of those whose time has come. No key is reviewed twice at once.
    fn next(&mut self, now: Instant) -> Option<Key> {
        let (key, at) = self.first()?;
        if at > now {
            return None;
        }
        let key = key.clone();
        self.due.remove(&key);
        self.busy.insert(key.clone());
        Some(key)
    }

    /// When there is something to do.
    fn wake(&self) -> Option<Instant> {
        self.first().map(|(_, at)| at)
    }

    fn first(&self) -> Option<(&Key, Instant)> {
        self.due
            .iter()
            .filter(|(key, _)| !self.busy.contains(*key))
            .map(|(key, at)| (key, *at))
            .min_by_key(|(_, at)| *at)
    }

    /// Notes the end of a review, and how long to wait before the next one.
    fn done(&mut self, key: &Key, outcome: &Outcome, now: Instant) -> Option<Duration> {
        self.busy.remove(key);
        if self.gone.remove(key) {
            return None;
        }
        let pause = match outcome {
            Outcome::Done(Next::Wait) => None,
            Outcome::Done(Next::Again(pause)) => Some(*pause),
            Outcome::Failed(_) | Outcome::Panicked => {
                let failures = self.failures.entry(key.clone()).or_insert(0);
                let pause = PAUSES[0] * 2_u32.saturating_pow((*failures).min(16));
                *failures += 1;
                Some(pause.min(PAUSES[1]))
            }
        };
        if matches!(outcome, Outcome::Done(_)) {
            self.failures.remove(key);
        }
        if let Some(pause) = pause {
            // A change that came in the meantime doesn't wait for this.
            let at = now + pause;
            let due = self.due.entry(key.clone()).or_insert(at);
            *due = at.min(*due);
        }
        pause
    }
}

#[derive(Debug)]
enum Outcome {
    Done(Next),
    Failed(String),
    Panicked,
}

impl Outcome {
    fn label(&self) -> &'static str {
        match self {
            Self::Done(Next::Wait) => "done",
            Self::Done(Next::Again(_)) => "again",
            Self::Failed(_) => "failed",
            Self::Panicked => "panicked",
        }
    }
}

/// Reviews what changes until the changes end; `gone` hears what is not there any more. Whatever is under way when this is dropped is dropped with it.
pub async fn run<F, R, E>(
    mut changes: Receiver<Change>,
    review: F,
    gone: impl Fn(&Key),
    metrics: Metrics,
) where
    F: Fn(Key) -> R,
    R: Future<Output = Result<Next, E>>,
    E: Display,
{
    let mut queue = Queue::default();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(key) = queue.next(Instant::now())
        {
            let reviewed = review(key.clone());
            running.push(async move {
                let begun = Instant::now();
                let outcome = match caught(timeout(PATIENCE, reviewed)).await {
                    Some(Ok(Ok(next))) => Outcome::Done(next),
                    Some(Ok(Err(error))) => Outcome::Failed(error.to_string()),
                    Some(Err(_)) => {
                        Outcome::Failed(format!("took longer than {} s", PATIENCE.as_secs()))
                    }
                    None => Outcome::Panicked,
                };
                (key, outcome, begun.elapsed())
            });
        }
        let wake = queue.wake().filter(|_| running.len() < AT_ONCE);
        let rest = async {
            match wake {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => {
                    if let Change::Gone(key) = &change {
                        gone(key);
                    }
                    queue.take(change, Instant::now());
                }
                None => return,
            },
            Some((key, outcome, took)) = running.next() => {
                metrics.review(outcome.label(), took);
                if queue.gone.contains(&key) {
                    gone(&key);
                }
                let pause = queue.done(&key, &outcome, Instant::now());
                tell(&key, &outcome, took, pause);
            }
            () = rest => {}
        }
    }
}

fn tell(key: &Key, outcome: &Outcome, took: Duration, pause: Option<Duration>) {
    let Key { namespace, name } = key;
    let again_s = pause.map(|pause| pause.as_secs());
    match outcome {
        Outcome::Done(_) => {
            let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            tracing::debug!(namespace, name, took_us, again_s, "reviewed");
        }
        Outcome::Failed(problem) => {
            tracing::warn!(namespace, name, problem, again_s, "a review failed");
        }
        Outcome::Panicked => tracing::error!(namespace, name, again_s, "a review panicked"),
    }
}

#[cfg(test)]
mod tests;
