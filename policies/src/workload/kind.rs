//! The kinds of objects that run pods, and where each keeps its template.

use serde_json::Value;

use crate::bundle::Object;
use crate::json;

/// The kinds that run servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pods with names of their own.
    StatefulSet,
    /// Pods that come and go under random names.
    Deployment,
    /// A pod on each node.
    DaemonSet,
    /// The pods of a version of a Deployment.
    ReplicaSet,
    /// Pods under random names, of old.
    ReplicationController,
    /// OpenShift's Deployment.
    DeploymentConfig,
    /// Argo's Deployment.
    Rollout,
    /// Pods that end.
    Job,
    /// Jobs from time to time.
    CronJob,
    /// One pod.
    Pod,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::StatefulSet,
        Self::Deployment,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::DeploymentConfig,
        Self::Rollout,
        Self::Job,
        Self::CronJob,
        Self::Pod,
    ];

    /// The kind of an object that runs pods. What another such object makes is that one's: `None`.
    pub fn of(object: &Object) -> Option<Self> {
        let (group, name) = (object.group(), object.kind());
        let find = |name: &str| Self::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = find(name).filter(|kind| kind.group() == group)?;
        let owners = json::items(&object.value, &["metadata", "ownerReferences"]);
        let mut controllers = owners
            .iter()
            .filter(|owner| owner.get("controller") == Some(&Value::Bool(true)));
        let is_made = kind.is_made()
            && controllers.any(|owner| json::text(owner, &["kind"]).and_then(find).is_some());
        (!is_made).then_some(kind)
    }

    /// The kind as Kubernetes spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::DeploymentConfig => "DeploymentConfig",
            Self::Rollout => "Rollout",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Pod => "Pod",
        }
    }

    /// The API group: empty for the core group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::StatefulSet | Self::Deployment | Self::DaemonSet | Self::ReplicaSet => "apps",
            Self::DeploymentConfig => "apps.openshift.io",
            Self::Rollout => "argoproj.io",
            Self::Job | Self::CronJob => "batch",
            Self::ReplicationController | Self::Pod => "",
        }
    }

    /// JSON pointer of the pod's `spec`.
    pub const fn pod_pointer(self) -> &'static str {
        match self {
            Self::Pod => "/spec",
            Self::CronJob => "/spec/jobTemplate/spec/template/spec",
            _ => "/spec/template/spec",
        }
    }

    /// Whether objects of this kind are usually made by a controller, from a template that is looked at.
    const fn is_made(self) -> bool {
        matches!(
            self,
            Self::ReplicaSet | Self::ReplicationController | Self::Job | Self::Pod
        )
    }

    /// Whether pods come and go under random names.
    pub const fn has_nameless_pods(self) -> bool {
        !matches!(self, Self::StatefulSet | Self::Pod)
    }

    /// How many pods an object of this kind runs: `None` when that can't be read.
    pub(super) fn replicas(self, object: &Value, is_live: bool) -> Option<u32> {
        let pointer = match self {
            Self::Pod => return Some(1),
            Self::DaemonSet => return None,
            Self::Job => "/spec/parallelism",
            Self::CronJob => "/spec/jobTemplate/spec/parallelism",
            _ => "/spec/replicas",
        };
        // In a file that states no number an autoscaler or an overlay may; the apiserver states 1.
        let is_whole = is_live || matches!(self, Self::Job | Self::CronJob);
        match object.pointer(pointer) {
            None | Some(Value::Null) => is_whole.then_some(1),
            Some(replicas) => replicas
                .as_u64()
                .and_then(|replicas| u32::try_from(replicas).ok()),
        }
    }
}
