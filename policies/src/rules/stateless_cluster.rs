//! # stateless-cluster
//!
//! A Deployment or DaemonSet runs a clustered server.
//!
//! ## Why
//!
//! Pods of a Deployment have random names and no DNS names of their own, so no route can name them: every route is a route
//! to a Service, and such a cluster partitions at restarts (see service-route). They share volumes or have none, so
//! JetStream has nowhere to keep its data. Of a DaemonSet the same is true, and its size changes with the nodes.
//!
//! ## What is checked
//!
//! A Deployment or DaemonSet whose server has routes, or listens for routes with more than one pod.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: apps/v1
//! kind: Deployment
//! metadata: {name: nats}
//! spec:
//!   replicas: 3
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - {name: nats, image: "nats:2.14.5", args: ["--cluster=nats://0.0.0.0:6222", "--routes=nats://nats:6222"]}
//! ```
//!
//! ```yaml sound
//! apiVersion: apps/v1
//! kind: Deployment
//! metadata: {name: nats}
//! spec:
//!   replicas: 1
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - {name: nats, image: "nats:2.14.5", args: ["-m", "8222"]}
//! ```
//!
//! ## References
//!
//! - <https://github.com/nats-io/k8s/issues/188>: "StatefulSet is needed for Routes & JetStream"

use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Policy};
use crate::routes::list::Routes;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "stateless-cluster",
    title: "A Deployment or DaemonSet runs a clustered server",
    action: Action::Warn,
    otherwise: Action::Warn,
    page: include_str!("../../docs/stateless-cluster.md"),
    evaluate,
};

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    if !workload.kind.has_nameless_pods() || !workload.is_clustered() {
        return Vec::new();
    }
    let has_routes = match &context.routes {
        Routes::Listed { entries, .. } => !entries.is_empty(),
        Routes::Opaque { .. } | Routes::Unseen { .. } | Routes::Absent { .. } => true,
        Routes::None => false,
    };
    if !has_routes && workload.replicas == Some(1) {
        return Vec::new();
    }
    vec![finding(
        POLICY.id,
        workload.own_place("/kind"),
        "a clustered server needs pods with names of their own, which only a StatefulSet has",
        workload.title(),
        "run it as a StatefulSet behind a headless Service, with one route to each pod",
    )]
}
