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
