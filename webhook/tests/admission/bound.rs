//! Objects that name more than one review reads: that must not turn a refusal into silence.

use natsguard_policies::settings::Settings;
use serde_json::{Value, json};

use crate::support::{Nats, World, nfs_class};

/// Mounts of ConfigMaps that need not be there.
fn with_optional_mounts(nats: &mut Nats, count: usize) {
    let pod = &mut nats.set["spec"]["template"]["spec"];
    let volumes = (0..count).map(|index| {
        json!({"name": format!("v{index}"), "configMap": {"name": format!("extra-{index}"), "optional": true}})
    });
    pod["volumes"].as_array_mut().unwrap().extend(volumes);
    let mounts = (0..count)
        .map(|index| json!({"name": format!("v{index}"), "mountPath": format!("/extra/{index}")}));
    let container = &mut pod["containers"][0]["volumeMounts"];
    container.as_array_mut().unwrap().extend(mounts);
}

#[test]
fn optional_mounts_hide_no_store_on_nfs() {
    let world = World::default();
    let mut nats = Nats::sound().with_class("shared");
    with_optional_mounts(&mut nats, 62);
    world.state.lock().unwrap().objects = vec![nfs_class(), nats.service, nats.map];
    let written = world.apply(&nats.set);
    assert_eq!(
        written.message(),
        "StatefulSet messaging/nats, spec.volumeClaimTemplates[0]: JetStream's store lies on a network file system: volume \
         data of StatefulSet messaging/nats: NFS: StorageClass shared, provisioner nfs.csi.k8s.io; to mend it, put the store \
         on a local disk or a block device, as a StorageClass of such volumes gives (natsguard explain network-filesystem)"
    );
    // What nobody uses is not read.
    let asked = &world.state.lock().unwrap().asked;
    assert!(!format!("{asked:?}").contains("extra-"), "{asked:?}");
}

/// A file that includes as many others, each in a ConfigMap of its own.
fn including(count: usize) -> Nats {
    let mut nats = Nats::sound();
    with_optional_mounts(&mut nats, count);
    let includes: String = (0..count)
        .map(|index| format!("include ../../extra/{index}/more.conf\n"))
        .collect();
    let text = nats.map["data"]["nats.conf"].as_str().unwrap();
    nats.map["data"]["nats.conf"] = Value::from(format!("{text}{includes}"));
    nats
}

fn world(nats: &Nats, count: usize) -> World {
    let world = World::default();
    let maps = (0..count).map(|index| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("extra-{index}"), "namespace": "messaging"},
            "data": {"more.conf": format!("x{index}: 1\n")}
        })
    });
    let mut objects: Vec<Value> = maps.collect();
    objects.extend([nats.service.clone(), nats.map.clone()]);
    world.state.lock().unwrap().objects = objects;
    world
}

#[test]
fn what_leads_to_more_than_is_read_is_refused_and_counted() {
    let nats = including(100);
    let world = world(&nats, 100);
    let written = world.apply(&nats.set);
    let message = written.message();
    assert!(
        message.starts_with(
            "StatefulSet messaging/nats leads to more objects than are read for one review, so nobody can say that it is \
             sound: ConfigMap extra-"
        ),
        "{message}"
    );
    assert!(
        message.ends_with(
            " could not be looked at; to mend it, mount and include fewer or smaller files"
        ),
        "{message}"
    );
    let record = &written.answers[1].record;
    assert!(record.beyond > 0 && record.unknown == 0);
    assert_eq!(record.problem.as_deref(), Some(message));
}

#[test]
fn what_was_beyond_the_bound_before_is_let_through() {
    let nats = including(100);
    let world = world(&nats, 100);
    let mut rolled = nats.set.clone();
    rolled["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nats:2.14.6");
    assert_eq!(world.try_apply(&rolled, Some(&nats.set)).denied, None);
    let small = Nats::sound();
    assert!(
        world
            .try_apply(&nats.set, Some(&small.set))
            .denied
            .is_some()
    );
    // Scaling down, labels and a release are not a change of what is read.
    let mut fewer = nats.set.clone();
    fewer["spec"]["replicas"] = json!(1);
    assert_eq!(world.try_apply(&fewer, Some(&nats.set)).denied, None);
}

#[test]
fn where_nothing_is_refused_nothing_is_refused_for_its_size() {
    let nats = including(100);
    let mut world = world(&nats, 100);
    let warn = json!({"action": "warn"});
    world.settings = serde_json::from_value::<Settings>(warn).unwrap();
    assert_eq!(world.apply(&nats.set).denied, None);
}

#[test]
fn what_does_not_answer_in_time_refuses_nothing() {
    let nats = including(10);
    let world = world(&nats, 10);
    world.state.lock().unwrap().silent.insert("ConfigMap");
    let written = world.apply(&nats.set);
    assert_eq!(written.denied, None);
    let record = &written.answers[1].record;
    assert!(record.unknown > 0 && record.beyond == 0);
}
