//! # unresolvable-peers
//!
//! The governing Service of a clustered StatefulSet is missing, not headless, or hides pods that are not ready.
//!
//! ## Why
//!
//! Pods of a StatefulSet have DNS names only behind the headless Service that `spec.serviceName` names. A Service with an
//! address of its own gives them none, so no route to a pod resolves. A headless Service leaves pods out that are not
//! ready, and a JetStream server is not ready before it has found its peers: each waits for a name that appears when
//! the other stops waiting.
//!
//! ## What is checked
//!
//! For a clustered StatefulSet of more than one pod (or of a number that can't be read):
//!
//! | field | accepted |
//! |---|---|
//! | `spec.serviceName` | the name of a Service |
//! | that Service's `spec.clusterIP` | `None` |
//! | its `spec.publishNotReadyAddresses` | `true` |
//! | its `spec.selector` | matches the pods |
//!
//! A Service that is not in the input may exist: that is a warning.
//!
//! ## Repair
//!
//! `publishNotReadyAddresses: true` is set on the Service. Clients that use the same Service get pods that are not ready
//! then: they need a Service of their own, as NATS's chart has it. A Service that is not headless can't become so, and
//! `spec.serviceName` can't be changed on a StatefulSet that exists: make a second, headless Service and recreate the
//! StatefulSet (`kubectl delete --cascade=orphan` keeps its pods). Where a headless Service selects the pods already, the
//! remedy names it.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: v1
//! kind: Service
//! metadata: {name: nats-headless}
//! spec: {clusterIP: None, selector: {app: nats}}
//! ---
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
//!       - {name: nats, image: "nats:2.14.5", args: ["--cluster=nats://0.0.0.0:6222"]}
//! ```
//!
//! ```yaml sound
//! apiVersion: v1
//! kind: Service
//! metadata: {name: nats-headless}
//! spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: nats}}
//! ---
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
//!       - {name: nats, image: "nats:2.14.5", args: ["--cluster=nats://0.0.0.0:6222"]}
//! ```
//!
//! ## References
//!
//! - <https://github.com/nats-io/k8s/issues/441>
//! - <https://github.com/bitnami/charts/issues/30392>
//! - <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id>

use serde_json::Value;

use crate::bundle::Object;
use crate::context::{Context, finding};
use crate::json;
use crate::policy::{Action, Edit, Finding, Policy};
use crate::workload::{Governing, Kind, Workload};

/// The policy.
pub const POLICY: Policy = Policy {
    id: "unresolvable-peers",
    title: "Pods can't look each other up while none is ready",
    action: Action::Fix,
    otherwise: Action::Deny,
    page: include_str!("../../docs/unresolvable-peers.md"),
    evaluate,
};

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    let is_several = workload.replicas.is_none_or(|replicas| replicas > 1);
    if workload.kind != Kind::StatefulSet || !is_several || !workload.is_clustered() {
        return Vec::new();
    }
    let title = workload.title();
    let name = workload.service_name().unwrap_or_default();
    let own = |reason, detail: String, remedy: String| {
        finding(
            POLICY.id,
            workload.own_place("/spec/serviceName"),
            reason,
            detail,
            remedy,
        )
    };
    let found = match workload.governing() {
        Governing::Unnamed => own(
            "the StatefulSet has no governing Service, so its pods have no DNS names",
            format!("{title} names none"),
            match workload.headless_services().first() {
                Some(service) => format!("name Service {service} in spec.serviceName"),
                None => "make a headless Service with publishNotReadyAddresses: true and name it in spec.serviceName"
                    .to_owned(),
            },
        ),
        Governing::NotHeadless(_) => own(
            "the governing Service is not headless, so the pods have no DNS names",
            format!("Service {name} of {title} has an address of its own"),
            match workload.headless_services().first() {
                Some(service) => {
                    format!("name Service {service}, which is headless, in spec.serviceName instead of {name}")
                }
                None => format!(
                    "make a second Service with clusterIP: None and publishNotReadyAddresses: true, and name it in \
                     spec.serviceName instead of {name}"
                ),
            },
        ),
        Governing::Absent => own(
            "the governing Service does not exist",
            format!("{title} names Service {name}"),
            format!("create Service {name} with clusterIP: None and publishNotReadyAddresses: true"),
        )
        .otherwise(Action::Warn),
        Governing::Unknown => own(
            "the governing Service could not be looked at",
            format!(
                "Service {name} of {title} {}",
                workload.bundle.unseen("Service", name)
            ),
            format!(
                "see that Service {name} has clusterIP: None and publishNotReadyAddresses: true{}",
                workload.bundle.or_pass("it")
            ),
        )
        .unchecked(),
        Governing::Headless(id) => {
            let Some(service) = workload.bundle.object(id) else { return Vec::new() };
            let at = |pointer: &str| workload.place_in(id, pointer, None);
            if json::get(&service.value, &["spec", "publishNotReadyAddresses"]) != Some(&Value::Bool(true)) {
                finding(
                    POLICY.id,
                    at("/spec/publishNotReadyAddresses"),
                    "the governing Service hides pods that are not ready, and they wait for each other to be",
                    format!("Service {name} of {title}"),
                    match client_port(workload, service) {
                        Some(port) => format!(
                            "set publishNotReadyAddresses: true; clients that use its port {port} get pods that are not \
                             ready then, so give them a Service of their own"
                        ),
                        None => "set publishNotReadyAddresses: true".to_owned(),
                    },
                )
                .with_fix(vec![Edit::Set {
                    object: id,
                    pointer: "/spec/publishNotReadyAddresses".to_owned(),
                    value: Value::Bool(true),
                }])
            } else if workload.is_selected_by(service) {
                return Vec::new();
            } else {
                finding(
                    POLICY.id,
                    at("/spec/selector"),
                    "the governing Service does not select the pods, so they have no DNS names",
                    format!("Service {name} of {title}"),
                    "let spec.selector match the labels of the pods",
                )
                .otherwise(Action::Warn)
            }
        }
    };
    vec![found]
}

/// The port of a Service that leads to the port for clients.
fn client_port(workload: &Workload<'_>, service: &Object) -> Option<u64> {
    let ports = json::items(workload.container, &["ports"]);
    let clients = workload.client_port();
    json::items(&service.value, &["spec", "ports"])
        .iter()
        .find_map(|entry| {
            let port = json::get(entry, &["port"])?.as_u64()?;
            let target = match json::get(entry, &["targetPort"]) {
                Some(Value::String(name)) => ports
                    .iter()
                    .find(|port| json::text(port, &["name"]) == Some(name))
                    .and_then(|port| json::get(port, &["containerPort"])?.as_u64()),
                Some(target) => target.as_u64(),
                None => Some(port),
            };
            (target == Some(clients)).then_some(port)
        })
}
