//! How many pods a StatefulSet has, as `kubectl scale` and autoscalers say it.

use natsguard::admission::Step;
use natsguard_policies::policy::Action;
use serde_json::{Value, json};

use crate::support::{Nats, World, checked};

/// A review of a Scale as the apiserver writes it.
fn review(from: u32, to: u32) -> Value {
    let scale = |replicas: u32| {
        json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "nats", "namespace": "messaging"},
            "spec": {"replicas": replicas}, "status": {"replicas": from, "selector": "app=nats"}
        })
    };
    let kind = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "0b4a1f0e-5f5c-4f86-8a63-0d2a4f5e1a11", "kind": kind, "requestKind": kind,
            "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"}, "subResource": "scale",
            "name": "nats", "namespace": "messaging", "operation": "UPDATE",
            "object": scale(to), "oldObject": scale(from), "dryRun": false
        }
    })
}

fn world(nats: &Nats, replicas: u32) -> World {
    let world = World::default();
    let mut set = nats.set.clone();
    set["spec"]["replicas"] = json!(replicas);
    world.state.lock().unwrap().objects = vec![nats.service.clone(), nats.map.clone(), set];
    world
}

/// A cluster whose governing Service has an address, which one server alone doesn't need.
fn unresolvable() -> Nats {
    let mut nats = Nats::sound();
    nats.service["spec"] = json!({"clusterIP": "10.96.0.7", "selector": {"app": "nats"}});
    nats
}

#[test]
fn growth_is_refused_for_the_fault_that_it_brings() {
    let world = world(&unresolvable(), 1);
    let answer = world.ask(Step::Validate, &review(1, 3));
    let response = checked(&answer, Step::Validate);
    assert_eq!(
        response["status"]["message"],
        "StatefulSet messaging/nats, spec.serviceName: the governing Service is not headless, so the pods have no DNS names: \
         Service nats-headless of StatefulSet messaging/nats has an address of its own; to mend it, make a second Service with \
         clusterIP: None and publishNotReadyAddresses: true, and name it in spec.serviceName instead of nats-headless \
         (natsguard explain unresolvable-peers)"
    );
    let record = &answer.record;
    assert_eq!([&record.kind, &record.subresource], ["Scale", "scale"]);
    assert_eq!(
        record.findings,
        [("unresolvable-peers".to_owned(), Action::Deny)]
    );
}

#[test]
fn growth_answers_for_no_fault_that_was_there() {
    let world = world(&unresolvable(), 3);
    let response = checked(&world.ask(Step::Validate, &review(3, 5)), Step::Validate);
    assert_eq!(response["allowed"], true);
    assert_eq!(
        response["warnings"],
        json!([
            "natsguard incomplete-routes: a pod has no cluster route: StatefulSet messaging/nats has none to nats-3, nats-4"
        ])
    );
}

#[test]
fn what_grows_and_is_sound_is_let_through() {
    let world = world(&Nats::sound(), 3);
    let response = checked(&world.ask(Step::Validate, &review(1, 3)), Step::Validate);
    assert_eq!(response["allowed"], true, "{response}");
}

#[test]
fn fewer_pods_are_never_judged_and_nothing_is_repaired_in_a_scale() {
    let world = world(&unresolvable(), 3);
    for (step, from, to) in [
        (Step::Validate, 3, 1),
        (Step::Validate, 3, 0),
        (Step::Validate, 3, 3),
        (Step::Mutate, 1, 3),
    ] {
        let response = checked(&world.ask(step, &review(from, to)), step);
        assert_eq!(response.as_object().unwrap().len(), 2, "{response}");
    }
    assert!(world.state.lock().unwrap().asked.is_empty());
}

#[test]
fn a_set_that_can_not_be_read_may_grow_with_a_word() {
    let unread = world(&unresolvable(), 1);
    unread.state.lock().unwrap().hidden.insert("StatefulSet");
    let answer = unread.ask(Step::Validate, &review(1, 3));
    assert_eq!(
        checked(&answer, Step::Validate)["warnings"],
        json!([
            "natsguard: StatefulSet nats could not be read, so it was not checked whether it may grow"
        ])
    );
    assert_eq!(answer.record.unknown, 1);
    let gone = World::default().ask(Step::Validate, &review(1, 3));
    assert_eq!(checked(&gone, Step::Validate)["allowed"], true);
    let mut other = Nats::sound();
    other.set["spec"]["template"]["spec"]["containers"] =
        json!([{"name": "web", "image": "nginx"}]);
    let response = checked(
        &world(&other, 1).ask(Step::Validate, &review(1, 3)),
        Step::Validate,
    );
    assert_eq!(response.as_object().unwrap().len(), 2, "{response}");
}
