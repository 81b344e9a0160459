//! The StatefulSets of a cluster that run NATS, and when one of them changes.
//!
//! Of each object only its key, its generation and whether it runs NATS outlive the parser, and only of NATS ones anything is
//! kept: ten thousand others cost nothing.
//!
//! What has not changed since natsguard is there is left as it is: nobody's cluster moves because somebody installs natsguard.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::{self, Event, InitialListStrategy, watcher};
use kube::{Api, Client, Error, Resource};
use natsguard_policies::workload::may_run_server;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep};

use super::metrics::Metrics;
use super::problem::{Problem, watch_words};

/// How long one watch request lasts. A connection that died without a word is noticed after that.
pub const LASTS: u32 = 120;

/// Objects of a page, where the apiserver streams no lists. A page of StatefulSets is a few MiB of text.
const PAGE: u32 = 250;

/// The first and the longest wait after an error. An apiserver that restarts is missed for no more than seconds.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(8)];

/// The longest wait after a missing right. Nobody mends one within seconds; but an apiserver that has just started refuses
/// everybody until it has read who may do what.
const REFUSED: Duration = Duration::from_secs(30);

/// An error after so long without one is the first again.
const CALM: Duration = Duration::from_mins(1);

/// Which StatefulSet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What became of a NATS StatefulSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new, or its spec is.
    Changed(Key),
    /// It is gone, or runs NATS no more.
    Gone(Key),
}

/// As much of a StatefulSet as the watch keeps while it looks at it.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Whole")]
pub struct Set {
    metadata: ObjectMeta,
    /// When somebody last wrote it, its status aside.
    changed: Option<Timestamp>,
    runs_nats: bool,
}

#[derive(Deserialize)]
struct Whole {
    metadata: Identity,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    generation: Option<i64>,
    #[serde(rename = "resourceVersion")]
    version: Option<String>,
    creation_timestamp: Option<String>,
    #[serde(default)]
    managed_fields: Vec<Written>,
}

/// Whoever updates an object may write the times, and ones that can't be read must not hide the object.
#[derive(Deserialize)]
struct Written {
    time: Option<String>,
    #[serde(default)]
    subresource: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    template: Template,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: Value,
}

impl From<Whole> for Set {
    fn from(whole: Whole) -> Self {
        let Identity {
            name,
            namespace,
            uid,
            generation,
            version,
            creation_timestamp,
            managed_fields,
        } = whole.metadata;
        let written = managed_fields.into_iter();
        let written = written
            .filter(|written| written.subresource != "status")
            .filter_map(|written| written.time)
            .chain(creation_timestamp);
        Self {
            changed: written.filter_map(|time| time.parse().ok()).max(),
            metadata: ObjectMeta {
                name,
                namespace,
                uid,
                generation,
                // The watch goes on from there.
                resource_version: version,
                ..ObjectMeta::default()
            },
            runs_nats: may_run_server(&whole.spec.template.spec),
        }
    }
}

impl Resource for Set {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "StatefulSet".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "apps".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "statefulsets".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Of a StatefulSet what changes with its spec: its uid, because one of the same name begins to count anew, and its
/// generation.
type Version = (Option<String>, Option<i64>);

/// The NATS StatefulSets that are known.
#[derive(Debug)]
struct Sets {
    /// What was last written before is known already.
    since: Timestamp,
    known: BTreeMap<Key, Version>,
    /// Those that the list under way has shown so far.
    listed: BTreeSet<Key>,
}

impl Sets {
    fn take(&mut self, event: Event<Set>) -> Vec<Change> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(set) => {
                let change = self.apply(set);
                if let Some(key) = change.0 {
                    self.listed.insert(key);
                }
                change.1.into_iter().collect()
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let (known, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
                    std::mem::take(&mut self.known)
                        .into_iter()
                        .partition(|(key, _)| listed.contains(key));
                self.known = known;
                gone.into_keys().map(Change::Gone).collect()
            }
            Event::Apply(set) => self.apply(set).1.into_iter().collect(),
            Event::Delete(mut set) => {
                set.runs_nats = false;
                self.apply(set).1.into_iter().collect()
            }
        }
    }

