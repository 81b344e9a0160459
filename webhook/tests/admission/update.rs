//! Objects that are there already: nothing is started that nobody asked for, and nobody is held to account for what was.

use natsguard::admission::{REVIEWED, Step};
use natsguard_policies::policy::Action;
use serde_json::{Value, json};

use crate::support::{Nats, World, checked, nfs_class, review};

/// A cluster with every fault there is, made before there was a webhook.
fn bad() -> (World, Nats) {
    let mut nats = Nats::partitioned().with_class("shared").without_affinity();
    nats.service["spec"] = json!({"clusterIP": "10.96.0.7", "selector": {"app": "nats"}});
    let world = World::default();
    world.state.lock().unwrap().objects = vec![
        nfs_class(),
        nats.service.clone(),
        nats.map.clone(),
        nats.set.clone(),
    ];
    (world, nats)
}

fn changed(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    let key = key.replace("~1", "/");
    parent.as_object_mut().unwrap().insert(key, value);
    object
}

#[test]
fn what_was_bad_before_can_still_be_worked_with() {
    let (world, nats) = bad();
    let set = &nats.set;
    let ending = changed(
        set,
        "/metadata/deletionTimestamp",
        json!("2027-01-01T00:00:00Z"),
    );
    let updates = [
        changed(set, "/metadata/labels", json!({"a": "b"})),
        changed(set, "/metadata/finalizers", json!(["example.org/x"])),
        changed(set, "/metadata/annotations", json!({"a": "b"})),
        changed(set, "/spec/replicas", json!(1)),
        changed(set, "/spec/replicas", json!(5)),
        changed(set, "/spec/replicas", json!(0)),
        changed(set, "/status", json!({"replicas": 3})),
        ending.clone(),
    ];
    for update in updates {
        let written = world.try_apply(&update, Some(set));
        assert_eq!(written.denied, None, "{update}");
        assert!(
            written.patch.is_empty(),
            "a rollout that nobody asked for: {update}"
        );
    }
    let released = changed(&ending, "/metadata/finalizers", json!([]));
    assert_eq!(
        world.try_apply(&released, Some(&ending)).warnings,
        [] as [&str; 0]
    );
    for object in [&nats.map, &nats.service] {
        let update = changed(object, "/metadata/labels", json!({"a": "b"}));
        let written = world.try_apply(&update, Some(object));
        assert_eq!((written.denied, written.patch), (None, Vec::new()));
    }
}

#[test]
fn an_old_fault_is_a_warning_and_a_new_one_a_denial() {
    let (world, nats) = bad();
    let image = "/spec/template/spec/containers/0/image";
    let mut update = nats.set.clone();
    *update.pointer_mut(image).unwrap() = json!("nats:2.14.6");
    let written = world.try_apply(&update, Some(&nats.set));
    assert_eq!(written.denied, None);
    let warned = &written.answers[1].record.findings;
    for policy in ["network-filesystem", "service-route", "unresolvable-peers"] {
        assert!(
            warned.contains(&(policy.to_owned(), Action::Warn)),
            "{warned:?}"
        );
    }
    let sound = Nats::sound();
    let world = World::default();
    world.state.lock().unwrap().objects =
        vec![sound.service.clone(), sound.map.clone(), sound.set.clone()];
    let service = json!({"clusterIP": "10.96.0.7", "selector": {"app": "nats"}});
    let part = world.try_apply(
        &changed(&sound.service, "/spec", service),
        Some(&sound.service),
    );
    assert_eq!(part.audit, [json!({"denied": "unresolvable-peers"})]);
    let volumes = "/spec/template/spec/volumes";
    let mut nfs = Nats::sound().with_class("disks").set;
    nfs["spec"]
        .as_object_mut()
        .unwrap()
        .remove("volumeClaimTemplates");
    nfs.pointer_mut(volumes)
        .unwrap()
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "data", "nfs": {"server": "10.0.0.1", "path": "/a"}}));
    let disks = Nats::sound().with_class("disks");
    world.state.lock().unwrap().objects =
        vec![disks.service.clone(), disks.map.clone(), disks.set.clone()];
    let written = world.try_apply(&nfs, Some(&disks.set));
    assert!(
        written
            .message()
            .contains("spec.template.spec.volumes[1].nfs"),
        "{written:?}"
    );
}

