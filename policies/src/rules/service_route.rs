//! # service-route
//!
//! A cluster route names a Service, an address or a bare host of this same workload instead of one of its pods.
//!
//! ## Why
//!
//! A server asks DNS for the host of each route and dials one address. A headless Service answers with the pods that are
//! there at that moment, perhaps only with the server itself: then the server gives the route up for good. The address
//! of a ClusterIP Service leads to any pod, perhaps back to the server itself: it notices, closes the connection and
//! never tries again. What holds the cluster together then is gossip, which is tried once. It works until the next
//! restart, and then the servers split into clusters that do not know of each other. nats-server's maintainers:
//! "If you do not set the routes as I mentioned, on restarts there will be partitions."
//!
//! ## What is checked
//!
//! | entry | answer |
//! |---|---|
//! | the governing Service, or one that selects the workload's pods, by name in any form or by its address | fault |
//! | the workload's own name, a bare pod name, the loopback address | fault |
//! | a name of the workload's namespace that no object of the input has | warning: it may be such a Service |
//! | another workload, namespace, cluster, domain or host | not looked at |
//!
//! ## Repair
//!
//! The entry becomes one route to each pod that has none yet, by its full name, as far as it is known (see short-route),
//! `<pod>.<headless-service>.<namespace>.svc.<cluster-domain>`, with the entry's scheme and credentials and the port the
//! server listens on (a Service may map another one). With cluster TLS the name is the longest that the certificate in
//! hand covers. There is no repair, and the object is refused, where pods have no names of their own because the governing
//! Service is not headless, and where the file's ConfigMap or Secret is `immutable` and was made already: correct its source
//! (a chart, kustomize) and make a new one. Where that Service can't be seen, the pods are not several, or the port comes from
//! a variable, there is a warning. A Service before several NATS StatefulSets becomes the pods of them all.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: v1
//! kind: ConfigMap
//! metadata: {name: nats}
//! data:
//!   nats.conf: |
//!     cluster {
//!       port: 6222
//!       routes = [
//!         nats://nats-headless:6222
//!       ]
//!     }
//! ---
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
//! metadata: {name: nats}
//! data:
//!   nats.conf: |
//!     cluster {
//!       port: 6222
//!       routes = [
//!         nats://nats-0.nats-headless.default.svc.cluster.local:6222
//!         nats://nats-1.nats-headless.default.svc.cluster.local:6222
//!         nats://nats-2.nats-headless.default.svc.cluster.local:6222
//!       ]
//!     }
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
//!       - name: nats
//!         image: nats:2.14.5
//!         args: [-c, /etc/nats/nats.conf]
//!         volumeMounts: [{name: config, mountPath: /etc/nats}]
//!       volumes: [{name: config, configMap: {name: nats}}]
//! ```
//!
//! ## References
//!
//! - <https://github.com/nats-io/nats-server/issues/5881>
//! - <https://github.com/bitnami/charts/issues/30124>
//! - <https://github.com/argoproj/argo-events/issues/1026>
//! - nats-server `getRandomIP` (server/server.go), `connectToRoute` (server/route.go)

use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Policy};
use crate::routes::plan::{Fault, Plan};
use crate::routes::url::Route;
use crate::workload::Governing;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "service-route",
    title: "A route names a Service instead of a pod",
    action: Action::Fix,
    otherwise: Action::Deny,
    page: include_str!("../../docs/service-route.md"),
    evaluate,
};

/// Other words than [`REASON`]: this finding takes no repair back that another workload asks for at the same place.
const CROWDED: &str = "a cluster route names a Service before more pods than can be named";

