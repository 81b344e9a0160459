//! Reviews at a steady pace, and what went wrong with them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{Api, PostParams};
use natsguard_tests::bed::guard::Calls;
use natsguard_tests::bed::nats::Nats;
use natsguard_tests::bed::space::Space;
use tokio::task::JoinHandle;

/// Writes of a NATS StatefulSet, 50 a second, as dry runs: each is two reviews and leaves nothing.
pub struct Load {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
    problems: Arc<Mutex<Vec<(Duration, String)>>>,
    task: JoinHandle<()>,
    before: Calls,
    start: Instant,
}

/// What a load came to.
#[derive(Debug)]
pub struct Outcome {
    /// How many writes.
    pub writes: u64,
    /// What failed, each with the time since the start.
    pub problems: Vec<(Duration, String)>,
    /// What the apiserver counted.
    pub calls: Calls,
}

/// How many writes a second.
const PACE: u64 = 50;

/// A StatefulSet that is sound but for one thing to repair.
pub fn workload(namespace: &str) -> Result<StatefulSet> {
    let nats = Nats {
        apart: false,
        ..Nats::sound(namespace)
    };
    let mut objects = nats.objects()?;
    objects[2]["metadata"]["name"] = "load".into();
    Ok(serde_json::from_value(objects.swap_remove(2))?)
}

impl Load {
    /// Starts it.
    pub async fn start(space: &Space) -> Result<Self> {
        let before = space.target.calls().await?;
        let api: Api<StatefulSet> = space.api();
        let object = Arc::new(workload(&space.name)?);
        let (stop, writes, problems) = (
            Arc::<AtomicBool>::default(),
            Arc::<AtomicU64>::default(),
            Arc::default(),
        );
        let start = Instant::now();
        let task = {
            let (stop, writes, problems) = (
                Arc::clone(&stop),
                Arc::clone(&writes),
                Arc::clone(&problems),
            );
            tokio::spawn(async move {
                let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / PACE));
                let mut running = tokio::task::JoinSet::new();
                while !stop.load(Ordering::Relaxed) {
                    tick.tick().await;
                    let (api, object) = (api.clone(), Arc::clone(&object));
                    let (writes, problems): (_, Arc<Mutex<Vec<_>>>) =
                        (Arc::clone(&writes), Arc::clone(&problems));
                    running.spawn(async move {
                        let dry = PostParams {
                            dry_run: true,
                            ..PostParams::default()
                        };
                        let since = start.elapsed();
                        let wrong = match api.create(&dry, &object).await {
                            Ok(made) if is_repaired(&made) => None,
                            Ok(_) => Some("not repaired".to_owned()),
                            Err(error) => Some(error.to_string()),
                        };
                        writes.fetch_add(1, Ordering::Relaxed);
                        if let Some(wrong) = wrong {
                            problems.lock().unwrap().push((since, wrong));
                        }
                    });
                    while running.try_join_next().is_some() {}
                }
                while running.join_next().await.is_some() {}
            })
        };
        Ok(Self {
            stop,
            writes,
            problems,
            task,
            before,
            start,
        })
    }

    /// How long it has run.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Ends it, once it ran for `least`.
    pub async fn end(self, space: &Space, least: Duration) -> Result<Outcome> {
        while self.start.elapsed() < least {
            space.stop.check()?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?;
        let problems = std::mem::take(&mut *self.problems.lock().unwrap());
        Ok(Outcome {
            writes: self.writes.load(Ordering::Relaxed),
            problems,
            calls: space.target.calls().await?.since(self.before),
        })
    }
}

impl Outcome {
    /// Fails unless every write was reviewed by both webhooks without an error.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.problems.is_empty() && self.calls.errors == 0 && self.calls.ignored == 0,
            "{} of {} writes went wrong, the apiserver counted {:?}: {:#?}",
            self.problems.len(),
            self.writes,
            self.calls,
            &self.problems[..self.problems.len().min(10)]
        );
        ensure!(self.writes >= PACE, "only {} writes", self.writes);
        ensure!(
            self.calls.made >= 2 * self.writes,
            "{} writes made only {} calls",
            self.writes,
            self.calls.made
        );
        Ok(())
    }
}

fn is_repaired(set: &StatefulSet) -> bool {
    let affinity = set
        .spec
        .template
        .spec
        .as_ref()
        .and_then(|pod| pod.affinity.as_ref());
    affinity.is_some_and(|affinity| affinity.pod_anti_affinity.is_some())
}
