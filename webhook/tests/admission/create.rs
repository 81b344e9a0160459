//! Objects that are new, in whatever order they come.

use natsguard::admission::Step;
use natsguard_policies::settings::Settings;
use serde_json::{Value, json};

use crate::support::{Nats, World, checked, nfs_class, review};

fn routes(map: &Value) -> Vec<&str> {
    let text = map["data"]["nats.conf"].as_str().unwrap();
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with("nats://"))
        .collect()
}

#[test]
fn what_is_sound_is_let_through_in_silence() {
    let world = World::default();
    let nats = Nats::sound();
    for object in [&nats.service, &nats.map, &nats.set] {
        let written = world.apply(object);
        assert_eq!(written.object, *object);
        assert_eq!(written.denied, None);
        assert!(written.audit.is_empty(), "{:?}", written.audit);
        if object["kind"] != "ConfigMap" {
            assert_eq!(written.warnings, [] as [&str; 0]);
        }
    }
}

#[test]
fn a_file_that_nobody_mounts_yet_is_let_through_with_a_word() {
    let nats = Nats::partitioned();
    let written = World::default().apply(&nats.map);
    assert!(written.patch.is_empty());
    assert_eq!(
        written.warnings,
        [
            "natsguard: no StatefulSet mounts data[\"nats.conf\"] yet; its routes are checked and repaired when one does"
        ]
    );
}

#[test]
fn a_file_is_repaired_when_its_workload_is_known() {
    let world = World::default();
    let nats = Nats::partitioned();
    world.apply(&nats.service);
    let set = world.apply(&nats.set);
    assert_eq!(set.denied, None);
    let written = world.apply(&nats.map);
    assert_eq!(
        routes(&written.object).len(),
        3,
        "{}",
        written.object["data"]["nats.conf"]
    );
    assert_eq!(
        written.patch,
        [
            json!({"op": "replace", "path": "/data/nats.conf", "value": written.object["data"]["nats.conf"]})
        ]
    );
    assert_eq!(
        written.warnings,
        ["natsguard repaired service-route at data[\"nats.conf\"].cluster.routes[0]"]
    );
    assert_eq!(written.audit, [json!({"repaired": "service-route"})]);
}

#[test]
fn a_workload_whose_file_can_be_repaired_is_let_through() {
    let world = World::default();
    let nats = Nats::partitioned();
    world.apply(&nats.service);
    world.apply(&nats.map);
    let written = world.apply(&nats.set);
    assert_eq!(written.denied, None);
    assert!(written.patch.is_empty());
    assert_eq!(
        written.warnings,
        [
            "natsguard service-route: a route names a Service instead of a pod; repaired when ConfigMap nats-config is applied again"
        ]
    );
    assert_eq!(written.audit, [json!({"warned": "service-route"})]);
}

#[test]
fn an_immutable_file_is_repaired_in_the_request_that_makes_it() {
    let world = World::default();
    let mut nats = Nats::partitioned();
    nats.map["immutable"] = json!(true);
    world.apply(&nats.service);
    world.apply(&nats.set);
    let written = world.apply(&nats.map);
    assert_eq!(written.denied, None);
    assert_eq!(routes(&written.object).len(), 3);
    assert_eq!(
        written.warnings,
        ["natsguard repaired service-route at data[\"nats.conf\"].cluster.routes[0]"]
    );
    // Applied again it comes to what is kept, or the apiserver would refuse every later `helm upgrade`.
    let again = world.try_apply(&nats.map, Some(&written.object));
    assert_eq!(again.object, written.object);
    assert_eq!(again.denied, None);
}

#[test]
fn a_workload_whose_file_is_immutable_and_wrong_is_refused() {
    let world = World::default();
    let mut nats = Nats::partitioned();
    nats.map["immutable"] = json!(true);
    world.apply(&nats.service);
    assert_eq!(
        world.apply(&nats.map).warnings,
        [
            "natsguard: no StatefulSet mounts data[\"nats.conf\"] yet; its routes are checked when one does"
        ]
    );
    let written = world.apply(&nats.set);
    assert_eq!(
        written.message(),
        "ConfigMap messaging/nats-config, data[\"nats.conf\"].cluster.routes[0]: a cluster route names a Service, an \
         address or a bare host instead of a pod: nats://nats-headless:6222 leads to any pod of StatefulSet \
         messaging/nats; to mend it, name each pod, as in \
         nats://nats-0.nats-headless.messaging.svc.cluster.local:6222; ConfigMap nats-config is immutable: correct its \
         source and make a new one (natsguard explain service-route)"
    );
    assert_eq!(written.audit, [json!({"denied": "service-route"})]);
}

