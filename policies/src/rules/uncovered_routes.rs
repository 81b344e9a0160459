//! # uncovered-routes
//!
//! The certificate of the cluster fits none of its routes, or is not for both sides of them.
//!
//! ## Why
//!
//! A server checks the host of a route against the certificate of the server that it reaches, and that one asks for a
//! certificate in turn: the same one, used as a client. A certificate without the host, or for servers only ("certificate
//! specifies an incompatible key usage"), means no route at all, and the log of each server says so for ever.
//!
//! ## What is checked
//!
//! For a clustered StatefulSet of more than one pod with cluster TLS that is not `insecure`: the certificate in hand. That is
//! the mounted Secret, or what will write it: a cert-manager `Certificate` (`dnsNames`, `usages`), or OpenShift's service CA by
//! the annotation `service.beta.openshift.io/serving-cert-secret-name`, which makes certificates for servers only.
//!
//! | what | answer |
//! |---|---|
//! | no extended key usage, or both `server auth` and `client auth` | right |
//! | one of them only | fault |
//! | a route to a pod by a name that the certificate lacks, where it has another name of that pod | repaired |
//! | names of no pod in any form | fault |
//!
//! ## Repair
//!
//! The route names the pod by the longest name that the certificate covers.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: v1
//! kind: ConfigMap
//! metadata: {name: nats, namespace: messaging}
//! data:
//!   nats.conf: |
//!     cluster {
//!       port: 6222
//!       tls { cert_file: /etc/tls/tls.crt, key_file: /etc/tls/tls.key, ca_file: /etc/tls/ca.crt }
//!       routes = [
//!         nats://nats-0.nats-headless.messaging.svc.cluster.local:6222
//!         nats://nats-1.nats-headless.messaging.svc.cluster.local:6222
//!       ]
//!     }
//! ---
//! apiVersion: cert-manager.io/v1
//! kind: Certificate
//! metadata: {name: tls, namespace: messaging}
//! spec: {secretName: tls, dnsNames: ["*.nats-headless"]}
//! ---
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
//!         args: [-c, /etc/nats/nats.conf]
//!         volumeMounts: [{name: config, mountPath: /etc/nats}, {name: tls, mountPath: /etc/tls}]
//!       volumes: [{name: config, configMap: {name: nats}}, {name: tls, secret: {secretName: tls}}]
//! ```
//!
//! ```yaml sound
//! apiVersion: v1
//! kind: ConfigMap
//! metadata: {name: nats, namespace: messaging}
//! data:
//!   nats.conf: |
//!     cluster {
//!       port: 6222
//!       tls { cert_file: /etc/tls/tls.crt, key_file: /etc/tls/tls.key, ca_file: /etc/tls/ca.crt }
//!       routes = [
//!         nats://nats-0.nats-headless.messaging.svc.cluster.local:6222
//!         nats://nats-1.nats-headless.messaging.svc.cluster.local:6222
//!       ]
//!     }
//! ---
//! apiVersion: cert-manager.io/v1
//! kind: Certificate
//! metadata: {name: tls, namespace: messaging}
//! spec:
//!   secretName: tls
//!   dnsNames: ["*.nats-headless.messaging.svc.cluster.local"]
//!   usages: [server auth, client auth]
//! ---
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
//!         args: [-c, /etc/nats/nats.conf]
//!         volumeMounts: [{name: config, mountPath: /etc/nats}, {name: tls, mountPath: /etc/tls}]
//!       volumes: [{name: config, configMap: {name: nats}}, {name: tls, secret: {secretName: tls}}]
//! ```
//!
//! ## References
//!
//! - <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/tls>: "certificates containing both values are a must"
//! - <https://github.com/nats-io/nats-operator/issues/255>
//! - nats-server `saveRouteTLSName` (server/route.go)

use crate::certificate::Certificate;
use crate::conf;
use crate::context::{Context, finding};
use crate::policy::{Action, Edit, Finding, Policy};
use crate::routes::list::Home;
use crate::routes::name::{Named, Names};
use crate::routes::plan::{Verification, verification};
use crate::routes::url::Route;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "uncovered-routes",
    title: "The certificate of the cluster does not fit its routes",
    action: Action::Fix,
    otherwise: Action::Deny,
    page: include_str!("../../docs/uncovered-routes.md"),
    evaluate,
};

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    let Some(plan) = &context.plan else {
        return Vec::new();
    };
    let Verification::On(certificate) = verification(workload, context.neighbours) else {
        return Vec::new();
    };
    let Certificate::Seen { is_for_both, .. } = &*certificate else {
        return Vec::new();
    };
    if workload.replicas.is_some_and(|replicas| replicas < 2) {
        return Vec::new();
    }
    let title = workload.title();
    let mut findings = Vec::new();
    if !is_for_both {
        let tls = workload
            .cluster()
            .and_then(|cluster| cluster.find(&["tls"]));
        let place = tls.and_then(|tls: &conf::Value| workload.place(&tls.origin, "cluster.tls"));
        findings.push(finding(
            POLICY.id,
            place.unwrap_or_else(|| plan.home.place().clone()),
            "the certificate of the cluster is not for both sides of a route",
            format!("the certificate of {title} is for servers or for clients only"),
            "give it both usages, server auth and client auth",
        ));
    }
    let names = Names::new(workload, plan.domain.as_deref());
    // What is rewritten anyway gets a name that the certificate covers.
    let standing = plan
        .decisions
        .iter()
        .enumerate()
        .filter_map(|(index, decision)| {
            let route = Route::parse(&decision.entry.text);
            match names.read(route.host) {
                Named::Pod {
                    ordinal: Some(pod),
                    form,
                } if names.forms().contains(&form) => decision
                    .with
                    .is_none()
                    .then_some((index, decision, route, pod)),
                _ => None,
            }
        });
    let standing: Vec<_> = standing.collect();
    let is_covered = standing
        .iter()
        .any(|(_, _, route, _)| certificate.covers(route.host));
    let mut is_hopeless = false;
    for (index, decision, route, pod) in &standing {
        if certificate.covers(route.host) {
            continue;
        }
        let mut hosts = names.forms().iter().map(|form| names.host(*pod, *form));
        let Some(host) = hosts.find(|host| certificate.covers(host)) else {
            is_hopeless = true;
            continue;
        };
        let with = route.to(&host, route.port.unwrap_or_default());
        let remedy = format!("write {}", Route::parse(&with).shown());
        let edit = match &plan.home {
            Home::List(list, _) if route.port.is_some() => vec![Edit::Element {
                list: list.clone(),
                index: *index,
                with: vec![with],
            }],
            _ => Vec::new(),
        };
        let found = finding(
            POLICY.id,
            decision.entry.place.clone(),
            "a cluster route names a pod by a name that the certificate lacks",
            format!("{} of {title}", route.shown()),
            remedy,
        );
        let found = if is_covered {
            found.otherwise(Action::Warn)
        } else {
            found
        };
        findings.push(found.with_fix(edit));
    }
    // Of a certificate that covers some of the routes short-route says what it lacks.
    if is_hopeless && !is_covered {
        let wanted = names.wildcard(names.longest());
        findings.push(finding(
            POLICY.id,
            plan.home.place().clone(),
            "the certificate of the cluster covers none of the routes",
            format!("the certificate of {title} has no name of a pod"),
            format!("add {wanted} to the names of the certificate"),
        ));
    }
    // Which Secret is mounted is the template's.
    findings
        .into_iter()
        .map(Finding::rests_on_workload)
        .collect()
}
