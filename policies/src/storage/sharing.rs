//! Whom the volume of a store serves: one pod, all pods of a workload, or several workloads.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json;
use crate::storage::jetstream::{self, State};
use crate::workload::mounts::{clean, mount_of};
use crate::workload::{Kind, Workload};

/// What a pod's fields tell that no other pod has.
const OWN_FIELDS: [&str; 6] = [
    "metadata.name",
    "metadata.uid",
    "metadata.labels['apps.kubernetes.io/pod-index']",
    "metadata.labels['statefulset.kubernetes.io/pod-name']",
    "status.podIP",
    "status.podIPs",
];

/// Sources of a volume that are the same for all pods of a template. A `hostPath` is another one on each node.
const COMMON: [&str; 17] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "fc",
    "flexVolume",
    "gcePersistentDisk",
    "glusterfs",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "vsphereVolume",
];

/// The volume and the directory in it that hold a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// What tells the volume from others.
    pub volume: String,
    /// The directory in it, variables as written.
    pub directory: String,
    /// Whether all pods of the workload have this volume.
    pub is_common: bool,
    /// Whether the directory is another one in each pod.
    pub is_own: bool,
}

/// The share of a workload's pods in the volume that holds a directory: `None` for the container's own file system.
pub fn of(workload: &Workload<'_>, directory: &str) -> Option<Share> {
    let mount = mount_of(workload.container, directory)?;
    let at = clean(json::text(mount.value, &["mountPath"]).unwrap_or_default());
    let below = directory.strip_prefix(&at).unwrap_or_default();
    let sub_path = ["subPath", "subPathExpr"].map(|field| json::text(mount.value, &[field]));
    let sub_path = sub_path.iter().flatten().next().unwrap_or(&"");
    let directory = clean(&format!("{sub_path}/{below}"));
    let is_template = |template: &Value| {
        workload.kind == Kind::StatefulSet
            && json::text(template, &["metadata", "name"]) == Some(mount.volume)
    };
    let mut templates =
        json::items(&workload.object.value, &["spec", "volumeClaimTemplates"]).iter();
    let mut volumes = json::items(workload.pod, &["volumes"]).iter();
    let source = volumes
        .find(|volume| json::text(volume, &["name"]) == Some(mount.volume))
        .filter(|_| !templates.any(is_template));
    let common = source.and_then(|source| common(workload, source));
    Some(Share {
        is_common: common.is_some(),
        is_own: is_own(workload.container, &directory),
        volume: common.unwrap_or_else(|| format!("{}: {}", workload.id, mount.volume)),
        directory,
    })
}

/// What tells a volume that all pods have from others.
fn common(workload: &Workload<'_>, source: &Value) -> Option<String> {
    if let Some(claim) = json::text(source, &["persistentVolumeClaim", "claimName"]) {
        return Some(format!("{:?}/{claim}", workload.namespace));
    }
    let key = COMMON
        .iter()
        .find(|key| json::get(source, &[key]).is_some())?;
    Some(format!("{key}: {}", source.get(key)?))
}

/// Whether a path holds a variable that is another one in each pod: of the container's environment, or the host's name,
/// which a shell knows.
fn is_own(container: &Value, path: &str) -> bool {
    let mut own = vec!["HOSTNAME"];
    for variable in json::items(container, &["env"]) {
        let Some(name) = json::text(variable, &["name"]) else {
            continue;
        };
        let field = json::text(variable, &["valueFrom", "fieldRef", "fieldPath"]);
        let value = json::text(variable, &["value"]);
        if field.is_some_and(|field| OWN_FIELDS.contains(&field))
            || value.is_some_and(|value| own.iter().any(|own| refers_to(value, own)))
        {
            own.push(name);
        }
    }
    own.iter().any(|own| refers_to(path, own))
}

fn refers_to(text: &str, variable: &str) -> bool {
    text.split('$').skip(1).any(|rest| {
        let name = rest.trim_start_matches(['(', '{']);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        name.strip_prefix(variable)
            .is_some_and(|rest| !rest.starts_with(is_part))
    })
}

/// The workloads of a bundle by the volume that holds their store.
#[derive(Debug, Default)]
pub struct Volumes<'a>(BTreeMap<String, Vec<(&'a Workload<'a>, Share)>>);

impl<'a> Volumes<'a> {
    /// Those of these workloads.
    pub fn new(workloads: &'a [Workload<'a>]) -> Self {
        let mut volumes = Self::default();
        for workload in workloads {
            let State::On(jetstream) = jetstream::read(workload) else {
                continue;
            };
            let directory = jetstream.directory.path();
            if let Some(share) = directory.and_then(|directory| of(workload, directory)) {
                let sharers = volumes.0.entry(share.volume.clone()).or_default();
                sharers.push((workload, share));
            }
        }
        volumes
    }

    /// Another workload, or server of the same pod, with its store on the same volume: one in the same directory before
    /// others.
    pub fn other(
        &self,
        workload: &Workload<'_>,
        share: &Share,
    ) -> Option<&(&'a Workload<'a>, Share)> {
        let sharers = self.0.get(&share.volume)?;
        let is_other = |other: &Workload<'_>| {
            (other.id, &other.container_pointer) != (workload.id, &workload.container_pointer)
        };
        let others = sharers.iter().filter(|(other, _)| is_other(other));
        others.max_by_key(|(_, other)| other.directory == share.directory)
    }
}
