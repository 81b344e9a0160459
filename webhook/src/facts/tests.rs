use std::sync::Mutex;
use std::time::Duration;

use natsguard_policies::bundle::Referrer;
use serde_json::json;

use super::resource::{
    CLAIMS, CLASSES, CONFIG_MAPS, NEEDED, NODES, SECRETS, SERVICES, STATEFUL_SETS, VOLUMES,
};
use super::*;

/// Answers from a list, and remembers the questions.
#[derive(Default)]
struct Fake {
    known: BTreeMap<Query, Known>,
    asked: Mutex<Vec<Query>>,
}

impl Cluster for Fake {
    fn ask<'a>(&'a self, query: &'a Query) -> Answering<'a> {
        self.asked.lock().unwrap().push(query.clone());
        let known = self.known.get(query).cloned();
        Box::pin(async move {
            match known {
                Some(known) => known,
                None => std::future::pending().await,
            }
        })
    }
}

fn found(values: &[Value]) -> Known {
    Known::Objects(Arc::new(values.to_vec()))
}

fn set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "nats", "namespace": "messaging"},
        "spec": {
            "replicas": 5, "serviceName": "nats-headless", "ordinals": {"start": 2},
            "selector": {"matchLabels": {"app": "nats"}},
            "template": {"metadata": {"labels": {"app": "nats"}}, "spec": {
                "containers": [{"name": "nats", "image": "nats", "args": ["-c", "/c/nats.conf"], "volumeMounts": [
                    {"name": "config", "mountPath": "/c"}, {"name": "more", "mountPath": "/m"}, {"name": "data", "mountPath": "/d"}
                ]}],
                "volumes": [
                    {"name": "config", "configMap": {"name": "nats-config"}},
                    {"name": "more", "projected": {"sources": [{"secret": {"name": "auth"}}, {"configMap": {"name": "extra"}}]}},
                    {"name": "unused", "secret": {"secretName": "not-mounted"}}
                ]
            }},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}]
        }
    })
}

fn map(name: &str, text: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "messaging"},
        "data": {"nats.conf": text}
    })
}

/// A store on the claims of the set, and a file more.
const CONF: &str = "jetstream { store_dir: /d }\ninclude ../m/more.conf\n";

fn config() -> (Query, Known) {
    let map = map("nats-config", CONF);
    (named(&CONFIG_MAPS, "nats-config"), found(&[map]))
}

fn subject<'a>(kind: &'a str, name: &'a str) -> Subject<'a> {
    Subject {
        group: if kind == "StatefulSet" { "apps" } else { "" },
        kind,
        namespace: "messaging",
        name,
    }
}

async fn walk(fake: Fake, subject: Subject<'_>, object: &Value) -> (Facts, Vec<Query>) {
    let fake = Arc::new(fake);
    let cluster: Arc<dyn Cluster> = Arc::clone(&fake) as _;
    let deadline = Instant::now() + Duration::from_secs(1);
    let turns = Arc::new(Semaphore::new(1));
    let objects = vec![Arc::new(object.clone())];
    let inquiry = Inquiry::new(&subject, objects, Arc::new(crate::fake::settings()), turns);
    let facts = gather(&cluster, inquiry, deadline).await;
    let mut asked = fake.asked.lock().unwrap().clone();
    asked.sort();
    (facts, asked)
}

fn messaging() -> Referrer<'static> {
    Referrer {
        namespace: Some("messaging"),
        origin: None,
    }
}

fn named(resource: &'static Resource, name: &str) -> Query {
    Query::named(resource, "messaging", name)
}