#[test]
fn a_lesser_fault_of_an_immutable_file_is_a_warning_that_promises_no_repair() {
    let world = World::default();
    let mut nats = Nats::with_routes(&[
        "nats://nats-0.nats-headless:6222",
        "nats://nats-1.nats-headless:6222",
    ]);
    nats.map["immutable"] = json!(true);
    world.apply(&nats.service);
    world.apply(&nats.map);
    let written = world.apply(&nats.set);
    assert_eq!(written.denied, None);
    assert_eq!(
        written.warnings,
        [
            "natsguard incomplete-routes: ConfigMap nats-config is immutable: correct its source and make a new one",
            "natsguard short-route: ConfigMap nats-config is immutable: correct its source and make a new one"
        ]
    );
}

#[test]
fn a_workload_before_its_file_is_let_through_with_a_word() {
    let world = World::default();
    let nats = Nats::partitioned();
    world.apply(&nats.service);
    let written = world.apply(&nats.set);
    assert_eq!(
        written.warnings,
        [
            "natsguard opaque-routes: ConfigMap nats-config is not there yet; its routes are checked when it is applied"
        ]
    );
    assert_eq!(written.audit, [json!({"warned": "opaque-routes"})]);
}

#[test]
fn a_workload_before_a_file_of_a_long_name_is_let_through_with_fewer_words() {
    let world = World::default();
    let mut nats = Nats::partitioned();
    world.apply(&nats.service);
    let name = "x".repeat(60);
    nats.set["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] = json!(name);
    assert_eq!(
        world.apply(&nats.set).warnings,
        [format!(
            "natsguard opaque-routes: ConfigMap {name} is not there yet"
        )]
    );
}

#[test]
fn a_service_that_can_not_be_read_is_no_missing_input() {
    let world = World::default();
    let nats = Nats::sound();
    world.apply(&nats.map);
    world.state.lock().unwrap().hidden.insert("Service");
    assert_eq!(
        world.apply(&nats.set).warnings,
        [
            "natsguard unresolvable-peers was not checked: Service nats-headless of StatefulSet messaging/nats could not be read"
        ]
    );
}

#[test]
fn a_workload_whose_peers_hide_says_so() {
    let world = World::default();
    let mut nats = Nats::sound();
    nats.service["spec"]["publishNotReadyAddresses"] = json!(false);
    world.state.lock().unwrap().objects = vec![nats.service, nats.map];
    let written = world.apply(&nats.set);
    assert_eq!(
        written.warnings,
        [
            "natsguard unresolvable-peers: pods can't look each other up while none is ready; apply Service nats-headless again"
        ]
    );
}

#[test]
fn a_workload_behind_a_service_with_an_address_is_refused_with_every_fault() {
    let world = World::default();
    let mut nats = Nats::partitioned();
    nats.service["spec"] = json!({"clusterIP": "10.96.0.7", "selector": {"app": "nats"}});
    world.apply(&nats.service);
    world.apply(&nats.map);
    let written = world.apply(&nats.set);
    assert_eq!(
        written.message(),
        "2 faults:\n\
         - ConfigMap messaging/nats-config, data[\"nats.conf\"].cluster.routes[0]: a cluster route names a Service, an \
         address or a bare host instead of a pod: nats://nats-headless:6222 leads to any pod of StatefulSet \
         messaging/nats; to mend it, make a headless Service (clusterIP: None, publishNotReadyAddresses: true), name it \
         in spec.serviceName instead of nats-headless, and name each pod in the routes (natsguard explain service-route)\n\
         - StatefulSet messaging/nats, spec.serviceName: the governing Service is not headless, so the pods have no DNS \
         names: Service nats-headless of StatefulSet messaging/nats has an address of its own; to mend it, make a second \
         Service with clusterIP: None and publishNotReadyAddresses: true, and name it in spec.serviceName instead of \
         nats-headless (natsguard explain unresolvable-peers)"
    );
    let denied = written.denied.as_ref().unwrap();
    assert_eq!(denied["code"], 403);
    assert_eq!(denied["reason"], "Forbidden");
    assert_eq!(denied["details"]["name"], "nats");
    assert_eq!(denied["details"]["group"], "apps");
    let causes = denied["details"]["causes"].as_array().unwrap();
    let of = |field: &str| {
        causes
            .iter()
            .map(|cause| cause[field].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("reason"), ["service-route", "unresolvable-peers"]);
    assert_eq!(
        of("field"),
        ["data[\"nats.conf\"].cluster.routes[0]", "spec.serviceName"]
    );
    assert_eq!(
        written.audit,
        [json!({"denied": "service-route,unresolvable-peers"})]
    );
}

#[test]
fn a_file_that_cannot_be_repaired_is_refused_too_when_its_workload_came_first() {
    let world = World::default();
    let mut nats = Nats::partitioned();
    nats.service["spec"] = json!({"clusterIP": "10.96.0.7", "selector": {"app": "nats"}});
    world.state.lock().unwrap().objects = vec![nats.service.clone(), nats.set.clone()];
    let written = world.apply(&nats.map);
    assert!(written.message().starts_with(
        "ConfigMap messaging/nats-config, data[\"nats.conf\"].cluster.routes[0]: a cluster route names a Service"
    ));
    // What is wrong with the Service is not the file's to answer for.
    assert!(!written.message().contains("unresolvable-peers"));
}

#[test]
fn a_store_on_nfs_is_refused_with_its_volume_its_class_and_the_remedy() {
    let world = World::default();
    let nats = Nats::sound().with_class("shared");
    world.state.lock().unwrap().objects.push(nfs_class());
    world.apply(&nats.service);
    world.apply(&nats.map);
    assert_eq!(
        world.apply(&nats.set).message(),
        "StatefulSet messaging/nats, spec.volumeClaimTemplates[0]: JetStream's store lies on a network file system: \
         volume data of StatefulSet messaging/nats: NFS: StorageClass shared, provisioner nfs.csi.k8s.io; to mend it, put \
         the store on a local disk or a block device, as a StorageClass of such volumes gives (natsguard explain \
         network-filesystem)"
    );
}

#[test]
fn a_store_on_nfs_is_found_by_the_volume_of_its_claim_and_by_the_claim_of_a_volume() {
    let nats = Nats::sound().with_class("");
    let nfs = |more: Value| {
        let mut volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "export-1"},
            "spec": {"nfs": {"server": "10.0.0.1", "path": "/a"}, "accessModes": ["ReadWriteOnce"]}
        });
        volume["spec"]
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        volume
    };
    let bound = vec![
        nfs(json!({})),
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data-nats-1", "namespace": "messaging"},
            "spec": {"storageClassName": "", "volumeName": "export-1"}
        }),
    ];
    let promised = vec![nfs(
        json!({"claimRef": {"namespace": "messaging", "name": "data-nats-0"}}),
    )];
    for objects in [bound, promised] {
        let world = World::default();
        world.state.lock().unwrap().objects = objects;
        world.apply(&nats.service);
        world.apply(&nats.map);
        let written = world.apply(&nats.set);
        assert!(
            written.message().contains("PersistentVolume export-1"),
            "{}",
            written.message()
        );
    }
}

