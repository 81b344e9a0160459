//! Which pods are restarted, once, because they started with a wrong file and can't do anything with it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use serde_json::Value;

use super::server::Server;

/// The kubelet sets a pod's start and its first conditions in one go, and times have whole seconds.
const TOGETHER: SignedDuration = SignedDuration::from_secs(1);

/// When a pod is restarted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Restart {
    /// Now.
    Now,
    /// After so long, unless it becomes ready.
    In(Duration),
    /// That can't be said before its server starts.
    Unstarted,
    /// Not.
    No,
}

/// Pods of a StatefulSet's beginning: one that was scaled down to nothing and up again may hold data, and recover it.
pub(super) const BEGINNING: SignedDuration = SignedDuration::from_mins(10);

/// A mark of a time to come is not one that the controller made.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Whether no pod of a StatefulSet was ever Ready, as far as it can say: `readyReplicas` is none, it is in no rollout
/// (`currentRevision` is `updateRevision`), and none of its pods was; and all of them are of its first minutes.
pub(super) fn is_new(set: &Value, pods: &[Pod]) -> bool {
    let status = |field| set.get("status").and_then(|status| status.get(field));
    let made = set.pointer("/metadata/creationTimestamp");
    let made: Option<Timestamp> = made.and_then(|made| made.as_str()?.parse().ok());
    let is_first = |pod: &Pod| {
        let pod = pod.metadata.creation_timestamp.as_ref();
        matches!((pod, made), (Some(pod), Some(made)) if pod.0.duration_since(made) <= BEGINNING)
    };
    ready_replicas(set) == 0
        && pods.iter().all(is_first)
        && status("currentRevision") == status("updateRevision")
        && pods.iter().all(was_never_ready)
}

/// How many pods of a StatefulSet are Ready.
pub(super) fn ready_replicas(set: &Value) -> u64 {
    let ready = set.pointer("/status/readyReplicas");
    ready.and_then(Value::as_u64).unwrap_or(0)
}

/// When a pod of a StatefulSet of which no pod was ever Ready ([`is_new`]) is restarted: one without a reloader that was
/// made, and started by the kubelet, no later than its file was repaired (`natsguard.dev/reviewed`). Two clocks say so: one
/// that is slow must not make it due again and again.
///
/// A pod that mounted the right file becomes Ready by itself, so `after` has to pass since the repair and since its server
/// started. One that ends again and again reads the file anew each time. A pod that takes the place of one that was
/// restarted starts after the repair, so it is not due again, whoever leads by then.
pub(super) fn restart(pod: &Pod, server: &Server, now: Timestamp, after: Duration) -> Restart {
    let started = pod
        .status
        .as_ref()
        .and_then(|status| status.start_time.as_ref());
    let made = pod.metadata.creation_timestamp.as_ref();
    let (Some(made), Some(started), Some(reviewed)) = (made, started, server.reviewed()) else {
        return Restart::No;
    };
    if !server.may_restart()
        || pod.metadata.deletion_timestamp.is_some()
        || made.0 > reviewed
        || started.0 > reviewed
        || reviewed.duration_since(now) > SKEW
        || !was_never_ready(pod)
    {
        return Restart::No;
    }
    let Some(running) = runs_since(pod, &server.container) else {
        return Restart::Unstarted;
    };
    let since = now.duration_since(running.max(reviewed));
    let since = Duration::try_from(since).unwrap_or_default();
    match after.checked_sub(since).filter(|left| !left.is_zero()) {
        Some(left) => Restart::In(left),
        None => Restart::Now,
    }
}

/// Whether a pod was never Ready: it has no condition that says so, or one that is False since the pod started. Once True,
/// the condition is False only since a later time.
fn was_never_ready(pod: &Pod) -> bool {
    let Some(status) = &pod.status else {
        return true;
    };
    let Some(condition) = ready(pod) else {
        return true;
    };
    let (Some(since), Some(started)) = (&condition.last_transition_time, &status.start_time) else {
        return false;
    };
    condition.status == "False" && since.0.duration_since(started.0) <= TOGETHER
}

/// Whether a pod's containers run.
pub(super) fn is_running(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

fn ready(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
}

/// Since when a container runs, or ran.
fn runs_since(pod: &Pod, container: &str) -> Option<Timestamp> {
    let statuses = pod.status.as_ref()?.container_statuses.iter().flatten();
    let state = statuses
        .filter(|status| status.name == container)
        .find_map(|status| status.state.as_ref())?;
    let running = state.running.as_ref().map(|state| &state.started_at);
    let ended = state.terminated.as_ref().map(|state| &state.started_at);
    running.or(ended)?.as_ref().map(|time| time.0)
}
