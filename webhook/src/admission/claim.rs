//! Whether a claim is what a StatefulSet that is there asks for: its controller makes that one, and brings nothing in.

use natsguard_policies::bundle::{Bundle, Object};
use serde_json::Value;

/// The annotation that marks the class of claims that name none.
const DEFAULT: &str = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";

/// Whether a StatefulSet of the bundle has a template that this new claim follows.
pub(super) fn is_from_template(claim: &Object, bundle: &Bundle) -> bool {
    let sets = bundle.of_kind("apps", "StatefulSet");
    let near = sets.filter(|(_, set)| bundle.namespace(set) == bundle.namespace(claim));
    near.flat_map(|(_, set)| templates(set).map(move |template| (set, template)))
        .any(|(set, template)| is_named(claim, set, template) && follows(claim, template, bundle))
}

fn templates(set: &Object) -> impl Iterator<Item = &Value> {
    let templates = set.value.pointer("/spec/volumeClaimTemplates");
    templates.and_then(Value::as_array).into_iter().flatten()
}

/// `<template>-<set>-<ordinal>`
fn is_named(claim: &Object, set: &Object, template: &Value) -> bool {
    let template = text(template, "/metadata/name").unwrap_or_default();
    let rest = claim.name().strip_prefix(template);
    let rest = rest.and_then(|rest| rest.strip_prefix('-')?.strip_prefix(set.name()));
    let ordinal = rest.and_then(|rest| rest.strip_prefix('-'));
    ordinal.is_some_and(|ordinal| {
        !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn follows(claim: &Object, template: &Value, bundle: &Bundle) -> bool {
    let is_same = |pointer: &&str| claim.value.pointer(pointer) == template.pointer(pointer);
    let class = |claim| text(claim, "/spec/storageClassName");
    let is_of_class = match (class(&claim.value), class(template)) {
        // The apiserver fills in the default class before it asks.
        (Some(name), None) => {
            let class = bundle.lookup(
                bundle.referrer(claim),
                "storage.k8s.io",
                "StorageClass",
                name,
            );
            let class = class.found().map(|(_, class)| &class.value);
            class.and_then(|class| text(class, DEFAULT)) == Some("true")
        }
        (own, asked) => own == asked,
    };
    is_of_class && ["/spec/volumeName", "/spec/selector"].iter().all(is_same)
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}