#[test]
fn replicas_are_kept_apart_as_far_as_there_are_nodes() {
    let nats = Nats::sound().without_affinity();
    let node = |name: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    let pod = "/spec/template/spec/affinity/podAntiAffinity";
    for (nodes, strength) in [
        (0, "requiredDuringSchedulingIgnoredDuringExecution"),
        (2, "preferredDuringSchedulingIgnoredDuringExecution"),
        (3, "requiredDuringSchedulingIgnoredDuringExecution"),
    ] {
        let world = World::default();
        let nodes: Vec<Value> = (0..nodes).map(|index| node(&index.to_string())).collect();
        world.state.lock().unwrap().objects = nodes;
        world.apply(&nats.service);
        world.apply(&nats.map);
        let written = world.apply(&nats.set);
        let rules = written.object.pointer(pod).unwrap().as_object().unwrap();
        assert_eq!(rules.keys().collect::<Vec<_>>(), [strength]);
        assert!(written.warnings[0].starts_with(
            "natsguard repaired co-located-replicas at spec.template.spec.affinity.podAntiAffinity"
        ));
        assert_eq!(
            written.warnings.len(),
            if strength.starts_with('p') { 2 } else { 1 }
        );
    }
}

#[test]
fn replicas_whose_local_volumes_lie_on_one_node_are_not_kept_apart_for_good() {
    let nats = Nats::sound().without_affinity().with_class("");
    let local = |pod: u32| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("pv-{pod}")},
            "spec": {
                "local": {"path": "/a"}, "claimRef": {"namespace": "messaging", "name": format!("data-nats-{pod}")},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"]}
                ]}]}}
            }
        })
    };
    let world = World::default();
    world.state.lock().unwrap().objects = vec![local(0), local(2)];
    world.apply(&nats.service);
    world.apply(&nats.map);
    let written = world.apply(&nats.set);
    let rules = &written.object["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"];
    assert!(rules["preferredDuringSchedulingIgnoredDuringExecution"].is_array());
    assert!(rules["requiredDuringSchedulingIgnoredDuringExecution"].is_null());
    assert_eq!(
        written.warnings[1],
        "natsguard co-located-replicas: two replicas have their volumes on one node"
    );
}

