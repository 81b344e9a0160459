//! Which workloads an object matters to.

use std::collections::BTreeSet;

use natsguard_policies::bundle::{Bundle, Focus, Object};
use serde_json::Value;

use super::resource::{CLAIMS, CONFIG_MAPS, Resource, SECRETS};

/// The object under review, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Its API group: empty for the core group.
    pub group: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name: empty while the apiserver has still to make one.
    pub name: &'a str,
}

impl Subject<'_> {
    /// Whether it runs pods, and is reviewed: Pods and what controllers make are not.
    pub fn is_workload(&self) -> bool {
        matches!(
            (self.group, self.kind),
            ("apps", "StatefulSet" | "Deployment" | "DaemonSet")
                | ("batch", "CronJob")
                | ("apps.openshift.io", "DeploymentConfig")
                | ("argoproj.io", "Rollout")
        )
    }

    /// Whether reviews of this kind are answered by the rules.
    pub fn is_known(&self) -> bool {
        let is_part = matches!(
            self.kind,
            "ConfigMap" | "Secret" | "Service" | "PersistentVolumeClaim"
        );
        self.is_workload() || (self.group.is_empty() && is_part)
    }

    fn is(&self, object: &Object) -> bool {
        object.group() == self.group && object.kind() == self.kind && object.name() == self.name
    }
}

/// The workloads that are judged with an object: itself, or those that refer to it; and those that share a file with them.
pub(super) fn focus(subject: &Subject<'_>, bundle: &Bundle) -> Focus {
    let mut focus = Focus::default();
    let mut shared = BTreeSet::new();
    for (id, object) in bundle.objects().iter().enumerate() {
        let is_own = if subject.is_workload() {
            subject.is(object)
        } else {
            object.kind() == "StatefulSet" && refers_to(&object.value, subject)
        };
        if is_own {
            focus.own.insert(id);
            shared.extend(mounted(&object.value));
        }
    }
    shared.retain(|(resource, _)| **resource != CLAIMS);
    let sets = bundle.of_kind("apps", "StatefulSet");
    let siblings = sets.filter(|(id, set)| {
        let is_shared = || {
            mounted(&set.value)
                .iter()
                .any(|found| shared.contains(found))
        };
        !focus.own.contains(id) && is_shared()
    });
    focus.siblings = siblings.map(|(id, _)| id).collect();
    focus
}

/// Whether a StatefulSet refers to the object under review.
fn refers_to(set: &Value, subject: &Subject<'_>) -> bool {
    let mounts = |resource: &Resource| {
        mounted(set)
            .iter()
            .any(|(of, name)| *of == resource && *name == subject.name)
    };
    match subject.kind {
        "ConfigMap" => mounts(&CONFIG_MAPS),
        "Secret" => mounts(&SECRETS),
        "Service" => text(set, "/spec/serviceName") == Some(subject.name),
        "PersistentVolumeClaim" => {
            let name = text(set, "/metadata/name").unwrap_or_default();
            mounts(&CLAIMS)
                || items(set, "/spec/volumeClaimTemplates")
                    .iter()
                    .any(|template| {
                        let volume = text(template, "/metadata/name").unwrap_or_default();
                        subject
                            .name
                            .strip_prefix(&format!("{volume}-{name}-"))
                            .is_some_and(|pod| pod.bytes().all(|byte| byte.is_ascii_digit()))
                    })
        }
        _ => false,
    }
}

/// The ConfigMaps, Secrets and claims that a container of the pods mounts, by name.
fn mounted(workload: &Value) -> Vec<(&'static Resource, &str)> {
    let mounts: BTreeSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|field| items(workload, &format!("/spec/template/spec/{field}")))
        .flat_map(|container| items(container, "/volumeMounts"))
        .filter_map(|mount| text(mount, "/name"))
        .collect();
    let mut found = Vec::new();
    for volume in items(workload, "/spec/template/spec/volumes") {
        if !text(volume, "/name").is_some_and(|name| mounts.contains(name)) {
            continue;
        }
        let projected = items(volume, "/projected/sources")
            .iter()
            .flat_map(|source| {
                [
                    text(source, "/configMap/name").map(|name| (&CONFIG_MAPS, name)),
                    text(source, "/secret/name").map(|name| (&SECRETS, name)),
                ]
            });
        let own = [
            text(volume, "/configMap/name").map(|name| (&CONFIG_MAPS, name)),
            text(volume, "/secret/secretName").map(|name| (&SECRETS, name)),
            text(volume, "/persistentVolumeClaim/claimName").map(|name| (&CLAIMS, name)),
        ];
        found.extend(own.into_iter().chain(projected).flatten());
    }
    found
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
