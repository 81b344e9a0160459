//! The background scan: every NATS workload judged on a schedule, and what is said of each kept as a report in the cluster.
//!
//! Nothing is written when nothing changed. What could not be read keeps the report that it has.

mod events;
mod metrics;
mod missed;
mod namespace;
mod store;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::ValueEnum;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use natsguard_policies::settings::Settings;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::missing::Missing;
use super::repair::pace::Pace;
use super::scope::Scope;
use super::watch::Key;
use crate::facts::Cluster;
use crate::facts::resource::{Resource, STATEFUL_SETS};
use crate::live::{self, Current};
use crate::reports::{Kind, Unread, Verdict, Workload, summarize};
use crate::server::panics::caught;
use events::Events;
use metrics::Metrics;
use missed::Missed;
use namespace::Namespace;
use store::Store;

/// How long after the start the first scan begins: what else starts then goes first.
const FIRST: Duration = Duration::from_secs(3);

/// What is said of all workloads takes no more memory than this.
const MAX_WORDS: usize = 16 << 20;

/// Reports and Events are written at this pace: thousands may be due after the first scan.
const WRITES_PER_SECOND: u32 = 20;

/// How long the facts about one workload may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which reports are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reports {
    /// Those of openreports.io where the cluster has them, else those of wgpolicyk8s.io, else Events.
    Auto,
    /// `Report` of openreports.io.
    #[value(name = "openreports")]
    OpenReports,
    /// `PolicyReport` of wgpolicyk8s.io.
    #[value(name = "policyreports")]
    PolicyReports,
    /// None: Events.
    None,
}

/// How to scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The time between two scans, give or take a tenth.
    pub every: Duration,
    /// Where the results go.
    pub reports: Reports,
}

/// What a scan came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// NATS workloads that reports speak of.
    pub workloads: usize,
    /// Those of them that lead to more than is read for one.
    pub beyond: usize,
    /// Faults that stand.
    pub faults: usize,
    /// The kind of report that was written.
    pub kind: Option<Kind>,
    /// Reports written.
    pub written: usize,
    /// Reports removed.
    pub removed: usize,
    /// What went wrong: lists, workloads, reports.
    pub failures: usize,
    /// What the apiserver would not have written. The scan is complete all the same.
    pub refused: usize,
}

/// The scan and what it remembers.
pub struct Scanner {
    client: Client,
    cluster: Arc<dyn Cluster>,
    settings: Arc<ArcSwap<Settings>>,
    missing: Arc<Missing>,
    scope: Scope,
    options: Options,
    metrics: Metrics,
    pace: Arc<Pace>,
    memory: Mutex<Memory>,
}

struct Memory {
    /// Without their words.
    verdicts: BTreeMap<Workload, Verdict>,
    events: Events,
}

/// What was read.
#[derive(Default)]
struct Look {
    verdicts: BTreeMap<Workload, Verdict>,
    /// Workloads that lead to more than is read for one, and to how many objects more.
    beyond: BTreeMap<Workload, (ObjectReference, usize)>,
    unread: Unread,
    failures: usize,
}

impl Scanner {
    /// Nothing is read yet. The names of the metrics begin with what the registry puts before them.
    pub fn new(
        client: Client,
        cluster: Arc<dyn Cluster>,
        settings: Arc<ArcSwap<Settings>>,
        missing: Arc<Missing>,
        scope: Scope,
        options: Options,
        registry: &mut Registry,
    ) -> Self {
        let pace = Arc::new(Pace::new(WRITES_PER_SECOND));
        let events = Events::new(client.clone(), Arc::clone(&pace));
        Self {
            client,
            cluster,
            settings,
            missing,
            scope,
            options,
            metrics: Metrics::new(registry),
            pace,
            memory: Mutex::new(Memory {
                verdicts: BTreeMap::new(),
                events,
            }),
        }
    }

    /// Scans until dropped.
    pub async fn run(&self) {
        // Another one goes on from here, and counts the same faults.
        let _cleared = self.metrics.cleared_at_end();
        sleep(jittered(FIRST, random())).await;
        loop {
            if caught(self.once()).await.is_none() {
                self.metrics.failures.inc();
            }
            sleep(jittered(self.options.every, random())).await;
        }
    }

