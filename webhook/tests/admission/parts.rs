//! Files, Services and claims that come to a workload that is there: refused for what no other pod template would make right,
//! and for nothing that the workload's own write is judged for.

use serde_json::{Value, json};

use crate::support::{Nats, World, nfs_class};

/// A cluster that holds these objects.
fn world(objects: &[&Value]) -> World {
    let world = World::default();
    let objects = objects.iter().copied().cloned();
    world.state.lock().unwrap().objects = objects.collect();
    world
}

/// Writes objects one after the other, as Helm does: each must be let through.
fn upgrade(world: &World, objects: [&Value; 3]) -> Vec<String> {
    let mut warnings = Vec::new();
    for object in objects {
        let written = world.apply(object);
        assert_eq!(written.denied, None, "{}", object["kind"]);
        warnings.extend(written.warnings);
    }
    warnings
}

fn addressed(service: &Value) -> Value {
    let mut service = service.clone();
    service["spec"] = json!({"clusterIP": "10.96.0.7", "selector": {"app": "nats"}});
    service
}

fn edit(object: &Value, from: &str, to: &str) -> Value {
    let text = object.to_string();
    assert!(text.contains(from), "{text}");
    serde_json::from_str(&text.replace(from, to)).unwrap()
}

#[test]
fn a_governing_service_with_an_address_is_refused_after_its_workload() {
    let nats = Nats::sound();
    let world = world(&[&nats.map, &nats.set]);
    let written = world.apply(&addressed(&nats.service));
    assert_eq!(
        written.message(),
        "StatefulSet messaging/nats, spec.serviceName: the governing Service is not headless, so the pods have no DNS names: \
         Service nats-headless of StatefulSet messaging/nats has an address of its own; to mend it, make a second Service with \
         clusterIP: None and publishNotReadyAddresses: true, and name it in spec.serviceName instead of nats-headless \
         (natsguard explain unresolvable-peers)"
    );
    assert_eq!(written.audit, [json!({"denied": "unresolvable-peers"})]);
}

#[test]
fn a_file_that_puts_the_store_on_a_network_class_is_refused_after_its_workload() {
    let nats = Nats::sound().with_class("shared");
    let world = world(&[&nfs_class(), &nats.service, &nats.set]);
    let written = world.apply(&nats.map);
    assert_eq!(written.audit[0]["denied"], "network-filesystem");
    let written = world.apply(&Nats::sound().map);
    assert_eq!(written.denied, None);
}

#[test]
fn routes_to_a_service_are_refused_with_the_service_that_makes_them_wrong() {
    let nats = Nats::partitioned();
    let world = world(&[&nats.map, &nats.set]);
    let written = world.apply(&addressed(&nats.service));
    let message = written.message();
    let start = "2 faults:\n- ConfigMap messaging/nats-config, data";
    assert!(message.starts_with(start), "{message}");
    assert_eq!(
        written.audit,
        [json!({"denied": "service-route,unresolvable-peers"})]
    );
}

#[test]
fn a_service_that_governs_nobody_may_have_an_address() {
    let nats = Nats::sound();
    let world = world(&[&nats.map, &nats.service, &nats.set]);
    let mut client = addressed(&nats.service);
    client["metadata"]["name"] = json!("nats");
    let written = world.apply(&client);
    assert_eq!((written.denied, written.warnings), (None, Vec::new()));
}

#[test]
fn an_upgrade_from_one_server_to_three_is_let_through() {
    let nats = Nats::sound();
    let mut one = Nats::with_routes(&[]);
    one.set["spec"]["replicas"] = json!(1);
    let world = world(&[&one.map, &one.service, &one.set]);
    upgrade(&world, [&nats.map, &nats.service, &nats.set]);
    // The routes to pods that come with the StatefulSet are still there.
    let kept = world.held(&nats.map).unwrap();
    assert_eq!(kept["data"], nats.map["data"]);
}

#[test]
fn an_upgrade_that_moves_the_store_with_its_mount_is_let_through() {
    let before = Nats::sound().with_class("disks");
    let mut after = Nats::sound().with_class("disks");
    // In between the store lies where nothing but a share for backups is mounted.
    let share = json!({"name": "backup", "nfs": {"server": "10.0.0.1", "path": "/a"}});
    let mount = json!({"name": "backup", "mountPath": "/srv"});
    let mounted = |nats: &Nats| {
        let mut set = nats.set.clone();
        let pod = &mut set["spec"]["template"]["spec"];
        pod["volumes"].as_array_mut().unwrap().push(share.clone());
        let mounts = pod["containers"][0]["volumeMounts"].as_array_mut();
        mounts.unwrap().push(mount.clone());
        set
    };
    let disks = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "disks"}, "provisioner": "ebs.csi.aws.com"
    });
    let world = world(&[&disks, &before.map, &before.service, &mounted(&before)]);
    after.map = edit(&after.map, "store_dir: /data", "store_dir: /srv/nats");
    after.set = edit(
        &after.set,
        r#""mountPath":"/data""#,
        r#""mountPath":"/srv/nats""#,
    );
    let written = world.apply(&after.map);
    assert_eq!(written.denied, None);
    assert_eq!(
        written.warnings,
        [
            "natsguard shared-store at spec.template.spec.volumes[1].nfs: several servers keep JetStream's store in one directory",
            "natsguard network-filesystem at spec.template.spec.volumes[1].nfs: JetStream's store lies on a network file system"
        ]
    );
    assert_eq!(world.apply(&after.service).denied, None);
    let written = world.apply(&mounted(&after));
    assert_eq!((written.denied, written.warnings), (None, Vec::new()));
}

