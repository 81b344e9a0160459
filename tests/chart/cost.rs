//! No object makes a condition fail or cost too much: under `failurePolicy: Fail` that would refuse a stranger's object.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use crate::cel::{Evaluator, LIMIT, Step, VERSIONS};
use crate::helm;

const MIB: usize = 1 << 20;

fn workload(pod: &Value) -> Value {
    json!({"metadata": {"name": "x"}, "spec": {"template": {"spec": pod}}})
}

/// As many different keys of three bytes as asked for, each with the same value.
fn tiny(count: usize, value: &Value) -> Value {
    let printable = || b'!'..=b'~';
    let keys = printable().flat_map(|a| {
        printable().flat_map(move |b| printable().map(move |c| [a, b, c].map(char::from)))
    });
    let map: BTreeMap<String, &Value> = keys
        .take(count)
        .map(|key| (key.iter().collect(), value))
        .collect();
    assert_eq!(map.len(), count);
    json!(map)
}

/// The worst that was thought of: objects just below the bounds of the expressions, and far above them. The body of a
/// request has at most 3 MiB, and mutation comes before most of validation.
fn worst() -> Vec<(&'static str, &'static str, Value)> {
    let volumes: Vec<Value> = (0..64)
        .map(|n| json!({"name": format!("v{n}"), "emptyDir": {}}))
        .collect();
    let flag = format!("-c={}.sh", "y".repeat(120));
    let full = json!({"name": "c", "image": "a".repeat(512), "command": vec![&flag; 128]});
    let named = |n: usize| json!({"name": format!("c{n}"), "image": "a"});
    let texts = |count, each: &str| tiny(count, &json!(each));
    let encoded = |size| json!(BASE64_STANDARD.encode("a".repeat(size)));
    let selector: BTreeMap<String, String> = (0..64)
        .map(|n| (n.to_string(), "a".repeat(45_000)))
        .collect();
    let mut all = vec![
        (
            "configmaps",
            "1 MiB of tiny keys",
            json!({"data": texts(MIB / 7, "")}),
        ),
        (
            "configmaps",
            "3 MiB of tiny keys",
            json!({"data": texts(3 * MIB / 7, "")}),
        ),
        (
            "configmaps",
            "3 MiB of tiny binary keys",
            json!({"binaryData": texts(3 * MIB / 7, "")}),
        ),
        (
            "configmaps",
            "1000 tiny keys",
            json!({"data": texts(1000, "")}),
        ),
        (
            "configmaps",
            "1000 values, 1 MiB",
            json!({"data": texts(1000, &"a".repeat(1048))}),
        ),
        (
            "configmaps",
            "1000 values of clusters",
            json!({"data": texts(1000, &"cluster ".repeat(32))}),
        ),
        (
            "configmaps",
            "1 MiB in one value",
            json!({"data": {"x": "a".repeat(MIB)}}),
        ),
        (
            "configmaps",
            "1 MiB of clusters",
            json!({"data": {"x": "cluster ".repeat(MIB / 8)}}),
        ),
        (
            "configmaps",
            "256 KiB of clusters",
            json!({"data": {"x": "cluster ".repeat(MIB / 32)}}),
        ),
        (
            "configmaps",
            "as much as is read at all",
            json!({"data": {"x": "a".repeat(1_402_200)}}),
        ),
        (
            "configmaps",
            "3 MiB in one value",
            json!({"data": {"x": "a".repeat(3 * MIB)}}),
        ),
        (
            "configmaps",
            "1 MiB of 4-byte characters",
            json!({"data": {"x": "\u{1f980}".repeat(MIB / 4)}}),
        ),
        (
            "configmaps",
            "1 MiB of binary data",
            json!({"binaryData": {"x": encoded(MIB)}}),
        ),
        ("configmaps", "nothing", json!({})),
        (
            "configmaps",
            "nulls",
            json!({"metadata": {"annotations": null}, "data": null, "binaryData": {"x": null}}),
        ),
        (
            "secrets",
            "1 MiB of tiny keys",
            json!({"data": texts(MIB / 7, "")}),
        ),
        (
            "secrets",
            "1000 values, 1 MiB",
            json!({"data": tiny(1000, &encoded(1048))}),
        ),
        (
            "secrets",
            "1 MiB in one value",
            json!({"data": {"x": encoded(MIB)}}),
        ),
        ("secrets", "nulls", json!({"type": "", "data": {"x": null}})),
        ("secrets", "nothing", json!({})),
        (
            "services",
            "many ports",
            json!({"spec": {"ports": vec![json!({"port": 1}); 50_000]}}),
        ),
        (
            "services",
            "256 ports and a huge selector",
            json!({"spec": {"ports": vec![json!({"port": 1}); 256], "selector": selector}}),
        ),
        (
            "services",
            "nulls",
            json!({"metadata": {}, "spec": {"ports": null, "selector": null}}),
        ),
        ("services", "nothing", json!({})),
        (
            "persistentvolumeclaims",
            "huge labels",
            json!({"metadata": {"name": "a".repeat(3 * MIB), "labels": selector}}),
        ),
        (
            "persistentvolumeclaims",
            "many labels",
            json!({"metadata": {"labels": texts(MIB / 7, "")}}),
        ),
        ("persistentvolumeclaims", "nothing", json!({})),
    ];
    all.extend([
            ("statefulsets", "16 full containers", workload(&json!({"volumes": volumes, "containers": vec![&full; 16]}))),
            ("statefulsets", "16 small containers", workload(&json!({"containers": (0..16).map(named).collect::<Vec<_>>()}))),
            ("statefulsets", "1000 containers", workload(&json!({"containers": (0..1000).map(named).collect::<Vec<_>>()}))),
            ("statefulsets", "100000 containers", workload(&json!({"containers": vec![json!({}); 100_000]}))),
            ("statefulsets", "1000 volumes", workload(&json!({"containers": [{"args": ["-c", "/x"]}], "volumes": vec![json!({"name": "v"}); 1000]}))),
            ("statefulsets", "an image of 3 MiB", workload(&json!({"containers": [{"image": "a".repeat(3 * MIB)}]}))),
            ("statefulsets", "an argument of 1 MiB", workload(&json!({"containers": [{"args": ["a".repeat(MIB)]}]}))),
            ("statefulsets", "200000 arguments", workload(&json!({"containers": [{"args": vec![""; 200_000]}]}))),
            ("statefulsets", "nulls", workload(&json!({"containers": null, "volumes": null}))),
            ("statefulsets", "null lists", workload(&json!({"containers": [{"command": null, "args": [null]}]}))),
            ("statefulsets", "nothing", json!({})),
        ]);
    all
}

