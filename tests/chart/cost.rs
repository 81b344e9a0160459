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
    // The last of many is known by its file, which is not all that is asked where it may be refused.
    let known = |last: Value| {
        let mut containers = vec![full.clone(); 15];
        containers.push(last);
        containers
    };
    let mut last = full.clone();
    last["command"][127] = json!("-c=y.conf");
    let mounts =
        |volume: Value| json!({"containers": known(last.clone()), "volumes": vec![volume; 64]});
    let named = |n: usize| json!({"name": format!("c{n}"), "image": "a"});
    let texts = |count, each: &str| tiny(count, &json!(each));
    let encoded = |size| json!(BASE64_STANDARD.encode("a".repeat(size)));
    let long = |size: usize, end: &str| -> BTreeMap<String, String> {
        let key = |n| format!("{n:04}{}{end}", "k".repeat(size - 4 - end.len()));
        let value = |n| {
            if n < 999 {
                "a".repeat(1048)
            } else {
                "nats".repeat(262)
            }
        };
        (0..1000).map(|n| (key(n), value(n))).collect()
    };
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
            json!({"data": {"x": format!("{}nats", "a".repeat(1_050_572))}}),
        ),
        (
            "configmaps",
            "256 KiB of clusters that say nats",
            json!({"data": {"x": format!("nats {}", "cluster ".repeat(MIB / 32 - 1))}}),
        ),
        (
            "configmaps",
            "256 KiB of clusters with routes",
            json!({"data": {"x": format!("routes {}", "cluster ".repeat(MIB / 32 - 1))}}),
        ),
        (
            "configmaps",
            "1000 long keys, 1 MiB that say nats in the end",
            json!({"data": long(253, "")}),
        ),
        (
            "configmaps",
            "1000 keys of 2 KiB, 1 MiB",
            json!({"data": long(2048, ".conf")}),
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
            ("deployments", "16 full containers", workload(&json!({"volumes": volumes, "containers": vec![&full; 16]}))),
            ("deployments", "16 small containers", workload(&json!({"containers": (0..16).map(named).collect::<Vec<_>>()}))),
            ("deployments", "1000 containers", workload(&json!({"containers": (0..1000).map(named).collect::<Vec<_>>()}))),
            ("deployments", "100000 containers", workload(&json!({"containers": vec![json!({}); 100_000]}))),
            ("deployments", "1000 volumes", workload(&json!({"containers": [{"args": ["-c", "/x"]}], "volumes": vec![json!({"name": "v"}); 1000]}))),
            ("deployments", "an image of 3 MiB", workload(&json!({"containers": [{"image": "a".repeat(3 * MIB)}]}))),
            ("deployments", "an argument of 1 MiB", workload(&json!({"containers": [{"args": ["a".repeat(MIB)]}]}))),
            ("deployments", "200000 arguments", workload(&json!({"containers": [{"args": vec![""; 200_000]}]}))),
            ("deployments", "a file and 64 long names", workload(&mounts(json!({"configMap": {"name": "a".repeat(40_000)}})))),
            ("deployments", "a file and 4096 sources", workload(&mounts(json!({"projected": {"sources": vec![json!({"secret": {"name": "a".repeat(600)}}); 64]}})))),
            ("deployments", "15 full containers and an argument of 2.5 MiB", workload(&json!({"containers": known(json!({"args": ["a".repeat(5 * MIB / 2)]}))}))),
            ("deployments", "null sources", workload(&json!({"containers": [{"args": ["-c", "/x"]}], "volumes": [{"projected": {"sources": null}}]}))),
            ("deployments", "nulls", workload(&json!({"containers": null, "volumes": null}))),
            ("deployments", "null lists", workload(&json!({"containers": [{"command": null, "args": [null]}]}))),
            ("deployments", "nothing", json!({})),
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
    let (wide, tried) = (of(mutating, "deployments"), of(validating, "deployments"));
    for resource in ["daemonsets", "statefulsets"] {
        assert_eq!(of(mutating, resource), wide);
    }
    assert_eq!(of(validating, "daemonsets"), tried);
    for resource in ["deploymentconfigs", "rollouts"] {
        assert_eq!(of(mutating, resource), wide);
        assert_eq!(of(validating, resource), wide);
    }
    // The same but for where its pods are.
    let of_cron_jobs = of(validating, "cronjobs").to_string();
    assert_eq!(
        of_cron_jobs.replace("object.?spec.?jobTemplate.?spec", "object.?spec"),
        tried.to_string()
    );
    let text = |conditions: &Value| conditions[1]["expression"].as_str().map(str::to_owned);
    let known = text(&of(validating, "statefulsets")).expect("CEL");
    let (wide, tried) = (text(&wide).expect("CEL"), text(&tried).expect("CEL"));
    assert!(tried.starts_with(&format!("{known} && (")), "{tried}");
    assert!(wide.starts_with(&format!("{known} ||")), "{wide}");
    for resource in ["persistentvolumeclaims", "secrets"] {
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
        let steps: &[Step] = match resource {
            "configmaps" | "deployments" | "services" => &[Step::Validate, Step::Mutate],
            _ => &[Step::Validate],
        };
        for &step in steps {
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
