//! The kinds that reviews read, and the rights that takes.

use std::cmp::Ordering;
use std::time::Duration;

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// Outside namespaces.
    Cluster,
}

/// A kind that is read, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// The API group: empty for the core group.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The name in paths and in RBAC rules.
    pub plural: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Where its objects live.
    pub scope: Scope,
    /// What is done with it: `get`, `list`.
    pub verbs: &'static [&'static str],
    /// How long an object that was found may be used again.
    pub fresh: Duration,
}

// A namespaced object is read anew for each review: what `kubectl apply` wrote a moment ago decides about what it writes now,
// and another replica may have admitted it. What a cluster has few of, and hardly changes, is kept for seconds.
const ANEW: Duration = Duration::ZERO;
const SECONDS: Duration = Duration::from_secs(5);

const fn namespaced(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
) -> Resource {
    Resource {
        group,
        version,
        plural,
        kind,
        scope: Scope::Namespaced,
        verbs,
        fresh: ANEW,
    }
}

const fn cluster(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
) -> Resource {
    Resource {
        group,
        version: "v1",
        plural,
        kind,
        scope: Scope::Cluster,
        verbs,
        fresh: SECONDS,
    }
}

/// Who mounts a file, and whose pods a Service selects.
pub const STATEFUL_SETS: Resource = namespaced(
    "apps",
    "v1",
    "statefulsets",
    "StatefulSet",
    &["get", "list"],
);
/// Clusters without a stable name for each server.
pub const DEPLOYMENTS: Resource = namespaced("apps", "v1", "deployments", "Deployment", &["list"]);
/// Clusters with a server on each node.
pub const DAEMON_SETS: Resource = namespaced("apps", "v1", "daemonsets", "DaemonSet", &["list"]);
/// Servers that run from time to time.
pub const CRON_JOBS: Resource = namespaced("batch", "v1", "cronjobs", "CronJob", &["list"]);
/// OpenShift's Deployments.
pub const DEPLOYMENT_CONFIGS: Resource = namespaced(
    "apps.openshift.io",
    "v1",
    "deploymentconfigs",
    "DeploymentConfig",
    &["list"],
);
/// Argo's Deployments.
pub const ROLLOUTS: Resource =
    namespaced("argoproj.io", "v1alpha1", "rollouts", "Rollout", &["list"]);
/// Those that no Deployment made.
pub const REPLICA_SETS: Resource = namespaced("apps", "v1", "replicasets", "ReplicaSet", &["list"]);
/// Those that no DeploymentConfig made.
pub const REPLICATION_CONTROLLERS: Resource = namespaced(
    "",
    "v1",
    "replicationcontrollers",
    "ReplicationController",
    &["list"],
);
/// Those that no CronJob made.
pub const JOBS: Resource = namespaced("batch", "v1", "jobs", "Job", &["list"]);
/// Those that no workload made.
pub const PODS: Resource = namespaced("", "v1", "pods", "Pod", &["list"]);
/// Configuration files.
pub const CONFIG_MAPS: Resource = namespaced("", "v1", "configmaps", "ConfigMap", &["get"]);
/// Configuration files and certificates; by name only. Without this right they stay unknown.
pub const SECRETS: Resource = namespaced("", "v1", "secrets", "Secret", &["get"]);
/// Names and addresses that routes lead to.
pub const SERVICES: Resource = namespaced("", "v1", "services", "Service", &["get", "list"]);
/// The claims of a store.
pub const CLAIMS: Resource = namespaced(
    "",
    "v1",
    "persistentvolumeclaims",
    "PersistentVolumeClaim",
    &["get"],
);
/// The volumes of a store.
pub const VOLUMES: Resource = cluster(
    "",
    "persistentvolumes",
    "PersistentVolume",
    &["get", "list"],
);
/// What provisions a store.
pub const CLASSES: Resource = cluster(
    "storage.k8s.io",
    "storageclasses",
    "StorageClass",
    &["get", "list"],
);
/// Which nodes can take a pod.
pub const NODES: Resource = cluster("", "nodes", "Node", &["list"]);

/// Labels of namespaces, which exemptions may be for.
pub const NAMESPACES: Resource = cluster("", "namespaces", "Namespace", &["get"]);

/// Everything that a review reads. A missing right makes facts unknown and breaks nothing.
pub const NEEDED: &[&Resource] = &[
    &CLAIMS,
    &CLASSES,
    &CONFIG_MAPS,
    &NAMESPACES,
    &NODES,
    &SECRETS,
    &SERVICES,
    &STATEFUL_SETS,
    &VOLUMES,
];

impl Resource {
    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

impl PartialOrd for Resource {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Resource {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.group, self.plural).cmp(&(other.group, other.plural))
    }
}