#[test]
fn conditions_that_are_not_tried_are_those_that_are() {
    let objects = helm::render("ci/everything-values.yaml");
    let of = |kind: &str, resource: &str| {
        let webhooks = helm::only(&objects, kind)["webhooks"].as_array();
        let mut entries = webhooks.expect("webhooks").iter();
        let entry = entries.find(|entry| entry["rules"][0]["resources"][0] == resource);
        entry.expect("an entry")["matchConditions"].clone()
    };
    let (mutating, validating) = (
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    );
    let tried = of(validating, "statefulsets");
    for resource in ["statefulsets", "deployments", "daemonsets"] {
        assert_eq!(of(validating, resource), tried);
        assert_eq!(of(mutating, resource), tried);
    }
    for resource in ["configmaps", "persistentvolumeclaims", "secrets"] {
        assert_eq!(of(mutating, resource), of(validating, resource));
    }
}

#[test]
fn no_object_makes_a_condition_fail_or_cost_too_much() {
    costs_are_bounded(VERSIONS[0]);
}

/// Beside the other: each version takes half a minute.
#[test]
fn nor_does_it_in_the_first_version_that_is_supported() {
    costs_are_bounded(VERSIONS[1]);
}

fn costs_are_bounded(version: &'static str) {
    let mut evaluator = Evaluator::start(version);
    let mut most = (0, "", "");
    for (resource, what, object) in worst() {
        let steps = [Step::Validate, Step::Mutate];
        // Only Services have other conditions there; Deployments and DaemonSets have those of StatefulSets.
        for step in steps
            .into_iter()
            .take(if resource == "services" { 2 } else { 1 })
        {
            for old in [None, Some(&object)] {
                let answer = evaluator.ask(step, resource, &object, old);
                assert_eq!(answer.error, "", "{version} {step:?} {resource}: {what}");
                let cost = answer
                    .costs
                    .unwrap_or_default()
                    .into_iter()
                    .max()
                    .unwrap_or_default();
                assert!(cost < LIMIT, "{resource}: {what} costs {cost}");
                most = most.max((cost, resource, what));
                if step == Step::Validate && old.is_none() {
                    eprintln!(
                        "{version} {resource}, {what}: {cost}{}",
                        if answer.matches { ", sent" } else { "" }
                    );
                }
            }
        }
    }
    eprintln!(
        "{version}: at most {} of {LIMIT} ({}, {})",
        most.0, most.1, most.2
    );
    // Bounds that nothing comes near would not have been tried.
    assert!(most.0 > LIMIT / 2, "the worst case costs {}", most.0);
}
