//! # short-route
//!
//! A route names a pod, but not by its full name `<pod>.<headless-service>.<namespace>.svc.<cluster-domain>` and the
//! port its server listens on.
//!
//! ## Why
//!
//! A short name is completed by the search list in the pod's `/etc/resolv.conf`. It costs several DNS queries for
//! each attempt, it fails where `dnsPolicy` or `dnsConfig` leaves the list out, and it can find another host of the
//! same name. The full name means one pod, everywhere. A route without a port is never dialled at all, and one to the
//! port of a Service fails where the server listens on another.
//!
//! Short names of pods are correct, so nothing is ever refused for them.
//!
//! ## What is checked
//!
//! | entry | answer |
//! |---|---|
//! | `<pod>.<service>`, `….<namespace>`, `….svc` | fault |
//! | a pod behind a Service that does not govern it: the name does not resolve | fault |
//! | the full name, with or without a final dot, at another port or none | fault |
//! | the full name at the server's port; a name under another DNS domain | right |
//!
//! ## Repair
//!
//! The host becomes the full name, or as much of it as is known: without a namespace (the object's, `--namespace`)
//! `<pod>.<service>` is right, without a DNS domain (`--cluster-domain`, or one that other names of the input end in) the name
//! ends in `.svc`. Both resolve wherever the pods run. Scheme, credentials and order stay. Cluster TLS checks the host of a route against
//! the certificate, so with TLS there is a repair only when the certificate in hand (the mounted Secret, or the
//! cert-manager Certificate that writes it) covers the full name, or when verification is off (`insecure: true`).
//! Otherwise the warning says which name the certificate lacks.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats, namespace: messaging}
//! spec:
//!   replicas: 2
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
//!         - --routes=nats://nats-0.nats-headless:6222,nats://nats-1.nats-headless:6222
//! ```
//!
//! ```yaml sound
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats, namespace: messaging}
//! spec:
//!   replicas: 2
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
//!           nats://nats-0.nats-headless.messaging.svc.cluster.local:6222,\
//!           nats://nats-1.nats-headless.messaging.svc.cluster.local:6222"
//! ```
//!
//! ## References
//!
//! - <https://github.com/nats-io/k8s/issues/540>
//! - <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>
//! - nats-server `getRandomIP` (server/server.go): a route without a port is an error; `saveRouteTLSName` (server/route.go)

use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Policy};
use crate::routes::plan::Fault;
use crate::routes::url::Route;
use crate::workload::Governing;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "short-route",
    title: "A route names a pod, but not by its full name",
    action: Action::Fix,
    otherwise: Action::Warn,
    page: include_str!("../../docs/short-route.md"),
    evaluate,
};

const SHORT: &str = "a cluster route names a pod by less than its full name";
const PORT: &str = "a cluster route names no port, or one its server does not listen on";
const UNCOVERED: &str = "the certificate of the cluster does not cover the full names of the pods";
const UNSEEN: &str =
    "the certificate of the cluster is not known to cover the full names of the pods";

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let Some(plan) = &context.plan else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (index, decision) in plan.decisions.iter().enumerate() {
        let reason = match decision.fault {
            Some(Fault::Short) => SHORT,
            Some(Fault::Port) => PORT,
            _ => continue,
        };
        let edits = plan.edit(index);
        let is_due = matches!(decision.fault, Some(Fault::Port))
            || !matches!(
                context.workload.governing(),
                Governing::Unnamed | Governing::NotHeadless(_)
            );
        // What the certificate lacks is said once for the list; what the Service lacks, by unresolvable-peers.
        if (edits.is_empty() && plan.uncovered.is_some()) || !is_due {
            continue;
        }
        let remedy = decision
            .with
            .as_ref()
            .and_then(|with| with.first())
            .map_or_else(
                || "name the pod by its full name, with the port its server listens on".to_owned(),
                |route| format!("write {}", Route::parse(route).shown()),
            );
        let detail = plan.detail(
            Route::parse(&decision.entry.text).shown(),
            decision.fault == Some(Fault::Short) && decision.with.is_some(),
        );
        findings.push(
            finding(
                POLICY.id,
                decision.entry.place.clone(),
                reason,
                detail,
                remedy,
            )
            .with_fix(edits),
        );
    }
    findings.extend(uncovered(context));
    findings
}

fn uncovered(context: &Context<'_>) -> Option<Finding> {
    let plan = context.plan.as_ref()?;
    let name = plan.uncovered.as_ref()?;
    let is_short = plan
        .decisions
        .iter()
        .any(|decision| decision.fault == Some(Fault::Short));
    // A rewritten Service route under a certificate that nobody has seen is service-route's to speak of.
    if !plan.certificate_seen && !is_short {
        return None;
    }
    let title = context.workload.title();
    let (reason, detail, remedy) = if plan.certificate_seen {
        (
            UNCOVERED,
            format!("the certificate of {title} lacks {name}"),
            format!("add {name} to the names of the certificate, then name the pods in full"),
        )
    } else {
        (
            UNSEEN,
            format!(
                "cluster TLS of {title} checks them, and its certificate {}",
                context.workload.bundle.unseen("Secret", "")
            ),
            format!("see that the certificate holds {name}, then name the pods in full"),
        )
    };
    Some(finding(
        POLICY.id,
        plan.home.place().clone(),
        reason,
        detail,
        remedy,
    ))
}
