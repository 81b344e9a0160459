//! What is due, and what is not.

use std::collections::BTreeSet;
use std::path::Path;

use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::settings::Settings;
use serde_json::{Value, json};

use super::super::plan::{Plan, plan};
use super::bed::{conf, map, routes, service, set, wrong};
use crate::facts::frozen;
use crate::live::Seen;

fn seen(objects: Vec<Value>) -> Seen {
    let kept = |value| Object {
        frozen: frozen(&value),
        ..Object::new(value)
    };
    let objects = objects.into_iter().map(kept).collect();
    let mut bundle = Bundle::new(objects, Some("default"));
    bundle.set_live();
    let mut sets = bundle.of_kind("apps", "StatefulSet").map(|(id, _)| id);
    let id = sets.next().unwrap();
    drop(sets);
    Seen {
        absent: Vec::new(),
        bundle,
        id,
        unknown: Vec::new(),
        late: Vec::new(),
        beyond: Vec::new(),
    }
}

fn planned(objects: Vec<Value>, owned: bool) -> Plan {
    plan(&seen(objects), &crate::fake::settings(), owned)
}

/// `kind name: policies` of what is touched.
fn touched(plan: &Plan) -> Vec<String> {
    let touches = plan.touches.iter();
    touches
        .map(|touch| format!("{}: {}", touch.target, touch.policies.join(",")))
        .collect()
}

fn changed(object: Value, change: &Value) -> Value {
    let mut object = object;
    json_patch::merge(&mut object, change);
    object
}

#[test]
fn what_is_touched() {
    let hidden = json!({"spec": {"publishNotReadyAddresses": null}});
    let hidden = changed(service(), &hidden);
    let short = routes(2);
    let cases: [(&str, Value, Value, &[&str]); 7] = [
        ("sound", map(&conf(&routes(3))), service(), &[]),
        (
            "a Service route",
            map(&wrong()),
            service(),
            &["ConfigMap nats-config: service-route"],
        ),
        (
            "scaled up",
            map(&conf(&short)),
            service(),
            &["ConfigMap nats-config: incomplete-routes"],
        ),
        (
            "scaled down",
            map(&conf(&routes(4))),
            service(),
            &["ConfigMap nats-config: incomplete-routes"],
        ),
        (
            "pods hidden",
            map(&wrong()),
            hidden.clone(),
            &[
                "ConfigMap nats-config: service-route",
                "Service nats-headless: unresolvable-peers",
            ],
        ),
        (
            "ending",
            changed(
                map(&wrong()),
                &json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            ),
            service(),
            &[],
        ),
        (
            "no list to repair",
            map("cluster { routes = $ROUTES }"),
            service(),
            &[],
        ),
    ];
    for (name, map, service, expected) in cases {
        let plan = planned(vec![map, service, set()], false);
        assert_eq!(touched(&plan), expected, "{name}");
        assert_eq!(plan.owned, [], "{name}");
        assert_eq!(plan.frozen, [], "{name}");
    }
}

#[test]
fn what_belongs_to_another_controller_is_touched_only_when_that_is_wanted() {
    let owners = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "a/v1", "kind": "Release", "name": "r", "uid": "1"},
        {"apiVersion": "a/v1", "kind": "EventBus", "name": "default", "uid": "2", "controller": true}
    ]}});
    let objects = vec![changed(map(&wrong()), &owners), service(), set()];
    let left = planned(objects.clone(), false);
    assert_eq!(touched(&left), [""; 0]);
    assert_eq!(left.owned.len(), 1);
    assert_eq!(left.owned[0].owner, "EventBus default");
    let server = left.server.as_ref().unwrap();
    assert!(!left.is_right(server));
    let taken = planned(objects, true);
    assert_eq!(touched(&taken), ["ConfigMap nats-config: service-route"]);
    assert_eq!(taken.owned, []);
}

#[test]
fn what_is_immutable_is_never_touched_whoever_owns_it() {
    let immutable = json!({"immutable": true, "metadata": {"ownerReferences": [
        {"apiVersion": "a/v1", "kind": "EventBus", "name": "default", "uid": "2", "controller": true}
    ]}});
    let map = changed(map(&wrong()), &immutable);
    for owned in [false, true] {
        let plan = planned(vec![map.clone(), service(), set()], owned);
        assert_eq!(touched(&plan), [""; 0]);
        assert_eq!(plan.owned, []);
        assert_eq!(plan.frozen.len(), 1);
        assert_eq!(plan.frozen[0].target.to_string(), "ConfigMap nats-config");
        assert_eq!(plan.frozen[0].policies, ["service-route"]);
        assert!(!plan.is_right(plan.server.as_ref().unwrap()));
    }
    let ending = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let ending = changed(map, &ending);
    assert_eq!(planned(vec![ending, service(), set()], false).frozen, []);
}

#[test]
fn an_owner_that_is_no_controller_leaves_it_to_us() {
    let owner = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "a/v1", "kind": "Release", "name": "r", "uid": "1"}
    ]}});
    let plan = planned(
        vec![changed(map(&wrong()), &owner), service(), set()],
        false,
    );
    assert_eq!(touched(&plan), ["ConfigMap nats-config: service-route"]);
}

#[test]
fn another_workloads_faults_are_not_this_ones() {
    let other = json!({
        "metadata": {"name": "other"},
        "spec": {"serviceName": "other", "template": {"spec": {"volumes": [{"configMap": {"name": "other-config"}}]}}}
    });
    let name = json!({"metadata": {"name": "other-config"}});
    let objects = vec![
        set(),
        map(&conf(&routes(3))),
        service(),
        changed(set(), &other),
        changed(map(&wrong()), &name),
    ];
    assert_eq!(touched(&planned(objects, false)), [""; 0]);
}

#[test]
fn an_exempted_fault_is_not_repaired() {
    let settings: Settings = serde_json::from_value(json!({"exemptions": [
        {"policy": "service-route", "namespace": "messaging", "reason": "tried out"}
    ]}))
    .unwrap();
    let seen = seen(vec![map(&wrong()), service(), set()]);
    assert_eq!(touched(&plan(&seen, &settings, false)), [""; 0]);
}

#[test]
fn no_workload_of_the_manifests_is_ever_touched() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/manifests");
    let mut touches = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        if let Some(items) = objects[0].get("items").cloned() {
            objects = items.as_array().unwrap().clone();
        }
        if !objects.iter().any(|object| object["kind"] == "StatefulSet") {
            continue;
        }
        let plan = planned(objects, false);
        touches.extend(
            touched(&plan)
                .into_iter()
                .map(|touch| format!("{name}, {touch}")),
        );
    }
    let touches: Vec<&str> = touches.iter().map(String::as_str).collect();
    assert_eq!(
        touches,
        [
            "fragile.yaml, ConfigMap nats-config: service-route",
            "fragile.yaml, Service nats: unresolvable-peers",
            "json-form.yaml, ConfigMap broker-config: incomplete-routes,short-route",
            "partitioned.yaml, ConfigMap nats-config: service-route",
            "partitioned.yaml, Service nats: unresolvable-peers",
            "projected.yaml, ConfigMap bus-config: service-route",
            "secret.yaml, Secret orders: service-route",
            "secret.yaml, Service orders-headless: unresolvable-peers",
        ]
    );
}
