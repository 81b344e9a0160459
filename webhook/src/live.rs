//! What runs: the NATS workloads of a cluster, and each of them as the rules see it.

pub(crate) mod pages;

use std::sync::Arc;

use http::StatusCode;
use kube::Client;
use natsguard_policies::bundle::{Bundle, Object, ObjectId};
use natsguard_policies::engine::{Report, evaluate_one};
use natsguard_policies::settings::Settings;
use natsguard_policies::workload::{Kind, discover, may_run_server};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::facts::resource::{
    CRON_JOBS, DAEMON_SETS, DEPLOYMENT_CONFIGS, DEPLOYMENTS, JOBS, PODS, REPLICA_SETS,
    REPLICATION_CONTROLLERS, ROLLOUTS, Resource, STATEFUL_SETS,
};
use crate::facts::{Cluster, Inquiry, Query, Subject, gather, heft, tidy};
use pages::{BEGINNINGS, Pages};

/// The kinds that may run a NATS server.
pub const WORKLOADS: [&Resource; 3] = [&STATEFUL_SETS, &DEPLOYMENTS, &DAEMON_SETS];

/// The kinds that run one more rarely, which a cluster may lack and a user may not list.
pub const RARE_WORKLOADS: [&Resource; 7] = [
    &CRON_JOBS,
    &DEPLOYMENT_CONFIGS,
    &ROLLOUTS,
    &REPLICA_SETS,
    &REPLICATION_CONTROLLERS,
    &JOBS,
    &PODS,
];

/// Objects asked for at a time.
const PAGE: usize = 250;

/// A workload with all that it refers to.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The workload and the objects that matter to it.
    pub bundle: Bundle,
    /// The workload's place in the bundle.
    pub id: ObjectId,
    /// The questions to the cluster that stayed without an answer.
    pub unknown: Vec<Query>,
    /// Those of them that may be answered when they are asked again.
    pub late: Vec<Query>,
    /// What it refers to and is not there.
    pub absent: Vec<Query>,
    /// What it leads to beyond the bound on what is read for one workload.
    pub beyond: Vec<Query>,
}

/// Reads what a workload refers to. `None` when the object has no name, namespace or kind.
pub async fn see(
    cluster: &Arc<dyn Cluster>,
    settings: &Arc<Settings>,
    workload: &Value,
    deadline: Instant,
) -> Option<Seen> {
    let object = Object::new(workload.clone());
    let namespace = workload.pointer("/metadata/namespace")?.as_str()?;
    let subject = Subject {
        group: object.group(),
        kind: object.kind(),
        namespace,
        name: object.name(),
    };
    let turns = Arc::new(Semaphore::new(1));
    let objects = vec![Arc::new(workload.clone())];
    let inquiry = Inquiry::new(&subject, objects, Arc::clone(settings), turns);
    let facts = gather(cluster, inquiry, deadline).await;
    let bundle = facts.bundle(&subject, Some(object.clone()));
    let own = bundle.referrer(&object);
    let (id, _) = bundle
        .lookup(own, subject.group, subject.kind, subject.name)
        .found()?;
    Some(Seen {
        bundle,
        id,
        unknown: facts.missing().cloned().collect(),
        late: facts.late().cloned().collect(),
        absent: facts.absent().cloned().collect(),
        beyond: facts.beyond().cloned().collect(),
    })
}

/// Kind and name of the controller that an object belongs to.
pub(crate) fn owner(object: &Value) -> Option<String> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners
        .iter()
        .find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    let text = |field| owner.get(field).and_then(Value::as_str).unwrap_or_default();
    Some(format!("{} {}", text("kind"), text("name")))
}

impl Seen {
    /// Whether it runs a NATS server after all: that it may is all that is known of what was found.
    pub fn is_server(&self) -> bool {
        discover(&self.bundle)
            .iter()
            .any(|found| found.id == self.id)
    }

    /// What the workload is at fault with, its neighbours not.
    pub fn report(&self, settings: &Settings) -> Report {
        evaluate_one(&self.bundle, settings, self.id)
    }
}

/// Why a list could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The apiserver could not be asked.
    #[error("can't list {plural}: {error}")]
    Client {
        /// What was listed.
        plural: &'static str,
        /// Why.
        error: kube::Error,
    },
    /// The answer broke off.
    #[error("can't list {plural}: {error}")]
    Body {
        /// What was listed.
        plural: &'static str,
        /// Why.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The apiserver said no.
    #[error("can't list {plural}: {message}")]
    Refused {
        /// What was listed.
        plural: &'static str,
        /// Its status.
        status: StatusCode,
        /// Its words.
        message: String,
    },
}

