use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body as Answer;
use futures::stream;
use http::{Request, Response, StatusCode};
use kube::client::Body;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, Receiver};
use tower::service_fn;

use super::*;
use crate::facts::resource::SECRETS;
use crate::fake::refusal;

/// As much of an apiserver as watches of metadata need.
#[derive(Default)]
struct World {
    /// What was made, in this order: path of the collection, and name.
    made: Mutex<Vec<(String, String)>>,
    told: Notify,
    /// `list` or `watch`, the collection, and the object where it is about one. Requests for whole objects aren't answered.
    asked: Mutex<Vec<String>>,
    /// Watches that go on.
    open: Arc<()>,
    away: Mutex<bool>,
}

struct Bed {
    world: Arc<World>,
    missing: Arc<Missing>,
    changes: Receiver<Change>,
    registry: Registry,
}

const MAPS: &str = "/api/v1/namespaces/alpha/configmaps";
const SERVICES_OF: &str = "/api/v1/namespaces/alpha/services";

fn query(request: &Request<Body>, name: &str) -> Option<String> {
    let mut pairs = request.uri().query().unwrap_or_default().split('&');
    let value = pairs.find_map(|pair| pair.strip_prefix(name));
    value.map(|value| value.replace("%3D", "="))
}

impl World {
    fn make(&self, collection: &str, name: &str) {
        let object = (collection.to_owned(), name.to_owned());
        self.made.lock().unwrap().push(object);
        self.told.notify_waiters();
    }

    fn item(name: &str, version: usize) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": name, "resourceVersion": version.to_string()},
        })
    }

    fn serve(self: &Arc<Self>, request: &Request<Body>) -> Response<Answer> {
        let accepts = request.headers()["accept"].to_str().unwrap();
        assert!(accepts.contains("as=PartialObjectMetadata"), "{accepts}");
        let path = request.uri().path().to_owned();
        let field = query(request, "fieldSelector=");
        let name = field.map(|field| field.strip_prefix("metadata.name=").unwrap().to_owned());
        let is_watch = query(request, "watch=").is_some();
        let verb = if is_watch { "watch" } else { "list" };
        let object = name.as_deref().unwrap_or("*");
        let asked = format!("{verb} {path}/{object}");
        self.asked.lock().unwrap().push(asked);
        if *self.away.lock().unwrap() {
            let (code, status) = refusal(StatusCode::FORBIDDEN, "Forbidden", "");
            let mut answer = Response::new(Answer::from(status.to_string()));
            *answer.status_mut() = code;
            return answer;
        }
        let is_wanted = move |(collection, made): &(String, String)| {
            *collection == path && name.as_ref().is_none_or(|name| name == made)
        };
        if !is_watch {
            let made = self.made.lock().unwrap();
            let items = made.iter().filter(|object| is_wanted(object));
            let items: Vec<Value> = items
                .map(|(_, name)| Self::item(name, made.len()))
                .collect();
            let list = json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                "metadata": {"resourceVersion": made.len().to_string()}, "items": items,
            });
            return Response::new(Answer::from(list.to_string()));
        }
        let from: usize = query(request, "resourceVersion=").unwrap().parse().unwrap();
        let state = (Arc::clone(self), from, Arc::clone(&self.open), is_wanted);
        let events = stream::unfold(state, async |(world, mut at, open, is_wanted)| {
            loop {
                let object = {
                    let told = world.told.notified();
                    let next = world.made.lock().unwrap().get(at).cloned();
                    let Some(object) = next else {
                        told.await;
                        continue;
                    };
                    object
                };
                at += 1;
                if is_wanted(&object) {
                    let event = json!({"type": "ADDED", "object": Self::item(&object.1, at)});
                    let line = format!("{event}\n");
                    return Some((Ok::<_, Infallible>(line), (world, at, open, is_wanted)));
                }
            }
        });
        Response::new(Answer::from_stream(events))
    }
}

impl Bed {
    fn start() -> Self {
        let world = Arc::<World>::default();
        let server = Arc::clone(&world);
        let client = Client::new(
            service_fn(move |request: Request<Body>| {
                let answer = server.serve(&request);
                async move { Ok::<_, Infallible>(answer) }
            }),
            "natsguard",
        );
        let missing = Arc::<Missing>::default();
        let (sender, changes) = mpsc::channel(1000);
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let running = Arc::clone(&missing);
        tokio::spawn(async move { running.run(client, metrics, sender).await });
        Self {
            world,
            missing,
            changes,
            registry,
        }
    }

    /// Who was told of within a second.
    async fn told(&mut self) -> Vec<String> {
        sleep(Duration::from_secs(1)).await;
        let mut told = Vec::new();
        while let Ok(Change::Changed(key)) = self.changes.try_recv() {
            told.push(key.to_string());
        }
        told
    }

    async fn asked(&self) -> Vec<String> {
        sleep(Duration::from_secs(1)).await;
        std::mem::take(&mut *self.world.asked.lock().unwrap())
    }

    fn open(&self) -> usize {
        Arc::strong_count(&self.world.open) - 1
    }

