//! What holds of every review: a patch applies and is the last one, mutation refuses nothing, what is not NATS is not
//! touched, and no bytes bring it down.

use natsguard::admission::Step;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Nats, World, checked, nfs_class, review};

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("nats".to_owned()),
        Just("nats-headless".to_owned()),
        Just("nats-headless.messaging.svc.cluster.local".to_owned()),
        Just("localhost".to_owned()),
        Just("other.example.org".to_owned()),
        (0..6_u32).prop_map(|pod| format!("nats-{pod}")),
        (0..6_u32).prop_map(|pod| format!("nats-{pod}.nats-headless")),
        (0..6_u32).prop_map(|pod| format!("nats-{pod}.nats-headless.messaging.svc.cluster.local")),
    ]
}

fn route() -> impl Strategy<Value = String> {
    let user = prop_oneof![Just(""), Just("user:MARKED-password@")];
    (user, host(), prop_oneof![Just(":6222"), Just("")])
        .prop_map(|(user, host, port)| format!("nats://{user}{host}{port}"))
}

prop_compose! {
    fn nats()(
        routes in proptest::collection::vec(route(), 0..5),
        replicas in 0..5_u32,
        class in prop_oneof![Just(""), Just("shared"), Just("disks")],
        service in 0..4_usize,
        affinity in any::<bool>(),
        secret in any::<bool>(),
    ) -> (Nats, bool) {
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        let mut nats = Nats::with_routes(&routes);
        if !class.is_empty() {
            nats = nats.with_class(class);
        }
        if !affinity {
            nats = nats.without_affinity();
        }
        nats.set["spec"]["replicas"] = json!(replicas);
        nats.service["spec"] = [
            json!({"clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "nats"}}),
            json!({"clusterIP": "None", "selector": {"app": "nats"}}),
            json!({"clusterIP": "10.96.0.1", "selector": {"app": "nats"}}),
            json!({"clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "other"}}),
        ][service].clone();
        (nats, secret)
    }
}

/// The order in which the three objects are written.
fn order() -> impl Strategy<Value = Vec<usize>> {
    Just(vec![0, 1, 2]).prop_shuffle()
}

/// A small change to an object, so that an update has a direction.
fn change(object: &Value, change: usize) -> Value {
    let mut object = object.clone();
    match change {
        0 => object["metadata"]["labels"] = json!({"a": "b"}),
        1 => object["metadata"]["annotations"] = json!({"natsguard.dev/reviewed": "9"}),
        2 if object["kind"] == "StatefulSet" => object["spec"]["replicas"] = json!(1),
        3 if object["kind"] == "StatefulSet" => {
            object["spec"]["template"]["metadata"]["annotations"] = json!({"a": "b"});
        }
        _ if object["kind"] == "ConfigMap" => {
            let text = object["data"]["nats.conf"].as_str().unwrap();
            let text = text.replace("routes = [", "routes = [ nats://nats-0:6222 ");
            object["data"]["nats.conf"] = text.into();
        }
        _ => {}
    }
    object
}

fn others() -> impl Strategy<Value = Value> {
    let data = proptest::collection::btree_map("[a-z.]{1,8}", "\\PC{0,40}", 0..4);
    let kind = prop_oneof![
        Just(("v1", "ConfigMap")),
        Just(("v1", "Secret")),
        Just(("v1", "Service")),
        Just(("v1", "PersistentVolumeClaim")),
        Just(("apps/v1", "Deployment")),
        Just(("apps/v1", "StatefulSet")),
        Just(("batch/v1", "Job")),
    ];
    (kind, data, "[a-z]{1,8}").prop_map(|((version, kind), data, image)| {
        json!({
            "apiVersion": version, "kind": kind,
            "metadata": {"name": "web", "namespace": "messaging"},
            "data": data,
            "spec": {"replicas": 3, "serviceName": "web", "template": {"spec": {
                "containers": [{"name": "web", "image": image, "volumeMounts": [{"name": "c", "mountPath": "/c"}]}],
                "volumes": [{"name": "c", "configMap": {"name": "web"}}]
            }}}
        })
    })
}

/// Bytes that are nearly a review: one of its bytes is another, or a piece of it is missing.
fn nearly(at: prop::sample::Index, byte: u8, length: usize) -> Vec<u8> {
    let mut body = serde_json::to_vec(&review(&Nats::partitioned().set, None)).unwrap();
    let at = at.index(body.len());
    body[at] = byte;
    body.drain(at..(at + length).min(body.len()));
    body
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// `apply` holds each answer to the contract, applies its patch, and asks again for a second one.
    #[test]
    fn every_patch_applies_and_is_the_last((nats, hides) in nats(), order in order(), changes in proptest::collection::vec(0..5_usize, 3)) {
        let world = World::default();
        world.state.lock().unwrap().objects.push(nfs_class());
        if hides {
            world.state.lock().unwrap().hidden.insert("Service");
        }
        let objects = [&nats.service, &nats.map, &nats.set];
        for index in &order {
            world.apply(objects[*index]);
        }
        for (index, how) in order.iter().zip(changes) {
            let Some(held) = world.held(objects[*index]) else { continue };
            let written = world.try_apply(&change(&held, how), Some(&held));
            for operation in &written.patch {
                let path = operation["path"].as_str().unwrap();
                let is_fixed = held["kind"] == "StatefulSet" && !path.starts_with("/spec/template");
                prop_assert!(!is_fixed, "{path}");
                prop_assert!(how != 0, "a label brought {operation}");
            }
            let replicas = held["spec"]["replicas"].as_u64();
            let is_shrinking = held["kind"] == "StatefulSet" && replicas > Some(1);
            if how == 0 || (how == 2 && is_shrinking) {
                prop_assert_eq!(written.denied, None);
            }
        }
    }

    #[test]
    fn the_same_review_has_the_same_answer((nats, _) in nats()) {
        let world = World::default();
        world.state.lock().unwrap().objects = vec![nfs_class(), nats.service.clone(), nats.map.clone()];
        for step in [Step::Mutate, Step::Validate] {
            let review = review(&nats.set, None);
            prop_assert_eq!(world.ask(step, &review), world.ask(step, &review));
        }
    }

    #[test]
    fn what_is_not_nats_is_not_touched(object in others()) {
        let world = World::default();
        let nats = Nats::sound();
        world.state.lock().unwrap().objects = vec![nats.service, nats.map, nats.set];
        for step in [Step::Mutate, Step::Validate] {
            let response = checked(&world.ask(step, &review(&object, None)), step);
            prop_assert_eq!(response.as_object().unwrap().len(), 2, "{}", response);
        }
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>(), length in 0..40_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let admission = World::default().admission();
        for body in [bytes, nearly(at, byte, length)] {
            for step in [Step::Mutate, Step::Validate] {
                let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(1);
                let answer = runtime.block_on(admission.answer(step, &body, deadline));
                if answer.status.is_success() {
                    checked(&answer, step);
                }
            }
        }
    }
}