#[tokio::test(start_paused = true)]
async fn a_workload_leads_to_all_that_its_rules_read() {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-nats-3"},
        "spec": {"storageClassName": "fast", "volumeName": "pv-3"}
    });
    let known = [
        config(),
        (named(&CLAIMS, "data-nats-2"), Known::Absent),
        (named(&CLAIMS, "data-nats-3"), found(&[claim])),
    ];
    let fake = Fake {
        known: known.into_iter().collect(),
        ..Fake::default()
    };
    let start = Instant::now();
    let (facts, asked) = walk(fake, subject("StatefulSet", "nats"), &set()).await;
    let mut expected = vec![
        Query::all(&VOLUMES, "messaging"),
        Query::all(&NODES, ""),
        named(&CONFIG_MAPS, "nats-config"),
        named(&CONFIG_MAPS, "extra"),
        named(&SECRETS, "auth"),
        named(&CLAIMS, "data-nats-2"),
        named(&CLAIMS, "data-nats-3"),
        named(&CLAIMS, "data-nats-4"),
        named(&CLAIMS, "data-nats-5"),
        named(&CLAIMS, "data-nats-6"),
        named(&CLASSES, "fast"),
        named(&VOLUMES, "pv-3"),
    ];
    expected.sort();
    assert_eq!(asked, expected);
    // What never answers costs the deadline once, not once a question.
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert_eq!(facts.unknown(), asked.len() - 3);
    assert_eq!(facts.beyond().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn routes_lead_to_the_services_that_they_may_name() {
    let conf = "cluster { port: 6222, routes: [nats://nats-headless:6222, nats://other:6222] }";
    let known = [
        (
            named(&CONFIG_MAPS, "nats-config"),
            found(&[map("nats-config", conf)]),
        ),
        (Query::all(&SERVICES, "messaging"), found(&[])),
        (named(&SERVICES, "nats-headless"), Known::Absent),
    ];
    let fake = Fake {
        known: known.into_iter().collect(),
        ..Fake::default()
    };
    let (_, asked) = walk(fake, subject("StatefulSet", "nats"), &set()).await;
    // A list can't say that the governing Service is not there; what else a route names is not asked for by name.
    for query in [
        Query::all(&SERVICES, "messaging"),
        named(&SERVICES, "nats-headless"),
    ] {
        assert!(asked.contains(&query), "{query:?}");
    }
    assert!(!asked.contains(&named(&SERVICES, "other")));
}

#[tokio::test(start_paused = true)]
async fn a_file_leads_to_those_who_mount_it_and_to_nothing_when_nobody_does() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra", "namespace": "messaging"}});
    let sets = Query::all(&STATEFUL_SETS, "messaging");
    let fake = || Fake {
        known: [(sets.clone(), found(&[set()])), config()]
            .into_iter()
            .collect(),
        ..Fake::default()
    };
    let (_, asked) = walk(fake(), subject("ConfigMap", "extra"), &map).await;
    assert!(asked.contains(&named(&CONFIG_MAPS, "nats-config")));
    assert!(asked.contains(&named(&CLASSES, "fast")));
    for (kind, name) in [
        ("ConfigMap", "other"),
        ("Secret", "extra"),
        ("Secret", "not-mounted"),
        ("Service", "nats"),
        ("PersistentVolumeClaim", "data-nats-x"),
    ] {
        let (_, asked) = walk(fake(), subject(kind, name), &map).await;
        assert_eq!(asked, std::slice::from_ref(&sets), "{kind} {name}");
    }
    for (kind, name) in [
        ("Secret", "auth"),
        ("Service", "nats-headless"),
        ("PersistentVolumeClaim", "data-nats-9"),
    ] {
        let (_, asked) = walk(fake(), subject(kind, name), &map).await;
        assert!(asked.len() > 1, "{kind} {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_of_what_is_no_server() {
    let mut other = set();
    let container = &mut other["spec"]["template"]["spec"]["containers"][0];
    container["image"] = "postgres".into();
    container["args"] = json!([]);
    let (_, asked) = walk(Fake::default(), subject("StatefulSet", "nats"), &other).await;
    assert!(asked.is_empty());
    let sets = Query::all(&STATEFUL_SETS, "messaging");
    let fake = Fake {
        known: [(sets.clone(), found(&[other]))].into_iter().collect(),
        ..Fake::default()
    };
    let secret = json!({"metadata": {"name": "auth"}});
    let (_, asked) = walk(fake, subject("Secret", "auth"), &secret).await;
    assert_eq!(asked, [sets]);
}

/// A file that includes so many others, each of a ConfigMap of its own.
fn including(count: usize) -> (Value, String) {
    let mut set = set();
    let spec = &mut set["spec"]["template"]["spec"];
    let more = (0..count).map(
        |index| json!({"name": format!("v{index}"), "configMap": {"name": format!("c{index:02}")}}),
    );
    let volumes = spec["volumes"].as_array_mut().unwrap();
    volumes.extend(more);
    let mounts = (0..count)
        .map(|index| json!({"name": format!("v{index}"), "mountPath": format!("/c/c{index}")}));
    let mounted = spec["containers"][0]["volumeMounts"].as_array_mut();
    mounted.unwrap().extend(mounts);
    let includes = (0..count).map(|index| format!("include c{index}/nats.conf\n"));
    (set, includes.collect())
}

#[tokio::test(start_paused = true)]
async fn what_is_more_than_the_bound_is_said_to_be() {
    let (set, includes) = including(500);
    let known = [(
        named(&CONFIG_MAPS, "nats-config"),
        found(&[map("nats-config", &includes)]),
    )];
    let fake = Fake {
        known: known.into_iter().collect(),
        ..Fake::default()
    };
    let (facts, asked) = walk(fake, subject("StatefulSet", "nats"), &set).await;
    assert_eq!(asked.len(), MAX_QUERIES);
    assert!(facts.beyond().count() >= 500 - MAX_QUERIES);
}

#[tokio::test(start_paused = true)]
async fn what_the_rules_do_not_use_takes_nothing_from_what_they_do() {
    let mut set = set();
    let spec = &mut set["spec"]["template"]["spec"];
    let decoys = (0..500).map(|index| json!({"name": format!("v{index}"), "configMap": {"name": format!("a-{index}"), "optional": true}}));
    let volumes = spec["volumes"].as_array_mut().unwrap();
    volumes.extend(decoys);
    let mounts = (0..500)
        .map(|index| json!({"name": format!("v{index}"), "mountPath": format!("/decoy/{index}")}));
    let mounted = spec["containers"][0]["volumeMounts"].as_array_mut();
    mounted.unwrap().extend(mounts);
    let fake = Fake {
        known: [config()].into_iter().collect(),
        ..Fake::default()
    };
    let (facts, asked) = walk(fake, subject("StatefulSet", "nats"), &set).await;
    assert!(asked.contains(&named(&CLASSES, "fast")));
    assert_eq!(facts.beyond().count(), 0);
}

#[test]
fn the_object_under_review_takes_the_place_of_the_one_that_is_kept() {
    let old = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "messaging"}, "data": {}});
    let mut new = old.clone();
    new["data"] = json!({"k": "v"});
    let facts = Facts::new([
        (named(&CONFIG_MAPS, "a"), found(&[old])),
        (named(&CONFIG_MAPS, "b"), Known::Absent),
    ]);
    let subject = subject("ConfigMap", "a");
    let values = |bundle: Bundle| {
        bundle
            .objects()
            .iter()
            .map(|object| object.value.clone())
            .collect::<Vec<_>>()
    };
    let object = Object::new(new.clone());
    assert_eq!(values(facts.bundle(&subject, Some(object))), [new]);
    assert!(values(facts.bundle(&subject, None)).is_empty());
    assert!(matches!(
        facts
            .bundle(&subject, None)
            .lookup(messaging(), "", "ConfigMap", "b"),
        natsguard_policies::bundle::Lookup::Absent
    ));
}