    /// The key of a set that runs NATS, and what changed.
    fn apply(&mut self, set: Set) -> (Option<Key>, Option<Change>) {
        let ObjectMeta {
            name: Some(name),
            namespace: Some(namespace),
            uid,
            generation,
            ..
        } = set.metadata
        else {
            return (None, None);
        };
        let key = Key { namespace, name };
        let is_old = set.changed.is_some_and(|changed| changed < self.since);
        if !set.runs_nats {
            let gone = self.known.remove(&key).map(|_| Change::Gone(key));
            return (None, gone);
        }
        let version = (uid, generation);
        let former = self.known.insert(key.clone(), version.clone());
        let is_new = former.as_ref() != Some(&version) && !(former.is_none() && is_old);
        (Some(key.clone()), is_new.then_some(Change::Changed(key)))
    }
}

/// Tells each change until nobody listens; at the beginning each StatefulSet that was written since then is one.
pub async fn run(client: Client, metrics: Metrics, since: Timestamp, changes: Sender<Change>) {
    let mut watching = Watching {
        sets: Sets {
            since,
            known: BTreeMap::new(),
            listed: BTreeSet::new(),
        },
        problem: Problem::new("StatefulSets can't be watched"),
        pause: PAUSES[0],
        failed: None,
        metrics,
        changes,
    };
    let api: Api<Set> = Api::all(client);
    let mut config = watcher::Config::default()
        .timeout(LASTS)
        .page_size(PAGE)
        .streaming_lists();
    loop {
        match watching.follow(&api, &config).await {
            End::Unheard => return,
            End::Stale => {}
            End::NoStreams => {
                tracing::info!("the apiserver streams no lists; reading them page by page");
                config.initial_list_strategy = InitialListStrategy::ListWatch;
            }
        }
    }
}

/// Why a watch can't go on.
enum End {
    /// Nobody listens.
    Unheard,
    /// It has to begin with a list again. `watcher` does that by itself only when an event says so, and not when the
    /// request is refused.
    Stale,
    /// The apiserver can't begin a watch with a list.
    NoStreams,
}

struct Watching {
    sets: Sets,
    problem: Problem,
    pause: Duration,
    failed: Option<Instant>,
    metrics: Metrics,
    changes: Sender<Change>,
}

impl Watching {
    async fn follow(&mut self, api: &Api<Set>, config: &watcher::Config) -> End {
        let streams = config.initial_list_strategy == InitialListStrategy::StreamingList;
        let mut events = pin!(watcher(api.clone(), config.clone()));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if !matches!(event, Event::Init) {
                        self.problem.over();
                    }
                    for change in self.sets.take(event) {
                        if self.changes.send(change).await.is_err() {
                            return End::Unheard;
                        }
                    }
                    self.metrics.workloads(self.sets.known.len());
                }
                Err(error) if streams && refuses_streams(&error) => return End::NoStreams,
                Err(error) => {
                    self.fail(&error).await;
                    if is(&error, 410) {
                        return End::Stale;
                    }
                }
            }
        }
        End::Unheard
    }

    async fn fail(&mut self, error: &watcher::Error) {
        // 410: the apiserver no longer knows what happened since. That is how things are, no problem, and an answer: however long
        // the waits for one have become, the list need not wait.
        if is(error, 410) {
            tracing::info!("the watch fell behind; listing StatefulSets again");
            return sleep(PAUSES[0]).await;
        }
        self.problem.is(&watch_words(error));
        let now = Instant::now();
        if self.failed.is_none_or(|failed| now - failed > CALM) {
            self.pause = PAUSES[0];
        }
        let longest = if is(error, 403) { REFUSED } else { PAUSES[1] };
        let pause = self.pause.min(longest);
        sleep(pause).await;
        self.pause = pause * 2;
        self.failed = Some(Instant::now());
    }
}

fn is(error: &watcher::Error, code: u16) -> bool {
    let (watcher::Error::WatchError(status)
    | watcher::Error::InitialListFailed(Error::Api(status))
    | watcher::Error::WatchStartFailed(Error::Api(status))
    | watcher::Error::WatchFailed(Error::Api(status))) = error
    else {
        return false;
    };
    status.code == code
}

/// Kubernetes before 1.32, and others with the feature WatchList off, refuse `sendInitialEvents` as invalid.
fn refuses_streams(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(Error::Api(status)) if matches!(status.code, 400 | 422))
}
