//! What is done about one StatefulSet: what is wrong around it is touched, so that admission repairs it there.
//!
//! The controller writes nothing that a user manages: it sets `natsguard.dev/reviewed`, and the repair is made inside that
//! request. So what is repaired stays with whoever wrote it, and the next apply meets no conflict.

mod counts;
mod fights;
mod notes;
mod objects;
pub(super) mod pace;
mod plan;
mod recent;
mod restart;
mod server;
mod waits;
mod words;

use std::env;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Client, Error};
use natsguard_policies::settings::Settings;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::controller::digest;
use crate::controller::missing::Missing;
use crate::controller::scope::Scope;
use crate::controller::watch::Key;
use crate::facts::Cluster;
use crate::facts::resource::SECRETS;
use crate::kubernetes::is_refused;
use crate::live;
use counts::{Counts, Outcome};
use fights::{Fights, Permit};
use notes::Notes;
use objects::{Objects, Written};
use pace::Pace;
use plan::{Target, Touch, content, plan};
use recent::Recent;
use restart::{Restart, is_new, is_running, ready_replicas, restart};
use server::{MOUNTED, Server, mark, was_touched};
use waits::Waits;

/// How long to read what a StatefulSet refers to.
const SEEING: Duration = Duration::from_secs(5);

/// So often a review begins again because somebody else wrote what it read.
const ATTEMPTS: usize = 4;

/// Whether a repair stays is looked at so soon, and so long.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Failures in a row that last so long say that there is no end to them.
const LASTING: Duration = Duration::from_mins(4);

/// A pod that changed while it was to be restarted is looked at again so soon.
const SOON: Duration = Duration::from_secs(2);

/// What the platform lets the controller do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether objects that belong to another controller are repaired, too.
    pub owned: bool,
    /// So many writes a second are made, in all.
    pub writes_per_second: u32,
    /// How long after a repair a pod that started before it may still become ready by itself.
    pub restart_after: Duration,
}

/// When to look at a StatefulSet again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When it changes.
    Wait,
    /// After so long.
    Again(Duration),
}

/// Why a review came to no end. It is to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The StatefulSet or its pods could not be read.
    #[error("can't read {what}: {error}")]
    Read {
        /// What was read.
        what: String,
        /// Why.
        error: String,
    },
    /// An object could not be touched.
    #[error("can't touch {object}: {error}")]
    Touch {
        /// Which.
        object: String,
        /// Why.
        error: String,
    },
    /// A pod could not be deleted.
    #[error("can't restart Pod {pod}: {error}")]
    Restart {
        /// Which.
        pod: String,
        /// Why.
        error: String,
    },
    /// Others wrote what was read, each time.
    #[error("others wrote what StatefulSet {set} refers to {ATTEMPTS} times in a row")]
    Race {
        /// Namespace and name.
        set: String,
    },
    /// The evaluation panicked. What it said may hold content, so it is not repeated.
    #[error("the evaluation of StatefulSet {set} broke off")]
    Broken {
        /// Namespace and name.
        set: String,
    },
}

/// What a StatefulSet refers to and is not there is looked for again so soon, where no watch tells.
const MISSED: Duration = Duration::from_secs(2);

/// Reviews StatefulSets. What it remembers only keeps it from saying or trying things too often.
pub struct Repairer {
    objects: Objects,
    cluster: Arc<dyn Cluster>,
    settings: Arc<ArcSwap<Settings>>,
    options: Options,
    pace: Pace,
    fights: Arc<Fights>,
    /// After touches that admission did not repair, or that the apiserver did not take.
    refused: Waits<Target>,
    /// After facts that could not be read.
    unseen: Waits<Key>,
    /// For objects that are not there yet.
    absent: Waits<Key>,
    missing: Arc<Missing>,
    scope: Scope,
    /// For servers that have still to start.
    starting: Waits<String>,
    /// Pods that were restarted, by uid of their StatefulSet and by name: never twice, whatever the clocks say.
    restarted: Mutex<Recent<(String, String)>>,
    notes: Notes,
    counts: Counts,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The soonest time to look again.
#[derive(Debug, Default)]
struct Soonest(Option<Duration>);

/// What a touch came to.
enum Touched {
    Repaired(Value),
    Later(Duration),
    Raced,
}

impl Repairer {
    /// Reads the cluster through `cluster`, and all else through `client`.
    pub fn new(
        client: Client,
        cluster: Arc<dyn Cluster>,
        settings: Arc<ArcSwap<Settings>>,
        missing: Arc<Missing>,
        scope: Scope,
        options: Options,
        registry: &mut Registry,
    ) -> Self {
        let fights = Arc::<Fights>::default();
        Self {
            objects: Objects::new(client.clone()),
            cluster,
            settings,
            pace: Pace::new(options.writes_per_second),
            options,
            refused: Waits::default(),
            unseen: Waits::default(),
            absent: Waits::from(MISSED),
            missing,
            scope,
            starting: Waits::default(),
            restarted: Mutex::default(),
            notes: Notes::new(client, env::var("POD_NAME").ok()),
            counts: Counts::new(registry, &fights),
            fights,
            clock: Box::new(Timestamp::now),
        }
    }