#[test]
fn a_service_that_hides_pods_is_repaired_when_its_workload_is_known() {
    let mut nats = Nats::sound();
    nats.service["spec"] = json!({"clusterIP": "None", "selector": {"app": "nats"}});
    let world = World::default();
    assert!(world.apply(&nats.service).patch.is_empty());
    let world = World::default();
    world.apply(&nats.map);
    world.apply(&nats.set);
    let written = world.apply(&nats.service);
    assert_eq!(
        written.patch,
        [json!({"op": "add", "path": "/spec/publishNotReadyAddresses", "value": true})]
    );
    assert_eq!(written.audit, [json!({"repaired": "unresolvable-peers"})]);
}

#[test]
fn a_fault_that_was_not_repaired_is_answered_as_its_policy_says() {
    // The webhook that repairs may fail open; the one that judges sees what came of it.
    let world = World::default();
    let nats = Nats::partitioned();
    world.apply(&nats.service);
    world.apply(&nats.set);
    let answer = world.ask(Step::Validate, &review(&nats.map, None));
    assert_eq!(checked(&answer, Step::Validate)["allowed"], false);
    let nats = Nats::sound().without_affinity();
    world.apply(&nats.map);
    let answer = world.ask(Step::Validate, &review(&nats.set, None));
    assert_eq!(checked(&answer, Step::Validate)["allowed"], true);
}

#[test]
fn what_can_not_be_read_is_unknown_and_refuses_nothing() {
    let nats = Nats::partitioned().with_class("shared");
    for silent in [false, true] {
        let world = World::default();
        {
            let mut state = world.state.lock().unwrap();
            state.objects.push(nfs_class());
            let kinds = [
                "ConfigMap",
                "Node",
                "PersistentVolume",
                "PersistentVolumeClaim",
                "Secret",
                "Service",
                "StatefulSet",
                "StorageClass",
            ];
            if silent {
                state.silent.extend(kinds);
            } else {
                state.hidden.extend(kinds);
            }
        }
        for object in [&nats.service, &nats.map, &nats.set] {
            let written = world.apply(object);
            assert_eq!(written.denied, None);
            assert_eq!(written.object, *object);
        }
        let written = world.apply(&Nats::partitioned().map);
        assert_eq!(
            written.warnings,
            [
                "natsguard: the routes of data[\"nats.conf\"] were not checked: who mounts it could not be asked"
            ]
        );
        assert!(written.answers[0].record.unknown > 0);
    }
}