#[test]
fn what_is_kept_and_immutable_is_frozen_and_the_object_under_review_is_as_it_is_given() {
    let map = |name: &str, immutable: Value| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "messaging"},
            "immutable": immutable
        })
    };
    let facts = Facts::new([
        (named(&CONFIG_MAPS, "a"), found(&[map("a", json!(true))])),
        (named(&CONFIG_MAPS, "b"), found(&[map("b", json!(true))])),
        (named(&CONFIG_MAPS, "c"), found(&[map("c", json!(false))])),
        (named(&CONFIG_MAPS, "d"), found(&[map("d", Value::Null)])),
    ]);
    let object = Object::new(map("a", json!(true)));
    let bundle = facts.bundle(&subject("ConfigMap", "a"), Some(object));
    let hindrances: Vec<Option<String>> = bundle.objects().iter().map(Object::hindrance).collect();
    let immutable = "ConfigMap b is immutable: correct its source and make a new one";
    assert_eq!(hindrances, [None, Some(immutable.to_owned()), None, None]);
}

#[test]
fn secrets_are_read_by_name_only_and_nothing_is_written() {
    for resource in NEEDED {
        assert!(
            resource
                .verbs
                .iter()
                .all(|verb| ["get", "list"].contains(verb))
        );
    }
    assert_eq!(SECRETS.verbs, ["get"]);
}

#[tokio::test(start_paused = true)]
async fn a_review_holds_no_more_than_so_many_bytes() {
    let large = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"nats.conf": "#".repeat(1 << 20)}
    });
    let (set, includes) = including(40);
    let maps = (0..40).map(|index| {
        let query = named(&CONFIG_MAPS, &format!("c{index:02}"));
        (query, found(std::slice::from_ref(&large)))
    });
    let main = (
        named(&CONFIG_MAPS, "nats-config"),
        found(&[map("nats-config", &includes)]),
    );
    let fake = Fake {
        known: maps.chain([main]).collect(),
        ..Fake::default()
    };
    let (facts, _) = walk(fake, subject("StatefulSet", "nats"), &set).await;
    let is_known = |index: usize| {
        let query = named(&CONFIG_MAPS, &format!("c{index:02}"));
        matches!(facts.get(&query), Known::Objects(_))
    };
    let known: Vec<usize> = (0..40).filter(|index| is_known(*index)).collect();
    // Always the same ones, in the order of their names.
    assert_eq!(known, (0..7).collect::<Vec<_>>());
    assert!(facts.beyond().count() >= 33);
}