#[test]
fn what_a_finalizer_keeps_is_judged_until_it_is_let_go() {
    let (world, nats) = (World::default(), Nats::sound());
    world.state.lock().unwrap().objects =
        vec![nats.service.clone(), nats.map.clone(), nats.set.clone()];
    for object in [&nats.map, &nats.service, &nats.set] {
        let mut kept = object.clone();
        kept["metadata"]["deletionTimestamp"] = json!("2027-01-01T00:00:00Z");
        kept["metadata"]["finalizers"] = json!(["example.org/x"]);
        let released = changed(&kept, "/metadata/finalizers", json!([]));
        let written = world.try_apply(&released, Some(&kept));
        assert_eq!((written.denied, written.warnings), (None, Vec::new()));
    }
    let mut kept = nats.map.clone();
    kept["metadata"]["deletionTimestamp"] = json!("2027-01-01T00:00:00Z");
    let text = Nats::partitioned().map["data"]["nats.conf"].clone();
    let written = world.try_apply(&changed(&kept, "/data/nats.conf", text), Some(&kept));
    assert_eq!(written.patch[0]["path"], "/data/nats.conf");
    let mut kept = nats.set.clone();
    kept["metadata"]["deletionTimestamp"] = json!("2027-01-01T00:00:00Z");
    kept["metadata"]["finalizers"] = json!(["example.org/x"]);
    let on_nfs = changed(&kept, "/spec/template/spec/volumes", {
        json!([
            {"name": "config", "configMap": {"name": "nats-config"}},
            {"name": "data", "nfs": {"server": "10.0.0.1", "path": "/a"}}
        ])
    });
    let mounts = json!([
        {"name": "config", "mountPath": "/etc/nats"}, {"name": "data", "mountPath": "/data"}
    ]);
    let container = "/spec/template/spec/containers/0";
    let on_nfs = changed(&on_nfs, &format!("{container}/volumeMounts"), mounts);
    let args = json!(["-c", "/etc/nats/nats.conf", "-js", "-sd", "/data"]);
    let on_nfs = changed(&on_nfs, &format!("{container}/args"), args);
    let written = world.try_apply(&on_nfs, Some(&kept));
    let denied = "network-filesystem,shared-store";
    assert_eq!(
        written.audit,
        [json!({"denied": denied, "warned": "unbounded-store"})]
    );
}

#[test]
fn an_owner_that_a_tenant_made_up_lifts_nothing() {
    let owner = json!([{
        "apiVersion": "example.org/v1", "kind": "Nats", "name": "nats", "uid": "1", "controller": true
    }]);
    let owned = |object: &Value| changed(object, "/metadata/ownerReferences", owner.clone());
    let world = World::default();
    world.state.lock().unwrap().objects.push(nfs_class());
    let nats = Nats::partitioned().with_class("shared").without_affinity();
    world.apply(&owned(&nats.service));
    world.apply(&owned(&nats.map));
    let written = world.apply(&owned(&nats.set));
    assert_eq!(
        written.audit,
        [
            json!({"repaired": "co-located-replicas"}),
            json!({"denied": "network-filesystem", "warned": "service-route"})
        ]
    );
    let nats = Nats::partitioned();
    world.apply(&owned(&nats.set));
    let mut owned = owned(&nats.map);
    owned["metadata"]["annotations"] = json!({REVIEWED: "1"});
    let written = world.apply(&owned);
    assert_eq!(written.audit, [json!({"repaired": "service-route"})]);
}

