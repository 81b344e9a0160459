//! The claims of a StatefulSet's pods, and the volumes that they are bound to.

use serde_json::Value;

use crate::bundle::{Lookup, Object};
use crate::json;
use crate::workload::Workload;

/// Maximum claims of one workload that are looked at.
const MAX_CLAIMS: usize = 100;

/// Maximum pods whose claims are read from a cluster: the claims of one template are alike but for the nodes that their
/// volumes may be tied to.
const MAX_READ: u32 = 5;

/// The claims that the pods of a StatefulSet have made, or will take over, from these templates, pod by pod: the number of
/// the pod and the name of the claim, `<template>-<pod>`.
pub fn of_templates<'w>(
    workload: &'w Workload<'_>,
    templates: &'w [&str],
) -> impl Iterator<Item = (u32, String)> + 'w {
    let first = workload.first_ordinal;
    let max = if workload.bundle.is_live() {
        MAX_READ
    } else {
        u32::MAX
    };
    let count = workload.replicas.unwrap_or(1).clamp(1, max);
    (first..first.saturating_add(count))
        .flat_map(move |pod| {
            let name = move |template| format!("{template}-{}-{pod}", workload.name());
            templates.iter().map(move |template| (pod, name(template)))
        })
        .take(MAX_CLAIMS)
}

/// The volume that a claim of the workload's namespace is bound to, from either side. A cluster is asked for the claim first: one
/// that is bound names its volume, and only where there is none, or it is not bound, the other side is asked for.
pub fn volume_of<'a>(workload: &Workload<'a>, claim: &str) -> Option<&'a Object> {
    let found = workload.lookup("", "PersistentVolumeClaim", claim);
    let name = found
        .found()
        .and_then(|(_, claim)| volume_name(&claim.value));
    let named = name.and_then(|name| workload.lookup("", "PersistentVolume", name).found());
    let is_settled = name.is_some() || matches!(found, Lookup::Unknown);
    match named {
        Some((_, volume)) => Some(volume),
        None if is_settled && workload.bundle.is_live() => None,
        None => workload.bundle.volume_of_claim(workload.namespace, claim),
    }
}

/// The volume that a claim is bound to, as it says.
pub fn volume_name(claim: &Value) -> Option<&str> {
    json::text(claim, &["spec", "volumeName"])
}

/// The one host that a PersistentVolume can be used on, by its label `kubernetes.io/hostname`.
pub fn host_of(volume: &Object) -> Option<&str> {
    let path = ["spec", "nodeAffinity", "required", "nodeSelectorTerms"];
    let [term] = json::items(&volume.value, &path) else {
        return None;
    };
    json::items(term, &["matchExpressions"])
        .iter()
        .find_map(|expression| {
            let is_host = json::text(expression, &["key"]) == Some("kubernetes.io/hostname")
                && json::text(expression, &["operator"]) == Some("In");
            match json::items(expression, &["values"]) {
                [Value::String(host)] if is_host => Some(host.as_str()),
                _ => None,
            }
        })
}

/// The class that a claim or a volume names, in the field or the annotation that was there before it.
pub fn class_of(value: &Value) -> Option<&str> {
    json::text(
        value,
        &[
            "metadata",
            "annotations",
            "volume.beta.kubernetes.io/storage-class",
        ],
    )
    .or_else(|| json::text(value, &["spec", "storageClassName"]))
}

/// Whether a claim of a class that has no volume may be bound to this one: free, of the class, of its labels and access
/// modes, and large enough.
pub fn may_bind(claim: &Value, class: &str, volume: &Value) -> bool {
    let modes = |value| json::items(value, &["spec", "accessModes"]);
    let selector = json::get(claim, &["spec", "selector"]);
    let size = |value, path: &[&str]| json::get(value, path).and_then(json::quantity);
    let asked = size(claim, &["spec", "resources", "requests", "storage"]);
    let given = size(volume, &["spec", "capacity", "storage"]);
    class == class_of(volume).unwrap_or_default()
        && json::get(volume, &["spec", "claimRef"]).is_none()
        && modes(claim).iter().all(|mode| modes(volume).contains(mode))
        && asked.zip(given).is_none_or(|(asked, given)| asked <= given)
        && selector.is_none_or(|selector| {
            json::selector_matches(Some(selector), json::map(volume, &["metadata", "labels"]))
        })
}
