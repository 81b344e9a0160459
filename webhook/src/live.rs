//! What runs: the NATS workloads of a cluster, and each of them as the rules see it.

use std::fmt;
use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use natsguard_policies::bundle::{Bundle, Object, ObjectId};
use natsguard_policies::engine::{Report, evaluate_one};
use natsguard_policies::settings::Settings;
use natsguard_policies::workload::may_run_server;
use serde_json::Value;
use tokio::time::Instant;

use crate::facts::resource::{DAEMON_SETS, DEPLOYMENTS, Resource, STATEFUL_SETS};
use crate::facts::{Cluster, Page, Query, Subject, gather, tidy};

/// The kinds that may run a NATS server.
pub const WORKLOADS: [&Resource; 3] = [&STATEFUL_SETS, &DEPLOYMENTS, &DAEMON_SETS];

/// Objects asked for at a time. A page of StatefulSets is a few MiB of text.
const PAGE: usize = 250;

/// How often a list may begin again because the cluster forgot where it was.
const BEGINNINGS: usize = 3;

/// A workload with all that it refers to.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The workload and the objects that matter to it.
    pub bundle: Bundle,
    /// The workload's place in the bundle.
    pub id: ObjectId,
    /// The questions to the cluster that stayed without an answer.
    pub unknown: Vec<Query>,
}

/// Reads what a workload refers to. `None` when the object has no name, namespace or kind.
pub async fn see(cluster: &Arc<dyn Cluster>, workload: &Value, deadline: Instant) -> Option<Seen> {
    let object = Object::new(workload.clone());
    let namespace = workload.pointer("/metadata/namespace")?.as_str()?;
    let subject = Subject {
        group: object.group(),
        kind: object.kind(),
        namespace,
        name: object.name(),
    };
    let facts = gather(cluster, &subject, &[workload], deadline).await;
    let bundle = facts.bundle(&subject, Some(workload));
    let (id, _) = bundle
        .lookup(subject.group, subject.kind, namespace, subject.name)
        .found()?;
    Some(Seen {
        bundle,
        id,
        unknown: facts.missing().cloned().collect(),
    })
}

impl Seen {
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

/// The NATS workloads of a kind, in the order of their names, in one namespace or in all; `progress` hears how many objects
/// were looked at so far. Only one page of other workloads is held at a time.
pub async fn find(
    client: &Client,
    resource: &'static Resource,
    namespace: Option<&str>,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<Value>, FindError> {
    let mut beginnings = 0;
    loop {
        match pages(client, resource, namespace, progress).await {
            Err(FindError::Refused {
                status: StatusCode::GONE,
                ..
            }) if beginnings < BEGINNINGS => beginnings += 1,
            ended => return ended,
        }
    }
}

async fn pages(
    client: &Client,
    resource: &'static Resource,
    namespace: Option<&str>,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<Value>, FindError> {
    let plural = resource.plural;
    let body_error =
        |error: Box<dyn std::error::Error + Send + Sync>| FindError::Body { plural, error };
    let (mut found, mut looked, mut next) = (Vec::new(), 0, String::new());
    loop {
        let path = Path {
            resource,
            namespace,
            next: &next,
        };
        let request = Request::get(path.to_string())
            .body(Body::empty())
            .map_err(|error| body_error(error.into()))?;
        let response = client
            .send(request)
            .await
            .map_err(|error| FindError::Client { plural, error })?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| body_error(error.into()))?.to_bytes();
        if status != StatusCode::OK {
            let said: Value = serde_json::from_slice(&body).unwrap_or_default();
            let message = said.get("message").and_then(Value::as_str);
            return Err(FindError::Refused {
                plural,
                status,
                message: message.map_or_else(|| status.to_string(), str::to_owned),
            });
        }
        let page: Page<'_> =
            serde_json::from_slice(&body).map_err(|error| body_error(error.into()))?;
        for item in page.items.unwrap_or_default() {
            looked += 1;
            let value: Value =
                serde_json::from_str(item.get()).map_err(|error| body_error(error.into()))?;
            let pod = value.pointer("/spec/template/spec");
            if pod.is_some_and(may_run_server) {
                found.extend(tidy(value, resource));
            }
        }
        progress(looked);
        next = page.metadata.next.unwrap_or_default();
        if next.is_empty() {
            return Ok(found);
        }
    }
}

struct Path<'a> {
    resource: &'static Resource,
    namespace: Option<&'a str>,
    next: &'a str,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resource {
            group,
            version,
            plural,
            ..
        } = self.resource;
        write!(f, "/apis/{group}/{version}")?;
        if let Some(namespace) = self.namespace {
            write!(f, "/namespaces/{namespace}")?;
        }
        write!(f, "/{plural}?limit={PAGE}")?;
        if !self.next.is_empty() {
            // A token is base64 for URLs.
            write!(f, "&continue={}", self.next)?;
        }
        Ok(())
    }
}
