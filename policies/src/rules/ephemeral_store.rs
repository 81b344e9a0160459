//! # ephemeral-store
//!
//! JetStream's file store is not on a persistent volume.
//!
//! ## Why
//!
//! Streams in files are expected to survive a restart. A directory of the container, an `emptyDir` and a generic
//! ephemeral volume go with the pod: after a rolling update, or the loss of a node, each server comes back empty. When that
//! happens to a majority at once the data is gone, whatever the number of replicas of the stream.
//!
//! ## What is checked
//!
//! Where `store_dir` lies when JetStream runs; without one the server writes below `/tmp`. A single server with
//! `max_file_store: 0` keeps no files; one in a cluster keeps those of its meta group. A `hostPath` under several replicas
//! stays behind when a pod moves to another node; under a DaemonSet no pod does.
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
//!       - name: nats
//!         image: nats:2.14.5
//!         args: [-js, -sd, /data]
//!         volumeMounts: [{name: store, mountPath: /data}]
//!       volumes: [{name: store, emptyDir: {}}]
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
//! - nats-server `dynJetStreamConfig` (server/jetstream.go): the default directory
//! - <https://docs.nats.io/running-a-nats-service/nats-kubernetes>

use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Policy};
use crate::storage::backing::Nature;
use crate::storage::jetstream::{Directory, Limit, State};
use crate::workload::{Kind, Workload};

/// The policy.
pub const POLICY: Policy = Policy {
    id: "ephemeral-store",
    title: "The store goes with the pod",
    action: Action::Warn,
    otherwise: Action::Warn,
    page: include_str!("../../docs/ephemeral-store.md"),
    evaluate,
};

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let State::On(jetstream) = &context.jetstream else {
        return Vec::new();
    };
    if matches!(jetstream.file, Limit::Bytes(0, _)) && !context.workload.is_clustered() {
        return Vec::new();
    }
    let Some(directory) = jetstream.directory.path() else {
        return Vec::new();
    };
    let Some(backing) = &context.backing else {
        return Vec::new();
    };
    let workload = context.workload;
    let title = workload.title();
    let what = match backing.nature {
        Nature::Ephemeral(what) => what,
        Nature::HostPath if moves(workload) => {
            return vec![finding(
                POLICY.id,
                backing.place.clone(),
                "JetStream's store stays on a node when its pod moves to another",
                format!("{directory} of {title} is on a hostPath"),
                remedy(workload.kind),
            )];
        }
        _ => return Vec::new(),
    };
    let (place, detail, remedy) = if matches!(jetstream.directory, Directory::Default(_)) {
        let detail = format!("{title} has no store_dir, so the store is {directory} on {what}");
        let remedy = format!("{}, and set store_dir to its path", remedy(workload.kind));
        (jetstream.place.clone(), detail, remedy)
    } else {
        let detail = format!("{directory} of {title} is on {what}");
        let remedy = remedy(workload.kind).to_owned();
        (backing.place.clone(), detail, remedy)
    };
    vec![finding(
        POLICY.id,
        place,
        "JetStream's store goes with the pod",
        detail,
        remedy,
    )]
}

/// Whether the pods may come up on other nodes than before.
fn moves(workload: &Workload<'_>) -> bool {
    workload.kind != Kind::DaemonSet && workload.replicas.is_some_and(|replicas| replicas > 1)
}

/// Only a StatefulSet has claim templates, and a Deployment starts a pod before the former has let go of its claim.
const fn remedy(kind: Kind) -> &'static str {
    match kind {
        Kind::StatefulSet => "mount a volumeClaimTemplate there",
        Kind::Pod => "mount a PersistentVolumeClaim there",
        _ => {
            "run it as a StatefulSet with a volumeClaimTemplate, or mount a PersistentVolumeClaim there (strategy: Recreate)"
        }
    }
}