    fn counted(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = |line: &&str| line.starts_with("controller_missing_objects ");
        text.lines().find(line).unwrap().to_owned()
    }
}

fn key(name: &str) -> Key {
    Key {
        namespace: "alpha".to_owned(),
        name: name.to_owned(),
    }
}

fn map(name: &str) -> Query {
    Query::named(&CONFIG_MAPS, "alpha", name)
}

fn service(name: &str) -> Query {
    Query::named(&SERVICES, "alpha", name)
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_when_it_comes_and_nothing_is_watched_after_that() {
    let mut bed = Bed::start();
    bed.missing.reviewed(&key("a"), &[map("file")]);
    bed.missing
        .reviewed(&key("b"), &[map("file"), service("peers")]);
    let asked = bed.asked().await;
    let expected = [
        format!("list {MAPS}/file"),
        format!("list {SERVICES_OF}/peers"),
        format!("watch {MAPS}/file"),
        format!("watch {SERVICES_OF}/peers"),
    ];
    assert_eq!(
        asked.iter().collect::<BTreeSet<_>>(),
        expected.iter().collect()
    );
    assert_eq!(bed.counted(), "controller_missing_objects 2");
    bed.world.make(MAPS, "other");
    assert_eq!(bed.told().await, [""; 0]);
    bed.world.make(MAPS, "file");
    assert_eq!(bed.told().await, ["alpha/a", "alpha/b"]);
    bed.missing.reviewed(&key("a"), &[]);
    bed.missing.reviewed(&key("b"), &[service("peers")]);
    bed.world.make(MAPS, "file");
    assert_eq!(bed.told().await, [""; 0]);
    assert_eq!(bed.open(), 1);
    bed.world.make(SERVICES_OF, "peers");
    assert_eq!(bed.told().await, ["alpha/b"]);
    bed.missing.reviewed(&key("b"), &[]);
    assert_eq!(bed.told().await, [""; 0]);
    assert_eq!(
        (bed.open(), bed.counted().as_str()),
        (0, "controller_missing_objects 0")
    );
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_watch_is_told() {
    let mut bed = Bed::start();
    bed.world.make(MAPS, "file");
    bed.missing.reviewed(&key("a"), &[map("file")]);
    assert_eq!(bed.told().await, ["alpha/a"]);
}

#[tokio::test(start_paused = true)]
async fn several_objects_of_a_kind_in_a_namespace_are_one_watch() {
    let mut bed = Bed::start();
    let maps: Vec<Query> = (0..62).map(|number| map(&format!("m{number}"))).collect();
    bed.missing.reviewed(&key("a"), &maps);
    assert_eq!(
        bed.asked().await,
        [format!("list {MAPS}/*"), format!("watch {MAPS}/*")]
    );
    bed.world.make(MAPS, "m61");
    assert_eq!(bed.told().await, ["alpha/a"]);
}

#[tokio::test(start_paused = true)]
async fn secrets_are_never_watched_nor_names_that_no_object_has() {
    let bed = Bed::start();
    let secret = Query::named(&SECRETS, "alpha", "file");
    let odd = map("a,metadata.namespace!=alpha");
    bed.missing.reviewed(&key("a"), &[secret, odd]);
    assert_eq!(bed.asked().await, [""; 0]);
    assert_eq!(bed.counted(), "controller_missing_objects 1");
}

#[tokio::test(start_paused = true)]
async fn what_a_scan_sees_come_is_a_reason_for_a_review() {
    let mut bed = Bed::start();
    let secret = || Query::named(&SECRETS, "alpha", "file");
    bed.missing.looked_at(&key("a"), &[secret()]);
    bed.missing.looked_at(&key("a"), &[secret()]);
    assert_eq!(bed.told().await, [""; 0]);
    bed.missing.looked_at(&key("a"), &[]);
    bed.missing.looked_at(&key("b"), &[]);
    assert_eq!(bed.told().await, ["alpha/a"]);
}

#[tokio::test(start_paused = true)]
async fn there_are_so_many_watches_and_those_of_late_go_on() {
    let bed = Bed::start();
    for number in 0..200 {
        let namespace = format!("n{number}");
        let missing = Query::named(&CONFIG_MAPS, &namespace, "file");
        let key = Key {
            namespace,
            name: "nats".to_owned(),
        };
        bed.missing.reviewed(&key, &[missing]);
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(bed.open(), WATCHES);
    let asked = bed.asked().await;
    assert_eq!(
        asked.last().unwrap(),
        "watch /api/v1/namespaces/n199/configmaps/file"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_refused_is_asked_for_less_and_less_and_tells_later() {
    let mut bed = Bed::start();
    *bed.world.away.lock().unwrap() = true;
    bed.missing.reviewed(&key("a"), &[map("file")]);
    sleep(Duration::from_hours(1)).await;
    let asked = bed.asked().await.len();
    assert!((60..70).contains(&asked), "{asked}");
    *bed.world.away.lock().unwrap() = false;
    bed.world.make(MAPS, "file");
    sleep(PAUSES[1]).await;
    assert_eq!(bed.told().await, ["alpha/a"]);
}