impl FindError {
    /// The status of a refusal.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Client { .. } | Self::Body { .. } => None,
        }
    }

    /// Whether the cluster forgot where the list was.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.status() == Some(StatusCode::GONE)
    }
}

/// The NATS workloads of a kind, in the order of their names, in one namespace or in all; `progress` hears how many objects
/// were looked at so far. Only one page of other workloads is held at a time.
pub async fn find(
    client: &Client,
    resource: &'static Resource,
    namespace: Option<&str>,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<Value>, FindError> {
    let read = |item: &RawValue| {
        let value: Value = serde_json::from_str(item.get())?;
        Ok(tidy(value, resource).and_then(candidate))
    };
    list(client, resource, namespace, &read, progress).await
}

/// The namespaces and names of a kind's NATS workloads in all namespaces. Who may not hold them all reads each with
/// [`read`]. Those that are too large to tell are among them.
pub(crate) async fn names(
    client: &Client,
    resource: &'static Resource,
) -> Result<Vec<(String, String)>, FindError> {
    let read = |item: &RawValue| {
        if heft::of_text(item.get()) <= heft::MAX_OBJECT {
            let value: Value = serde_json::from_str(item.get())?;
            if tidy(value, resource).and_then(candidate).is_none() {
                return Ok(None);
            }
        }
        let Item { metadata } = serde_json::from_str(item.get())?;
        Ok(Some((metadata.namespace, metadata.name)))
    };
    list(client, resource, None, &read, &mut |_| {}).await
}

/// A workload as it is now.
pub(crate) enum Current {
    Here(Box<Value>),
    Gone,
    /// It is there, and takes more memory than one workload may.
    TooLarge,
}

/// Reads one workload, with the right to list its kind.
pub(crate) async fn read(
    client: &Client,
    resource: &'static Resource,
    namespace: &str,
    name: &str,
) -> Result<Current, FindError> {
    let path = path(resource, Some(namespace));
    let path = format!("{path}?fieldSelector=metadata.name%3D{name}");
    let mut current = Current::Gone;
    Pages::new(client, resource.plural, path, 1)
        .read(&mut |item| {
            current = if heft::of_text(item.get()) > heft::MAX_OBJECT {
                Current::TooLarge
            } else {
                let value = tidy(serde_json::from_str(item.get())?, resource);
                value.map_or(Current::Gone, |value| Current::Here(Box::new(value)))
            };
            Ok(())
        })
        .await?;
    Ok(current)
}

#[derive(Deserialize)]
struct Item {
    metadata: ItemMetadata,
}

#[derive(Deserialize)]
struct ItemMetadata {
    #[serde(default)]
    namespace: String,
    name: String,
}

/// What is read of each item; `None` of those that don't matter.
type Read<'a, T> = &'a (dyn Fn(&RawValue) -> Result<Option<T>, serde_json::Error> + Send + Sync);

async fn list<T: Send>(
    client: &Client,
    resource: &'static Resource,
    namespace: Option<&str>,
    read: Read<'_, T>,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<T>, FindError> {
    let mut beginnings = 0;
    loop {
        match pages(client, resource, namespace, read, progress).await {
            Err(error) if error.is_forgotten() && beginnings < BEGINNINGS => {
                beginnings += 1;
            }
            ended => return ended,
        }
    }
}

async fn pages<T: Send>(
    client: &Client,
    resource: &'static Resource,
    namespace: Option<&str>,
    read: Read<'_, T>,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<T>, FindError> {
    let mut pages = Pages::new(client, resource.plural, path(resource, namespace), PAGE);
    let (mut found, mut looked, mut is_more) = (Vec::new(), 0, true);
    while is_more {
        is_more = pages
            .read(&mut |item| {
                looked += 1;
                found.extend(read(item)?);
                Ok(())
            })
            .await?;
        progress(looked);
    }
    Ok(found)
}

/// The workload, where it may run a server.
fn candidate(workload: Value) -> Option<Value> {
    let object = Object::new(workload);
    let pod = object.value.pointer(Kind::of(&object)?.pod_pointer())?;
    may_run_server(pod).then_some(object.value)
}

fn path(resource: &Resource, namespace: Option<&str>) -> String {
    let Resource {
        group,
        version,
        plural,
        ..
    } = resource;
    let api = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    match namespace {
        Some(namespace) => format!("{api}/namespaces/{namespace}/{plural}"),
        None => format!("{api}/{plural}"),
    }
}