    /// Scans once.
    pub async fn once(&self) -> Outcome {
        let start = Instant::now();
        let mut memory = self.memory.lock().await;
        let Memory { verdicts, events } = &mut *memory;
        let settings = self.settings.load_full();
        let mut look = self.look(&settings).await;
        let mut outcome = Outcome {
            failures: look.failures,
            ..Outcome::default()
        };
        let store = Store::new(self.client.clone(), Arc::clone(&self.pace));
        let served = served(&store, &mut outcome).await;
        if let Some(served) = &served {
            self.keep(&store, served, &look, &mut outcome).await;
        }
        carry_over(&mut look, std::mem::take(verdicts));
        *verdicts = look.verdicts;
        match (&served, outcome.kind) {
            (Some(_), Some(_)) => events.forget_faults(),
            (Some(_), None) => outcome.miss(events.faults(verdicts.values()).await),
            (None, _) => {}
        }
        outcome.miss(events.beyond(&look.beyond).await);
        for verdict in verdicts.values_mut() {
            verdict.entries = Vec::new();
        }
        let summary = summarize(verdicts.values(), &look.unread, &settings);
        outcome.miss(events.exemptions(&settings, &summary.exemptions).await);
        outcome.workloads = verdicts.len();
        outcome.beyond = look.beyond.len();
        outcome.faults = summary.faults.values().sum();
        let took = start.elapsed();
        self.metrics.scanned(&settings, &summary, &outcome, took);
        tracing::info!(
            workloads = outcome.workloads,
            faults = outcome.faults,
            reports = outcome.kind.map_or("none", Kind::name),
            written = outcome.written,
            removed = outcome.removed,
            failures = outcome.failures,
            refused = outcome.refused,
            milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "scanned"
        );
        outcome
    }

    /// Reads and judges all workloads.
    async fn look(&self, settings: &Arc<Settings>) -> Look {
        let mut look = Look::default();
        let mut found = Vec::new();
        for resource in live::WORKLOADS {
            match live::names(&self.client, resource).await {
                Ok(names) => found.extend(names.into_iter().map(|(namespace, name)| {
                    let kind = resource.kind.to_owned();
                    let workload = Workload {
                        namespace,
                        kind,
                        name,
                    };
                    (workload, resource)
                })),
                Err(error) => {
                    tracing::warn!(%error, "their reports stay as they are");
                    look.failures += 1;
                    look.unread.kinds.insert(resource.kind);
                }
            }
        }
        // What a namespace holds is read once for all of its workloads, and let go before the next.
        found.sort();
        let most = share(found.len());
        let mut namespace = Arc::new(Namespace::new("", Arc::clone(&self.cluster)));
        let mut is_held = Ok(false);
        let mut unread: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for (workload, resource) in found {
            if namespace.name() != workload.namespace {
                let cluster = Arc::clone(&self.cluster);
                namespace = Arc::new(Namespace::new(&workload.namespace, cluster));
                is_held = self.scope.holds(&workload.namespace).await;
            }
            if matches!(is_held, Ok(false)) {
                continue;
            }
            // One at a time: each may hold some MiB of its namespace.
            let judged = if is_held.is_err() {
                Judged::Unread
            } else {
                let judging = self.judge(&namespace, &workload, resource, settings, most);
                caught(judging).await.unwrap_or(Judged::Unread)
            };
            let why = match judged {
                Judged::Server(verdict, beyond) => {
                    if beyond > 0 {
                        let about = (events::reference(&verdict), beyond);
                        look.beyond.insert(workload.clone(), about);
                    }
                    look.verdicts.insert(workload, *verdict);
                    continue;
                }
                Judged::NoServer => continue,
                Judged::TooLarge => "they are too large",
                Judged::Unread => {
                    look.failures += 1;
                    "they or what they refer to can't be read"
                }
            };
            let key = (workload.namespace.clone(), why);
            *unread.entry(key).or_default() += 1;
            look.unread.workloads.insert(workload);
        }
        for ((namespace, why), workloads) in unread {
            tracing::warn!(
                namespace,
                workloads,
                "{why}; their reports stay as they are"
            );
        }
        look
    }

