//! Servers that are hard to see, and stores that are reached by more than one step.

use serde_json::{Value, json};

use crate::support::{World, nfs_class};

/// A workload of this kind whose pods have these containers, and a store on a claim that somebody made.
fn workload(kind: &str, pod: &Value) -> Value {
    let mut pod = pod.clone();
    pod["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "store"}}]);
    let template = json!({"metadata": {"labels": {"app": "nats"}}, "spec": pod});
    let version = match kind {
        "CronJob" => "batch/v1",
        "DeploymentConfig" => "apps.openshift.io/v1",
        "Rollout" => "argoproj.io/v1alpha1",
        _ => "apps/v1",
    };
    let mut object = json!({
        "apiVersion": version, "kind": kind, "metadata": {"name": "nats", "namespace": "messaging"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "nats"}}, "template": template}
    });
    if kind == "CronJob" {
        object["spec"] =
            json!({"schedule": "@hourly", "jobTemplate": {"spec": {"template": template}}});
    }
    object
}

fn container(image: &str, command: &[&str]) -> Value {
    json!({
        "name": "main", "image": image, "command": command,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}]
    })
}

/// The policies that refuse it, with a claim on NFS there already.
fn denied(object: &Value) -> Vec<String> {
    let world = World::default();
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "store", "namespace": "messaging"},
        "spec": {"storageClassName": "shared", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    });
    world.state.lock().unwrap().objects = vec![nfs_class(), claim];
    let causes = world
        .apply(object)
        .denied
        .map(|denied| denied["details"]["causes"].clone());
    let causes = causes
        .as_ref()
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut policies: Vec<String> = causes
        .iter()
        .map(|cause| cause["reason"].as_str().unwrap().to_owned())
        .collect();
    policies.dedup();
    policies
}

const SERVER: &[&str] = &["nats-server", "-js", "-sd", "/data"];

#[test]
fn the_claim_of_every_kind_is_followed_to_its_class() {
    let pod = json!({"containers": [container("nats:2.14.5", SERVER)]});
    for kind in [
        "StatefulSet",
        "Deployment",
        "CronJob",
        "DeploymentConfig",
        "Rollout",
    ] {
        let denied = denied(&workload(kind, &pod));
        assert_eq!(denied, ["network-filesystem"], "{kind}");
    }
}

#[test]
fn a_server_beside_the_containers_is_seen() {
    let mut sidecar = container("registry.example.org/broker:1", SERVER);
    sidecar["restartPolicy"] = json!("Always");
    let pod = json!({
        "containers": [{"name": "app", "image": "registry.example.org/app:1"}],
        "initContainers": [{"name": "wait", "image": "busybox"}, sidecar]
    });
    for kind in ["StatefulSet", "Deployment"] {
        assert_eq!(
            denied(&workload(kind, &pod)),
            ["network-filesystem"],
            "{kind}"
        );
    }
}

#[test]
fn a_server_behind_a_wrapper_is_seen() {
    for wrapper in [
        &["env", "TZ=UTC"][..],
        &["tini", "--"],
        &["nice", "-n", "5"],
        &["gosu", "nats"],
    ] {
        let command = [wrapper, SERVER].concat();
        let pod = json!({"containers": [container("registry.example.org/broker:1", &command)]});
        let denied = denied(&workload("StatefulSet", &pod));
        assert_eq!(denied, ["network-filesystem"], "{wrapper:?}");
    }
}
