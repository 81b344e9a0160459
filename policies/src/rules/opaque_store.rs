//! # opaque-store
//!
//! A network file system is mounted, and whether JetStream's store lies on it can't be read before the server starts.
//!
//! ## Why
//!
//! A store on a network file system is refused ([network-filesystem](network-filesystem.md)). One whose place comes from
//! what only the running pod knows can't be, and is as likely to be lost.
//!
//! ## What is checked
//!
//! The volumes that the server's container mounts, where the directory of the store is a variable that the manifest does not
//! set to a text, is relative to the image's working directory, or stands in a file that the manifest hides. Variables of
//! `env`, `$(VAR)`, `workingDir` and `TMPDIR` are followed as the kubelet and nats-server do. A file whose ConfigMap or Secret is
//! not in the input hides nothing: it is listed under `not checked`.
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
//!         args: [-js, -sd, $(STORE)]
//!         env: [{name: STORE, valueFrom: {configMapKeyRef: {name: nats, key: store}}}]
//!         volumeMounts: [{name: files, mountPath: /files}]
//!       volumes: [{name: files, nfs: {server: 10.0.0.1, path: /nats}}]
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
//!         args: [-js, -sd, $(STORE)]
//!         env: [{name: STORE, value: /data}]
//!         volumeMounts: [{name: store, mountPath: /data}, {name: files, mountPath: /files}]
//!       volumes: [{name: files, nfs: {server: 10.0.0.1, path: /nats}}]
//!   volumeClaimTemplates:
//!   - metadata: {name: store}
//!     spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
//! ```
//!
//! ## References
//!
//! - nats-server `lookupVariable` (conf/parse.go)
//! - <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>

use crate::context::{Context, finding};
use crate::json;
use crate::policy::{Action, Finding, Policy};
use crate::storage::backing::{self, Nature};
use crate::storage::jetstream::{Directory, State};
use crate::workload::Configuration;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "opaque-store",
    title: "The store may lie on a network file system",
    action: Action::Warn,
    otherwise: Action::Warn,
    page: include_str!("../../docs/opaque-store.md"),
    evaluate,
};

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    let is_hidden = match &context.jetstream {
        State::Off => false,
        State::On(jetstream) => jetstream.directory == Directory::Unseen,
        State::Unseen => matches!(workload.configuration, Configuration::Unseen(_)),
    };
    if !is_hidden {
        return Vec::new();
    }
    let mounts = json::items(workload.container, &["volumeMounts"]).iter();
    let paths = mounts.filter_map(|mount| json::text(mount, &["mountPath"]));
    let found = paths.map(|path| (path, backing::of(workload, context.settings, path)));
    let on_network = |(path, backing): (_, backing::Backing)| match backing.nature {
        Nature::NetworkFilesystem(what) => Some((path, backing.place, what)),
        _ => None,
    };
    let Some((path, place, what)) = found.into_iter().find_map(on_network) else {
        return Vec::new();
    };
    vec![finding(
        POLICY.id,
        place,
        "a network file system is mounted, and where JetStream's store lies can't be read",
        format!("{path} of {}: {what}", workload.title()),
        "write store_dir out, as a path on a local disk or a block device",
    )]
}