#[test]
fn one_more_route_to_a_service_is_new_and_the_old_one_is_not() {
    let (world, nats) = bad();
    let text = nats.map["data"]["nats.conf"].as_str().unwrap();
    let with = |line: &str| {
        changed(
            &nats.map,
            "/data/nats.conf",
            Value::from(text.replace("routes = [", line)),
        )
    };
    let moved = with("# the same\n  routes = [");
    assert_eq!(world.try_apply(&moved, Some(&nats.map)).denied, None);
    let more = with("routes = [\n    nats://nats:6222");
    let written = world.try_apply(&more, Some(&nats.map));
    assert!(
        written.message().contains("nats://nats:6222"),
        "{}",
        written.message()
    );
    assert_eq!(
        written.denied.unwrap()["details"]["causes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_template_is_repaired_with_the_change_that_rolls_it_out() {
    let (world, nats) = (World::default(), Nats::sound().without_affinity());
    world.state.lock().unwrap().objects =
        vec![nats.service.clone(), nats.map.clone(), nats.set.clone()];
    let scaled = changed(&nats.set, "/spec/replicas", json!(5));
    assert!(world.try_apply(&scaled, Some(&nats.set)).patch.is_empty());
    let mut rolled = nats.set.clone();
    *rolled
        .pointer_mut("/spec/template/spec/containers/0/image")
        .unwrap() = json!("nats:2.14.6");
    let written = world.try_apply(&rolled, Some(&nats.set));
    assert_eq!(written.patch[0]["path"], "/spec/template/spec/affinity");
}

#[test]
fn routes_are_repaired_when_the_request_changes_them_or_the_controller_asks() {
    let (world, nats) = (World::default(), Nats::partitioned());
    world.state.lock().unwrap().objects =
        vec![nats.service.clone(), nats.map.clone(), nats.set.clone()];
    let text = nats.map["data"]["nats.conf"].as_str().unwrap();
    let payload = Value::from(format!("max_payload: 1MB\n{text}"));
    let other = changed(&nats.map, "/data/nats.conf", payload);
    assert!(world.try_apply(&other, Some(&nats.map)).patch.is_empty());
    let touched = changed(&nats.map, "/metadata/annotations", json!({REVIEWED: "2"}));
    let written = world.try_apply(&touched, Some(&nats.map));
    assert_eq!(written.patch[0]["path"], "/data/nats.conf");
    // What was applied once is applied again, against what was made of it.
    let again = world.try_apply(&nats.map, Some(&written.object));
    assert_eq!(again.object["data"], written.object["data"]);
}

#[test]
fn an_immutable_file_is_left_alone_and_locks_nobody_out_who_has_it() {
    let (world, mut nats) = (World::default(), Nats::partitioned());
    nats.map["immutable"] = json!(true);
    world.state.lock().unwrap().objects =
        vec![nats.service.clone(), nats.map.clone(), nats.set.clone()];
    let warned = [
        "natsguard service-route: ConfigMap nats-config is immutable: correct its source and make a new one",
    ];
    let touched = changed(&nats.map, "/metadata/annotations", json!({REVIEWED: "2"}));
    let written = world.try_apply(&touched, Some(&nats.map));
    assert_eq!((written.denied, written.patch), (None, Vec::new()));
    assert_eq!(written.warnings, warned);
    let mut rolled = nats.set.clone();
    *rolled
        .pointer_mut("/spec/template/spec/containers/0/image")
        .unwrap() = json!("nats:2.14.6");
    for update in [
        rolled,
        changed(&nats.set, "/metadata/labels", json!({"a": "b"})),
    ] {
        let written = world.try_apply(&update, Some(&nats.set));
        assert_eq!((written.denied, written.patch), (None, Vec::new()));
        assert_eq!(written.warnings, warned);
    }
    let scaled = changed(&nats.set, "/spec/replicas", json!(5));
    assert_eq!(world.try_apply(&scaled, Some(&nats.set)).denied, None);
}

#[test]
fn a_rollout_to_another_immutable_file_answers_for_what_that_one_says() {
    let (world, mut nats) = (World::default(), Nats::partitioned());
    nats.map["immutable"] = json!(true);
    let named = |map: &Value, name: &str| changed(map, "/metadata/name", json!(name));
    let mut sound = named(&Nats::sound().map, "nats-config-2");
    sound["immutable"] = json!(true);
    world.state.lock().unwrap().objects = vec![
        nats.service.clone(),
        nats.map.clone(),
        named(&nats.map, "nats-config-1"),
        sound,
        nats.set.clone(),
    ];
    let roll = |name: &str| {
        let volumes = json!([{"name": "config", "configMap": {"name": name}}]);
        let update = changed(&nats.set, "/spec/template/spec/volumes", volumes);
        world.try_apply(&update, Some(&nats.set))
    };
    // Whoever makes a new one can make it right: no other moment is left to say so.
    let end = "; ConfigMap nats-config-1 is immutable: correct its source and make a new one (natsguard explain service-route)";
    let written = roll("nats-config-1");
    assert!(written.message().ends_with(end), "{}", written.message());
    let written = roll("nats-config-2");
    assert_eq!(written.denied, None);
    assert_eq!(written.warnings, [""; 0]);
}

#[test]
fn deleting_connecting_and_parts_of_objects_are_never_judged() {
    let (world, nats) = bad();
    let mut review = review(&nats.set, None);
    let request = review["request"].as_object_mut().unwrap();
    request.insert("oldObject".to_owned(), nats.set.clone());
    let variants = [
        json!({"operation": "DELETE", "object": null}),
        json!({"operation": "DELETE", "object": null, "name": ""}),
        json!({"operation": "CONNECT"}),
        json!({"operation": "UPDATE", "subResource": "status"}),
        json!({"operation": "UPDATE", "subResource": "scale", "kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}}),
        json!({"operation": "LATER"}),
        json!({"operation": "CREATE", "object": null, "oldObject": null}),
        json!({"operation": "CREATE", "kind": {"group": "example.org", "version": "v1", "kind": "StatefulSet"}}),
        json!({"operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}}),
    ];
    for variant in variants {
        let mut review = review.clone();
        review["request"]
            .as_object_mut()
            .unwrap()
            .extend(variant.as_object().unwrap().clone());
        for step in [Step::Mutate, Step::Validate] {
            let answer = world.ask(step, &review);
            let response = checked(&answer, step);
            assert_eq!(response["allowed"], true, "{variant}");
            assert_eq!(response.as_object().unwrap().len(), 2, "{response}");
        }
    }
    assert!(world.state.lock().unwrap().asked.is_empty());
}

#[test]
fn a_dry_run_is_answered_alike_and_recorded_as_one() {
    let (world, nats) = bad();
    let mut review = review(&nats.set, None);
    let real = world.ask(Step::Validate, &review);
    review["request"]["dryRun"] = json!(true);
    let dry = world.ask(Step::Validate, &review);
    assert_eq!(real.body, dry.body);
    assert!(!real.record.dry_run && dry.record.dry_run);
}
