//! # shared-store
//!
//! Several servers keep JetStream's store on one volume.
//!
//! ## Why
//!
//! "Each JetStream enabled server MUST use its own individual storage directory", says NATS's documentation, "access conflicts
//! are not detected". Two servers that write into one directory spoil each other's files. And a volume that one node at a
//! time can use (`ReadWriteOnce`) leaves all pods on other nodes pending for ever.
//!
//! ## What is checked
//!
//! The volume that holds `store_dir`, whatever its access modes:
//!
//! | what | answer |
//! |---|---|
//! | a claim, or a network or block volume, in a template with more than one replica | fault |
//! | the same of a DaemonSet, whose number of pods changes with the nodes | fault |
//! | two workloads, or two servers of a pod, with the same volume and directory | fault |
//! | the same, each in a directory of its own (`subPathExpr`, `store_dir` or `-sd` with the pod's name; another `subPath`) | warning |
//! | a Deployment of one replica that starts the next pod before the last has gone | warning |
//!
//! A `hostPath` is another directory on each node: [ephemeral-store](ephemeral-store.md). Where the number of replicas is
//! not known nothing is said.
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
//!         args: [-js, -sd, /data]
//!         volumeMounts: [{name: store, mountPath: /data}]
//!       volumes: [{name: store, persistentVolumeClaim: {claimName: nats}}]
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
//!         args: [-js, -sd, /data]
//!         volumeMounts: [{name: store, mountPath: /data}]
//!   volumeClaimTemplates:
//!   - metadata: {name: store}
//!     spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
//! ```
//!
//! ## References
//!
//! - <https://docs.nats.io/running-a-nats-service/configuration#jetstream>
//! - <https://github.com/nats-io/nats-streaming-operator/issues/48>: "volume is already exclusively attached to one node"
//! - <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes>

use crate::context::{Context, finding};
use crate::json;
use crate::policy::{Action, Finding, Policy};
use crate::workload::{Kind, Workload};

/// The policy.
pub const POLICY: Policy = Policy {
    id: "shared-store",
    title: "Several servers keep their store on one volume",
    action: Action::Deny,
    otherwise: Action::Deny,
    page: include_str!("../../docs/shared-store.md"),
    evaluate,
};

const TOGETHER: &str = "several servers keep JetStream's store in one directory";
const APART: &str = "several servers keep JetStream's store on one volume";
const ROLLOUT: &str = "a rollout starts a second server on JetStream's store";

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    let Some(backing) = &context.backing else {
        return Vec::new();
    };
    let Some(share) = &backing.share else {
        return Vec::new();
    };
    let found = |is_own: bool, with: String, remedy: &str| {
        let volume = backing.volume.as_deref().unwrap_or_default();
        let detail = format!("volume {volume} of {}: {with}", workload.title());
        let reason = if is_own { APART } else { TOGETHER };
        let found = finding(POLICY.id, backing.place.clone(), reason, detail, remedy);
        if is_own {
            found.otherwise(Action::Warn)
        } else {
            found
        }
    };
    let mut findings = Vec::new();
    if share.is_common {
        let pods = match (workload.kind, workload.replicas) {
            (Kind::DaemonSet, _) => Some("one on each node".to_owned()),
            (_, Some(replicas)) if replicas > 1 => Some(format!("{replicas} replicas")),
            _ => None,
        };
        if let Some(pods) = pods {
            let remedy = if workload.kind == Kind::StatefulSet {
                "give each replica a volume of its own: a volumeClaimTemplate"
            } else {
                "run it as a StatefulSet with a volumeClaimTemplate"
            };
            findings.push(found(share.is_own, pods, remedy));
        } else if !share.is_own && starts_before_it_stops(workload) {
            let detail = format!("{} is rolled out with a pod more", workload.title());
            let remedy = "set spec.strategy.type: Recreate, or run it as a StatefulSet";
            let place = workload.own_place("/spec/strategy");
            findings
                .push(finding(POLICY.id, place, ROLLOUT, detail, remedy).otherwise(Action::Warn));
        }
    }
    if let Some((other, its)) = context.neighbours.on_the_volume_of(workload, share) {
        let is_own = its.directory != share.directory || its.is_own;
        let (with, remedy) = if other.id == workload.id {
            let name = json::text(other.container, &["name"]).unwrap_or_default();
            let remedy = "give each server a volume of its own";
            (format!("container {name} of the same pods, too"), remedy)
        } else {
            let remedy = "give each workload a claim of its own";
            (format!("{}, too", other.title()), remedy)
        };
        findings.push(found(is_own, with, remedy));
    }
    findings
}

/// Whether a Deployment starts a new pod while the former runs.
fn starts_before_it_stops(workload: &Workload<'_>) -> bool {
    let strategy = |path: &[&str]| {
        let path: Vec<&str> = ["spec", "strategy"].iter().chain(path).copied().collect();
        json::get(&workload.object.value, &path)
    };
    let surge = strategy(&["rollingUpdate", "maxSurge"]);
    workload.kind == Kind::Deployment
        && workload.replicas != Some(0)
        && strategy(&["type"]).is_none_or(|kind| kind != "Recreate")
        && surge.is_none_or(|surge| surge != 0 && surge != "0" && surge != "0%")
}
