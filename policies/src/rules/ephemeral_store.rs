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
//! `max_file_store: 0` keeps no files; one in a cluster keeps those of its meta group.
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
    let Nature::Ephemeral(what) = backing.nature else {
        return Vec::new();
    };
    let title = context.workload.title();
    let (place, detail, remedy) = if jetstream.directory == Directory::Default {
        let detail = format!("{title} has no store_dir, so the store is {directory} on {what}");
        let remedy = "mount a volumeClaimTemplate and set store_dir to its path";
        (jetstream.place.clone(), detail, remedy)
    } else {
        let detail = format!("{directory} of {title} is on {what}");
        (
            backing.place.clone(),
            detail,
            "mount a volumeClaimTemplate there",
        )
    };
    vec![finding(
        POLICY.id,
        place,
        "JetStream's store goes with the pod",
        detail,
        remedy,
    )]
}
