//! Bytes that no apiserver sends: each has an answer, and none costs more than it should.

use std::time::{Duration, Instant};

use http::StatusCode;
use natsguard::admission::{Answer, Decision, Step};
use serde_json::{Value, json};

use crate::support::{Nats, World, checked, review};

fn send(step: Step, body: &[u8]) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        World::default()
            .admission()
            .answer(step, body, deadline)
            .await
    })
}

#[test]
fn what_is_no_review_is_answered_with_a_status() {
    let good = review(&Nats::sound().set, None).to_string();
    let twice = good.replacen("\"uid\":", "\"uid\":\"other\",\"uid\":", 1);
    let mut broken = good.replacen("messaging", "mess?aging", 1).into_bytes();
    let at = broken.iter().position(|byte| *byte == b'?').unwrap();
    broken[at] = 0xff;
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        vec![b'['; 1 << 20],
        good.as_bytes()[..good.len() / 2].to_vec(),
        good.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
            .into_bytes(),
        good.replace("AdmissionReview", "TokenReview").into_bytes(),
        twice.into_bytes(),
        broken,
    ];
    for body in bodies {
        let answer = send(Step::Validate, &body);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.record.decision, Decision::Unreadable);
        let status: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(status["kind"], "Status");
        assert_eq!(status["code"], 400);
        assert_eq!(status["message"].as_str(), answer.record.problem.as_deref());
    }
}

#[test]
fn an_object_that_can_not_be_read_is_refused_by_the_step_that_may() {
    let good = review(&Nats::sound().set, None);
    let text = good.to_string();
    let object = good["request"]["object"].to_string();
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200_000), "}".repeat(200_000));
    for odd in [r#""text""#, "[]", r#"{"a":"\udc00"}"#, &deep] {
        let body = text.replace(&object, odd);
        let mutated = send(Step::Mutate, body.as_bytes());
        assert_eq!(checked(&mutated, Step::Mutate)["allowed"], true);
        let validated = send(Step::Validate, body.as_bytes());
        assert_eq!(checked(&validated, Step::Validate)["status"]["code"], 400);
    }
}

#[test]
fn names_that_lead_elsewhere_are_not_followed_into_texts() {
    let mut nats = Nats::partitioned();
    nats.set["metadata"]["name"] = json!("nats\n\u{1b}[31m\u{202e}");
    nats.set["spec"]["serviceName"] = json!("a\r\nb".repeat(200));
    let written = World::default().try_apply(&nats.set, None);
    assert_eq!(written.denied, None);
}

#[test]
fn thousands_of_faults_make_a_bounded_answer() {
    let routes: Vec<String> = (0..4000)
        .map(|port| format!("nats://nats:{port}"))
        .collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    let mut nats = Nats::with_routes(&routes);
    nats.service["spec"] = json!({"clusterIP": "10.96.0.7", "selector": {"app": "nats"}});
    let world = World::default();
    world.apply(&nats.service);
    world.apply(&nats.set);
    let written = world.apply(&nats.map);
    let causes = &written.denied.as_ref().unwrap()["details"]["causes"];
    assert_eq!(causes.as_array().unwrap().len(), 32);
    assert!(written.message().starts_with("4000 faults:\n- "));
    assert!(
        written
            .message()
            .ends_with("\n- and 3968 more; `natsguard check` says all")
    );
    assert!(written.answers[1].body.len() < 128 << 10);
}