    /// Looks at a StatefulSet, and does what is due.
    pub async fn review(&self, namespace: &str, name: &str) -> Result<Next, RepairError> {
        let began = Instant::now();
        for _ in 0..ATTEMPTS {
            if let Some(next) = self.round(namespace, name, began).await? {
                return Ok(next);
            }
        }
        let set = format!("{namespace}/{name}");
        Err(RepairError::Race { set })
    }

    /// `None` when what was read is not what is there any more.
    async fn round(
        &self,
        namespace: &str,
        name: &str,
        began: Instant,
    ) -> Result<Option<Next>, RepairError> {
        let held = self.scope.holds(namespace).await;
        let is_held = held.map_err(|error| RepairError::Read {
            what: format!("Namespace {namespace}"),
            error: objects::words(&error),
        })?;
        if !is_held {
            return Ok(Some(Next::Wait));
        }
        let read = self.objects.stateful_set(namespace, name).await;
        let set = read.map_err(|error| RepairError::Read {
            what: format!("StatefulSet {namespace}/{name}"),
            error: objects::words(&error),
        })?;
        let key = Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let set = set.filter(|set| set.pointer("/metadata/deletionTimestamp").is_none());
        let deadline = Instant::now() + SEEING;
        let settings = self.settings.load_full();
        let seen = match &set {
            Some(set) => live::see(&self.cluster, &settings, set, deadline).await,
            None => None,
        };
        let (Some(set), Some(seen)) = (set, seen) else {
            self.missing.reviewed(&key, &[]);
            return Ok(Some(Next::Wait));
        };
        let mut again = Soonest::default();
        // Before anything else is asked for: what comes from now on is told.
        self.missing.reviewed(&key, &seen.absent);
        if seen.absent.is_empty() {
            self.absent.end(&key);
        } else {
            again.after(self.absent.next(&key, Instant::now()));
        }
        // A Secret that natsguard may not read stays unknown, and so does what is too much.
        if seen.late.iter().any(|query| *query.resource != SECRETS) {
            again.after(self.unseen.next(&key, Instant::now()));
        } else {
            self.unseen.end(&key);
        }
        let owned = self.options.owned;
        let planned = spawn_blocking(move || plan(&seen, &settings, owned)).await;
        let plan = planned.map_err(|_| RepairError::Broken {
            set: format!("{namespace}/{name}"),
        })?;
        for owned in &plan.owned {
            self.counts.touch(owned.target.kind, Outcome::Owned);
            let note = words::owned(owned);
            self.notes.say(note, &set, Some(&owned.before), "").await;
        }
        for frozen in &plan.frozen {
            self.counts.touch(frozen.target.kind, Outcome::Immutable);
            let note = words::frozen(frozen);
            self.notes.say(note, &set, Some(&frozen.before), "").await;
        }
        let mut failure = None;
        let mut repaired = Vec::new();
        let mut is_raced = false;
        for touch in &plan.touches {
            let touched = match self.touch(&set, touch, began).await {
                Ok(touched) => Ok(touched),
                Err(error) => self.fail(&set, touch, &error).await,
            };
            match touched {
                Ok(Touched::Repaired(after)) => repaired.push((touch, after)),
                Ok(Touched::Later(after)) => again.after(after),
                Ok(Touched::Raced) => is_raced = true,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if !repaired.is_empty() {
            again.after(LOOK_AGAIN);
        }
        for (target, before) in &plan.unmarked {
            match self.mark(target, before).await {
                Ok(is_done) => is_raced |= !is_done,
                Err(_) => again.after(self.refused.next(target, Instant::now())),
            }
        }
        if let Some(server) = &plan.server {
            let pending = self.tell(&set, server, &repaired).await?;
            if pending {
                again.after(self.options.restart_after);
            }
            let now = Instant::now();
            let mut files = server.files.iter();
            if files.any(|file| self.fights.is_recent(&file.target, now)) {
                again.after(LOOK_AGAIN);
            }
            if plan.is_right(server) {
                self.restart(&set, server, &mut again).await?;
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None if is_raced => Ok(None),
            None => Ok(Some(again.next())),
        }
    }

    /// Has admission repair an object.
    async fn touch(&self, set: &Value, touch: &Touch, began: Instant) -> Result<Touched, Error> {
        match self
            .fights
            .ask(&(touch.target.clone(), touch.fault), Instant::now())
        {
            Permit::Go => {}
            Permit::Left(left) => return Ok(Touched::Later(left)),
            Permit::Fight(left) => {
                self.fight(set, touch).await;
                return Ok(Touched::Later(left));
            }
        }
        // One that was touched before and is wrong all the same may not be repaired this time either: whether it would be is
        // asked without writing. The first touch is made at once, because servers may be about to read the file.
        if was_touched(&touch.before) {
            let mark = mark(&touch.before, (self.clock)());
            match self
                .write(&touch.target, &touch.before, &mark, true)
                .await?
            {
                Written::Repaired(_) => {}
                Written::Unchanged => return Ok(self.refuse(set, touch).await),
                Written::Raced => return Ok(Touched::Raced),
            }
        }
        self.pace.turn().await;
        let mark = mark(&touch.before, (self.clock)());
        match self
            .write(&touch.target, &touch.before, &mark, false)
            .await?
        {
            Written::Repaired(after) => {
                self.note_repair(set, touch, began);
                Ok(Touched::Repaired(after))
            }
            Written::Unchanged => Ok(self.refuse(set, touch).await),
            Written::Raced => Ok(Touched::Raced),
        }
    }

    /// Has admission see a file whenever it is written, also when what it holds tells nothing of NATS. `false` when it is
    /// another one by now.
    async fn mark(&self, target: &Target, before: &Value) -> Result<bool, Error> {
        self.pace.turn().await;
        let written = self.write(target, before, MOUNTED, false).await?;
        self.refused.end(target);
        Ok(written != Written::Raced)
    }

    async fn write(
        &self,
        target: &Target,
        before: &Value,
        mark: &str,
        is_dry: bool,
    ) -> Result<Written, Error> {
        let written = self.objects.touch(target, before, mark, is_dry).await;
        match &written {
            Ok(Written::Raced) => self.counts.touch(target.kind, Outcome::Conflict),
            Ok(_) => {}
            Err(_) => self.counts.touch(target.kind, Outcome::Failed),
        }
        written
    }

    /// It could not be touched: another webhook denies it, say. What lasts is told its owner, and tried ever less often.
    async fn fail(
        &self,
        set: &Value,
        touch: &Touch,
        error: &Error,
    ) -> Result<Touched, RepairError> {
        let Touch { target, before, .. } = touch;
        let now = Instant::now();
        if !is_refused(error) && self.refused.lasts(target, now) < LASTING {
            return Err(RepairError::Touch {
                object: format!("{target} in {}", target.namespace),
                error: objects::refusal(error),
            });
        }
        let note = words::failed(touch, &objects::refusal(error));
        let occasion = occasion(before);
        self.notes.say(note, set, Some(before), &occasion).await;
        Ok(Touched::Later(self.refused.next(target, now)))
    }

    fn note_repair(&self, set: &Value, touch: &Touch, began: Instant) {
        let Touch {
            target, policies, ..
        } = touch;
        self.fights
            .repaired(&(target.clone(), touch.fault), Instant::now());
        self.refused.end(target);
        self.counts.repaired(target.kind, began.elapsed());
        tracing::info!(
            namespace = target.namespace,
            kind = target.kind.name(),
            name = target.name,
            workload = name(set),
            policies = policies.join(","),
            "had an object repaired"
        );
    }

    /// Admission did not repair it.
    async fn refuse(&self, set: &Value, touch: &Touch) -> Touched {
        self.counts.touch(touch.target.kind, Outcome::NotAdmitted);
        let note = words::not_admitted(touch);
        let object = Some(&touch.before);
        let occasion = occasion(&touch.before);
        self.notes.say(note, set, object, &occasion).await;
        Touched::Later(self.refused.next(&touch.target, Instant::now()))
    }

    async fn fight(&self, set: &Value, touch: &Touch) {
        let target = &touch.target;
        self.counts.fights.inc();
        tracing::warn!(
            namespace = target.namespace,
            kind = target.kind.name(),
            name = target.name,
            workload = name(set),
            "somebody writes an object in a loop; it is left alone"
        );
        let version = text(&touch.before, "/metadata/resourceVersion");
        let note = words::fight(target);
        let object = &touch.before;
        self.notes
            .say(note.clone(), object, Some(set), version)
            .await;
        self.notes.say(note, set, Some(object), version).await;
    }

    /// Says that servers run with a file as it was before. Returns whether they will be restarted instead, unless they
    /// become ready.
    async fn tell(
        &self,
        set: &Value,
        server: &Server,
        repaired: &[(&Touch, Value)],
    ) -> Result<bool, RepairError> {
        let files = repaired
            .iter()
            .filter(|(touch, _)| server.reads(&touch.target));
        let files: Vec<_> = files.collect();
        if files.is_empty() {
            return Ok(false);
        }
        let pods = self.pods(set).await?;
        if server.may_restart() && is_new(set, &pods) {
            return Ok(true);
        }
        let running = pods.iter().filter(|pod| is_running(pod));
        let running: Vec<&str> = running.map(pod_name).collect();
        if running.is_empty() {
            return Ok(false);
        }
        for (touch, after) in files {
            let remedy = server.remedy(&touch.target, &touch.before, after);
            let note = words::reload(&touch.target, &running, remedy);
            self.notes
                .say(note, set, Some(after), &occasion(after))
                .await;
        }
        Ok(false)
    }

    /// Restarts the pods that started with a wrong file, one after the other.
    async fn restart(
        &self,
        set: &Value,
        server: &Server,
        again: &mut Soonest,
    ) -> Result<(), RepairError> {
        if !server.may_restart() || server.reviewed().is_none() || ready_replicas(set) > 0 {
            return Ok(());
        }
        let pods = self.pods(set).await?;
        if !is_new(set, &pods) {
            return Ok(());
        }
        let mut is_starting = false;
        for pod in &pods {
            let now = (self.clock)();
            if self.restarted().contains(&restarted_as(set, pod)) {
                continue;
            }
            match restart(pod, server, now, self.options.restart_after) {
                Restart::No => {}
                Restart::In(left) => again.after(left.max(SOON)),
                Restart::Unstarted => is_starting = true,
                Restart::Now => {
                    self.pace.turn().await;
                    self.delete(set, pod, again).await?;
                }
            }
        }
        let uid = text(set, "/metadata/uid").to_owned();
        if is_starting {
            again.after(self.starting.next(&uid, Instant::now()));
        } else {
            self.starting.end(&uid);
        }
        Ok(())
    }

    async fn delete(&self, set: &Value, pod: &Pod, again: &mut Soonest) -> Result<(), RepairError> {
        let namespace = text(set, "/metadata/namespace");
        let pod_name = pod_name(pod);
        let deleted = self.objects.delete(namespace, pod).await;
        let is_deleted = deleted.map_err(|error| RepairError::Restart {
            pod: format!("{namespace}/{pod_name}"),
            error: objects::refusal(&error),
        })?;
        if !is_deleted {
            // It became ready, say.
            again.after(SOON);
            return Ok(());
        }
        self.restarted().is_new(restarted_as(set, pod));
        self.counts.restarts.inc();
        tracing::info!(
            namespace,
            pod = pod_name,
            workload = name(set),
            "restarted a pod that started before its configuration was repaired"
        );
        let note = words::restarted(pod_name);
        let pod = serde_json::to_value(pod).ok();
        self.notes.say(note, set, pod.as_ref(), "").await;
        Ok(())
    }

    fn restarted(&self) -> MutexGuard<'_, Recent<(String, String)>> {
        self.restarted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn pods(&self, set: &Value) -> Result<Vec<Pod>, RepairError> {
        let pods = self.objects.pods(set).await;
        pods.map_err(|error| RepairError::Read {
            what: format!(
                "the pods of StatefulSet {}/{}",
                text(set, "/metadata/namespace"),
                name(set)
            ),
            error: objects::words(&error),
        })
    }
}

impl Soonest {
    fn after(&mut self, wait: Duration) {
        self.0 = Some(self.0.map_or(wait, |soonest| soonest.min(wait)));
    }

    fn next(self) -> Next {
        self.0.map_or(Next::Wait, Next::Again)
    }
}

/// What tells an object's content apart, so that an Event about it is said once.
fn occasion(object: &Value) -> String {
    digest(&format!("{:?}", content(object))).to_string()
}

fn restarted_as(set: &Value, pod: &Pod) -> (String, String) {
    let uid = text(set, "/metadata/uid").to_owned();
    (uid, pod_name(pod).to_owned())
}

fn name(set: &Value) -> &str {
    text(set, "/metadata/name")
}

fn pod_name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests;