    /// Reads a workload as it is now, and judges it.
    async fn judge(
        &self,
        namespace: &Arc<Namespace>,
        workload: &Workload,
        resource: &'static Resource,
        settings: &Arc<Settings>,
        most: usize,
    ) -> Judged {
        let Workload {
            namespace: place,
            name,
            ..
        } = workload;
        let value = match live::read(&self.client, resource, place, name).await {
            Ok(Current::Here(value)) => value,
            Ok(Current::Gone) => return Judged::NoServer,
            Ok(Current::TooLarge) => return Judged::TooLarge,
            Err(error) => {
                tracing::debug!(%error, "a workload can't be read");
                return Judged::Unread;
            }
        };
        namespace.begin();
        let cluster: Arc<dyn Cluster> = Arc::clone(namespace) as _;
        let seen = live::see(&cluster, settings, &value, Instant::now() + PATIENCE).await;
        drop(value);
        let Some(seen) = seen.filter(|_| !namespace.is_unread()) else {
            return Judged::Unread;
        };
        // StatefulSets that were there before this leader are reviewed when they change, or when something comes to them.
        if *resource == STATEFUL_SETS {
            let key = Key {
                namespace: place.clone(),
                name: name.clone(),
            };
            self.missing.looked_at(&key, &seen.absent);
        }
        let settings = Arc::clone(settings);
        let judging = spawn_blocking(move || {
            if !seen.is_server() {
                return Judged::NoServer;
            }
            let report = seen.report(&settings);
            let verdict = Verdict::new(&seen, &report, &settings, most);
            verdict.map_or(Judged::NoServer, |verdict| {
                Judged::Server(Box::new(verdict), seen.beyond.len())
            })
        });
        judging.await.unwrap_or(Judged::Unread)
    }

    /// Brings the reports in the cluster to what was seen.
    async fn keep(&self, store: &Store, served: &[Kind], look: &Look, outcome: &mut Outcome) {
        let wanted = match self.options.reports {
            Reports::Auto => served.first().copied(),
            Reports::OpenReports => Some(Kind::Report),
            Reports::PolicyReports => Some(Kind::PolicyReport),
            Reports::None => None,
        };
        outcome.kind = wanted.filter(|kind| served.contains(kind));
        if let (Some(kind), None) = (wanted, outcome.kind) {
            outcome.failures += 1;
            tracing::warn!(
                kind = kind.name(),
                group = kind.group(),
                "the cluster does not have this kind; install its CustomResourceDefinition, or choose other reports"
            );
        }
        for &kind in served {
            let now = Timestamp::now().as_second();
            let verdicts = (outcome.kind == Some(kind)).then_some(&look.verdicts);
            let kept = store.keep(kind, verdicts, &look.unread, now).await;
            outcome.written += kept.written;
            outcome.removed += kept.removed;
            outcome.miss(kept.missed);
        }
    }
}

impl Outcome {
    fn miss(&mut self, missed: Missed) {
        self.failures += missed.failures;
        self.refused += missed.refused;
    }
}

/// The kinds of reports that the cluster has; `None` when it does not tell.
async fn served(store: &Store, outcome: &mut Outcome) -> Option<Vec<Kind>> {
    let served = store.served().await;
    served
        .inspect_err(|error| {
            tracing::warn!(%error, "can't tell which reports the cluster has; they stay as they are");
            outcome.failures += 1;
        })
        .ok()
}

/// What became of a workload.
enum Judged {
    /// What is said of it, and how many objects are beyond what is read for it.
    Server(Box<Verdict>, usize),
    NoServer,
    TooLarge,
    Unread,
}

/// What is said of one workload is no longer than this, so that all of it fits. In steps, so that one workload more changes
/// no report.
fn share(workloads: usize) -> usize {
    MAX_WORDS / workloads.next_power_of_two()
}

/// What was not read is as it was. Which exemptions it used is not known any more: the settings may be others.
fn carry_over(look: &mut Look, before: BTreeMap<Workload, Verdict>) {
    for (workload, mut verdict) in before {
        if look.unread.has(&workload) {
            verdict.exemptions.clear();
            look.verdicts.entry(workload).or_insert(verdict);
        }
    }
}

/// A time, give or take a tenth, so that many clusters do not ask at the same moment.
fn jittered(time: Duration, random: u64) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let tenth = millis / 10;
    let jitter = random % (2 * tenth + 1);
    Duration::from_millis(millis.saturating_sub(tenth).saturating_add(jitter))
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