#[test]
fn a_store_that_is_moved_to_a_share_is_refused_when_its_workload_is_written() {
    let nats = Nats::sound().with_class("disks");
    let shared = Nats::sound().with_class("shared");
    let world = world(&[&nfs_class(), &nats.map, &nats.service, &nats.set]);
    let mut set = shared.set.clone();
    set["metadata"]["name"] = json!("nats-2");
    assert_eq!(world.apply(&nats.map).denied, None);
    assert!(
        world
            .apply(&set)
            .message()
            .contains("provisioner nfs.csi.k8s.io")
    );
}

#[test]
fn a_file_that_the_server_refuses_is_refused_after_its_workload() {
    let nats = Nats::sound();
    let world = world(&[&nats.service, &nats.set]);
    let broken = edit(&nats.map, "port: 4222", "port: [4222");
    let written = world.apply(&broken);
    assert_eq!(written.audit, [json!({"denied": "refused-configuration"})]);
    let message = written.message();
    let start = "ConfigMap messaging/nats-config, data[\"nats.conf\"]";
    assert!(message.starts_with(start), "{message}");
    // One that was there may be written again, and be mended.
    world.state.lock().unwrap().objects.push(broken.clone());
    let labelled = edit(
        &broken,
        "\"metadata\":{",
        "\"metadata\":{\"labels\":{\"a\":\"b\"},",
    );
    assert_eq!(world.apply(&labelled).denied, None);
    assert_eq!(world.apply(&nats.map).denied, None);
}

#[test]
fn an_upgrade_to_a_newer_server_with_an_option_of_its_own_is_let_through() {
    let before = Nats::sound();
    let mut after = Nats::sound();
    let world = world(&[&before.map, &before.service, &before.set]);
    after.map = edit(
        &after.map,
        "port: 4222",
        "an_option_of_tomorrow: true\\nport: 4222",
    );
    after.set = edit(&after.set, "nats:2.14.5", "nats:2.99.0");
    upgrade(&world, [&after.map, &after.service, &after.set]);
}

#[test]
fn a_claim_of_a_network_class_is_refused_unless_a_template_asks_for_it() {
    let claim = |name: &str, class: &str| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "messaging"},
            "spec": {
                "storageClassName": class, "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "10Gi"}}
            }
        })
    };
    let disks = Nats::sound().with_class("disks");
    let own = world(&[&nfs_class(), &disks.map, &disks.service, &disks.set]);
    let written = own.apply(&claim("data-nats-1", "shared"));
    assert!(
        written.message().contains("provisioner nfs.csi.k8s.io"),
        "{}",
        written.message()
    );
    for (name, class) in [
        ("data-nats-1", "disks"),
        ("data-nats-9", "shared"),
        ("other", "shared"),
    ] {
        let written = own.apply(&claim(name, class));
        assert_eq!(
            (written.denied, written.warnings),
            (None, Vec::new()),
            "{name} {class}"
        );
    }
    // It was let through before there was a webhook, and its controller makes what it asks for.
    let shared = Nats::sound().with_class("shared");
    let old = world(&[&nfs_class(), &shared.map, &shared.service, &shared.set]);
    let written = old.apply(&claim("data-nats-1", "shared"));
    assert_eq!((written.denied, written.warnings), (None, Vec::new()));
    let mut default = nfs_class();
    default["metadata"]["annotations"] =
        json!({"storageclass.kubernetes.io/is-default-class": "true"});
    let mut unnamed = shared.set.clone();
    let template = &mut unnamed["spec"]["volumeClaimTemplates"][0]["spec"];
    template.as_object_mut().unwrap().remove("storageClassName");
    let filled = world(&[&default, &shared.map, &shared.service, &unnamed]);
    let written = filled.apply(&claim("data-nats-1", "shared"));
    assert_eq!((written.denied, written.warnings), (None, Vec::new()));
    let named = world(&[&nfs_class(), &shared.map, &shared.service, &unnamed]);
    let written = named.apply(&claim("data-nats-1", "shared"));
    assert!(written.denied.is_some());
}
