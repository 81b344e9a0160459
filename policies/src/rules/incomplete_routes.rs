//! # incomplete-routes
//!
//! A pod has no route, a route names a pod that does not exist, or two name the same one.
//!
//! ## Why
//!
//! JetStream takes the number of configured routes for the size of its meta group when it starts for the first time (at
//! least 2, and at least the peers it has found). With routes missing, some servers can elect a leader without the others;
//! with routes too many the first election needs a larger majority, and with about twice as many it never comes. A pod
//! without a route is found by gossip only, which is tried once; a route to a pod that is not there is dialled, and
//! logged, for ever.
//!
//! ## What is checked
//!
//! The pods are `<name>-<ordinals.start>` up to the number of `replicas`; each must be in the list exactly once. A pod
//! that is listed under another DNS domain counts. With `replicas: 0`, or a number that can't be read, the list stays as
//! it is. A single server needs no route to itself.
//!
//! ## Repair
//!
//! Missing pods are added at the end, with the scheme and the credentials of their neighbours; with cluster TLS under a
//! name that the certificate covers, or in the form their neighbours have. Pods that do not exist, and repetitions, are
//! removed. A list that does not exist yet is made. There is no repair where the routes would need credentials that no
//! neighbour has.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats}
//! spec:
//!   replicas: 3
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - name: nats
//!         image: nats:2.14.5
//!         args:
//!         - --cluster=nats://0.0.0.0:6222
//!         - "--routes=\
//!           nats://nats-0.nats-headless.default.svc.cluster.local:6222,\
//!           nats://nats-1.nats-headless.default.svc.cluster.local:6222"
//! ```
//!
//! ```yaml sound
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats}
//! spec:
//!   replicas: 3
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - name: nats
//!         image: nats:2.14.5
//!         args:
//!         - --cluster=nats://0.0.0.0:6222
//!         - "--routes=\
//!           nats://nats-0.nats-headless.default.svc.cluster.local:6222,\
//!           nats://nats-1.nats-headless.default.svc.cluster.local:6222,\
//!           nats://nats-2.nats-headless.default.svc.cluster.local:6222"
//! ```
//!
//! ## References
//!
//! - nats-server `bootstrapRaftNode` (server/raft.go): the expected size of a group that is new
//! - <https://docs.nats.io/running-a-nats-service/configuration/clustering>

use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Policy};
use crate::routes::plan::Fault;
use crate::routes::url::Route;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "incomplete-routes",
    title: "The routes are not one to each pod",
    action: Action::Fix,
    otherwise: Action::Warn,
    page: include_str!("../../docs/incomplete-routes.md"),
    evaluate,
};

const MISSING: &str = "a pod has no cluster route";
const GHOST: &str = "a cluster route names a pod that does not exist";
const REPEATED: &str = "two cluster routes name the same pod";

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let Some(plan) = &context.plan else {
        return Vec::new();
    };
    let mut findings: Vec<Finding> = plan
        .decisions
        .iter()
        .enumerate()
        .filter_map(|(index, decision)| {
            let reason = match decision.fault {
                Some(Fault::Ghost) => GHOST,
                Some(Fault::Repeated) => REPEATED,
                _ => return None,
            };
            let detail = Route::parse(&decision.entry.text).shown();
            let place = decision.entry.place.clone();
            let found = finding(POLICY.id, place, reason, detail, "remove it");
            Some(found.rests_on_workload().with_fix(plan.edit(index)))
        })
        .collect();
    if !plan.missing.is_empty() {
        let edits = plan.addition();
        let remedy = match (&plan.append, edits.is_empty()) {
            (Some(routes), false) => format!(
                "add {}",
                routes
                    .iter()
                    .map(|route| Route::parse(route).shown())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            _ => "add a route to each pod, by its full name".to_owned(),
        };
        let detail = format!(
            "{} has none to {}",
            context.workload.title(),
            plan.missing.join(", ")
        );
        let detail = plan.detail(detail, plan.append.is_some());
        let place = plan.home.place().clone();
        let found = finding(POLICY.id, place, MISSING, detail, remedy);
        findings.push(found.rests_on_workload().with_fix(edits));
    }
    findings
}
