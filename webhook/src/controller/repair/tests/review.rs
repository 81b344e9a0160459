//! What a review comes to, with the webhook's own code behind the apiserver.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::Next;
use super::bed::{Bed, RESTART_AFTER, conf, map, pod, routes, service, set, wrong};

const MAP: &str = "PATCH /api/v1/namespaces/messaging/configmaps/nats-config";
const LOOK: Next = Next::Again(Duration::from_secs(15));
const HOUR: Duration = Duration::from_hours(1);

fn serving(set: Value) -> Value {
    let mut set = set;
    set["status"]["readyReplicas"] = json!(3);
    set
}

fn scaled(mut set: Value, replicas: usize) -> Value {
    set["spec"]["replicas"] = json!(replicas);
    set
}

fn with_reloader(set: Value) -> Value {
    let mut set = set;
    let containers = &mut set["spec"]["template"]["spec"]["containers"];
    let reloader =
        json!({"name": "reloader", "image": "natsio/nats-server-config-reloader:0.16.1"});
    containers.as_array_mut().unwrap().push(reloader);
    set
}

impl Bed {
    /// Three pods that serve.
    fn serve(&self) {
        for name in ["nats-0", "nats-1", "nats-2"] {
            self.put(pod(name, self.now(), Some(self.now())));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_file_is_repaired_by_a_request_that_names_only_our_annotation() {
    let bed = Bed::of(&wrong());
    assert_eq!(bed.review().await, LOOK);
    assert_eq!(bed.conf(), conf(&routes(3)));
    assert_eq!(bed.writes(), [MAP]);
    let patches = bed.server.lock().patches.clone();
    let queries: Vec<&str> = patches.iter().map(|(query, _)| query.as_str()).collect();
    assert_eq!(queries, ["&fieldManager=natsguard"]);
    for (_, body) in &patches {
        let expected = json!({"metadata": {
            "annotations": {"natsguard.dev/reviewed": "2027-01-15T08:00:00Z"}, "resourceVersion": "1"
        }});
        assert_eq!(*body, expected);
    }
    assert_eq!(
        bed.metrics(),
        [r#"natsguard_controller_touches_total{kind="ConfigMap",result="repaired"} 1"#]
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_twice() {
    let bed = Bed::of(&wrong());
    bed.run(HOUR).await;
    bed.run(HOUR).await;
    assert_eq!(bed.writes(), [MAP]);
    assert_eq!(bed.review().await, Next::Wait);
    assert_eq!(bed.server.lock().patches.len(), 1);
    assert_eq!(bed.events(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_not_touched() {
    let gone = Bed::with([map(&wrong())]);
    assert_eq!(gone.review().await, Next::Wait);
    let mut ending = set();
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let ending = Bed::with([map(&wrong()), service(), ending]);
    assert_eq!(ending.review().await, Next::Wait);
    for bed in [gone, ending] {
        assert_eq!(bed.server.lock().patches, []);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_touched_where_admission_does_not_look() {
    for namespace in ["kube-system", "kube-public", "kube-node-lease", "natsguard"] {
        let objects = [map(&wrong()), service(), set()].map(|mut object| {
            object["metadata"]["namespace"] = json!(namespace);
            object
        });
        let bed = Bed::with(objects);
        let next = bed.repairer.review(namespace, "nats").await.unwrap();
        assert_eq!(next, Next::Wait);
        assert_eq!(bed.server.lock().patches, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sound_file_is_marked_once_and_no_pod_starts_again_for_it() {
    let bed = Bed::of(&conf(&routes(3)));
    bed.put(pod("nats-0", bed.now(), None));
    assert_eq!(bed.run(HOUR).await, 1);
    bed.run(HOUR).await;
    let marks = bed.server.lock().patches.clone();
    let expected = json!({"metadata": {
        "annotations": {"natsguard.dev/reviewed": "mounted"}, "resourceVersion": "1"
    }});
    assert_eq!(marks, [("&fieldManager=natsguard".to_owned(), expected)]);
    assert_eq!(bed.writes(), [MAP]);
    assert_eq!((bed.events(), bed.metrics()), (Vec::new(), Vec::new()));

    // When it is wrong later it is repaired at once, as one that was never touched.
    bed.put(scaled(set(), 5));
    assert_eq!(bed.review().await, LOOK);
    assert_eq!(bed.conf(), conf(&routes(5)));
    assert_eq!(bed.writes(), [MAP, MAP]);
    assert_eq!(bed.server.lock().patches.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sound_file_of_another_or_for_ever_is_not_marked() {
    let mut owned = map(&conf(&routes(3)));
    owned["metadata"]["ownerReferences"] =
        json!([{"kind": "Nats", "name": "n", "controller": true}]);
    let mut immutable = map(&conf(&routes(3)));
    immutable["immutable"] = json!(true);
    for file in [owned, immutable] {
        let bed = Bed::with([file, service(), set()]);
        assert_eq!(bed.review().await, Next::Wait);
        assert_eq!(bed.server.lock().patches, []);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_its_workload_has_all_looked_at_again() {
    let mut hidden = service();
    hidden["spec"]["publishNotReadyAddresses"] = json!(false);
    let objects = || [map(&wrong()), hidden.clone(), set()];
    for late in 0..2 {
        let mut first = objects().to_vec();
        let late = first.remove(late);
        let bed = Bed::with(first);
        for seconds in [2, 4, 8] {
            assert_eq!(
                bed.review().await,
                Next::Again(Duration::from_secs(seconds))
            );
        }
        bed.put(late);
        assert_eq!(bed.review().await, LOOK);
        assert_eq!(bed.conf(), conf(&routes(3)));
        assert_eq!(bed.held(&service())["spec"], service()["spec"]);
        bed.run(HOUR).await;
        assert_eq!(bed.review().await, Next::Wait);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hides_its_pods_is_repaired_and_nobody_is_restarted_for_it() {
    let mut hidden = service();
    hidden["spec"]["publishNotReadyAddresses"] = json!(false);
    let bed = Bed::with([map(&conf(&routes(3))), hidden, set()]);
    bed.put(pod("nats-0", bed.now(), None));
    bed.run(HOUR).await;
    assert_eq!(bed.held(&service())["spec"], service()["spec"]);
    assert_eq!(
        bed.writes(),
        [
            "PATCH /api/v1/namespaces/messaging/services/nats-headless",
            MAP
        ]
    );
    assert_eq!(bed.events(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_admission_does_not_repair_is_written_once() {
    let bed = Bed::of(&wrong());
    bed.server.lock().away = true;
    for seconds in [30, 60, 120, 240, 480, 600, 600] {
        assert_eq!(
            bed.review().await,
            Next::Again(Duration::from_secs(seconds))
        );
    }
    assert_eq!(bed.writes(), [MAP]);
    assert_eq!(
        bed.events(),
        [
            "Warning RepairNotAdmitted StatefulSet/nats: ConfigMap nats-config is wrong (service-route) and was not \
             repaired: the webhook is away or does not see this namespace; `natsguard doctor` says which"
        ]
    );
    assert_eq!(
        bed.metrics(),
        [r#"natsguard_controller_touches_total{kind="ConfigMap",result="not_admitted"} 7"#]
    );
    bed.server.lock().away = false;
    assert_eq!(bed.review().await, LOOK);
    assert_eq!(bed.conf(), conf(&routes(3)));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_is_told_once_and_without_the_words_of_others() {
    let told = |code| {
        format!(
            "Warning RepairFailed StatefulSet/nats: ConfigMap nats-config is wrong (service-route) and could not be \
             repaired: the apiserver refuses it ({code}); another webhook, a policy or its size may be why, which `kubectl \
             annotate --dry-run=server` says"
        )
    };
    let bed = Bed::of(&wrong());
    bed.server.lock().refused = Some(StatusCode::FORBIDDEN);
    for seconds in [30, 60, 120] {
        assert_eq!(
            bed.review().await,
            Next::Again(Duration::from_secs(seconds))
        );
    }
    assert_eq!(bed.events(), [told(403)]);
    assert_eq!(
        bed.metrics(),
        [r#"natsguard_controller_touches_total{kind="ConfigMap",result="failed"} 3"#]
    );
    bed.server.lock().refused = None;
    assert_eq!(bed.review().await, LOOK);
    assert_eq!(bed.conf(), conf(&routes(3)));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_tried_soon_and_told_when_it_goes_on() {
    let bed = Bed::of(&wrong());
    bed.server.lock().refused = Some(StatusCode::INTERNAL_SERVER_ERROR);
    // As the queue tries it.
    for pause in [0, 1, 2, 4, 8, 16, 32, 64, 110] {
        sleep(Duration::from_secs(pause)).await;
        let error = bed.try_review().await.unwrap_err().to_string();
        let expected =
            "can't touch ConfigMap nats-config in messaging: the apiserver refuses it (500)";
        assert_eq!(error, expected);
    }
    assert_eq!(bed.events(), [""; 0]);
    sleep(Duration::from_secs(3)).await;
    for seconds in [30, 60, 120, 240, 480, 600, 600] {
        let wait = Duration::from_secs(seconds);
        assert_eq!(bed.review().await, Next::Again(wait));
        sleep(wait).await;
    }
    assert_eq!(bed.events().len(), 1);
    assert!(bed.events()[0].contains(": the apiserver refuses it (500); "));
    bed.server.lock().refused = None;
    assert_eq!(bed.review().await, LOOK);
}

#[tokio::test(start_paused = true)]
async fn what_others_write_meanwhile_is_kept() {
    let bed = Bed::of(&wrong());
    bed.server.lock().meanwhile = Some(Box::new(|world| {
        let mut object = map(&format!("# newer\n{}", wrong()));
        object["metadata"]["labels"] = json!({"a": "b"});
        world.put(object);
    }));
    assert_eq!(bed.review().await, LOOK);
    assert_eq!(bed.conf(), format!("# newer\n{}", conf(&routes(3))));
    assert_eq!(bed.held(&map(""))["metadata"]["labels"], json!({"a": "b"}));
    assert_eq!(bed.writes(), [MAP]);
    assert_eq!(
        bed.metrics(),
        [
            r#"natsguard_controller_touches_total{kind="ConfigMap",result="conflict"} 1"#,
            r#"natsguard_controller_touches_total{kind="ConfigMap",result="repaired"} 1"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_writes_in_a_loop_is_left_alone() {
    let bed = Bed::of(&wrong());
    bed.server.lock().rewritten = Some(json!({"data": {"nats.conf": wrong()}}));
    bed.run(Duration::from_secs(500)).await;
    assert_eq!(bed.writes(), [MAP; 3]);
    let words = "ConfigMap nats-config was repaired 3 times within a minute, or 10 within an hour, and is wrong again: \
                 somebody writes it in a loop; natsguard leaves it for 10 minutes; mend what writes it";
    let expected = [
        format!("Warning RepairFight ConfigMap/nats-config: {words}"),
        format!("Warning RepairFight StatefulSet/nats: {words}"),
    ];
    assert_eq!(bed.events(), expected);
    let metrics = [
        "natsguard_controller_fights_total 1",
        "natsguard_controller_left_alone 1",
        r#"natsguard_controller_touches_total{kind="ConfigMap",result="repaired"} 3"#,
    ];
    assert_eq!(bed.metrics(), metrics);
    // Whether or not anybody looks at it again.
    sleep(Duration::from_secs(500)).await;
    assert_eq!(bed.metrics().len(), 3);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(bed.metrics().len(), 2);
    // One try shows that it goes on; the next one that it ended.
    bed.run(Duration::from_secs(500)).await;
    assert_eq!(bed.writes(), [MAP; 4]);
    bed.server.lock().rewritten = None;
    bed.run(HOUR).await;
    assert_eq!(bed.writes(), [MAP; 5]);
    assert_eq!(bed.conf(), conf(&routes(3)));
    assert_eq!(bed.metrics().len(), 2, "none is left alone");
}

#[tokio::test(start_paused = true)]
async fn pods_that_started_with_the_wrong_file_are_restarted_once() {
    let bed = Bed::of(&wrong());
    bed.put(pod("nats-0", bed.now(), None));
    bed.put(pod("nats-1", bed.now(), None));
    assert_eq!(bed.review().await, LOOK);
    sleep(Duration::from_secs(39)).await;
    // This one mounted the right file.
    bed.put(pod("nats-2", bed.now(), None));
    bed.review().await;
    assert_eq!(bed.writes(), [MAP]);
    sleep(Duration::from_secs(2)).await;
    bed.review().await;
    let deleted =
        ["nats-0", "nats-1"].map(|pod| format!("DELETE /api/v1/namespaces/messaging/pods/{pod}"));
    assert_eq!(bed.writes()[1..], deleted);
    for name in ["nats-0", "nats-1"] {
        bed.put(pod(name, bed.now(), None));
    }
    bed.run(HOUR).await;
    assert_eq!(bed.writes().len(), 3);
    let told = "was deleted, to start again: it started before its configuration was repaired and was never ready";
    let expected = ["nats-0", "nats-1"]
        .map(|pod| format!("Normal Restarted StatefulSet/nats: Pod {pod} {told}"));
    assert_eq!(bed.events(), expected);
    assert!(
        bed.metrics()
            .contains(&"natsguard_controller_restarts_total 2".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_goes_on_where_the_last_one_ended() {
    let bed = Bed::of(&wrong());
    bed.put(pod("nats-0", bed.now(), None));
    bed.review().await;
    sleep(RESTART_AFTER).await;
    let objects: Vec<Value> = bed.server.lock().objects.values().cloned().collect();
    let mut next = Bed::with(objects);
    let now = bed.now();
    next.repairer.clock = Box::new(move || now);
    next.review().await;
    assert_eq!(
        next.writes(),
        ["DELETE /api/v1/namespaces/messaging/pods/nats-0"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_becomes_ready_at_the_last_moment_stays() {
    let bed = Bed::of(&wrong());
    bed.put(pod("nats-0", bed.now(), None));
    bed.review().await;
    sleep(RESTART_AFTER).await;
    let now = bed.now();
    bed.server.lock().meanwhile = Some(Box::new(move |world| {
        let mut ready = pod("nats-0", now, Some(now));
        ready["metadata"]["uid"] = json!("uid-4");
        world.put(ready);
    }));
    assert_eq!(bed.review().await, Next::Again(Duration::from_secs(2)));
    bed.put(serving(set()));
    bed.run(HOUR).await;
    assert_eq!(bed.writes(), [MAP]);
}

#[tokio::test(start_paused = true)]
async fn no_pod_of_a_set_that_ever_served_is_restarted() {
    let bed = Bed::with([map(&wrong()), service(), serving(set())]);
    bed.serve();
    bed.put(pod("nats-2", bed.now(), None));
    bed.run(HOUR).await;
    sleep(HOUR).await;
    bed.run(HOUR).await;
    assert_eq!(bed.writes(), [MAP]);
}

/// Somebody removed the StatefulSet and made it again: its servers find what they stored, and may be at it for long.
#[tokio::test(start_paused = true)]
async fn servers_that_recover_are_not_restarted() {
    let claim = |made: &str| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data-nats-0", "namespace": "messaging", "uid": "claim", "creationTimestamp": made},
            "spec": {}
        })
    };
    let mut set = set();
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {}}]);
    for (made, restarted) in [
        ("2027-01-14T07:59:30Z", false),
        ("2027-01-15T07:59:30Z", true),
    ] {
        let bed = Bed::with([map(&wrong()), service(), set.clone(), claim(made)]);
        bed.put(pod("nats-0", bed.now(), None));
        bed.run(HOUR).await;
        let expected = [MAP, "DELETE /api/v1/namespaces/messaging/pods/nats-0"];
        assert_eq!(bed.writes(), expected[..=usize::from(restarted)], "{made}");
        let due = bed
            .events()
            .iter()
            .any(|event| event.contains(" ReloadDue "));
        assert_eq!(due, !restarted, "{:?}", bed.events());
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_run_are_named_once_for_each_content() {
    let bed = Bed::with([map(&conf(&routes(2))), service(), serving(set())]);
    bed.serve();
    // Of another workload.
    let mut stranger = pod("stranger-0", bed.now(), Some(bed.now()));
    stranger["metadata"]["ownerReferences"][0]["uid"] = json!("other");
    bed.put(stranger);
    bed.run(HOUR).await;
    let told = |pods: &str| {
        format!(
            "Warning ReloadDue StatefulSet/nats: ConfigMap nats-config was repaired while {pods} run; nats-server does \
             not notice: in a minute send SIGHUP (nats-server --signal reload) or restart the pods; routes are reloaded"
        )
    };
    assert_eq!(bed.events(), [told("nats-0, nats-1, nats-2")]);
    let mut scaled = serving(set());
    scaled["spec"]["replicas"] = json!(7);
    bed.put(scaled.clone());
    for index in 3..7 {
        bed.put(pod(&format!("nats-{index}"), bed.now(), Some(bed.now())));
    }
    bed.run(HOUR).await;
    assert_eq!(bed.conf(), conf(&routes(7)));
    let more = told("nats-0, nats-1, nats-2, nats-3, nats-4 and 2 more");
    assert_eq!(bed.events()[1..], [more]);
    // The same content as before says nothing new.
    bed.put(map(&conf(&routes(6))));
    bed.run(HOUR).await;
    assert_eq!(bed.conf(), conf(&routes(7)));
    assert_eq!(bed.events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_many_large_pods_a_few_are_read_at_a_time() {
    let bed = Bed::with([map(&wrong()), service(), serving(set())]);
    for index in 10..40 {
        let mut large = pod(&format!("nats-{index}"), bed.now(), Some(bed.now()));
        large["metadata"]["annotations"] = json!({"large": "x".repeat(600 << 10)});
        bed.put(large);
    }
    bed.review().await;
    assert_eq!(
        bed.events(),
        [
            "Warning ReloadDue StatefulSet/nats: ConfigMap nats-config was repaired while nats-10, nats-11, nats-12, \
             nats-13, nats-14 and 25 more run; nats-server does not notice: in a minute send SIGHUP (nats-server --signal \
             reload) or restart the pods; routes are reloaded"
        ]
    );
    let lists = bed.server.lock().lists.clone();
    let asked = |query: &String| {
        let pairs = query.split('&');
        let pairs = pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("labelSelector="));
        pairs.collect::<Vec<_>>().join("&")
    };
    let asked: Vec<String> = lists.iter().map(asked).collect();
    assert_eq!(
        asked,
        [
            "limit=16",
            "limit=8",
            "limit=4",
            "limit=4&continue=4",
            "limit=4&continue=8",
            "limit=4&continue=12",
            "limit=4&continue=16",
            "limit=4&continue=20",
            "limit=4&continue=24",
            "limit=4&continue=28",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_reloader_does_the_rest() {
    let bed = Bed::with([map(&wrong()), service(), serving(with_reloader(set()))]);
    bed.serve();
    bed.run(HOUR).await;
    assert_eq!(
        bed.events(),
        [
            "Normal ReloadExpected StatefulSet/nats: ConfigMap nats-config was repaired while nats-0, nats-1, nats-2 run; \
             the reloader sends SIGHUP; routes reload without a restart"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_mounted_with_sub_path_takes_a_restart() {
    let mut pinned = serving(with_reloader(set()));
    pinned["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "config", "mountPath": "/etc/nats/nats.conf", "subPath": "nats.conf"}]);
    let bed = Bed::with([map(&wrong()), service(), pinned]);
    bed.serve();
    bed.run(HOUR).await;
    assert_eq!(
        bed.events(),
        [
            "Warning ReloadDue StatefulSet/nats: ConfigMap nats-config was repaired while nats-0, nats-1, nats-2 run; \
             they keep the old file, for it is mounted with subPath: restart the pods"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_another_controller_is_pointed_out_once() {
    let mut owned = map(&wrong());
    owned["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "a/v1", "kind": "EventBus", "name": "default", "uid": "2", "controller": true}
    ]);
    let objects = [owned, service(), set()];
    let bed = Bed::with(objects.clone());
    for _ in 0..3 {
        assert_eq!(bed.review().await, Next::Wait);
    }
    assert_eq!(bed.server.lock().patches, []);
    assert_eq!(
        bed.events(),
        [
            "Warning RepairOwned StatefulSet/nats: ConfigMap nats-config is wrong and left as it is: EventBus default \
             writes it; mend it there, or let natsguard (controller.owned)"
        ]
    );
    assert_eq!(
        bed.metrics(),
        [r#"natsguard_controller_touches_total{kind="ConfigMap",result="owned"} 3"#]
    );
    let willing = Bed::with_options(objects, true);
    assert_eq!(willing.review().await, LOOK);
    assert_eq!(willing.conf(), conf(&routes(3)));
}

#[tokio::test(start_paused = true)]
async fn what_is_immutable_is_pointed_out_once() {
    let mut immutable = map(&wrong());
    immutable["immutable"] = json!(true);
    let bed = Bed::with([immutable, service(), set()]);
    bed.put(pod("nats-0", bed.now(), None));
    for _ in 0..3 {
        assert_eq!(bed.review().await, Next::Wait);
        sleep(RESTART_AFTER).await;
    }
    assert_eq!(bed.server.lock().patches, []);
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!(
        bed.events(),
        [
            "Warning RepairImpossible StatefulSet/nats: ConfigMap nats-config is wrong (service-route) and is immutable: \
             correct its source and make a new one"
        ]
    );
    assert_eq!(
        bed.metrics(),
        [r#"natsguard_controller_touches_total{kind="ConfigMap",result="immutable"} 3"#]
    );
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_read_is_looked_at_again_and_the_rest_is_repaired() {
    let bed = Bed::of(&wrong());
    bed.server.lock().hidden.insert("nodes");
    assert_eq!(bed.review().await, LOOK);
    assert_eq!(bed.conf(), conf(&routes(3)));
    sleep(Duration::from_mins(10)).await;
    assert_eq!(bed.review().await, Next::Again(Duration::from_mins(1)));
    bed.server.lock().hidden.clear();
    assert_eq!(bed.review().await, Next::Wait);
}

#[tokio::test(start_paused = true)]
async fn what_an_apiserver_refuses_or_leaves_unanswered_is_an_error() {
    let bed = Bed::of(&wrong());
    let error = async || bed.try_review().await.unwrap_err().to_string();
    bed.server.lock().hidden.insert("statefulsets");
    let refused = "can't read StatefulSet messaging/nats: Forbidden (403)";
    assert_eq!(error().await, refused);
    bed.server.lock().hidden.clear();
    bed.server.lock().silent.insert("statefulsets");
    let late = "can't read StatefulSet messaging/nats: ServiceError: no answer within 10 s";
    assert_eq!(error().await, late);
    bed.server.lock().silent.clear();
    bed.server.lock().silent.insert("patch configmaps");
    let late =
        "can't touch ConfigMap nats-config in messaging: ServiceError: no answer within 10 s";
    assert_eq!(error().await, late);
    bed.server.lock().silent.clear();
    assert_eq!(bed.review().await, LOOK);
    assert_eq!(bed.writes(), [MAP]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_taken_keeps_nothing_from_being_repaired() {
    let bed = Bed::with([map(&wrong()), service(), serving(set())]);
    bed.serve();
    bed.server.lock().hidden.insert("events");
    assert_eq!(bed.review().await, LOOK);
    assert_eq!(bed.writes(), [MAP]);
}

#[tokio::test(start_paused = true)]
async fn two_reviews_at_once_make_one_repair() {
    let bed = Bed::of(&wrong());
    let (one, other) = tokio::join!(bed.review(), bed.review());
    assert_eq!([one, other], [LOOK, LOOK]);
    assert_eq!(bed.writes(), [MAP]);
}

#[tokio::test(start_paused = true)]
async fn credentials_stay_where_they_are() {
    let bed = Bed::with([
        map(&conf(&["nats://user:MARKED@nats-headless:6222".to_owned()])),
        service(),
        serving(set()),
    ]);
    bed.serve();
    bed.run(HOUR).await;
    assert_eq!(bed.conf().matches("user:MARKED@nats-").count(), 3);
    let world = bed.server.lock();
    assert_eq!(world.events.len(), 1);
    let said = format!("{:?} {:?}", world.events, world.patches);
    drop(world);
    assert!(!said.contains("MARKED"));
    assert!(!bed.metrics().join("").contains("MARKED"));
}

#[tokio::test(start_paused = true)]
async fn these_rights_are_used() {
    let bed = Bed::of(&wrong());
    bed.put(pod("nats-0", bed.now(), None));
    bed.run(HOUR).await;
    let rights: Vec<String> = bed.server.lock().rights.iter().cloned().collect();
    assert_eq!(
        rights,
        [
            "create events",
            "delete pods",
            "get configmaps",
            "get statefulsets",
            "list nodes",
            "list pods",
            "list services",
            "list statefulsets",
            "patch configmaps",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_in_a_secret_is_repaired_where_it_may_be_read() {
    let text = include_str!("../../../../../tests/manifests/secret.yaml");
    let objects: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let [secret, service, ..] = <[Value; 4]>::try_from(objects.clone()).unwrap();
    let bed = Bed::with(objects.clone());
    // The claims are not there yet.
    assert_eq!(
        bed.repairer.review("shop", "orders").await.unwrap(),
        Next::Again(Duration::from_secs(2))
    );
    let file = bed.held(&secret)["data"]["nats-server.conf"].clone();
    let file = STANDARD.decode(file.as_str().unwrap()).unwrap();
    let file = String::from_utf8(file).unwrap();
    let route =
        "nats://peer:MARKED-route-password@orders-4.orders-headless.shop.svc.cluster.local:6222";
    assert!(file.contains(route), "{file}");
    assert_eq!(bed.held(&service)["spec"]["publishNotReadyAddresses"], true);
    let writes = ["secrets/orders", "services/orders-headless"];
    assert_eq!(
        bed.writes(),
        writes.map(|path| format!("PATCH /api/v1/namespaces/shop/{path}"))
    );
    let said = format!("{:?}", bed.server.lock().patches);
    assert!(!said.contains("MARKED"));

    // Without the right to read Secrets, nobody knows what it says.
    let blind = Bed::with(objects);
    blind.server.lock().hidden.insert("secrets");
    assert_eq!(
        blind.repairer.review("shop", "orders").await.unwrap(),
        Next::Again(Duration::from_secs(2))
    );
    assert_eq!(blind.writes(), [""; 0]);
}