const REASON: &str = "a cluster route names a Service, an address or a bare host instead of a pod";

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let Some(plan) = &context.plan else {
        return Vec::new();
    };
    let mut findings: Vec<Finding> = plan
        .decisions
        .iter()
        .enumerate()
        .filter_map(|(index, decision)| {
            let route = Route::parse(&decision.entry.text).shown();
            let place = decision.entry.place.clone();
            match decision.fault {
                Some(Fault::Service) => {
                    let edits = plan.edit(index);
                    let is_crowded = plan.is_crowded && decision.with.is_none();
                    let found = finding(
                        POLICY.id,
                        place,
                        if is_crowded { CROWDED } else { REASON },
                        plan.detail(
                            format!("{route} leads to any pod of {}", context.workload.title()),
                            decision.with.is_some(),
                        ),
                        remedy(context, plan, index),
                    );
                    let found = if is_open(context) || plan.port_unseen || is_crowded {
                        found.otherwise(Action::Warn)
                    } else {
                        found
                    };
                    Some(found.with_fix(edits))
                }
                Some(Fault::UnknownService) => Some(
                    finding(
                        POLICY.id,
                        place,
                        "a cluster route may name a Service instead of a pod",
                        format!("what {route} names {}", unknown_service(context)),
                        format!(
                            "name each pod by its full name{}",
                            context.workload.bundle.or_pass(
                                if context.workload.namespace.is_none() {
                                    "--namespace, and the Service"
                                } else {
                                    "the Service"
                                }
                            )
                        ),
                    )
                    .unchecked(),
                ),
                _ => None,
            }
        })
        .collect();
    findings.extend(unseen_certificate(context, plan));
    findings
}

/// Why it is not known which Service a route names.
fn unknown_service(context: &Context<'_>) -> &'static str {
    if context.workload.namespace.is_none() {
        "is not known, as the namespace of the workload is not stated"
    } else {
        context.workload.bundle.unseen("Service", "")
    }
}

/// Whether what stands in the way of a repair is only that something is not known yet.
fn is_open(context: &Context<'_>) -> bool {
    let governing = context.workload.governing();
    matches!(governing, Governing::Unknown | Governing::Absent)
        // One server with a route to itself loses nothing.
        || context.workload.replicas.is_none_or(|replicas| replicas < 2)
}

fn remedy(context: &Context<'_>, plan: &Plan, index: usize) -> String {
    let service = context.workload.service_name().unwrap_or_default();
    if let Some(with) = plan
        .decisions
        .get(index)
        .and_then(|decision| decision.with.as_ref())
    {
        return match with.first() {
            Some(first) => format!("name each pod, as in {}", Route::parse(first).shown()),
            None => "remove it: each pod has a route of its own".to_owned(),
        };
    }
    if plan.is_crowded {
        return "name each pod by its full name, or put fewer workloads behind the Service"
            .to_owned();
    }
    if context.workload.replicas == Some(1) {
        return "remove the route, or the whole cluster block: without other workloads in the cluster a single server has no \
                peers".to_owned();
    }
    if let (Governing::NotHeadless(_) | Governing::Unnamed, Some(headless)) = (
        context.workload.governing(),
        context.workload.headless_services().first(),
    ) {
        return format!(
            "name Service {headless}, which is headless, in spec.serviceName, and name each pod in the routes"
        );
    }
    match context.workload.governing() {
        Governing::NotHeadless(_) => format!(
            "make a headless Service (clusterIP: None, publishNotReadyAddresses: true), name it in \
             spec.serviceName instead of {service}, and name each pod in the routes"
        ),
        Governing::Unnamed => {
            "make a headless Service, name it in spec.serviceName, and name each pod in the routes"
                .to_owned()
        }
        Governing::Unknown => {
            format!("name each pod; pass Service {service} as well to have it repaired")
        }
        Governing::Absent => {
            format!("create the headless Service {service}, and name each pod in the routes")
        }
        Governing::Headless(_) => "name each pod by its full name".to_owned(),
    }
}

/// A route that is rewritten under TLS to a name that nobody could look up in a certificate.
fn unseen_certificate(context: &Context<'_>, plan: &Plan) -> Option<Finding> {
    let name = plan.uncovered.as_ref().filter(|_| !plan.certificate_seen)?;
    let index = plan
        .decisions
        .iter()
        .position(|decision| decision.fault == Some(Fault::Service) && decision.with.is_some())?;
    let place = plan.decisions.get(index)?.entry.place.clone();
    Some(
        finding(
            POLICY.id,
            place,
            "the certificate of the cluster must cover the names of the pods",
            format!(
                "cluster TLS of {} checks them, and its certificate {}",
                context.workload.title(),
                context.workload.bundle.unseen("Secret", "")
            ),
            format!("see that the certificate holds {name}"),
        )
        .otherwise(Action::Warn),
    )
}
