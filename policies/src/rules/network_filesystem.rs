//! # network-filesystem
//!
//! JetStream's store lies on NFS, SMB or another shared file system.
//!
//! ## Why
//!
//! JetStream's files are a log that it locks, appends to, truncates and maps in its own way. On a network file system locks
//! are lost, caches disagree and a short outage leaves streams that can't be recovered; every server sees the same
//! free space. NATS documents it: "One should specifically avoid NAS or NFS storage for JetStream." Block devices over
//! the network (EBS, Persistent Disk, RBD, …) and disks of the node are fine.
//!
//! ## What is checked
//!
//! Only the volume that holds the store: the mount of the server's container with the longest path that contains
//! `store_dir` (and the directory `jetstream` that the server makes in it). Logs and certificates may lie where they
//! like. From the volume on:
//!
//! | field | refused |
//! |---|---|
//! | `volumes[*]`: `nfs`, `glusterfs`, `cephfs`, `azureFile`, `quobyte` | always |
//! | `volumes[*].csi.driver`, `.flexVolume.driver` | a network file system by the table of drivers |
//! | `persistentVolumeClaim`, `volumeClaimTemplates`, `ephemeral` | by its PersistentVolume: source, driver, `mountOptions` |
//! | … | by its StorageClass (`storageClassName`, the old annotation, the default class): `provisioner`, `parameters`, `mountOptions` |
//! | … | by its access modes: `ReadWriteMany` where none of these is known is a warning |
//!
//! A claim that has no volume yet may get one that is there: a free PersistentVolume of its class (also of one that has no
//! StorageClass), its selector, its access modes and size. A driver that the table lacks and whose name has the word `nfs`,
//! `smb`, `cifs` or `efs` is a network file system.
//!
//! A StorageClass that is not in the input is not guessed. When platforms ship a class of that name on a network file
//! system there is a warning, and so there is for a claim `ReadWriteMany` of which nothing else is known.
//!
//! The table of drivers can be added to in the settings:
//! `policies: {network-filesystem: {drivers: {example.org/files: network-filesystem}}}`; a driver is
//! `network-filesystem`, `network-block` or `local`.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: storage.k8s.io/v1
//! kind: StorageClass
//! metadata: {name: shared}
//! provisioner: nfs.csi.k8s.io
//! ---
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
//!     spec: {storageClassName: shared, accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
//! ```
//!
//! ```yaml sound
//! apiVersion: storage.k8s.io/v1
//! kind: StorageClass
//! metadata: {name: disks}
//! provisioner: ebs.csi.aws.com
//! ---
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
//!         volumeMounts: [{name: store, mountPath: /data}, {name: backup, mountPath: /backup}]
//!       volumes: [{name: backup, nfs: {server: 10.0.0.1, path: /backup}}]
//!   volumeClaimTemplates:
//!   - metadata: {name: store}
//!     spec: {storageClassName: disks, accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
//! ```
//!
//! ## References
//!
//! - <https://docs.nats.io/running-a-nats-service/configuration#jetstream>
//! - <https://github.com/nats-io/nats-server/issues/2792>
//! - <https://github.com/nats-io/nats.docs/issues/547>

use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Policy};
use crate::storage::backing::Nature;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "network-filesystem",
    title: "The store lies on a network file system",
    action: Action::Deny,
    otherwise: Action::Deny,
    page: include_str!("../../docs/network-filesystem.md"),
    evaluate,
};

const REMEDY: &str =
    "put the store on a local disk or a block device, as a StorageClass of such volumes gives";

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let Some(backing) = &context.backing else {
        return Vec::new();
    };
    let found = |reason, what: String, remedy: &str| {
        let volume = backing.volume.as_deref().unwrap_or_default();
        let detail = format!("volume {volume} of {}: {what}", context.workload.title());
        finding(POLICY.id, backing.place.clone(), reason, detail, remedy)
    };
    match &backing.nature {
        Nature::NetworkFilesystem(what) => {
            vec![found(
                "JetStream's store lies on a network file system",
                what.clone(),
                REMEDY,
            )]
        }
        Nature::Suspect(what) => vec![
            found(
                "JetStream's store may lie on a network file system",
                what.clone(),
                &format!(
                    "use a StorageClass of local disks or block devices{}",
                    context.workload.bundle.or_pass("the one that it names")
                ),
            )
            .otherwise(Action::Warn),
        ],
        Nature::Durable | Nature::HostPath | Nature::Ephemeral(_) | Nature::Unknown => Vec::new(),
    }
}