#[test]
fn the_platform_decides() {
    let world = World {
        settings: Settings {
            action: Some(natsguard_policies::policy::Action::Warn),
            ..Settings::default()
        },
        ..World::default()
    };
    let nats = Nats::partitioned().with_class("shared").without_affinity();
    world.state.lock().unwrap().objects.push(nfs_class());
    for object in [&nats.service, &nats.map, &nats.set] {
        let written = world.apply(object);
        assert_eq!((written.denied, written.patch), (None, Vec::new()));
    }
    let exempt = json!({"exemptions": [{"policy": "network-filesystem", "namespace": "messaging", "reason": "moves in June"}]});
    let world = World {
        settings: serde_json::from_value(exempt).unwrap(),
        ..World::default()
    };
    let nats = Nats::sound().with_class("shared");
    world.state.lock().unwrap().objects.push(nfs_class());
    world.apply(&nats.service);
    world.apply(&nats.map);
    let written = world.apply(&nats.set);
    assert_eq!(written.denied, None);
    assert_eq!(written.audit, [json!({"exempted": "network-filesystem"})]);
}

#[test]
fn a_file_in_a_secret_is_repaired_in_its_base64() {
    let world = World::default();
    let mut nats = Nats::partitioned();
    world.apply(&nats.service);
    nats.set["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "config", "secret": {"secretName": "nats-config"}}]);
    world.apply(&nats.set);
    let text = nats.map["data"]["nats.conf"]
        .as_str()
        .unwrap()
        .as_bytes()
        .to_vec();
    let encode = |text: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nats-config", "namespace": "messaging"},
        "data": {"nats.conf": encode(&text)}
    });
    let written = world.apply(&secret);
    assert_eq!(written.denied, None);
    assert_eq!(written.patch.len(), 1);
    assert_eq!(written.patch[0]["path"], "/data/nats.conf");
    assert!(world.state.lock().unwrap().asked.iter().all(|query| {
        query.resource.kind != "Secret"
            || matches!(query.select, natsguard::facts::Select::Named(_))
    }));
}

#[test]
fn an_immutable_secret_is_as_final_as_a_config_map() {
    let world = World::default();
    let mut nats = Nats::partitioned();
    world.apply(&nats.service);
    nats.set["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "config", "secret": {"secretName": "nats-config"}}]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nats-config", "namespace": "messaging"},
        // `cluster { port: 6222, routes = [nats://nats-headless:6222] }`
        "data": {"nats.conf": "Y2x1c3RlciB7IHBvcnQ6IDYyMjIsIHJvdXRlcyA9IFtuYXRzOi8vbmF0cy1oZWFkbGVzczo2MjIyXSB9"},
        "immutable": true
    });
    world.apply(&secret);
    let message = world.apply(&nats.set).message().to_owned();
    let end = "; Secret nats-config is immutable: correct its source and make a new one (natsguard explain service-route)";
    assert!(message.ends_with(end), "{message}");
}

#[test]
fn a_number_of_pods_that_an_autoscaler_set_is_the_one_that_counts() {
    let world = World::default();
    let nats = Nats::with_routes(&["nats://nats-7.nats-headless.messaging.svc.cluster.local:6222"]);
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "nats", "namespace": "messaging"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "nats"}}
    });
    world.apply(&nats.service);
    world.apply(&nats.set);
    world.state.lock().unwrap().objects.push(scaler);
    assert_eq!(world.try_apply(&nats.map, None).patch.len(), 1);
}

#[test]
fn an_exemption_is_told_by_the_review_it_lets_through_and_by_no_other() {
    let exempt = json!({"exemptions": [{"policy": "network-filesystem", "namespace": "messaging", "reason": "moves in June"}]});
    let world = World {
        settings: serde_json::from_value(exempt).unwrap(),
        ..World::default()
    };
    let nats = Nats::sound().with_class("shared");
    world.state.lock().unwrap().objects = vec![nfs_class(), nats.set.clone(), nats.service.clone()];
    assert!(world.apply(&nats.map).audit.is_empty());
    let again = world.try_apply(&nats.set, None);
    assert_eq!(again.audit, [json!({"exempted": "network-filesystem"})]);
}

#[test]
fn an_answer_can_be_awaited_on_any_thread() {
    fn is_send<T: Send>(_: T) {}
    let admission = World::default().admission();
    is_send(admission.answer(Step::Mutate, b"", tokio::time::Instant::now()));
}
