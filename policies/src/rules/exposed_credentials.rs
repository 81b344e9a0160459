//! # exposed-credentials
//!
//! `user:password` in the arguments of the server's container.
//!
//! ## Why
//!
//! Arguments are not secret: everybody who may read Pods reads them, they stand in the process list of the node, and
//! before 2.11.15 and 2.12.6 the server itself showed them on its monitoring port (CVE-2026-33247).
//!
//! ## What is checked
//!
//! The flags `--routes` and `--cluster` with `user:password@`, `--pass`, and `--auth`, unless the kubelet fills them in
//! from the environment (`$(VAR)`).
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats}
//! spec:
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - {name: nats, image: "nats:2.14.5", args: ["--cluster=nats://user:password@0.0.0.0:6222"]}
//! ```
//!
//! ```yaml sound
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats}
//! spec:
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - {name: nats, image: "nats:2.14.5", args: ["--cluster=nats://$(USER):$(PASSWORD)@0.0.0.0:6222"]}
//! ```
//!
//! ## References
//!
//! - CVE-2026-33247, <https://advisories.nats.io>

use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Policy};
use crate::routes::list::words;
use crate::routes::url::Route;
use crate::workload::flags::Flag;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "exposed-credentials",
    title: "Credentials stand in the container's arguments",
    action: Action::Warn,
    otherwise: Action::Warn,
    page: include_str!("../../docs/exposed-credentials.md"),
    evaluate,
};

/// One is enough to make the point.
const MAX_FLAGS: usize = 32;

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    workload
        .command
        .flags()
        .iter()
        .filter(|flag| holds_credentials(flag))
        .take(MAX_FLAGS)
        .map(|flag| {
            finding(
                POLICY.id,
                workload.own_place(flag.pointer.clone()),
                "credentials stand in the arguments of the container",
                format!("--{} of {}", flag.name, workload.title()),
                "move them to a configuration file in a Secret, or fill them in from one with $(VAR)",
            )
        })
        .collect()
}

fn holds_credentials(flag: &Flag) -> bool {
    match flag.name.as_str() {
        "routes" | "cluster" | "cluster_listen" => words(&flag.written).any(|route| {
            let password = Route::parse(route)
                .userinfo
                .and_then(|userinfo| userinfo.split_once(':'));
            password.is_some_and(|(_, password)| !password.is_empty() && !is_filled_in(password))
        }),
        "pass" | "auth" => !flag.written.is_empty() && !is_filled_in(&flag.written),
        _ => false,
    }
}

/// Whether a value is a reference that the kubelet or a shell fills in.
fn is_filled_in(value: &str) -> bool {
    value.starts_with('$')
}
