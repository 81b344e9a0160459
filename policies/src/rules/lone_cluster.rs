//! # lone-cluster
//!
//! One server with a `cluster` block and JetStream never elects a leader.
//!
//! ## Why
//!
//! JetStream in a cluster serves nothing before its meta group has a leader. The group expects at least two servers, so the
//! first of them waits for a second for ever: `/healthz` answers 503, and streams can't be made. Without the `cluster` block
//! the same server is its own leader at once.
//!
//! ## What is checked
//!
//! A workload of exactly one pod with JetStream that listens for routes, and whose routes lead to nobody but itself. There may
//! be others where it has a gateway or leaf nodes, where a route or its Service leads to another workload, or where another
//! workload of its namespace is in a cluster of the same name. Without any route it does not even start:
//! [refused-configuration](refused-configuration.md).
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: v1
//! kind: ConfigMap
//! metadata: {name: nats, namespace: messaging}
//! data:
//!   nats.conf: |
//!     server_name: $POD_NAME
//!     jetstream { store_dir: /data }
//!     cluster {
//!       name: nats
//!       port: 6222
//!       routes = [nats://nats-0.nats-headless.messaging.svc.cluster.local:6222]
//!     }
//! ---
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats, namespace: messaging}
//! spec:
//!   replicas: 1
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - name: nats
//!         image: nats:2.14.5
//!         args: [-c, /etc/nats/nats.conf]
//!         volumeMounts: [{name: config, mountPath: /etc/nats}]
//!       volumes: [{name: config, configMap: {name: nats}}]
//! ```
//!
//! ```yaml sound
//! apiVersion: v1
//! kind: ConfigMap
//! metadata: {name: nats, namespace: messaging}
//! data:
//!   nats.conf: |
//!     server_name: $POD_NAME
//!     jetstream { store_dir: /data }
//! ---
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats, namespace: messaging}
//! spec:
//!   replicas: 1
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - name: nats
//!         image: nats:2.14.5
//!         args: [-c, /etc/nats/nats.conf]
//!         volumeMounts: [{name: config, mountPath: /etc/nats}]
//!       volumes: [{name: config, configMap: {name: nats}}]
//! ```
//!
//! ## References
//!
//! - nats-server `bootstrapRaftNode` (server/raft.go): a new group expects at least two
//! - <https://github.com/bitnami/charts/issues/29378>

use crate::conf;
use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Policy};
use crate::routes::list::Routes;
use crate::routes::name::{Named, Names};
use crate::routes::url::Route;
use crate::storage::jetstream::State;
use crate::workload::{Configuration, Workload};

/// The policy.
pub const POLICY: Policy = Policy {
    id: "lone-cluster",
    title: "A single server with JetStream waits for a cluster",
    action: Action::Warn,
    otherwise: Action::Warn,
    page: include_str!("../../docs/lone-cluster.md"),
    evaluate,
};

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    let (State::On(_), Routes::Listed { home, entries }) = (&context.jetstream, &context.routes)
    else {
        return Vec::new();
    };
    if workload.replicas != Some(1)
        || entries.is_empty()
        || !workload.is_clustered()
        || may_have_others(context)
    {
        return Vec::new();
    }
    let names = Names::new(workload, context.settings.domain());
    let is_itself = entries.iter().all(|entry| {
        let host = Route::parse(&entry.text).host;
        matches!(
            names.read(host),
            Named::Pod { .. } | Named::DistantPod(_) | Named::Service | Named::Loopback
        ) && !leads_to_others(context, host)
    });
    if !is_itself {
        return Vec::new();
    }
    vec![finding(
        POLICY.id,
        home.place().clone(),
        "a single server with JetStream and a cluster block never elects a leader",
        format!(
            "the routes of {} lead to nobody but itself",
            workload.title()
        ),
        "leave the cluster block out, or run three servers",
    )]
}

/// Whether something else than its routes may bring others to its cluster.
fn may_have_others(context: &Context<'_>) -> bool {
    let workload = context.workload;
    let cluster = cluster_name(workload);
    let is_joined = match &workload.configuration {
        Configuration::None => false,
        Configuration::Known { config, .. } => {
            let others = ["gateway", "leafnodes", "leaf"];
            !config.unknown_includes.is_empty() || config.root.find(&others).is_some()
        }
        _ => true,
    };
    let mut others = context.neighbours.workloads().iter();
    is_joined
        || others.any(|other| {
            other.id != workload.id
                && other.namespace == workload.namespace
                && cluster.is_some()
                && cluster_name(other) == cluster
        })
}

fn cluster_name<'w>(workload: &'w Workload<'_>) -> Option<&'w str> {
    match workload.command.last(&["cluster_name"]) {
        Some(flag) => Some(&flag.value),
        None => workload
            .cluster()?
            .find(&["name"])
            .and_then(conf::Value::as_str),
    }
}

/// Whether a Service leads to the pods of other workloads, too.
fn leads_to_others(context: &Context<'_>, host: &str) -> bool {
    let workload = context.workload;
    let name = host.split('.').next().unwrap_or_default();
    let found = workload.lookup("", "Service", name);
    found.found().is_some_and(|(id, service)| {
        let behind = context.neighbours.behind(id, service);
        behind.is_none_or(|behind| behind.iter().any(|set| set.id != workload.id))
    })
}