#[test]
fn a_large_file_is_answered_in_time() {
    let comment = "# nats://nats:6222 and more of it\n".repeat(30_000);
    let mut nats = Nats::partitioned();
    let text = nats.map["data"]["nats.conf"].as_str().unwrap();
    nats.map["data"]["nats.conf"] = Value::from(format!("{comment}{text}"));
    let world = World::default();
    world.apply(&nats.service);
    world.apply(&nats.set);
    let start = Instant::now();
    let written = world.apply(&nats.map);
    assert_eq!(written.patch.len(), 1);
    // Three reviews, unoptimized, on a machine that has other things to do.
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_long_list_is_compared_with_the_former_only_once() {
    let routes: Vec<String> = (0..4000)
        .map(|port| format!("nats://nats:{port}"))
        .collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    let mut long = Nats::with_routes(&routes).map;
    let text = long["data"]["nats.conf"].as_str().unwrap();
    let comment = "# to make it longer\n".repeat(20_000);
    long["data"]["nats.conf"] = Value::from(format!("{comment}{text}"));
    let world = World::default();
    let sound = Nats::sound();
    for object in [&sound.service, &sound.set, &sound.map] {
        world.apply(object);
    }
    let start = Instant::now();
    let written = world.apply(&long);
    assert_eq!(written.patch.len(), 1);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn many_volumes_and_many_mounts_are_looked_through_once() {
    let mut nats = Nats::sound();
    let name = |index: usize| format!("v{index}");
    let pod = &mut nats.set["spec"]["template"]["spec"];
    let volumes = (0..6000).map(|index| json!({"name": name(index), "emptyDir": {}}));
    pod["volumes"].as_array_mut().unwrap().extend(volumes);
    let mounts = (0..6000)
        .map(|index| json!({"name": name(5999 - index), "mountPath": format!("/{index}")}));
    let container = &mut pod["containers"][0]["volumeMounts"];
    container.as_array_mut().unwrap().extend(mounts);
    let start = Instant::now();
    World::default().try_apply(&nats.set, None);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_list_without_end_is_not_judged_entry_by_entry() {
    let routes = vec!["\"nats\""; 100_000].join(",");
    let mut nats = Nats::sound();
    nats.map["data"]["nats.conf"] =
        Value::from(format!("cluster {{ port: 6222, routes = [{routes}] }}"));
    let world = World::default();
    world.apply(&nats.service);
    world.apply(&nats.set);
    let written = world.apply(&nats.map);
    assert_eq!(written.denied, None);
    assert_eq!(
        written.warnings,
        ["natsguard opaque-routes: the cluster routes can't be read, so they could not be checked"]
    );
    let args = vec!["--auth=a"; 100_000];
    nats.set["spec"]["template"]["spec"]["containers"][0]["args"] = json!(args);
    assert!(world.try_apply(&nats.set, None).warnings.len() <= 40);
}

#[test]
fn a_key_without_end_is_cut_where_it_is_told() {
    let mut nats = Nats::partitioned();
    let key = "\u{1b}k".repeat(50_000);
    let text = nats.map["data"]["nats.conf"].take();
    nats.map["data"] = json!({ key.clone(): text });
    nats.service["spec"] = json!({"clusterIP": "10.96.0.7", "selector": {"app": "nats"}});
    let pod = &mut nats.set["spec"]["template"]["spec"];
    pod["volumes"][0]["configMap"]["items"] = json!([{"key": key, "path": "nats.conf"}]);
    let world = World::default();
    world.apply(&nats.service);
    world.apply(&nats.set);
    let written = world.apply(&nats.map);
    assert!(!written.message().contains('\u{1b}'));
    assert!(written.answers[1].body.len() < 8 << 10);
}

/// A file of many routes that many servers mount: nothing in the API forbids it.
#[test]
fn a_decision_that_takes_long_keeps_nobody_waiting() {
    let world = World::default();
    let Nats {
        set,
        map: mut config,
        ..
    } = Nats::sound();
    let routes: String = (0..2000)
        .map(|index| {
            format!("nats://nats-{index}.nats-headless.messaging.svc.cluster.local:6222\n")
        })
        .collect();
    config["data"]["nats.conf"] =
        format!("port: 4222\ncluster {{ name: a, port: 6222, routes: [\n{routes}] }}\n").into();
    let sets = (0..60).map(|index| {
        let mut set = set.clone();
        set["metadata"]["name"] = format!("nats-{index}").into();
        set
    });
    world.state.lock().unwrap().objects.extend(sets);
    let body = review(&config, None).to_string();
    let admission = world.admission();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let began = Instant::now();
    let late = runtime.block_on(async {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(100);
        let answer = admission.answer(Step::Validate, body.as_bytes(), deadline);
        tokio::time::timeout_at(deadline, answer).await.is_err()
    });
    let waited = began.elapsed();
    // Waits for the decision, which goes on unheard.
    drop(runtime);
    assert!(late);
    assert!(waited * 3 < began.elapsed(), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn only_six_reviews_hold_facts_at_once() {
    let world = World::default();
    world.state.lock().unwrap().silent.insert("StatefulSet");
    let body = review(&Nats::sound().map, None).to_string();
    let admission = world.admission();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
    let mut reviews = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (admission, body) = (admission.clone(), body.clone());
        reviews.spawn(async move {
            admission
                .answer(Step::Validate, body.as_bytes(), deadline)
                .await
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.state.lock().unwrap().asked.len(), 6);
    for answer in reviews.join_all().await {
        assert_eq!(checked(&answer, Step::Validate)["allowed"], true);
    }
}
