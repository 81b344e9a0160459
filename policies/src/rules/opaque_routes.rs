//! # opaque-routes
//!
//! The routes come from a variable, a template, a sidecar or a file that can't be read, so nobody can check them before
//! the servers start.
//!
//! ## Why
//!
//! What can't be read can't be repaired, and is not known to be right. A faulty route behind a variable partitions a
//! cluster as surely as one in plain sight.
//!
//! ## What is checked
//!
//! For a StatefulSet of more than one pod (or of a number that can't be read): that the file passed with `-c` is in the
//! input with everything that it includes, and that `cluster.routes`, or the flag `--routes`, is written out. What keeps the
//! server from starting is [refused-configuration](refused-configuration.md)'s to tell. Variables, `{{…}}` and `${…}` inside
//! the `cluster` block are not. Neither is a workload whose name,
//! namespace or `serviceName` is no DNS label: a template that nobody has filled in.
//!
//! A file whose ConfigMap or Secret is not in the input is no fault: it is listed under `not checked`.
//!
//! In a namespace whose workloads would have to read large files thousands of times over, some of them are not read. Each
//! workload of any kind that goes without one is named.
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
//!         args: ["--cluster=nats://0.0.0.0:6222", "--routes=$(ROUTES)"]
//!         env: [{name: ROUTES, valueFrom: {configMapKeyRef: {name: nats, key: routes}}}]
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
//!         args: ["--cluster=nats://0.0.0.0:6222", "--routes=nats://nats-0.nats-headless:6222"]
//! ```
//!
//! ## References
//!
//! - nats-server `lookupVariable` (conf/parse.go)
//! - <https://docs.nats.io/running-a-nats-service/configuration#variables>

use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Policy};
use crate::routes::list::Routes;
use crate::routes::name;
use crate::workload::Kind;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "opaque-routes",
    title: "The routes can't be read before the servers start",
    action: Action::Warn,
    otherwise: Action::Warn,
    page: include_str!("../../docs/opaque-routes.md"),
    evaluate,
};

/// Why the routes are not known when the object that holds their file does not exist yet.
pub const ABSENT: &str = "the file with the cluster routes does not exist yet";

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    if let Some(path) = workload.refused_file() {
        return vec![finding(
            POLICY.id,
            workload.own_place(workload.container_pointer.clone()),
            "too much had to be read, so not all of the configuration was checked",
            format!(
                "{}: {path} would have to be read once more",
                workload.title()
            ),
            "check it apart from the other workloads of its namespace",
        )];
    }
    if let Routes::Unseen {
        place,
        detail,
        object,
    } = &context.routes
    {
        return vec![
            finding(
                POLICY.id,
                place.clone(),
                "the configuration is not known, so it could not be checked",
                format!("{}: {detail}", workload.title()),
                if workload.bundle.is_live() {
                    format!("let natsguard read {object}")
                } else {
                    format!("pass {object} as well")
                },
            )
            .unchecked(),
        ];
    }
    let is_several = workload.replicas.is_none_or(|replicas| replicas > 1);
    if workload.kind != Kind::StatefulSet || !is_several {
        return Vec::new();
    }
    let (place, detail) = match &context.routes {
        Routes::Opaque { place, detail } => (place, detail.as_str()),
        Routes::Listed { home, .. } if !name::are_possible(workload) => {
            let detail = "its name, its namespace or its serviceName is no DNS label";
            (home.place(), detail)
        }
        Routes::Absent { place, object } => {
            return vec![finding(
                POLICY.id,
                place.clone(),
                ABSENT,
                format!("{object} is not there"),
                format!("apply {object} first"),
            )];
        }
        Routes::Listed { .. } | Routes::Unseen { .. } | Routes::None => return Vec::new(),
    };
    vec![finding(
        POLICY.id,
        place.clone(),
        "the cluster routes can't be read, so they could not be checked",
        format!("{}: {detail}", workload.title()),
        "write the routes out, one to each pod, in a file that is applied together with the workload",
    )]
}
