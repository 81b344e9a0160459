//! Which pods are restarted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::super::plan::{Kind, Target};
use super::super::restart::{Restart, is_new, restart};
use super::super::server::{File, Server};
use super::bed::{self, RESTART_AFTER};

const REVIEWED: &str = "2026-01-02T03:04:10Z";

fn second(second: i64) -> Timestamp {
    let reviewed: Timestamp = REVIEWED.parse().unwrap();
    reviewed + SignedDuration::from_secs(second)
}

fn server(has_reloader: bool) -> Server {
    Server {
        container: "nats".to_owned(),
        has_reloader,
        holds_data: false,
        files: vec![File {
            target: Target {
                kind: Kind::ConfigMap,
                namespace: "messaging".to_owned(),
                name: "nats-config".to_owned(),
            },
            pointer: "/data/nats.conf".to_owned(),
            is_pinned: false,
            reviewed: Some(second(0)),
        }],
    }
}

fn pod(started: i64, change: &Value) -> Pod {
    let mut pod = bed::pod("nats-0", second(started), None);
    json_patch::merge(&mut pod, change);
    serde_json::from_value(pod).unwrap()
}

fn ready(status: &str, since: i64) -> Value {
    json!({"status": {"conditions": [
        {"type": "Ready", "status": status, "lastTransitionTime": second(since).to_string()}
    ]}})
}

fn running(container: &str, since: i64) -> Value {
    json!({"status": {"containerStatuses": [{
        "name": container, "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"running": {"startedAt": second(since).to_string()}}
    }]}})
}

#[test]
fn a_pod_is_restarted_when_it_started_before_the_repair_and_never_was_ready() {
    let none = json!({});
    let cases = vec![
        ("it started before", pod(-5, &none), Restart::Now),
        ("in the same second", pod(0, &none), Restart::Now),
        ("after", pod(1, &none), Restart::No),
        ("it is ready", pod(-5, &ready("True", 3)), Restart::No),
        ("it was ready", pod(-5, &ready("False", 3)), Restart::No),
        ("nobody knows", pod(-5, &ready("Unknown", -5)), Restart::No),
        (
            "the kubelet took a second",
            pod(-5, &ready("False", -4)),
            Restart::Now,
        ),
        (
            "nothing was said yet",
            pod(-5, &json!({"status": {"conditions": null}})),
            Restart::Now,
        ),
        (
            "it waits for a node",
            pod(-5, &json!({"status": {"startTime": null}})),
            Restart::No,
        ),
        (
            "it waits for its image",
            pod(-5, &json!({"status": {"containerStatuses": null}})),
            Restart::Unstarted,
        ),
        (
            "its server started late",
            pod(-5, &running("nats", 30)),
            Restart::In(Duration::from_secs(30)),
        ),
        (
            "only the other container started",
            pod(-5, &running("exporter", -5)),
            Restart::Unstarted,
        ),
        (
            "its server ends and reads the file anew",
            pod(
                -5,
                &json!({"status": {"containerStatuses": [{
                    "name": "nats", "image": "", "imageID": "", "ready": false, "restartCount": 2,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}}
                }]}}),
            ),
            Restart::Unstarted,
        ),
        (
            "a slow clock says that it started before",
            pod(
                -5,
                &json!({"metadata": {"creationTimestamp": second(41).to_string()}}),
            ),
            Restart::No,
        ),
        (
            "it is on its way out",
            pod(-5, &json!({"metadata": {"deletionTimestamp": REVIEWED}})),
            Restart::No,
        ),
    ];
    for (name, pod, expected) in cases {
        let due = restart(&pod, &server(false), second(40), RESTART_AFTER);
        assert_eq!(due, expected, "{name}");
    }
}

#[test]
fn it_gets_its_time_to_become_ready() {
    let pod = pod(-5, &json!({}));
    let due = |now| restart(&pod, &server(false), second(now), RESTART_AFTER);
    assert_eq!(due(0), Restart::In(RESTART_AFTER));
    assert_eq!(due(39), Restart::In(Duration::from_secs(1)));
    assert_eq!(due(40), Restart::Now);
    // A clock that is behind the one that wrote the time.
    assert_eq!(due(-3), Restart::In(RESTART_AFTER));
}

#[test]
fn a_reloader_makes_a_restart_needless_and_so_does_a_file_that_was_never_repaired() {
    let pod = pod(-5, &json!({}));
    assert_eq!(
        restart(&pod, &server(true), second(40), RESTART_AFTER),
        Restart::No
    );
    let mut server = server(false);
    server.holds_data = true;
    assert_eq!(
        restart(&pod, &server, second(40), RESTART_AFTER),
        Restart::No,
        "it recovers"
    );
    server.holds_data = false;
    server.files[0].reviewed = Some(second(200));
    assert_eq!(
        restart(&pod, &server, second(40), RESTART_AFTER),
        Restart::No,
        "a mark of a time to come"
    );
    server.files[0].reviewed = None;
    assert_eq!(
        restart(&pod, &server, second(40), RESTART_AFTER),
        Restart::No
    );
}

#[test]
fn a_set_of_which_a_pod_was_ever_ready_is_not_new() {
    let status = |status: Value| json!({"metadata": {"creationTimestamp": second(-10).to_string()}, "status": status});
    let first = status(json!({"currentRevision": "a", "updateRevision": "a"}));
    let never = || pod(-5, &json!({}));
    assert!(is_new(&first, &[never(), never()]));
    assert!(is_new(&status(json!({})), &[]));
    assert!(!is_new(&first, &[never(), pod(-5, &ready("False", 3))]));
    let serving = json!({"currentRevision": "a", "updateRevision": "a", "readyReplicas": 1});
    assert!(!is_new(&status(serving), &[never()]));
    // Scaled down to nothing and up again, say.
    let mut old = first.clone();
    old["metadata"]["creationTimestamp"] = json!(second(-700).to_string());
    assert!(!is_new(&old, &[never()]));
    let rolling = json!({"currentRevision": "a", "updateRevision": "b", "readyReplicas": 0});
    assert!(!is_new(&status(rolling), &[never()]));
}
